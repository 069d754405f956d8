"""Changes of attached databases, each in a transaction of the database's own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import adbc_driver_sqlite.dbapi
import pyarrow as pa
import pytest

from jammi_sql import Connection, connect
from jammi_sql.errors import DataError, DuplicateObject, Error, FeatureNotSupported, IntegrityError, UndefinedTable
from tests.servers.postgres import PostgresServer

PLACES = ["pg.public", "lite.main"]


@pytest.fixture
def writable(postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connection]:
    """A session with empty databases attached as ``pg`` and ``lite``, each with a table ``t``."""
    folder = tmp_path_factory.mktemp("writing")
    database = postgres.create_database()
    secret = folder / "password"
    secret.write_text(postgres.password)
    with connect() as connection:
        address = f"postgresql://postgres@127.0.0.1:{postgres.port}/{database}"
        connection.execute(f"ATTACH ? AS pg (password 'file:{secret}')", (address,))
        made = adbc_driver_sqlite.dbapi.connect(str(folder / "lite.db"))
        with made.cursor() as cursor:
            cursor.execute("CREATE TABLE seed (id INTEGER)")
        made.commit()
        made.close()
        connection.execute("ATTACH ? AS lite", (f"sqlite:///{folder / 'lite.db'}",))
        postgres.sql(
            "CREATE TABLE t (id int8 PRIMARY KEY, n int4, s text DEFAULT 'none', d numeric(10, 2), at date)", database
        )
        yield connection
    postgres.drop_database(database)


@pytest.fixture
def pg(writable: Connection) -> Connection:
    return writable


def rows(connection: Connection, place: str = "pg.public", columns: str = "*") -> list[tuple]:
    return sorted(connection.execute(f"SELECT {columns} FROM {place}.t").fetchall())


@pytest.mark.parametrize("place", PLACES)
def test_a_table_is_made_of_a_query_and_read_back(writable: Connection, place: str) -> None:
    query = "SELECT value AS id, 'v' || value AS s, value * 1.5 AS f FROM generate_series(1, 3)"
    assert writable.execute(f"CREATE TABLE {place}.made AS {query}").rowcount == 3
    assert sorted(writable.execute(f"SELECT * FROM {place}.made").fetchall()) == sorted(
        writable.execute(query).fetchall()
    )
    with pytest.raises(DuplicateObject) as caught:
        writable.execute(f"CREATE TABLE {place}.made AS SELECT 1 AS id")
    assert caught.value.sqlstate == "42P07" and caught.value.hint
    writable.execute(f"CREATE TABLE IF NOT EXISTS {place}.made AS SELECT 1 AS id")
    assert writable.execute(f"SELECT count(*) FROM {place}.made").fetchone() == (3,)
    writable.execute(f"DROP TABLE {place}.made")
    with pytest.raises(UndefinedTable):
        writable.execute(f"SELECT * FROM {place}.made")
    writable.execute(f"DROP TABLE IF EXISTS {place}.made")


@pytest.mark.parametrize("place", PLACES)
def test_rows_of_topics_and_tables_go_into_a_source(writable: Connection, place: str) -> None:
    writable.execute("CREATE TOPIC e (id BIGINT, s VARCHAR)")
    writable.execute("INSERT INTO e VALUES (1, 'one'), (2, NULL), (3, '''quoted''')")
    writable.execute(f"CREATE TABLE {place}.made AS SELECT id, s FROM e WHERE id < 3")
    assert writable.execute(f"INSERT INTO {place}.made SELECT id, s FROM e WHERE id > 2").rowcount == 1
    assert writable.execute(f"INSERT INTO {place}.made (s, id) VALUES ('four', 4)").rowcount == 1
    found = writable.execute(f"SELECT id, s FROM {place}.made ORDER BY id").fetchall()
    assert found == [(1, "one"), (2, None), (3, "'quoted'"), (4, "four")]


def test_a_table_is_filled_from_itself(pg: Connection) -> None:
    pg.execute("INSERT INTO pg.public.t (id) VALUES (1), (2)")
    assert pg.execute("INSERT INTO pg.public.t (id, n) SELECT id + 10, 5 FROM pg.public.t").rowcount == 2
    assert rows(pg, columns="id, n") == [(1, None), (2, None), (11, 5), (12, 5)]


def test_a_column_that_is_left_out_gets_the_default_of_the_source(pg: Connection) -> None:
    pg.execute("INSERT INTO pg.public.t (id) VALUES (1)")
    assert rows(pg, columns="id, s") == [(1, "none")]


def test_many_rows_of_parameters_are_one_write(pg: Connection) -> None:
    with pg.cursor() as cursor:
        cursor.executemany("INSERT INTO pg.public.t (id, s) VALUES (?, ?)", [(1, "a"), (2, None)])
        assert cursor.rowcount == 2
        with pytest.raises(IntegrityError) as caught:
            cursor.executemany("INSERT INTO pg.public.t (id) VALUES (?)", [(3,), (1,)])
    assert caught.value.sqlstate == "23505"
    assert rows(pg, columns="id, s") == [(1, "a"), (2, None)]


def test_a_failed_insert_writes_nothing(pg: Connection) -> None:
    with pytest.raises(IntegrityError):
        pg.execute("INSERT INTO pg.public.t (id) SELECT value % 5 FROM generate_series(1, 9)")
    assert rows(pg) == []


def test_values_are_cast_to_the_columns(pg: Connection) -> None:
    pg.execute("INSERT INTO pg.public.t VALUES (1, '7', 5, '1.5', '2024-02-29')")
    assert pg.execute("SELECT n, s, d, at FROM pg.public.t").fetchall()[0][:2] == (7, "5")
    with pytest.raises(Error):
        pg.execute("INSERT INTO pg.public.t (id, n) VALUES (2, 'seven')")


@pytest.mark.parametrize(
    "query",
    [
        "SELECT sum(a) FROM pg.public.big",
        "SELECT max(a) FROM pg.public.big",
        "SELECT a FROM pg.public.big GROUP BY a",
        "SELECT a % 5 FROM pg.public.big GROUP BY 1",
        "SELECT CASE WHEN a > 0 THEN a END FROM pg.public.big",
    ],
)
def test_a_column_whose_type_changed_there_is_an_error_and_no_other_value(
    pg: Connection, postgres: PostgresServer, query: str
) -> None:
    pg.execute("CREATE TABLE pg.public.big AS SELECT CAST(3 AS BIGINT) AS a")
    assert pg.execute(query).fetchall() == [(3,)]
    (address,) = (uri for name, _, uri in pg.execute("SHOW SOURCES").fetchall() if name == "pg")
    postgres.sql("ALTER TABLE big ALTER a TYPE numeric USING 1.75", address.rpartition("/")[2])
    with pytest.raises(Error) as caught:
        pg.execute(query).fetchall()
    assert caught.value.sqlstate in ("22003", "22P02")
    pg.execute("REFRESH SOURCE pg")
    assert str(pg.execute("SELECT a FROM pg.public.big").fetchone()[0]) == "1.750000000"


@pytest.mark.parametrize(
    "column", ["v varchar(3)", "v char(3)", "v short", "v bit(3)", "v varbit(3)", "v varchar(3)[]"]
)
def test_a_text_that_is_too_long_for_its_column_is_refused_and_not_cut_off(
    pg: Connection, postgres: PostgresServer, column: str
) -> None:
    (address,) = (uri for name, _, uri in pg.execute("SHOW SOURCES").fetchall() if name == "pg")
    database = address.rpartition("/")[2]
    postgres.sql(f"CREATE DOMAIN short AS varchar(3); CREATE TABLE len (id int4, u uuid, {column})", database)
    good, bad = ("['101']", "['1011']") if column.endswith("[]") else ("'101'", "'1011'")
    uuid = "'00000000-0000-0000-0000-000000000001'"
    assert pg.execute(f"INSERT INTO pg.public.len VALUES (1, {uuid}, {good})").rowcount == 1
    said = [f"INSERT INTO pg.public.len VALUES (2, {uuid}, {bad})"]
    if not column.endswith("[]"):
        assert pg.execute(f"UPDATE pg.public.len SET v = {good}, u = {uuid}").rowcount == 1
        said.append(f"UPDATE pg.public.len SET v = {bad}")
    for text in said:
        with pytest.raises(Error) as caught:
            pg.execute(text)
        assert caught.value.sqlstate in ("22001", "22026")
    assert postgres.sql("SELECT id, v FROM len", database) == [["1", "{101}" if column.endswith("[]") else "101"]]


def test_sqlite_is_not_told_a_value_that_its_column_could_not_be_read_with(writable: Connection) -> None:
    for text in ("id = 'a'", "id = 1.5", "at = 'never'", "s = 5"):
        writable.execute(
            "CREATE TABLE IF NOT EXISTS lite.main.t AS SELECT 1 AS id, 'a' AS s, DATE '2024-01-01' AS at, 0.5 AS f"
        )
        with pytest.raises(FeatureNotSupported):
            writable.execute(f"UPDATE lite.main.t SET {text}")
    assert writable.execute("UPDATE lite.main.t SET id = 2, s = 'b', f = 3").rowcount == 1
    assert writable.execute("SELECT id, s, f FROM lite.main.t").fetchall() == [(2, "b", 3.0)]


@pytest.mark.parametrize("condition", ["false", "NULL", "1 = 2"])
@pytest.mark.parametrize("place", PLACES)
def test_a_change_under_a_condition_that_is_never_true_changes_nothing(
    writable: Connection, place: str, condition: str
) -> None:
    writable.execute(f"CREATE TABLE {place}.made AS SELECT 1 AS id")
    assert writable.execute(f"DELETE FROM {place}.made WHERE {condition}").rowcount == 0
    assert writable.execute(f"UPDATE {place}.made SET id = 2 WHERE {condition}").rowcount == 0
    assert writable.execute(f"SELECT id FROM {place}.made").fetchall() == [(1,)]


def test_update_and_delete_are_computed_there(pg: Connection) -> None:
    pg.execute(
        "INSERT INTO pg.public.t (id, n, s, d) VALUES (1, 1, 'a', 1.10), (2, 2, 'b', 2.20), (3, NULL, 'c', NULL)"
    )
    assert (
        pg.execute(
            "UPDATE pg.public.t AS x SET s = 'new', d = x.d + CAST('1.00' AS DECIMAL(10, 2)) WHERE x.n >= 2"
        ).rowcount
        == 1
    )
    assert rows(pg, columns="id, s") == [(1, "a"), (2, "new"), (3, "c")]
    assert pg.execute("UPDATE pg.public.t SET s = NULL, at = DATE '2024-01-01' WHERE s = 'it''s; --'").rowcount == 0
    assert pg.execute("DELETE FROM pg.public.t WHERE n IS NULL").rowcount == 1
    assert pg.execute("DELETE FROM pg.public.t WHERE id IN (SELECT id FROM pg.public.t WHERE s = 'a')").rowcount == 1
    assert pg.execute("UPDATE pg.public.t SET n = ?", (9,)).rowcount == 1
    assert rows(pg, columns="id, n") == [(2, 9)]
    assert pg.execute("DELETE FROM pg.public.t").rowcount == 1


def test_sqlite_is_updated_too(writable: Connection) -> None:
    writable.execute("CREATE TABLE lite.main.t AS SELECT value AS id, 'x' AS s FROM generate_series(1, 4)")
    assert writable.execute("UPDATE lite.main.t SET s = 'y' WHERE id > 2 AND s LIKE 'x%'").rowcount == 2
    assert writable.execute("DELETE FROM lite.main.t WHERE s = 'x'").rowcount == 2
    assert rows(writable, "lite.main") == [(3, "y"), (4, "y")]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("UPDATE pg.public.t SET s = upper(s)", "upper"),
        ("DELETE FROM pg.public.t WHERE id IN (SELECT id FROM lite.main.seed)", "source"),
        ("DELETE FROM pg.public.t WHERE random() < 2", "random"),
        ("DELETE FROM pg.public.t AS a USING pg.public.t AS b WHERE a.id = b.id", "USING"),
        ("UPDATE pg.public.t SET s = 'x' RETURNING id", "RETURNING"),
        ("INSERT INTO pg.public.t (id) VALUES (1) ON CONFLICT (id) DO NOTHING", "ON CONFLICT"),
        ("INSERT INTO pg.public.t (id, s) VALUES (1, DEFAULT)", "DEFAULT"),
        ("TRUNCATE TABLE pg.public.t", "TRUNCATE"),
        ("MERGE INTO pg.public.t USING lite.main.seed AS s ON t.id = s.id WHEN MATCHED THEN DELETE", "MERGE"),
    ],
)
def test_what_cannot_be_said_is_refused_and_changes_nothing(writable: Connection, text: str, why: str) -> None:
    writable.execute("INSERT INTO pg.public.t (id, s) VALUES (1, 'a')")
    with pytest.raises(FeatureNotSupported) as caught:
        writable.execute(text)
    assert why in str(caught.value) and caught.value.sqlstate == "0A000" and caught.value.hint
    assert rows(writable, columns="id, s") == [(1, "a")]


def test_a_transaction_of_the_store_does_not_cover_a_source(pg: Connection) -> None:
    pg.execute("CREATE TABLE own (id BIGINT)")
    pg.execute("BEGIN")
    pg.execute("INSERT INTO own VALUES (1)")
    for text in (
        "INSERT INTO pg.public.t (id) VALUES (1)",
        "DELETE FROM pg.public.t",
        "CREATE TABLE pg.public.u AS SELECT 1 AS a",
    ):
        with pytest.raises(FeatureNotSupported) as caught:
            pg.execute(text)
        assert caught.value.hint and "COMMIT" in caught.value.hint
    pg.execute("COMMIT")
    assert pg.execute("SELECT * FROM own").fetchall() == [(1,)]
    assert rows(pg) == []


def test_adbc_ingest_writes_into_a_source(pg: Connection) -> None:
    data = pa.table({"id": pa.array([1, 2], pa.int64()), "s": ["a", None]})
    with pg.cursor() as cursor:
        assert cursor.adbc_ingest("t", data, mode="append", catalog_name="pg", db_schema_name="public") == 2
        assert cursor.adbc_ingest("u", data, mode="create", catalog_name="pg", db_schema_name="public") == 2
    assert rows(pg, columns="id, s") == [(1, "a"), (2, None)]
    assert pg.execute("SELECT count(*) FROM pg.public.u").fetchone() == (2,)


def test_a_table_that_is_not_there_is_unknown(pg: Connection) -> None:
    for text in ("INSERT INTO pg.public.nope VALUES (1)", "DELETE FROM pg.public.nope", "DROP TABLE pg.public.nope"):
        with pytest.raises(UndefinedTable) as caught:
            pg.execute(text)
        assert caught.value.sqlstate == "42P01"


EVERYWHERE = ["pg.public", "lite.main", "duck.main", "far.public"]


@pytest.mark.parametrize("place", EVERYWHERE)
def test_columns_of_an_insert_go_by_their_names(attached: Connection, place: str) -> None:
    attached.execute(f"CREATE TABLE {place}.named AS SELECT 'a' AS a, 'b' AS b, 1 AS n WHERE false")
    try:
        assert attached.execute(f"INSERT INTO {place}.named (b, a, n) VALUES ('b', 'a', 1)").rowcount == 1
        assert attached.execute(f"INSERT INTO {place}.named (n, b) VALUES (2, 'c'), (3, NULL)").rowcount == 2
        found = attached.execute(f"SELECT a, b, n FROM {place}.named ORDER BY n").fetchall()
        assert found == [("a", "b", 1), (None, "c", 2), (None, None, 3)]
    finally:
        attached.execute(f"DROP TABLE {place}.named")


@pytest.mark.parametrize("place", EVERYWHERE)
def test_files_go_into_a_source_and_out_of_it_again(attached: Connection, place: str, tmp_path: Path) -> None:
    rows = attached.execute("SELECT id, d, t, b FROM pg.public.one ORDER BY id").fetchall()
    attached.execute(f"CREATE TABLE {place}.copied AS SELECT id, d, t, b FROM pg.public.one WHERE false")
    try:
        for kind in ("parquet", "csv", "json", "arrow"):
            file = tmp_path / f"rows.{kind}"
            assert attached.execute(f"COPY (SELECT id, d, t, b FROM pg.public.one) TO '{file}'").rowcount == 60
            assert attached.execute(f"COPY {place}.copied FROM '{file}'").rowcount == 60
            wanted = rows if kind != "csv" else [(*row[:2], row[2] or None, row[3]) for row in rows]
            found = attached.execute(f"SELECT id, d, t, b FROM {place}.copied ORDER BY id").fetchall()
            assert [row if kind != "csv" else (*row[:2], row[2] or None, row[3]) for row in found] == wanted
            assert attached.execute(f"COPY {place}.copied TO '{tmp_path / 'again'}.{kind}'").rowcount == 60
            assert attached.execute(f"DELETE FROM {place}.copied").rowcount == 60
        (tmp_path / "wrong.csv").write_text("id,t\n1,x\nseven,y\n")
        with pytest.raises(DataError) as caught:
            attached.execute(f"COPY {place}.copied FROM '{tmp_path / 'wrong.csv'}'")
        assert caught.value.sqlstate == "22P02" and "line 3" in str(caught.value)
        assert attached.execute(f"SELECT count(*) FROM {place}.copied").fetchone() == (0,)
        attached.execute("BEGIN")
        with pytest.raises(FeatureNotSupported):
            attached.execute(f"COPY {place}.copied FROM '{file}'")
        attached.execute("ROLLBACK")
    finally:
        attached.execute(f"DROP TABLE {place}.copied")
