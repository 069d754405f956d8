"""What a hostile reader of the code for tables found, and what it does now."""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pytest

from jammi_sql import Engine, Error, connect, errors
from jammi_sql.adbc.pool import ConnectionPool
from jammi_sql.adbc.queries import load_queries
from jammi_sql.dbapi import Connection
from jammi_sql.stores import SqliteStore
from jammi_sql.stores.sqlite_connection import SqliteConnection
from tests.targets import StoreTarget

from .language import LIMIT, fails, rows, value

pytestmark = pytest.mark.both_stores

A = "11111111-1111-1111-1111-111111111111"
B = "22222222-2222-2222-2222-222222222222"
NAN = "CAST('NaN' AS DOUBLE)"


@pytest.fixture
def engine(store_target: StoreTarget) -> Iterator[Engine]:
    with store_target.open() as opened:
        yield opened


def nan_free(found: list[tuple[object, ...]]) -> list[tuple[object, ...]]:
    return [tuple("nan" if isinstance(cell, float) and math.isnan(cell) else cell for cell in row) for row in found]


def test_a_statement_may_bring_nan_into_two_columns_in_two_steps(conn: Connection) -> None:
    conn.execute("CREATE TABLE n (id BIGINT, x DOUBLE, y DOUBLE, PRIMARY KEY (id))")
    conn.execute("INSERT INTO n VALUES (1, 1.0, 1.0)")
    conn.execute(
        f"INSERT INTO n VALUES (1, 0, 0), (2, {NAN}, 3.0) ON CONFLICT (id) DO UPDATE SET y = {NAN} + excluded.x"
    )
    assert nan_free(rows(conn, "SELECT * FROM n ORDER BY id")) == [(1, 1.0, "nan"), (2, "nan", 3.0)]
    conn.execute("CREATE TABLE m (id BIGINT, x DOUBLE, y DOUBLE, PRIMARY KEY (id))")
    conn.execute("INSERT INTO m VALUES (1, 1.0, 1.0)")
    conn.execute(
        f"MERGE INTO m USING (VALUES (1), (2)) AS s (id) ON m.id = s.id WHEN MATCHED THEN UPDATE SET x = {NAN} "
        f"WHEN NOT MATCHED THEN INSERT (id, x, y) VALUES (s.id, 5.0, {NAN})"
    )
    assert nan_free(rows(conn, "SELECT * FROM m ORDER BY id")) == [(1, "nan", 1.0), (2, 5.0, "nan")]
    conn.execute("CREATE TABLE z (id BIGINT, PRIMARY KEY (id))")
    conn.execute("INSERT INTO z VALUES (1)")
    conn.execute(f"ALTER TABLE z ADD COLUMN x DOUBLE NOT NULL DEFAULT {NAN}")
    assert nan_free(rows(conn, "SELECT * FROM z")) == [(1, "nan")]


@pytest.mark.parametrize(
    "own", ["CREATE TEMP TABLE sh (id BIGINT, v BIGINT)", "CREATE VIEW sh AS SELECT 1 AS id, 1 AS v"]
)
def test_executemany_changes_the_table_that_execute_changes(engine: Engine, own: str) -> None:
    one, other = engine.session(), engine.session()
    one.execute(own)
    other.execute("CREATE TABLE sh (id BIGINT, v BIGINT, PRIMARY KEY (id))")
    other.execute("INSERT INTO sh VALUES (1, 100), (2, 200)")
    for text, given in (
        ("UPDATE sh SET v = ? WHERE id = ?", [(8, 1), (9, 2)]),
        ("DELETE FROM sh WHERE id = ?", [(2,)]),
    ):
        try:
            one.cursor().executemany(text, given)
        except Error as error:
            assert "VIEW" in own and error.sqlstate == "0A000"
    assert rows(other, "SELECT * FROM sh ORDER BY id") == [(1, 100), (2, 200)]


def test_many_keys_in_lists_are_read_whatever_comes_first(conn: Connection) -> None:
    listed = ", ".join(map(str, range(50)))
    conn.execute("CREATE TABLE k (a BIGINT, b BIGINT, v VARCHAR, f DOUBLE, PRIMARY KEY (a, b))")
    conn.execute(
        "INSERT INTO k SELECT n / 50, n % 50, CASE WHEN n >= 2000 THEN 'txt' END, CASE WHEN n >= 2000 THEN 1.5 END "
        "FROM (SELECT value AS n FROM generate_series(0, 2499))"
    )
    condition = f"a IN ({listed}) AND b IN ({listed})"
    assert rows(conn, f"SELECT count(v), sum(f) FROM k WHERE {condition}") == [(500, 750.0)]
    conn.execute("BEGIN")
    assert conn.execute(f"UPDATE k SET v = v || 'x' WHERE {condition}").rowcount == 2500
    assert value(conn, f"SELECT count(v) FROM k WHERE {condition}") == 500
    conn.execute("COMMIT")
    assert value(conn, "SELECT count(*) FROM k WHERE v = 'txtx'") == 500


def test_nobody_reads_how_rows_are_numbered(engine: Engine) -> None:
    tenant = engine.session(A)
    engine.session().execute("CREATE GLOBAL TABLE gt (id BIGINT, v VARCHAR, PRIMARY KEY (id))")
    tenant.execute("INSERT INTO gt VALUES (1, 'a')")
    for text in (
        'UPDATE gt SET v = CAST("__id" AS VARCHAR)',
        "UPDATE gt SET v = 'b' WHERE __id = 1",
        "DELETE FROM gt WHERE __id > 0",
    ):
        for pushdown in ("on", "off"):
            tenant.execute(f"SET jammi.pushdown = {pushdown}")
            with fails("42703"):
                tenant.execute(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("UPDATE t SET v = 99 WHERE id = 1", [(1, 99)]),
        ("UPDATE t SET v = 90 + 9 WHERE id = 1 AND v > 0", [(1, 99)]),
        ("INSERT INTO t VALUES (2, 99)", [(1, 10), (2, 99)]),
        ("INSERT INTO t SELECT 2, 99", [(1, 10), (2, 99)]),
        ("DELETE FROM t WHERE id + 0 = 1", []),
        ("MERGE INTO t USING (VALUES (1)) AS x (id) ON x.id = t.id WHEN MATCHED THEN UPDATE SET v = 99", [(1, 99)]),
    ],
)
def test_a_statement_that_waits_changes_what_has_the_name_then(
    engine: Engine, text: str, expected: list[object]
) -> None:
    one, other = engine.session(), engine.session()
    one.execute("CREATE TABLE t (id BIGINT, v BIGINT, PRIMARY KEY (id))")
    one.execute("INSERT INTO t VALUES (1, 1)")
    one.execute("BEGIN")
    one.execute("ALTER TABLE t RENAME TO old")
    one.execute("CREATE TABLE t (id BIGINT, v BIGINT, PRIMARY KEY (id))")
    one.execute("INSERT INTO t VALUES (1, 10)")
    counts: list[int] = []
    thread = threading.Thread(target=lambda: counts.append(other.execute(text).rowcount))
    thread.start()
    thread.join(0.2)
    one.execute("COMMIT")
    thread.join(LIMIT)
    assert counts == [1]
    assert rows(one, "SELECT * FROM t ORDER BY id") == expected
    assert rows(one, "SELECT * FROM old") == [(1, 1)]


def test_names_that_the_store_would_confuse_are_apart(conn: Connection) -> None:
    conn.execute("CREATE TABLE uu (a BIGINT, b BIGINT, a_b BIGINT, UNIQUE (a, b), UNIQUE (a_b))")
    conn.execute("CREATE TABLE uv (a BIGINT, UNIQUE (a), PRIMARY KEY (a))")
    conn.execute('CREATE TABLE uc (a BIGINT, "A" BIGINT, UNIQUE (a), UNIQUE ("A"))')
    conn.execute("CREATE TABLE sqlite_x (a BIGINT)")
    conn.execute("INSERT INTO sqlite_x VALUES (1)")
    conn.execute("BEGIN")
    conn.execute("CREATE INDEX sqlite_i ON uu (a)")
    conn.execute("CREATE INDEX aa ON uu (a)")
    conn.execute('CREATE INDEX "AA" ON uu (b)')
    conn.execute("COMMIT")
    conn.execute('DROP INDEX "AA"')
    conn.execute("DROP INDEX aa")
    assert value(conn, "SELECT a FROM sqlite_x") == 1
    with fails("54011"):
        conn.execute(f"CREATE TABLE w ({', '.join(f'c{number} BIGINT' for number in range(1000))})")


def test_a_wide_table_of_nan_is_read(conn: Connection) -> None:
    conn.execute(f"CREATE TABLE wide ({', '.join(f'c{number} DOUBLE' for number in range(990))})")
    conn.execute("INSERT INTO wide VALUES (" + ", ".join(["'NaN'"] * 990) + ")")
    assert all(math.isnan(cell) for cell in rows(conn, "SELECT * FROM wide")[0])


def test_braces_in_names_are_letters(conn: Connection) -> None:
    conn.execute('CREATE TABLE br ("{}" BIGINT, "{0}" BIGINT, PRIMARY KEY ("{}"))')
    conn.execute("INSERT INTO br VALUES (1, 2), (2, 3)")
    assert rows(conn, 'SELECT * FROM br WHERE "{}" = 1') == [(1, 2)]
    assert conn.execute('UPDATE br SET "{0}" = 5 * 1 WHERE "{}" = 1').rowcount == 1


@pytest.mark.parametrize(
    "text", ["INSERT INTO d VALUES (1, {})", "UPDATE d SET v = {} WHERE id = 1", "DELETE FROM d WHERE id = {}"]
)
def test_a_number_of_thousands_of_digits_is_an_error_of_ours(conn: Connection, text: str) -> None:
    conn.execute("CREATE TABLE d (id BIGINT, v BIGINT, PRIMARY KEY (id))")
    try:
        assert conn.execute(text.format("9" * 5000)).rowcount == 0
    except Error as error:
        assert error.sqlstate in ("22003", "42601")


@pytest.mark.parametrize("pushdown", ["on", "off"])
def test_a_keyword_is_no_column(conn: Connection, pushdown: str) -> None:
    conn.execute(
        'CREATE TABLE d (id BIGINT, v BIGINT, "null" BIGINT, "current_date" BIGINT, PRIMARY KEY (id), UNIQUE ("null"))'
    )
    conn.execute("INSERT INTO d VALUES (7, 1, 5, 6)")
    conn.execute(f"SET jammi.pushdown = {pushdown}")
    assert conn.execute("UPDATE d SET v = 99 WHERE null = 5").rowcount == 0
    with pytest.raises(Error):
        conn.execute("UPDATE d SET v = 99 WHERE id = 7 AND case = 3")


def test_null_of_a_nested_type_may_be_a_parameter_anywhere(conn: Connection) -> None:
    conn.execute("CREATE TABLE l (id BIGINT, x BIGINT[], y FLOAT[3], PRIMARY KEY (id))")
    listed, fixed = pa.scalar(None, pa.list_(pa.int64())), pa.scalar(None, pa.list_(pa.float32(), 3))
    assert rows(conn, "INSERT INTO l (id, x) VALUES (2, ?) RETURNING id, x", (listed,)) == [(2, None)]
    assert rows(conn, "INSERT INTO l (id, y) VALUES (3, ?) RETURNING id, y", (fixed,)) == [(3, None)]
    assert value(conn, "SELECT ? IS NULL", (listed,)) is True


@pytest.mark.parametrize("assigned", ["excluded.v", "excluded.v + 0"])
def test_both_zeros_are_one_key(conn: Connection, assigned: str) -> None:
    conn.execute("CREATE TABLE fk (f DOUBLE, v BIGINT, UNIQUE (f))")
    with fails("21000"):
        conn.execute(f"INSERT INTO fk VALUES (-0.0, 2), (0.0, 3) ON CONFLICT (f) DO UPDATE SET v = {assigned}")
    assert rows(conn, "SELECT * FROM fk") == []


@pytest.mark.sqlite_only
def test_connections_of_results_are_given_up(engine: Engine) -> None:
    session = engine.session()
    session.execute("CREATE TABLE t (id BIGINT, v BIGINT, PRIMARY KEY (id))")
    session.execute("INSERT INTO t SELECT value, 0 FROM generate_series(1, 30000)")
    opened: list[SqliteConnection] = []
    store = engine.services.store
    assert isinstance(store, SqliteStore)
    open_one = store._snapshots._open
    store._snapshots._open = lambda: opened.append(open_one()) or opened[-1]  # type: ignore[func-returns-value]
    cursors = [session.execute("SELECT * FROM t WHERE v + 0 = 0") for _ in range(40)]
    for cursor in cursors:
        cursor.close()
    assert len(opened) >= 30
    assert sum(not connection.closed for connection in opened) <= 8


class _Stub:
    closed = False

    def close(self) -> None:
        self.closed = True


def test_an_interrupted_borrower_takes_no_connection_along() -> None:
    pool = ConnectionPool(_Stub, limit=2, timeout=0.2, keep=1)  # type: ignore[arg-type, return-value]
    for _ in range(5):
        pool.take()  # and is lost
    first: SqliteConnection = pool.take()
    second: SqliteConnection = pool.take()
    with fails("53300", errors.OperationalError):
        pool.take()
    pool.give_back(first)
    pool.give_back(second)
    assert (first.closed, second.closed) == (False, True)
    pool.close(1)
    assert first.closed


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_interrupts_leave_the_engine_usable(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    # One that strikes in a __del__ is sent again as a real one, which could come after this test.
    monkeypatch.setattr("jammi_sql.finalizing._interrupt", lambda: None)
    session = engine.session()
    session.execute("CREATE TABLE t (id BIGINT, v BIGINT, PRIMARY KEY (id))")
    session.execute("INSERT INTO t SELECT value, 0 FROM generate_series(1, 100)")

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    store = engine.services.store
    queries = load_queries("tables", "sqlite")
    try:
        deadline = time.monotonic() + 1.0
        delay = 0.00002
        while time.monotonic() < deadline:
            delay = delay * 1.07 if delay < 0.002 else 0.00002
            try:
                try:
                    signal.setitimer(signal.ITIMER_REAL, delay)
                    with closing(store.snapshot()) as snapshot:
                        snapshot.query(queries["tables_visible"], ("",))
                    store.query(queries["tables_visible"], ("",))
                finally:
                    signal.setitimer(signal.ITIMER_REAL, 0)
            except KeyboardInterrupt:
                continue
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert rows(session, "SELECT v FROM t WHERE id = 7") == [(0,)]


def test_columns_that_are_kept_by_different_scans_are_of_the_same_rows(tmp_path: Path) -> None:
    with connect(tmp_path / "store") as connection:
        connection.execute("CREATE TABLE q (sku VARCHAR PRIMARY KEY, price INT, city VARCHAR)")
        connection.execute("INSERT INTO q VALUES ('c', 1, 'x'), ('a', 2, 'z'), ('b', 3, 'y')")
        connection.execute("CREATE INDEX by_city ON q (city)")
        # Each by itself is read from an index that has it, in the order of that index, or from the table.
        for column in ("sku", "price", "city"):
            assert connection.execute(f"SELECT count({column}) FROM q").fetchone() == (3,)
        expected = [("a", 2, "z"), ("b", 3, "y"), ("c", 1, "x")]
        assert connection.execute("SELECT * FROM q ORDER BY sku").fetchall() == expected
        assert connection.execute("SELECT price FROM q WHERE sku || '' = 'b'").fetchall() == [(3,)]
