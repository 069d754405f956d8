"""Plain statements that go past the planner do what DataFusion would have done, errors included."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from jammi_sql import Connection, Error, connect
from jammi_sql.engine import insert, table_update
from jammi_sql.engine.queries import Queries

COLUMNS = {
    "id": "BIGINT",
    "small": "SMALLINT",
    "n": "INT",
    "big": "BIGINT",
    "u": "INT UNSIGNED",
    "huge": "BIGINT UNSIGNED",
    "v": "DOUBLE",
    "r": "REAL",
    "k": "VARCHAR",
    "b": "BOOLEAN",
    "d": "DECIMAL(10, 2)",
    "t": "TIMESTAMP(6)",
}
DDL = f"CREATE TABLE t ({', '.join(f'{name} {kind}' for name, kind in COLUMNS.items())}, PRIMARY KEY (id), UNIQUE (k))"

integers = st.one_of(
    st.integers(-3, 3),
    st.sampled_from([32767, 32768, -32768, -32769, 2**31 - 1, 2**31, -(2**31), 2**32, 2**53, 2**53 + 1]),
    st.sampled_from([2**63 - 1, -(2**63) + 1, 2**63, 2**64 - 1, 2**64]),
)
floats = st.sampled_from([0.0, -0.0, 0.5, -2.5, 1e308, -1e308, 1e39, 5e-324, 1e16])
texts = st.sampled_from(["", "a", "B", "é", "it''s", "5", "1.5", "true", "nan", "2024-01-01", "a\\n", "--", "x;y"])
literals = st.one_of(
    integers.map(str),
    floats.map(repr),
    texts.map(lambda text: f"'{text}'"),
    st.sampled_from(["NULL", "TRUE", "false", "+7", "007", "1.", ".5", "1e3", "X'00'", "DEFAULT", "1 + 1", "(2)"]),
)
values: st.SearchStrategy[Any] = st.one_of(
    integers.filter(lambda number: abs(number) < 2**63),
    floats,
    st.sampled_from([float("nan"), float("inf"), float("-inf")]),
    st.sampled_from(["", "a", "é", "it's", "5"]),
    st.booleans(),
    st.none(),
    st.just(pa.scalar(7, pa.int32())),
    st.just(pa.scalar(1.5, pa.float32())),
    st.just(pa.scalar(0, pa.timestamp("us"))),
)
names = st.sampled_from(list(COLUMNS))
Statement = tuple[str, tuple[Any, ...]]


@st.composite
def operands(draw: st.DrawFn, parameters: list[Any]) -> str:
    if draw(st.booleans()):
        return draw(literals)
    parameters.append(draw(values))
    return "?"


@st.composite
def inserts(draw: st.DrawFn) -> Statement:
    chosen = draw(st.lists(names, min_size=1, max_size=5, unique=True))
    columns = draw(st.sampled_from([chosen, ["id", *[name for name in chosen if name != "id"]]]))
    parameters: list[Any] = []
    rows = []
    for _ in range(draw(st.integers(1, 3))):
        rows.append("(" + ", ".join(draw(operands(parameters)) for _ in columns) + ")")
    return f"INSERT INTO t ({', '.join(columns)}) VALUES {', '.join(rows)}", tuple(parameters)


@st.composite
def conditions(draw: st.DrawFn, parameters: list[Any]) -> str:
    terms = [f"id = {draw(st.one_of(st.integers(0, 4).map(str), operands(parameters)))}"]
    if draw(st.integers(0, 3)) == 0:
        terms.append(f"{draw(names)} = {draw(operands(parameters))}")
    return draw(st.sampled_from([" AND ", " and "])).join(terms)


@st.composite
def updates(draw: st.DrawFn) -> Statement:
    parameters: list[Any] = []
    assignments = []
    for name in draw(st.lists(names.filter(lambda name: name not in ("id", "k")), min_size=1, max_size=3, unique=True)):
        if draw(st.booleans()):
            source = draw(st.one_of(st.just(name), names))
            sign = draw(st.sampled_from(["+", "-", " + ", " - "]))
            assignments.append(f"{name} = {source}{sign}{draw(operands(parameters))}")
        else:
            assignments.append(f"{name} = {draw(operands(parameters))}")
    return f"UPDATE t SET {', '.join(assignments)} WHERE {draw(conditions(parameters))}", tuple(parameters)


@st.composite
def deletes(draw: st.DrawFn) -> Statement:
    parameters: list[Any] = []
    return f"DELETE FROM t WHERE {draw(conditions(parameters))}", tuple(parameters)


ROWS = (
    "INSERT INTO t VALUES (1, 1, 2147483647, 9223372036854775807, 4294967295, 18446744073709551615, 1.5, 2.5, 'a', TRUE,"
    " 1.25, '2024-01-01T00:00:00'),"
    "(2, -32768, -2147483648, -9223372036854775807, 0, 0, 1e308, -1.5, 'b', FALSE, -1, NULL),"
    "(3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)"
)


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def connection(request: pytest.FixtureRequest) -> Iterator[Connection]:
    store = None if request.param == "sqlite" else request.getfixturevalue("schemas").take()
    with connect() if store is None else store.connect() as opened:
        opened.execute(DDL)
        opened.execute(ROWS)
        opened.execute("UPDATE t SET v = 'NaN' WHERE id = 3")
        yield opened


def outcome(connection: Connection, statement: Statement, pushdown: str) -> tuple[object, list[tuple[object, ...]]]:
    """The row count or the error's class and SQLSTATE, and the rows afterwards, in the end undone."""
    text, parameters = statement
    connection.execute(f"SET jammi.pushdown = {pushdown}")
    connection.execute("BEGIN")
    result: object
    try:
        result = connection.execute(text, parameters).rowcount
    except Error as error:
        result = (type(error).__name__, error.sqlstate)
    table = connection.execute("SELECT * FROM t ORDER BY id").fetch_arrow_table()
    connection.execute("ROLLBACK")
    plain = table
    for name, bits in (("v", pa.int64()), ("r", pa.int32()), ("t", pa.int64())):  # NaNs, and times past Python's
        viewed = table.column(name).combine_chunks().view(bits)
        plain = plain.set_column(table.schema.names.index(name), name, viewed)
    return result, [tuple(row.values()) for row in plain.to_pylist()]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(statement=st.one_of(inserts(), updates(), deletes()))
@example(statement=("UPDATE t SET big = big + 1 WHERE id = 1", ()))
@example(statement=("UPDATE t SET big = big - 5 WHERE id = 2", ()))
@example(statement=("UPDATE t SET n = n + 1 WHERE id = 1", ()))
@example(statement=("UPDATE t SET u = u - 1 WHERE id = 2", ()))
@example(statement=("UPDATE t SET v = v + 1e308 WHERE id = 2", ()))
@example(statement=("UPDATE t SET v = v + ? WHERE id = 2", (float("-inf"),)))
@example(statement=("UPDATE t SET v = ? WHERE id = 1", (float("nan"),)))
@example(statement=("UPDATE t SET v = v + 1 WHERE id = 3", ()))
@example(statement=("INSERT INTO t (id, v, k) VALUES (7, -0.0, 'it''s'), (8, 1, NULL)", ()))
@example(statement=("INSERT INTO t (id, k) VALUES (7, 'x'), (8, 9)", ()))
@example(statement=("INSERT INTO t (id, v) VALUES (7, 9007199254740993)", ()))
def test_the_short_way_is_the_long_way(connection: Connection, statement: Statement) -> None:
    assert outcome(connection, statement, "on") == outcome(connection, statement, "off"), statement


@st.composite
def selects(draw: st.DrawFn) -> Statement:
    parameters: list[Any] = []
    columns = draw(st.one_of(st.just("*"), st.lists(names, min_size=1, max_size=4).map(", ".join)))
    table = draw(st.sampled_from(["t", "public.t", "jammi.public.t"]))
    return f"SELECT {columns} FROM {table} WHERE {draw(conditions(parameters))}", tuple(parameters)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(statement=selects())
@example(statement=("SELECT * FROM t WHERE id = 1", ()))
@example(statement=("select v, id from public.t where id = ? and k = 'a'", (1,)))
@example(statement=("SELECT id FROM t WHERE k = 'b'", ()))
@example(statement=("SELECT id FROM t WHERE id = '1'", ()))
@example(statement=("SELECT id FROM t WHERE id = NULL", ()))
@example(statement=("SELECT id, id FROM t WHERE id = 1", ()))
def test_a_look_up_by_key_is_the_query(connection: Connection, statement: Statement) -> None:
    answers = []
    for pushdown in ("on", "off"):
        connection.execute(f"SET jammi.pushdown = {pushdown}")
        try:
            found = connection.execute(*statement).fetch_arrow_table()
            # NaN is not itself: by the bits
            answers.append((found.schema.to_string(), [str(row) for row in found.to_pylist()]))
        except Error as error:
            answers.append((type(error).__name__, [str(error.sqlstate)]))
    assert answers[0] == answers[1], statement


def test_a_look_up_by_key_needs_no_planner(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    connection.execute("SET jammi.pushdown = on")
    monkeypatch.setattr(Queries, "frame", None)
    assert connection.execute("SELECT k, id FROM t WHERE id = ?", (2,)).fetchall() == [("b", 2)]
    assert connection.execute("SELECT k, id FROM t WHERE id = 99").fetchall() == []


@pytest.mark.parametrize(
    "statement",
    [
        ("INSERT INTO t (id, small, v, k, b) VALUES (7, ?, 1.5, 'x', TRUE), (8, 2, ?, NULL, NULL)", (5, 2.5)),
        ("UPDATE t SET n = n - 1, v = v + ? WHERE id = ?", (1.0, 1)),
        ("UPDATE t SET b = FALSE, v = 7 WHERE t.id = 2", ()),
        ("DELETE FROM t WHERE id = ?", (3,)),
    ],
)
def test_plain_statements_are_taken_on_the_short_way(
    connection: Connection, monkeypatch: pytest.MonkeyPatch, statement: Statement
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the planner was asked")

    connection.execute("SET jammi.pushdown = on")
    monkeypatch.setattr(insert, "insert_rows", refuse)
    monkeypatch.setattr(table_update, "update_rows", refuse)
    monkeypatch.setattr(table_update, "delete_rows", refuse)
    if "v + ?" in statement[0] and connection.engine.services.store.kind == "postgres":
        pytest.skip("PostgreSQL has no sum of doubles that may be infinite")
    connection.execute("BEGIN")
    assert connection.execute(*statement).rowcount in (1, 2)
    connection.execute("ROLLBACK")


@pytest.mark.parametrize(
    "text",
    [
        "UPDATE t SET n = n + ? WHERE id = ?",
        "UPDATE t SET v = ? WHERE id = ?",
        "DELETE FROM t WHERE big = ? AND id = ?",
    ],
)
def test_executemany_is_as_one_by_one(connection: Connection, text: str) -> None:
    rows = [(1, 1), (-1, 2), (2, 1), (5, 99)]
    for pushdown in ("on", "off"):
        connection.execute(f"SET jammi.pushdown = {pushdown}")
        connection.execute("BEGIN")
        cursor = connection.cursor()
        try:
            cursor.executemany(text, rows)
            many: object = cursor.rowcount
        except Error as error:
            many = error.sqlstate
        after = connection.execute("SELECT id, n, big FROM t ORDER BY id").fetchall()
        connection.execute("ROLLBACK")
        connection.execute("BEGIN")
        single: object = 0
        try:
            for row in rows:
                single += connection.execute(text, row).rowcount  # type: ignore[operator]
        except Error as error:
            single = error.sqlstate
            connection.execute("ROLLBACK")
            connection.execute("BEGIN")
        assert (many, after) == (single, connection.execute("SELECT id, n, big FROM t ORDER BY id").fetchall())
        connection.execute("ROLLBACK")
    connection.execute("SET jammi.pushdown = on")
