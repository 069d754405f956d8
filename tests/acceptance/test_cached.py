"""Cached tables: copies of queries that are read while they are made anew."""

from __future__ import annotations

import threading
import uuid
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from jammi_sql import Connection, Engine, connect, faults
from jammi_sql.errors import (
    ActiveTransaction,
    DataCorrupted,
    DuplicateObject,
    Error,
    FeatureNotSupported,
    InvalidParameter,
    NotSupportedError,
    OperationalError,
    PermissionDenied,
    ProgrammingError,
    UndefinedTable,
)
from tests.acceptance.language import fails, rows, until, value, values

A, B = str(uuid.UUID(int=0xA)), str(uuid.UUID(int=0xB))
AGE = "SELECT kind, rows, bytes > 0, age >= INTERVAL '0 seconds', last_error FROM jammi.system.tables WHERE name = 'c'"


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def quiet(store: Path) -> Any:
    """A connection to a store without threads in the background."""
    with connect(store, compaction=False, segment_grace=0) as connection:
        connection.execute("CREATE TABLE t (id BIGINT, name VARCHAR)")
        connection.execute("INSERT INTO t VALUES (1, 'a'), (2, 'b')")
        yield connection


def copies(store: Path) -> list[str]:
    return sorted(path.name for path in (store / "cached").glob("*/*"))


def test_a_cached_table_is_a_copy_that_refresh_makes_anew(quiet: Connection, store: Path) -> None:
    assert quiet.execute("CREATE CACHED TABLE c AS SELECT name, count(*) AS n FROM t GROUP BY name").rowcount == 2
    assert rows(quiet, "SELECT * FROM c ORDER BY name") == [("a", 1), ("b", 1)]
    quiet.execute("INSERT INTO t VALUES (3, 'a')")
    assert rows(quiet, "SELECT n FROM c WHERE name = 'a'") == [(1,)]
    assert rows(quiet, AGE) == [("cached", 2, True, True, None)]
    assert quiet.execute("REFRESH TABLE c").rowcount == 2
    assert rows(quiet, "SELECT n FROM c WHERE name = 'a'") == [(2,)]
    plan = "\n".join(row[1] for row in rows(quiet, "EXPLAIN SELECT n FROM c WHERE n > 1"))
    assert "file_type=parquet" in plan and "predicate=n@" in plan
    quiet.execute("DROP TABLE c")
    with fails("42P01", UndefinedTable):
        quiet.execute("SELECT * FROM c")
    with fails("42P01", UndefinedTable, at=14):
        quiet.execute("REFRESH TABLE c")


def test_it_is_there_for_who_connects_later_and_for_those_who_ask_what_is_there(quiet: Connection, store: Path) -> None:
    quiet.execute("CREATE SCHEMA s")
    quiet.execute("CREATE CACHED TABLE s.c AS SELECT id, name FROM t")
    assert "c" in values(quiet, "SELECT table_name FROM information_schema.tables WHERE table_schema = 's'")
    assert [row[0] for row in rows(quiet, "DESCRIBE s.c")] == ["id", "name"]
    assert quiet.adbc_get_table_schema("c", db_schema_filter="s").names == ["id", "name"]
    with connect(store, read_only=True) as reader:
        assert value(reader, "SELECT count(*) FROM s.c") == 2
    with fails("2BP01", ProgrammingError, says="table s.c"):
        quiet.execute("DROP SCHEMA s")
    quiet.execute("DROP SCHEMA s CASCADE")
    assert values(quiet, "SELECT name FROM jammi.system.tables WHERE kind = 'cached'") == []


def test_nobody_writes_it_but_its_query(quiet: Connection) -> None:
    quiet.execute("CREATE CACHED TABLE c AS SELECT id, name FROM t")
    for statement in (
        "INSERT INTO c VALUES (1, 'x')", "UPDATE c SET id = 2", "DELETE FROM c", "TRUNCATE TABLE c", "COPY c FROM 'x.csv'",
        "ALTER TABLE c ADD COLUMN x BIGINT", "CREATE INDEX i ON c (id)",
        "MERGE INTO c USING t ON c.id = t.id WHEN MATCHED THEN DELETE",
    ):  # fmt: skip
        with fails("42809", ProgrammingError, says="c is a cached table, which is read-only"):
            quiet.execute(statement)
    for mode in ("append", "replace", "create_append"):
        with fails("42809", ProgrammingError, says="c is a cached table, which is read-only"):
            quiet.cursor().adbc_ingest("c", pa.table({"id": [1]}), mode=mode)  # type: ignore[arg-type]
    with fails("42P07", DuplicateObject):
        quiet.cursor().adbc_ingest("c", pa.table({"id": [1]}), mode="create")
    with fails("42809", ProgrammingError, says="t is no cached table"):
        quiet.execute("REFRESH TABLE t")


def test_a_name_is_one_thing(quiet: Connection) -> None:
    quiet.execute("CREATE CACHED TABLE c AS SELECT 1 AS a")
    for statement in (
        "CREATE CACHED TABLE c AS SELECT 2 AS a",
        "CREATE TABLE c (a INT)",
        "CREATE TOPIC c (a INT)",
        "CREATE CACHED TABLE t AS SELECT 1 AS a",
    ):
        with fails("42P07", DuplicateObject):
            quiet.execute(statement)
    quiet.execute("CREATE CACHED TABLE IF NOT EXISTS c AS SELECT 3 AS a")
    assert values(quiet, "SELECT a FROM c") == [1]


def test_what_the_query_cannot_be(quiet: Connection) -> None:
    quiet.execute("CREATE TOPIC e (a BIGINT)")
    quiet.execute("CREATE TEMP TABLE mine AS SELECT 1 AS a")
    with fails("0A000", NotSupportedError, says="never ends"):
        quiet.execute("CREATE CACHED TABLE c AS SELECT * FROM subscribe('e')")
    with fails("0A000", FeatureNotSupported, says="mine, a view or an in-memory table"):
        quiet.execute("CREATE CACHED TABLE c AS SELECT * FROM mine")
    text = "CREATE CACHED TABLE c AS SELECT * FROM nobody"
    with fails("42P01", UndefinedTable, at=text.index("nobody")):
        quiet.execute(text)
    for options, says in (
        ("colour = 'red'", "no option colour"),
        ("refresh = 'often'", "refresh cannot be"),
        ("refresh = INTERVAL '10 ms'", "refresh cannot be"),
    ):
        with fails("22023", InvalidParameter, says=says):
            quiet.execute(f"CREATE CACHED TABLE c AS SELECT 1 AS a WITH ({options})")
    with fails("42P01", UndefinedTable):
        quiet.execute("CREATE CACHED TABLE c AS SELECT 1 AS a WITH (on_change = 'nobody')")
    quiet.execute("BEGIN")
    with fails("25001", ActiveTransaction):
        quiet.execute("CREATE CACHED TABLE c AS SELECT 1 AS a")
    quiet.execute("ROLLBACK")
    quiet.execute("CREATE CACHED TABLE c AS SELECT count(*) AS n FROM subscribe('e', until => 'latest')")


def test_the_query_is_run_with_the_eyes_of_who_made_it(store: Path) -> None:
    with Engine.open(store, compaction=False) as engine:
        plain, a, b = engine.session(), engine.session(A), engine.session(B)
        plain.execute("CREATE GLOBAL TOPIC g (v VARCHAR)")
        plain.execute("INSERT INTO g VALUES ('all')")
        a.execute("INSERT INTO g VALUES ('a')")
        a.execute("CREATE CACHED TABLE mine AS SELECT v FROM g")
        plain.execute("CREATE CACHED TABLE c AS SELECT v FROM g")
        assert sorted(values(a, "SELECT v FROM mine")) == ["a", "all"]
        for other in (b, plain):
            with fails("42P01", UndefinedTable):
                other.execute("SELECT * FROM mine")
            assert values(other, "SELECT name FROM jammi.system.tables") == ["c"]
            with fails("42P01", UndefinedTable):
                other.execute("REFRESH TABLE mine")
        b.execute("CREATE CACHED TABLE mine AS SELECT v FROM g")
        assert values(b, "SELECT v FROM mine") == ["all"]
        assert values(a, "SELECT v FROM c") == ["all"]
        for statement in ("REFRESH TABLE c", "DROP TABLE c"):
            with fails("42501", PermissionDenied):
                a.execute(statement)


EXACT = {
    "time": "TIME '12:00:00.000000001'", "seconds": "arrow_cast(0, 'Timestamp(Second, None)')", "half": "arrow_cast(1.5, 'Float16')",
    "interval": "INTERVAL '1 month 2 days'", "day": "arrow_cast(DATE '2024-01-31', 'Date64')", "nothing": "NULL",
    "decimal": "arrow_cast(1, 'Decimal128(38, 10)')", "unsigned": "arrow_cast(18446744073709551615, 'UInt64')", "nan": "CAST('NaN' AS DOUBLE)",
    "list": "[1, NULL]", "empty": "arrow_cast([], 'List(Int64)')", "struct": "named_struct('a', 1, 'b', 'x')", "view": "arrow_cast('x', 'Utf8View')",
    "fixed": "arrow_cast([1.5, 2.5], 'FixedSizeList(2, Float32)')", "zone": "arrow_cast(0, 'Timestamp(Microsecond, Some(\"Europe/Paris\"))')",
    "dictionary": "arrow_cast('x', 'Dictionary(Int8, Utf8)')", "bytes": "arrow_cast('x', 'LargeBinary')", "duration": "arrow_cast(5, 'Duration(Millisecond)')",
}  # fmt: skip


@pytest.mark.parametrize("name", EXACT)
def test_every_type_comes_back_as_it_was(quiet: Connection, name: str) -> None:
    query = f"SELECT {EXACT[name]} AS v, 'text' AS t UNION ALL SELECT NULL, 'other'"
    expected = quiet.execute(f"SELECT * FROM ({query}) ORDER BY t").fetch_arrow_table()
    quiet.execute(f"CREATE CACHED TABLE c AS {query}")
    found = quiet.execute("SELECT * FROM c ORDER BY t").fetch_arrow_table()
    assert found.schema.types == expected.schema.types
    assert [str(each) for each in found.column("v")] == [str(each) for each in expected.column("v")]
    quiet.execute("CREATE VIEW v AS SELECT * FROM c")
    assert quiet.execute("SELECT * FROM v ORDER BY t").fetch_arrow_table().schema.types == expected.schema.types


def test_a_view_and_a_prepared_statement_read_the_copy_that_there_is(quiet: Connection, store: Path) -> None:
    quiet.execute("CREATE CACHED TABLE c AS SELECT id FROM t")
    quiet.execute("CREATE VIEW v AS SELECT id FROM c WHERE id > 1")
    assert values(quiet, "SELECT * FROM v") == [2]
    quiet.execute("INSERT INTO t VALUES (9, 'z')")
    quiet.execute("REFRESH TABLE c")
    quiet.engine.services.caches.sweeper.round(threading.Event())
    assert sorted(values(quiet, "SELECT * FROM v")) == [2, 9]
    assert len(copies(store)) == 1


def test_an_old_copy_stays_for_who_reads_it(quiet: Connection, store: Path) -> None:
    quiet.execute("CREATE CACHED TABLE c AS SELECT value FROM generate_series(1, 300000)")
    reading = quiet.engine.session().execute("SELECT * FROM c")
    first = reading.fetchone()
    quiet.execute("REFRESH TABLE c")
    sweeper = quiet.engine.services.caches.sweeper
    sweeper.round(threading.Event())
    assert len(copies(store)) == 2
    assert len([first, *reading.fetchall()]) == 300_000
    reading.close()
    sweeper.round(threading.Event())
    assert len(copies(store)) == 1


def test_a_refresh_that_fails_leaves_the_old_copy_and_says_so(
    quiet: Connection, caplog: pytest.LogCaptureFixture
) -> None:
    quiet.execute("CREATE CACHED TABLE c AS SELECT 10 / id AS v FROM t")
    quiet.execute("INSERT INTO t VALUES (0, 'zero')")
    with pytest.raises(Error):
        quiet.execute("REFRESH TABLE c")
    assert sorted(values(quiet, "SELECT v FROM c")) == [5, 10]
    ((*_, said),) = rows(quiet, AGE)
    assert "zero" in said.lower()
    quiet.execute("DELETE FROM t WHERE id = 0")
    quiet.execute("REFRESH TABLE c")
    assert rows(quiet, AGE)[0][-1] is None


def test_it_is_read_while_it_is_made_anew(quiet: Connection) -> None:
    quiet.execute("CREATE CACHED TABLE c AS SELECT id FROM t")
    quiet.execute("INSERT INTO t VALUES (3, 'c')")
    seen: list[int] = []
    with faults.armed("cache.after_file", lambda: seen.append(value(quiet.engine.session(), "SELECT count(*) FROM c"))):
        quiet.execute("REFRESH TABLE c")
    assert seen == [2] and value(quiet, "SELECT count(*) FROM c") == 3


def test_a_refresh_can_be_cancelled_and_leaves_nothing(quiet: Connection, store: Path) -> None:
    quiet.execute("CREATE CACHED TABLE c AS SELECT id FROM t")
    cursor = quiet.cursor()
    with faults.armed("cache.before_file", cursor.adbc_cancel):
        with fails("57014", OperationalError, hint=False):
            cursor.execute("REFRESH TABLE c")
    assert len(copies(store)) == 1 and rows(quiet, AGE)[0][-1] is None


def test_a_copy_that_is_missing_is_an_error_and_not_an_empty_table(quiet: Connection, store: Path) -> None:
    quiet.execute("CREATE CACHED TABLE c AS SELECT id FROM t")
    next((store / "cached").glob("*/*")).unlink()
    with pytest.raises(DataCorrupted, match=r"cached table c: its copy .* is missing"):
        quiet.execute("SELECT * FROM c")
    quiet.execute("REFRESH TABLE c")
    assert value(quiet, "SELECT count(*) FROM c") == 2


def test_a_backup_has_the_copies(quiet: Connection, store: Path, tmp_path: Path) -> None:
    quiet.execute("CREATE CACHED TABLE c AS SELECT id FROM t")
    quiet.backup(tmp_path / "copy")
    with connect(tmp_path / "copy", read_only=True) as copy:
        assert value(copy, "SELECT count(*) FROM c") == 2
    assert copies(tmp_path / "copy") == copies(store)


def test_it_is_made_anew_when_it_is_old_and_when_its_topic_moves(store: Path) -> None:
    with connect(store) as connection:
        connection.execute("CREATE TOPIC e (id BIGINT)")
        connection.execute(
            "CREATE CACHED TABLE by_time AS SELECT count(*) AS n FROM e WITH (refresh = INTERVAL '1 second')"
        )
        connection.execute("CREATE CACHED TABLE by_topic AS SELECT count(*) AS n FROM e WITH (on_change = 'e')")
        connection.execute("CREATE CACHED TABLE by_hand AS SELECT count(*) AS n FROM e WITH (refresh = 'manual')")
        connection.execute("INSERT INTO e VALUES (1), (2)")
        until(lambda: values(connection, "SELECT n FROM by_time UNION ALL SELECT n FROM by_topic") == [2, 2])
        connection.execute("INSERT INTO e VALUES (3)")
        until(lambda: values(connection, "SELECT n FROM by_topic") == [3])
        assert values(connection, "SELECT n FROM by_hand") == [0]


class Hands:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.moment = 1_700_000_000_000_000

    def now_us(self) -> int:
        return self.moment


def test_a_failure_in_the_background_is_logged_once_kept_and_tried_again_later(
    store: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Hands()
    with Engine.open(store, compaction=False, clock=clock) as engine, engine.session() as connection:
        connection.execute("CREATE TABLE t (id BIGINT)")
        connection.execute("CREATE CACHED TABLE c AS SELECT id FROM t WITH (refresh = INTERVAL '1 second')")
        connection.execute("DROP TABLE t")
        caches = engine.services.caches
        attempts: list[int] = []
        for seconds in (0.5, 1, 5, 6, 5, 6):
            clock.moment += int(seconds * 1_000_000)
            caches.round(threading.Event(), engine.sql_session)
            attempts.append(caches.catalog.kept(engine.services.store)[0].attempted_us - 1_700_000_000_000_000)
        assert attempts == [0, 1_500_000, 1_500_000, 12_500_000, 12_500_000, 23_500_000]
        assert value(connection, "SELECT count(*) FROM c") == 0
        assert "t does not exist" in rows(connection, AGE)[0][-1]
    said = [record.getMessage() for record in caplog.records if record.name == "jammi_sql.tables"]
    assert len(said) == 1 and said[0].startswith("cached table c cannot be refreshed: ")


def test_one_process_refreshes_and_the_other_waits(store: Path) -> None:
    clock = Hands()
    with (
        Engine.open(store, compaction=False, clock=clock) as one,
        Engine.open(store, compaction=False, clock=clock) as other,
    ):
        one.session().execute("CREATE CACHED TABLE c AS SELECT 1 AS a WITH (refresh = INTERVAL '1 second')")
        clock.moment += 2_000_000
        opened: list[int] = []

        def open_session(tenant: Any) -> Any:
            opened.append(1)
            return other.sql_session(tenant)

        def meanwhile() -> None:
            other.services.caches.round(threading.Event(), open_session)

        with faults.armed("cache.after_file", meanwhile):
            one.services.caches.round(threading.Event(), one.sql_session)
        assert opened == []
        clock.moment += 2_000_000
        meanwhile()
        assert opened == [1]


@pytest.mark.both_stores
def test_on_every_store_a_cached_table_is_made_read_refreshed_and_dropped(
    request: pytest.FixtureRequest, store_kind: str, tmp_path: Path
) -> None:
    if store_kind == "sqlite":
        first = connect(tmp_path / "store", segments=str(tmp_path / "parts"))
    else:
        target = request.getfixturevalue("postgres_target")
        with target.connect() as homeless:
            with fails("22023", InvalidParameter, says="no place for the copies"):
                homeless.execute("CREATE CACHED TABLE c AS SELECT 1 AS a")
        first = target.connect(segments=str(tmp_path / "parts"))
    with first as conn, conn.engine.session(A) as tenant:
        conn.execute("CREATE TOPIC e (a BIGINT)")
        conn.execute("CREATE SCHEMA s")
        conn.execute("CREATE CACHED TABLE s.c AS SELECT a FROM e WITH (on_change = 'e')")
        tenant.execute("CREATE CACHED TABLE s.d AS SELECT a FROM s.c")
        assert sorted(path.parent.name for path in (tmp_path / "cached").glob("*/*.parquet")) == sorted(
            table.folder
            for table in conn.engine.services.caches.catalog.visible(conn.engine.services.store, tenant.tenant)
        )
        conn.execute("INSERT INTO e VALUES (1)")
        until(lambda: values(conn, "SELECT a FROM s.c") == [1])
        tenant.execute("REFRESH TABLE s.d")
        assert values(tenant, "SELECT a FROM s.d") == [1]
        assert sorted(values(tenant, "SELECT name FROM jammi.system.tables")) == ["c", "d"]
        for statement in ("CREATE TABLE s.c (a INT)", "CREATE TOPIC s.c (a INT)"):
            with fails("42P07", DuplicateObject):
                conn.execute(statement)
        conn.execute("DROP TABLE s.c")
        tenant.execute("DROP TABLE s.d")
        assert values(conn, "SELECT name FROM jammi.system.tables") == []


def test_the_types_of_a_copy_follow_its_query(quiet: Connection) -> None:
    quiet.execute("CREATE CACHED TABLE c AS SELECT * FROM t")
    quiet.execute("ALTER TABLE t ADD COLUMN more DOUBLE")
    quiet.execute("REFRESH TABLE c")
    assert quiet.execute("SELECT * FROM c").schema == pa.schema(
        {"id": pa.int64(), "name": pa.string(), "more": pa.float64()}
    )
