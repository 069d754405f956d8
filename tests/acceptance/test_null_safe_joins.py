"""IS NOT DISTINCT FROM in joins of three tables and more holds of NULLs as well, whatever statement the joins are in.

DataFusion 55 makes = of it where it puts inner joins into a row, some of them by =: one row of the five that there are.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import adbc_driver_sqlite.dbapi
import pytest

from jammi_sql.dbapi import Connection

from .language import rows, value, values

# One row has a key, and two have none: 1 + 2 * 2.
JOINS = "a JOIN b ON a.k IS NOT DISTINCT FROM b.k JOIN c ON b.id = c.id"
QUERY = f"SELECT a.id AS x, b.id AS y, c.id AS z FROM {JOINS}"
EXPECTED = [(1, 1, 1), *((x, y, y) for x in (2, 3) for y in (2, 3))]


@pytest.fixture
def abc(conn: Connection) -> Connection:
    for name in "abc":
        conn.execute(f"CREATE TABLE {name} (id BIGINT PRIMARY KEY, k BIGINT, mark BIGINT)")
        conn.execute(f"INSERT INTO {name} VALUES (1, 1, 0), (2, NULL, 0), (3, NULL, 0)")
    return conn


def read(conn: Connection, text: str) -> list[tuple[object, ...]]:
    return sorted(rows(conn, text))


@pytest.mark.parametrize(
    "joins",
    [
        JOINS,
        JOINS.replace("IS NOT DISTINCT FROM", "is  not\ndistinct /* yes */ from"),
        "a JOIN b ON NOT (a.k IS DISTINCT FROM b.k) JOIN c ON b.id = c.id",
        "a JOIN b ON (a.k IS DISTINCT FROM b.k) = FALSE JOIN c ON b.id = c.id",
        "a JOIN b ON a.k <=> b.k JOIN c ON b.id = c.id",
        "a JOIN b ON a.k IS NOT DISTINCT FROM b.k, c WHERE b.id = c.id",
        "a, b, c WHERE (a.k IS NOT DISTINCT FROM b.k) AND b.id = c.id",
        "a LEFT JOIN b ON a.k IS NOT DISTINCT FROM b.k JOIN c ON b.id = c.id WHERE b.id > 0",
        "(SELECT b.id, a.id AS i, a.k IS NOT DISTINCT FROM b.k AS same FROM a CROSS JOIN b) AS b JOIN a ON a.id = b.i"
        " JOIN c ON b.id = c.id WHERE b.same",
    ],
)
def test_a_query_however_it_is_said(abc: Connection, joins: str) -> None:
    assert read(abc, f"SELECT a.id, b.id, c.id FROM {joins}") == EXPECTED


def test_joins_below_a_set_operation_and_in_a_sub_query(abc: Connection) -> None:
    assert read(abc, f"({QUERY}) INTERSECT ({QUERY})") == EXPECTED
    assert value(abc, f"SELECT count(*) FROM a AS o WHERE o.id IN (SELECT z FROM ({QUERY}))") == 3
    assert value(abc, f"SELECT (SELECT count(*) FROM {JOINS})") == len(EXPECTED)


def test_a_view_and_a_view_of_a_view(abc: Connection) -> None:
    abc.execute(f"CREATE VIEW v AS {QUERY}")
    abc.execute("CREATE VIEW w AS SELECT * FROM v WHERE x > 0")
    assert read(abc, "SELECT * FROM v") == read(abc, "SELECT * FROM w") == EXPECTED
    assert value(abc, "SELECT count(*) FROM w JOIN a ON a.id = w.x") == len(EXPECTED)


def test_a_prepared_statement(abc: Connection) -> None:
    abc.execute(f"PREPARE p(BIGINT) AS {QUERY} WHERE a.id >= $1")
    assert read(abc, "EXECUTE p(0)") == EXPECTED
    abc.execute(f"PREPARE q AS SELECT (SELECT count(*) FROM {JOINS}) AS n")
    assert value(abc, "EXECUTE q") == len(EXPECTED)
    abc.execute("DEALLOCATE p")
    abc.execute("PREPARE p AS SELECT a.id FROM a JOIN b ON a.id = b.id, c WHERE c.id = b.id")
    assert sorted(values(abc, "EXECUTE p")) == [1, 2, 3]
    assert sorted(abc.execute(f"{QUERY} WHERE a.id >= ?", (0,)).fetchall()) == EXPECTED


def test_explain_analyze(abc: Connection) -> None:
    plan = "\n".join(row[1] for row in rows(abc, f"EXPLAIN ANALYZE {QUERY}"))
    assert f"output_rows={len(EXPECTED)}" in plan.replace(" ", "")
    explained = dict(rows(abc, f"EXPLAIN {QUERY}"))
    assert explained["physical_plan"].count("NullsEqual: true") == 1


CREATED: dict[str, Callable[[Connection, Path], str]] = {
    "insert into a table": lambda conn, _: _made(conn, "t", "CREATE TABLE t (x BIGINT, y BIGINT, z BIGINT)", f"INSERT INTO t {QUERY}"),
    "insert into a topic": lambda conn, _: _made(conn, "t", "CREATE TOPIC t (x BIGINT, y BIGINT, z BIGINT)", f"INSERT INTO t {QUERY}"),
    "insert with defaults": lambda conn, _: _made(
        conn, "t", "CREATE TABLE t (x BIGINT, y BIGINT, z BIGINT, w BIGINT DEFAULT 5)", f"INSERT INTO t (x, y, z) {QUERY}"
    ),
    "insert on conflict": lambda conn, _: _made(
        conn, "t", "CREATE TABLE t (x BIGINT, y BIGINT, z BIGINT, PRIMARY KEY (x, y, z))",
        f"INSERT INTO t {QUERY} ON CONFLICT DO NOTHING",
    ),
    "a view into a table": lambda conn, _: _made(
        conn, "t", f"CREATE VIEW v AS {QUERY}", "CREATE TABLE t AS SELECT * FROM v"
    ),
    "table as": lambda conn, _: _made(conn, "t", f"CREATE TABLE t AS {QUERY}"),
    "topic as": lambda conn, _: _made(conn, "t", f"CREATE TOPIC t AS {QUERY}"),
    "cached table": lambda conn, _: _made(conn, "t", f"CREATE CACHED TABLE t AS {QUERY}"),
    "refreshed table": lambda conn, _: _made(conn, "t", f"CREATE CACHED TABLE t AS {QUERY}", "REFRESH TABLE t"),
    "temporary table": lambda conn, _: _made(conn, "t", f"CREATE TEMP TABLE t AS {QUERY}"),
    "quoted temporary table": lambda conn, _: _made(conn, '"T t"', f'CREATE TEMP TABLE "T t" AS {QUERY}'),
    "into a temporary table": lambda conn, _: _made(
        conn, "t", "CREATE TEMP TABLE t (x BIGINT, y BIGINT, z BIGINT)", f"INSERT INTO t {QUERY}"
    ),
    "merge": lambda conn, _: _made(
        conn, "t", "CREATE TABLE t (x BIGINT, y BIGINT, z BIGINT)",
        f"MERGE INTO t USING ({QUERY}) AS q ON t.x = q.x AND t.y = q.y AND t.z = q.z"
        " WHEN NOT MATCHED THEN INSERT (x, y, z) VALUES (q.x, q.y, q.z)",
    ),
    "copy": lambda conn, folder: _made(conn, f"'{folder / 'q.parquet'}'", f"COPY ({QUERY}) TO '{folder / 'q.parquet'}'"),
    "a table of a source": lambda conn, folder: _made(
        conn, "s.main.t", _source(folder), f"CREATE TABLE s.main.t AS {QUERY}"
    ),
    "into a source": lambda conn, folder: _made(
        conn, "s.main.r", _source(folder), f"INSERT INTO s.main.r {QUERY}"
    ),
}  # fmt: skip


def _made(conn: Connection, name: str, *statements: str) -> str:
    for statement in statements:
        conn.execute(statement)
    return name


def _source(folder: Path) -> str:
    with adbc_driver_sqlite.dbapi.connect(str(folder / "s.db")) as source, source.cursor() as cursor:
        cursor.execute("CREATE TABLE r (x INTEGER, y INTEGER, z INTEGER)")
        for name in "abc":
            cursor.execute(f"CREATE TABLE {name} (id INTEGER PRIMARY KEY, k INTEGER, mark INTEGER)")
            cursor.execute(f"INSERT INTO {name} VALUES (1, 1, 0), (2, NULL, 0), (3, NULL, 0)")
        source.commit()
    return f"ATTACH 'sqlite:///{folder / 's.db'}' AS s"


@pytest.mark.parametrize("made", CREATED)
def test_whatever_is_made_of_a_query_has_all_of_its_rows(abc: Connection, tmp_path: Path, made: str) -> None:
    name = CREATED[made](abc, tmp_path)
    assert read(abc, f"SELECT x, y, z FROM {name}") == EXPECTED


CHANGES = [
    "UPDATE a SET mark = 1 FROM b JOIN c ON b.k IS NOT DISTINCT FROM c.k WHERE a.id = b.id AND b.id = c.id",
    f"UPDATE a SET mark = 1 WHERE id IN (SELECT z FROM ({QUERY}))",
    f"UPDATE a SET mark = (SELECT count(*) FROM {JOINS}) - {len(EXPECTED) - 1}",
    f"MERGE INTO a USING (SELECT DISTINCT z FROM ({QUERY})) AS q ON a.id = q.z WHEN MATCHED THEN UPDATE SET mark = 1",
]


@pytest.mark.parametrize("change", CHANGES)
def test_every_row_is_changed_that_the_joins_find(abc: Connection, change: str) -> None:
    assert abc.execute(change).rowcount == 3
    assert values(abc, "SELECT mark FROM a") == [1, 1, 1]


@pytest.mark.parametrize(
    "deleted",
    [
        f"DELETE FROM a WHERE id IN (SELECT z FROM ({QUERY}))",
        "DELETE FROM a USING b JOIN c ON b.k IS NOT DISTINCT FROM c.k WHERE a.id = b.id AND b.id = c.id",
    ],
)
def test_every_row_is_deleted_that_the_joins_find(abc: Connection, deleted: str) -> None:
    assert abc.execute(deleted).rowcount == 3


def test_events_that_meet_tables(abc: Connection) -> None:
    abc.execute("CREATE TOPIC e (id BIGINT, k BIGINT)")
    abc.execute("INSERT INTO e VALUES (1, 1), (2, NULL)")
    joins = (
        "FROM subscribe('e', from => 'earliest', until => {}) AS e JOIN b ON e.k IS NOT DISTINCT FROM b.k"
        " JOIN c ON b.id = c.id"
    )
    until_latest = joins.format("'latest'")
    assert value(abc, f"SELECT count(*) {until_latest}") == 3  # a relation
    with abc.cursor() as cursor:  # batch by batch, without an end
        cursor.execute(f"SELECT e.id, b.id, c.id {joins.replace(', until => {}', '')} LIMIT 3")
        assert sorted(cursor.fetchall()) == [(1, 1, 1), (2, 2, 2), (2, 3, 3)]


@pytest.mark.parametrize("limit", [None, "64MB"])
def test_an_as_of_join_beside_them(abc: Connection, limit: str | None) -> None:
    if limit:
        abc.execute(f"SET jammi.memory_limit = '{limit}'")
    text = f"SELECT a.id, b.id, c.id, d.id FROM {JOINS} ASOF JOIN a AS d ON c.id >= d.id"
    assert read(abc, text) == [(*row, row[2]) for row in EXPECTED]
