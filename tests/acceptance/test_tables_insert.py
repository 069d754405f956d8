"""INSERT into companion tables: values, queries, defaults, parameters, ingestion, ON CONFLICT, RETURNING, row counts."""

from __future__ import annotations

import decimal
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from jammi_sql import errors
from jammi_sql.dbapi import Connection

from .language import fails, rows, value, values

pytestmark = pytest.mark.both_stores


@pytest.fixture
def t(conn: Connection) -> Connection:
    conn.execute("CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR, n INT DEFAULT 5)")
    return conn


def test_values_are_coerced_and_counted(t: Connection) -> None:
    assert t.execute("INSERT INTO t VALUES (1, 'a', 1), ('2', 3, 2.7), (3, NULL, '4')").rowcount == 3
    assert rows(t, "SELECT * FROM t ORDER BY id") == [(1, "a", 1), (2, "3", 2), (3, None, 4)]


def test_columns_that_are_not_named_get_their_default_or_null(t: Connection) -> None:
    t.execute("INSERT INTO t (v, id) VALUES ('x', 1)")
    t.execute("INSERT INTO t (n, id) VALUES (NULL, 2)")
    t.execute("INSERT INTO t VALUES (3, DEFAULT, DEFAULT), (4, 'y', DEFAULT), (5, DEFAULT, 6)")
    assert rows(t, "SELECT * FROM t ORDER BY id") == [
        (1, "x", 5),
        (2, None, None),
        (3, None, 5),
        (4, "y", 5),
        (5, None, 6),
    ]


def test_default_values_is_a_row_of_defaults(conn: Connection) -> None:
    conn.execute("CREATE TABLE t (a INT DEFAULT 1 + 1, b VARCHAR DEFAULT 'x', c DOUBLE)")
    assert conn.execute("INSERT INTO t DEFAULT VALUES").rowcount == 1
    assert rows(conn, "INSERT INTO t DEFAULT VALUES RETURNING *, a * 10 AS tens") == [(2, "x", None, 20)]
    assert rows(conn, "SELECT DISTINCT * FROM t") == [(2, "x", None)]


def test_the_source_may_be_any_query(t: Connection) -> None:
    t.execute("CREATE TOPIC e (a INT)")
    t.execute("INSERT INTO e VALUES (10), (11)")
    assert t.execute("INSERT INTO t SELECT a, 'topic', a * 2 FROM e").rowcount == 2
    assert t.execute("INSERT INTO t SELECT value, 'range', value AS n FROM range(3)").rowcount == 3
    assert t.execute("INSERT INTO t (id) SELECT a + 100 FROM subscribe('e', until => 'latest')").rowcount == 2
    assert t.execute("INSERT INTO t (id, v) WITH q AS (SELECT 50 AS a, 'cte' AS b) SELECT a, b FROM q").rowcount == 1
    assert t.execute("INSERT INTO t (id) SELECT 60 UNION ALL SELECT 61").rowcount == 2
    assert t.execute("INSERT INTO t SELECT * FROM t WHERE false").rowcount == 0
    assert values(t, "SELECT id FROM t ORDER BY id") == [0, 1, 2, 10, 11, 50, 60, 61, 110, 111]
    assert rows(t, "SELECT v, n FROM t WHERE id = 110") == [(None, 5)]


def test_a_table_may_be_read_into_itself(t: Connection) -> None:
    t.execute("INSERT INTO t SELECT value, 'v', value AS n FROM range(1000)")
    for _ in range(3):
        t.execute("INSERT INTO t SELECT id + (SELECT max(id) + 1 FROM t), v, n FROM t")
    assert rows(t, "SELECT count(*), max(id), count(DISTINCT id) FROM t") == [(8000, 7999, 8000)]


def test_one_row_of_values_may_have_sub_queries(t: Connection) -> None:
    t.execute("CREATE TOPIC e (a INT, b INT)")
    t.execute("INSERT INTO t VALUES (?, 'x', (SELECT count(*) + ? FROM t))", [1, 10])
    assert rows(t, "INSERT INTO t (n, id) VALUES (DEFAULT, (SELECT max(id) + 1 FROM t)) RETURNING id, n") == [(2, 5)]
    assert rows(t, "INSERT INTO e (b) VALUES ((SELECT max(n) FROM t)) RETURNING a, b") == [(None, 10)]
    with fails("42703", at=38):
        t.execute("INSERT INTO t VALUES (9, 'x', (SELECT nope FROM t))")


def test_a_file_may_be_the_source(t: Connection, tmp_path: Any) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("id,v,n\n1,a,2\n2,b,3\n")
    t.execute(f"CREATE EXTERNAL TABLE f STORED AS CSV LOCATION '{path}' OPTIONS ('format.has_header' 'true')")
    assert t.execute("INSERT INTO t SELECT id, v, n FROM f").rowcount == 2
    assert t.execute("UPDATE t SET n = f.n * 10 FROM f WHERE f.id = t.id").rowcount == 2
    assert values(t, "SELECT n FROM t ORDER BY id") == [20, 30]


@pytest.mark.parametrize(
    ("statement", "parameters"),
    [
        ("INSERT INTO t VALUES (?, ?, ?)", [1, "x", 2]),
        ("INSERT INTO t VALUES ($3, $2, $1)", [2, "x", 1]),
        ("INSERT INTO t (n, id, v) VALUES (:n, :id, :v)", {"id": 1, "v": "x", "n": 2}),
        ("INSERT INTO t SELECT ?, ? || 'x', ? + 1", [1, "", 1]),
        ("INSERT INTO t VALUES (:a, 'x', :a + 1)", {"a": 1}),
    ],
)
def test_parameters_of_every_style(t: Connection, statement: str, parameters: object) -> None:
    assert t.execute(statement, parameters).rowcount == 1
    assert rows(t, "SELECT * FROM t") == [(1, "x", 2)]


def test_executemany_is_all_or_nothing(t: Connection) -> None:
    cursor = t.cursor()
    cursor.executemany("INSERT INTO t VALUES (?, ?, DEFAULT)", [(number, f"v{number}") for number in range(1000)])
    assert cursor.rowcount == 1000
    with fails("23505", errors.IntegrityError):
        cursor.executemany("INSERT INTO t (id) VALUES (?)", [(2000,), (2001,), (5,)])
    with fails("22P02", errors.DataError):
        cursor.executemany("INSERT INTO t (id) VALUES (?)", [("3000",), ("x",)])
    cursor.executemany(
        "INSERT INTO t VALUES ($1, $2, 1) ON CONFLICT (id) DO UPDATE SET v = excluded.v", [(0, "new"), (1000, "newer")]
    )
    assert cursor.rowcount == 2
    cursor.executemany("UPDATE t SET n = :n WHERE id = :id", [{"n": 1, "id": 1}, {"n": 2, "id": 2}, {"n": 3, "id": -1}])
    assert cursor.rowcount == 2
    cursor.executemany("DELETE FROM t WHERE id = ?", [(998,), (999,)])
    assert cursor.rowcount == 2
    assert rows(t, "SELECT count(*), max(id) FROM t") == [(999, 1000)]
    assert rows(t, "SELECT id, v, n FROM t WHERE id IN (0, 1, 2) ORDER BY id") == [
        (0, "new", 5),
        (1, "v1", 1),
        (2, "v2", 2),
    ]


def test_do_update_without_columns_is_about_the_only_key(conn: Connection) -> None:
    conn.execute("CREATE TABLE one (id INT PRIMARY KEY, v VARCHAR)")
    conn.execute("INSERT INTO one VALUES (1, 'a')")
    conn.execute("INSERT INTO one VALUES (1, 'b'), (2, 'c') ON CONFLICT DO UPDATE SET v = excluded.v")
    assert rows(conn, "SELECT * FROM one ORDER BY id") == [(1, "b"), (2, "c")]
    upsert = "INSERT INTO one VALUES (1, 'd') ON CONFLICT DO UPDATE SET v = one.v || excluded.v RETURNING v"
    assert rows(conn, upsert) == [("bd",)]

    conn.execute("CREATE TABLE two (id INT PRIMARY KEY, v VARCHAR, UNIQUE (v))")
    with fails("42P10", says="the keys (id) and (v)", at=32):
        conn.execute("INSERT INTO two VALUES (1, 'a') ON CONFLICT DO UPDATE SET v = 'b'")
    conn.execute("CREATE TABLE none (id INT)")
    with fails("42P10", says="has no key", at=30):
        conn.execute('INSERT INTO "none" VALUES (1) ON CONFLICT DO UPDATE SET id = 2')


def test_a_bad_row_in_the_middle_of_many_leaves_nothing(t: Connection) -> None:
    t.execute("INSERT INTO t VALUES (150000, 'there', 0)")
    for statement, sqlstate, cls in (
        ("INSERT INTO t (id) SELECT value FROM range(300000)", "23505", errors.IntegrityError),
        ("INSERT INTO t (id) SELECT nullif(value, 99999) FROM range(140000)", "23502", errors.IntegrityError),
        ("INSERT INTO t SELECT value + 1000000, 'x', 1 / (value - 99999) FROM range(140000)", "22012", errors.DataError),
        ("INSERT INTO t SELECT value * 30000, 'x', 1 FROM range(140000)", "22003", errors.DataError),
        ("INSERT INTO t SELECT CASE WHEN value = 99999 THEN 'x' ELSE CAST(value AS VARCHAR) END, 'x', 1 FROM range(140000)", "22P02", errors.DataError),
    ):  # fmt: skip
        with fails(sqlstate, cls):
            t.execute(statement)
        assert rows(t, "SELECT * FROM t") == [(150000, "there", 0)]


@pytest.mark.parametrize(
    ("statement", "sqlstate", "cls", "at"),
    [
        ("INSERT INTO nowhere VALUES (1)", "42P01", errors.ProgrammingError, 12),
        ("INSERT INTO nowhere DEFAULT VALUES", "42P01", errors.ProgrammingError, 12),
        ("INSERT INTO nowhere VALUES (1) ON CONFLICT DO NOTHING", "42P01", errors.ProgrammingError, 12),
        ("INSERT INTO t (id, nope) VALUES (1, 2)", "42703", errors.ProgrammingError, 19),
        ("INSERT INTO t (id, id) VALUES (1, 2)", "42701", errors.ProgrammingError, 19),
        ("INSERT INTO t VALUES (1, 2, 3, 4)", "42601", errors.ProgrammingError, None),
        ("INSERT INTO t (id) VALUES (1, 2)", "42601", errors.ProgrammingError, None),
        ("INSERT INTO t (id, v) SELECT 1", "42601", errors.ProgrammingError, None),
        ("INSERT INTO t VALUES ('abc', 'x', 1)", "22P02", errors.DataError, None),
        ("INSERT INTO t VALUES (3000000000, 'x', 1)", "22003", errors.DataError, None),
        ("INSERT INTO t (v) VALUES ('x')", "23502", errors.IntegrityError, None),
        ("INSERT INTO t VALUES (NULL, 'x', 1)", "23502", errors.IntegrityError, None),
        ("INSERT INTO t VALUES (1, 'x', 1), (1, 'y', 2)", "23505", errors.IntegrityError, None),
        ("INSERT INTO t VALUES (1, 'x', 1) RETURNING nope", "42703", errors.ProgrammingError, 43),
        ("INSERT INTO t VALUES (1, 'x', 1) RETURNING 1 / (id - 1)", "22012", errors.DataError, None),
        ("INSERT INTO t VALUES (1, 'x', 1) RETURNING __id", "42703", errors.ProgrammingError, None),
        ("INSERT INTO t VALUES (1, 'x', 1) ON CONFLICT (v) DO NOTHING", "42P10", errors.ProgrammingError, 33),
        ("INSERT INTO t VALUES (1, 'x', 1) ON CONFLICT (nope) DO NOTHING", "42P10", errors.ProgrammingError, 33),
        ("INSERT INTO t VALUES (1, 'x', 1) ON CONFLICT (id, v) DO UPDATE SET n = 1", "42P10", errors.ProgrammingError, 33),
        ("INSERT INTO t VALUES (1, 'x', 1) ON CONFLICT (id) DO UPDATE SET nope = 1", "42703", errors.ProgrammingError, 64),
        ("INSERT INTO t VALUES (1, 'x', 1), (1, 'y', 1) ON CONFLICT (id) DO UPDATE SET v = 'z'", "21000", errors.ProgrammingError, None),
    ],
)  # fmt: skip
def test_what_cannot_be_inserted(
    t: Connection, statement: str, sqlstate: str, cls: type[errors.Error], at: int | None
) -> None:
    with fails(sqlstate, cls, at=at):
        t.execute(statement)
    assert values(t, "SELECT count(*) FROM t") == [0]


def test_error_texts_and_hints_name_nothing_of_the_stores(t: Connection) -> None:
    t.execute("INSERT INTO t VALUES (1, 'x', 1)")
    for statement in (
        "INSERT INTO t VALUES (1, 'x', 1)",
        "UPDATE t SET id = 1 + n - n WHERE nope = 1",
        "UPDATE t SET n = nope",
        "DELETE FROM t WHERE nope = 1",
        "MERGE INTO t USING t AS s ON t.nope = s.id WHEN MATCHED THEN DELETE",
    ):
        with pytest.raises(errors.Error) as raised:
            t.execute(statement)
        text = f"{raised.value} {raised.value.hint}"
        assert "__" not in text, text
        assert "_tenant" not in text, text


# --- ON CONFLICT ---


@pytest.fixture
def filled(t: Connection) -> Connection:
    t.execute("INSERT INTO t VALUES (1, 'a', 1), (2, 'b', 2)")
    return t


def test_do_nothing_keeps_what_is_there_and_counts_what_is_new(filled: Connection) -> None:
    assert (
        filled.execute(
            "INSERT INTO t VALUES (1, 'z', 9), (3, 'c', 3), (3, 'd', 4) ON CONFLICT (id) DO NOTHING"
        ).rowcount
        == 1
    )
    assert filled.execute("INSERT INTO t SELECT id, 'q', n FROM t ON CONFLICT DO NOTHING").rowcount == 0
    assert rows(
        filled, "INSERT INTO t VALUES (2, 'x', 1), (4, 'd', 4) ON CONFLICT DO NOTHING RETURNING id, n + 1 AS m"
    ) == [(4, 5)]
    assert rows(filled, "SELECT * FROM t ORDER BY id") == [(1, "a", 1), (2, "b", 2), (3, "c", 3), (4, "d", 4)]


def test_do_nothing_of_one_key_does_not_hide_another(conn: Connection) -> None:
    conn.execute("CREATE TABLE t (a INT PRIMARY KEY, b INT UNIQUE)")
    conn.execute("INSERT INTO t VALUES (1, 1)")
    with fails("23505", errors.IntegrityError, says="(b)"):
        conn.execute("INSERT INTO t VALUES (2, 1) ON CONFLICT (a) DO NOTHING")
    assert conn.execute("INSERT INTO t VALUES (2, 1) ON CONFLICT (b) DO NOTHING").rowcount == 0
    assert conn.execute("INSERT INTO t VALUES (2, 1), (1, 2) ON CONFLICT DO NOTHING").rowcount == 0
    with fails("23502", errors.IntegrityError):
        conn.execute("INSERT INTO t VALUES (NULL, 1) ON CONFLICT DO NOTHING")
    assert rows(conn, "SELECT * FROM t") == [(1, 1)]


def test_do_update_sees_the_row_and_what_came(filled: Connection) -> None:
    statement = "INSERT INTO t VALUES (1, 'z', 9), (5, 'e', DEFAULT) ON CONFLICT (id) DO UPDATE SET v = t.v || excluded.v, n = t.n + excluded.n RETURNING id, v, n, n * 2 AS m"
    assert sorted(rows(filled, statement)) == [(1, "az", 10, 20), (5, "e", 5, 10)]
    assert (
        filled.execute(
            "INSERT INTO t SELECT id, 'all', 0 FROM t ON CONFLICT (id) DO UPDATE SET v = upper(excluded.v)"
        ).rowcount
        == 3
    )
    assert values(filled, "SELECT DISTINCT v FROM t") == ["ALL"]
    filled.execute(
        "INSERT INTO t (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET n = DEFAULT, v = (SELECT max(v) || '!' FROM t)"
    )
    assert rows(filled, "SELECT v, n FROM t WHERE id = 1") == [("ALL!", 5)]
    filled.execute("INSERT INTO t AS x (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET (v, n) = ('w', x.n + 1)")
    assert rows(filled, "SELECT v, n FROM t WHERE id = 1") == [("w", 6)]


def test_do_update_where_leaves_the_others_alone_and_does_not_count_them(filled: Connection) -> None:
    statement = "INSERT INTO t VALUES (1, 'x', 5), (2, 'y', 1) ON CONFLICT (id) DO UPDATE SET n = excluded.n WHERE t.n < excluded.n"
    assert filled.execute(statement).rowcount == 1
    assert rows(filled, f"{statement} RETURNING id") == []
    assert rows(filled, "SELECT * FROM t ORDER BY id") == [(1, "a", 5), (2, "b", 2)]


def test_do_update_may_take_any_unique_key(conn: Connection) -> None:
    conn.execute("CREATE TABLE t (a INT, b INT, c INT, d INT, PRIMARY KEY (a, b), UNIQUE (c))")
    conn.execute("INSERT INTO t VALUES (1, 1, 1, 0), (1, 2, NULL, 0)")
    conn.execute("INSERT INTO t VALUES (1, 1, 9, 0) ON CONFLICT (b, a) DO UPDATE SET d = 1")
    conn.execute("INSERT INTO t VALUES (7, 7, 1, 0) ON CONFLICT (c) DO UPDATE SET d = t.d + 1")
    conn.execute("INSERT INTO t VALUES (8, 8, NULL, 0) ON CONFLICT (c) DO UPDATE SET d = 100")
    assert rows(conn, "SELECT * FROM t ORDER BY a, b") == [(1, 1, 1, 2), (1, 2, None, 0), (8, 8, None, 0)]
    with fails("23505", errors.IntegrityError):
        conn.execute("INSERT INTO t VALUES (1, 1, 5, 0) ON CONFLICT (a, b) DO UPDATE SET a = 8, b = 8")
    with fails("23502", errors.IntegrityError):
        conn.execute("INSERT INTO t VALUES (1, 1, 5, 0) ON CONFLICT (a, b) DO UPDATE SET a = NULL")


def test_do_update_of_many_rows(conn: Connection) -> None:
    conn.execute("CREATE TABLE t (id BIGINT PRIMARY KEY, n BIGINT)")
    conn.execute("INSERT INTO t SELECT value, 0 FROM range(100000)")
    statement = (
        "INSERT INTO t SELECT value * 2, 1 FROM range(100000) ON CONFLICT (id) DO UPDATE SET n = t.n + excluded.n"
    )
    assert conn.execute(statement).rowcount == 100000
    assert rows(conn, "SELECT count(*), sum(n), max(id) FROM t") == [(150000, 100000, 199998)]
    with fails("21000"):  # the two are far apart
        conn.execute("INSERT INTO t SELECT value % 90000, 7 FROM range(100000) ON CONFLICT (id) DO UPDATE SET n = 7")
    with fails("21000"):
        conn.execute(
            "INSERT INTO t SELECT 1000000 + value % 90000, 7 FROM range(100000) ON CONFLICT (id) DO UPDATE SET n = 7"
        )
    assert rows(conn, "SELECT count(*), sum(n) FROM t") == [(150000, 100000)]


def test_on_conflict_is_not_for_topics(conn: Connection) -> None:
    conn.execute("CREATE TOPIC e (a INT)")
    with fails("0A000", errors.NotSupportedError):
        conn.execute("INSERT INTO e VALUES (1) ON CONFLICT DO NOTHING")


# --- RETURNING ---


def test_returning_has_the_rows_as_they_are_stored(t: Connection) -> None:
    cursor = t.execute(
        "INSERT INTO t (id, v) VALUES (2.0, 7), (1, 'x') RETURNING *, id * 2 AS twice, upper(v), 'k' AS k"
    )
    assert [column[0] for column in cursor.description] == ["id", "v", "n", "twice", cursor.description[4][0], "k"]
    assert cursor.rowcount == 2
    assert cursor.fetchall() == [(2, "7", 5, 4, "7", "k"), (1, "x", 5, 2, "X", "k")]
    table = t.execute("INSERT INTO t (id) VALUES (3) RETURNING id, n").fetch_arrow_table()
    assert table.schema.types == [pa.int32(), pa.int32()]
    assert t.execute("INSERT INTO t (id) VALUES (4) RETURNING t.id AS k").fetch_polars().to_dict(as_series=False) == {
        "k": [4]
    }
    assert t.execute("INSERT INTO t (id) VALUES (5) RETURNING id").fetch_df()["id"].tolist() == [5]
    assert value(t, "INSERT INTO t AS x (id) VALUES (6) RETURNING x.id + (SELECT count(*) FROM t)") == 12
    assert value(t, "INSERT INTO t (id) VALUES (7) RETURNING id + ?", [1]) == 8


def test_an_insert_with_returning_happens_whether_or_not_its_rows_are_read(t: Connection, other: Connection) -> None:
    cursor = t.execute("INSERT INTO t (id) VALUES (1), (2) RETURNING id")
    assert value(other, "SELECT count(*) FROM t") == 2
    cursor.close()
    assert value(other, "SELECT count(*) FROM t") == 2


# --- adbc_ingest ---


DATA = {"id": [1, 2, 3], "v": ["a", None, "c"]}
KINDS = {
    "table": lambda: pa.table(DATA),
    "batch": lambda: pa.record_batch(DATA),
    "reader": lambda: pa.table(DATA).to_reader(),
    "pandas": lambda: pd.DataFrame(DATA),
    "polars": lambda: pl.DataFrame(DATA),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_data_is_taken_in(conn: Connection, kind: str) -> None:
    with conn.cursor() as cursor:
        assert cursor.adbc_ingest("t", KINDS[kind](), mode="create") == 3
    assert rows(conn, "SELECT id, v FROM t ORDER BY id") == [(1, "a"), (2, None), (3, "c")]


def test_the_modes_of_ingestion(conn: Connection, other: Connection) -> None:
    cursor = conn.cursor()
    with fails("42P01"):
        cursor.adbc_ingest("t", pa.table(DATA), mode="append")
    assert cursor.adbc_ingest("t", pa.table(DATA), mode="create_append") == 3
    assert cursor.adbc_ingest("t", pa.table(DATA), mode="create_append") == 3
    assert cursor.adbc_ingest("t", pa.table(DATA), mode="append") == 3
    with fails("42P07"):
        cursor.adbc_ingest("t", pa.table(DATA), mode="create")
    assert value(other, "SELECT count(*) FROM t") == 9
    assert cursor.adbc_ingest("t", pa.table({"other": [1.5]}), mode="replace") == 1
    assert rows(other, "SELECT * FROM t") == [(1.5,)]
    assert cursor.adbc_ingest("u", pa.table(DATA), mode="replace") == 3
    assert cursor.adbc_ingest("s", pa.table(DATA), mode="create", db_schema_name="odd") == 3
    assert value(conn, "SELECT count(*) FROM odd.s") == 3
    assert cursor.adbc_ingest("empty", pa.table(DATA).slice(0, 0), mode="create") == 0
    assert conn.execute("SELECT * FROM empty").fetch_arrow_table().schema.names == ["id", "v"]


def test_ingestion_that_fails_leaves_nothing(conn: Connection) -> None:
    conn.execute("CREATE TABLE t (id BIGINT PRIMARY KEY, v VARCHAR)")
    cursor = conn.cursor()
    cursor.adbc_ingest("t", pa.table(DATA), mode="append")
    for data, sqlstate in (
        ({"id": [*range(100, 70000), 1], "v": ["x"] * 69901}, "23505"),
        ({"id": [10, None], "v": ["x", "y"]}, "23502"),
    ):
        with fails(sqlstate, errors.IntegrityError):
            cursor.adbc_ingest("t", pa.table(data), mode="append")
    for data in ({"id": [10]}, {"id": [10], "w": ["x"]}, {"id": ["x"], "v": ["y"]}, {"id": [10], "v": ["x"], "w": [1]}):
        with fails("42804", errors.BatchSchemaMismatch):
            cursor.adbc_ingest("t", pa.table(data), mode="append")

    def failing() -> Any:
        yield pa.record_batch({"id": [1], "w": ["x"]})
        raise RuntimeError("the source broke")

    reader = pa.RecordBatchReader.from_batches(pa.schema([("id", pa.int64()), ("w", pa.string())]), failing())
    with pytest.raises(Exception, match="the source broke"):
        cursor.adbc_ingest("t", reader, mode="replace")
    assert rows(conn, "SELECT * FROM t ORDER BY id") == [(1, "a"), (2, None), (3, "c")]


def test_ingestion_is_part_of_the_open_transaction(conn: Connection, other: Connection, store_kind: str) -> None:
    conn.execute("CREATE TABLE t (id BIGINT, v VARCHAR)")
    conn.execute("BEGIN")
    conn.cursor().adbc_ingest("t", pa.table(DATA), mode="append")
    conn.cursor().adbc_ingest("made", pa.table(DATA), mode="create")
    conn.cursor().adbc_ingest("t", pa.table({"x": [1]}), mode="replace")
    assert rows(conn, "SELECT x, (SELECT count(*) FROM made) FROM t") == [(1, 3)]
    if store_kind == "sqlite":  # on PostgreSQL readers wait for whoever drops the table
        assert rows(other, "SELECT * FROM t") == []
    conn.execute("ROLLBACK")
    assert rows(conn, "SELECT id, v FROM t") == []
    with fails("42P01"):
        conn.execute("SELECT * FROM made")


def test_columns_of_ingested_data_come_in_any_order(conn: Connection) -> None:
    conn.execute("CREATE TABLE t (id BIGINT PRIMARY KEY, v VARCHAR)")
    conn.cursor().adbc_ingest("t", pa.table({"v": ["x"], "id": [1]}), mode="append")
    assert rows(conn, "SELECT * FROM t") == [(1, "x")]


def test_pandas_writes_a_table(conn: Connection) -> None:
    frame = pd.DataFrame(
        {"id": [1, 2], "d": [decimal.Decimal("1.5"), None], "at": pd.to_datetime(["2024-01-01", "2024-01-02"])}
    )
    assert frame.to_sql("t", conn, index=False) == 2
    assert frame.to_sql("t", conn, index=False, if_exists="append") == 2
    assert frame.to_sql("t", conn, index=False, if_exists="replace") == 2
    assert pd.read_sql("SELECT id FROM t ORDER BY id", conn)["id"].tolist() == [1, 2]
    assert pl.DataFrame({"id": [1]}).write_database("p", conn, engine="adbc") == 1
    assert pl.read_database("SELECT * FROM p", conn).to_dict(as_series=False) == {"id": [1]}
