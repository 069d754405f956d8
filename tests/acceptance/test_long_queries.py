"""Queries that programs write: hundreds of conditions, thousands of values, many columns, many parts, over several sources."""

from __future__ import annotations

from collections.abc import Iterator

import adbc_driver_sqlite.dbapi
import pytest

from jammi_sql import Connection, connect

from .language import fails, rows, value

JOINED = "one.main.t0 AS x JOIN two.main.t1 AS y ON x.id = y.id JOIN own AS z ON z.id = y.id"
TABLES = 12
ROWS = 20


@pytest.fixture(scope="module")
def conn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connection]:
    folder = tmp_path_factory.mktemp("long")
    columns = [f"c{place}" for place in range(200)]
    for name in ("one", "two"):
        with adbc_driver_sqlite.dbapi.connect(str(folder / name)) as source, source.cursor() as cursor:
            values = ", ".join(f"({row}, {row % 7}, '{row}')" for row in range(ROWS))
            for number in range(TABLES):
                cursor.execute(f"CREATE TABLE t{number} (id INTEGER PRIMARY KEY, k INTEGER, v TEXT)")
                cursor.execute(f"INSERT INTO t{number} VALUES {values}")
            cursor.execute(
                f"CREATE TABLE wide (id INTEGER PRIMARY KEY, {', '.join(f'{each} INTEGER' for each in columns)})"
            )
            cursor.execute(f"INSERT INTO wide VALUES (1, {', '.join('1' for _ in columns)})")
            source.commit()
    with connect(folder / "store") as connection:
        for name in ("one", "two"):
            connection.execute(f"ATTACH 'sqlite:///{folder / name}' AS {name}")
        connection.execute("CREATE TABLE own (id BIGINT PRIMARY KEY, k BIGINT)")
        connection.execute("INSERT INTO own SELECT id, k FROM one.main.t0")
        yield connection


def agree(conn: Connection, text: str) -> int:
    """The one number that a query gives, computed there and here."""
    found = value(conn, text)
    conn.execute("SET jammi.pushdown = off")
    try:
        assert value(conn, text) == found
    finally:
        conn.execute("RESET jammi.pushdown")
    return int(found)


def conditions(count: int, word: str) -> str:
    """Of all sources, each over two columns."""
    names, sign = "xyz", {"AND": "<>", "OR": "="}[word]
    return f" {word} ".join(
        f"{names[place % 3]}.k + 1000 + {place} {sign} {names[place // 3 % 3]}.id" for place in range(count)
    )


def told(conn: Connection, text: str) -> str:
    return "\n".join(plan for kind, plan in rows(conn, f"EXPLAIN {text}") if kind.startswith(("source", "computed")))


@pytest.mark.parametrize(("word", "expected"), [("AND", ROWS), ("OR", 0)])
@pytest.mark.parametrize("count", [60, 300])
def test_conditions_over_several_places(conn: Connection, word: str, expected: int, count: int) -> None:
    text = f"SELECT count(*) FROM {JOINED} WHERE {conditions(count, word)}"
    assert agree(conn, text) == expected
    is_cut = "not cut" not in told(conn, text)
    assert is_cut == (count == 60)


def test_conditions_that_a_source_is_told_of(conn: Connection) -> None:
    either = " OR ".join(f"x.k = {place}" for place in range(100, 180))
    both = " AND ".join(f"y.k <> {place}" for place in range(100, 180))
    text = f"SELECT count(*) FROM {JOINED} WHERE ({either} OR x.k < 3) AND {both}"
    assert agree(conn, text) == 9
    assert "170" in told(conn, text)


def test_more_conditions_than_a_plan_is_cut_for(conn: Connection) -> None:
    conditions = " AND ".join(f"x.k <> {place}" for place in range(100, 800))
    assert value(conn, f"SELECT count(*) FROM {JOINED} WHERE {conditions}") == ROWS


def test_a_join_by_very_many_columns(conn: Connection) -> None:
    equal = " AND ".join(f"x.c{place} = y.c{place}" for place in range(200))
    summed = ", ".join(f"x.c{place} + y.c{place} AS r{place}" for place in range(200))
    text = f"SELECT {summed} FROM one.main.wide AS x JOIN two.main.wide AS y ON {equal}"
    assert rows(conn, text) == [(2,) * 200]
    grouped = ", ".join(f"c{place}" for place in range(200))
    twice = ", ".join(f"c{place} AS d{place}" for place in range(200))
    distinct = f"SELECT DISTINCT {grouped} FROM one.main.wide"
    assert len(rows(conn, f"SELECT {grouped}, count(*) FROM one.main.wide GROUP BY {grouped}")[0]) == 201
    assert (
        len(rows(conn, f"SELECT {grouped}, {grouped.replace('c', 'd')} FROM (SELECT *, {twice} FROM ({distinct}))")[0])
        == 400
    )


def test_lists_of_ten_thousand_values(conn: Connection) -> None:
    numbers = ", ".join(map(str, range(5, 10_005)))
    texts = ", ".join(f"'{place}'" for place in range(10_000))
    assert agree(conn, f"SELECT count(*) FROM {JOINED} WHERE x.id IN ({numbers}) AND y.v IN ({texts})") == ROWS - 5
    assert agree(conn, f"SELECT count(*) FROM {JOINED} WHERE x.id NOT IN ({numbers})") == 5


def test_a_dozen_tables_joined(conn: Connection) -> None:
    names = [f"{('one', 'two')[number % 2]}.main.t{number} AS j{number}" for number in range(TABLES)]
    linked = " AND ".join(f"j{number}.id = j{number - 1}.id" for number in range(1, TABLES))
    assert agree(conn, f"SELECT count(*) FROM {', '.join(names)} WHERE {linked}") == ROWS


def test_a_union_of_two_hundred(conn: Connection) -> None:
    for places in (("one",), ("one", "two")):
        parts = [
            f"SELECT id FROM {places[number % len(places)]}.main.t{number % TABLES} WHERE k + {number} >= 0"
            for number in range(200)
        ]
        assert agree(conn, f"SELECT count(*) FROM ({' UNION ALL '.join(parts)})") == 200 * ROWS


def test_a_text_of_many_parts(conn: Connection) -> None:
    parts = " || ".join(f"coalesce(x.v, '{place}')" for place in range(150))
    assert agree(conn, f"SELECT max(length({parts} || y.v)) FROM {JOINED}") == 151 * 2


def test_sub_queries_in_each_other(conn: Connection) -> None:
    def nested(depth: int) -> str:
        text = "SELECT id FROM one.main.t0"
        for number in range(depth):
            text = f"SELECT id FROM {('one', 'two')[number % 2]}.main.t{number % TABLES} WHERE id IN ({text})"
        return text

    assert agree(conn, f"SELECT count(*) FROM ({nested(12)})") == ROWS
    with fails("54001"):
        conn.execute(nested(60))
