"""Parameters in three styles."""

from __future__ import annotations

import datetime as dt
import decimal
import uuid
from typing import Any

import pytest

from jammi_sql.dbapi import Connection

from .language import fails, rows, value, values

pytestmark = pytest.mark.wire_too


@pytest.mark.parametrize(
    ("statement", "parameters"),
    [
        ("SELECT ?, ?", [1, "x"]),
        ("SELECT $1, $2", (1, "x")),
        ("SELECT $2, $1", ["x", 1]),
        ("SELECT :one, :two", {"one": 1, "two": "x"}),
    ],
)
def test_the_three_styles(conn: Connection, statement: str, parameters: Any) -> None:
    assert rows(conn, statement, parameters) == [(1, "x")]


@pytest.mark.parametrize(
    "given",
    [
        1,
        -(2**63),
        1.5,
        'it\'s; -- "odd" ? $1 :name 🐎',
        "",
        True,
        b"\x00\xff",
        dt.date(1969, 12, 31),
        dt.datetime(1969, 12, 31, 23, 59, 59, 999999),
        dt.datetime(2024, 1, 1, tzinfo=dt.UTC),
        decimal.Decimal("-1234.5678"),
        [1, 2, None],
        {"a": 1, "b": ["x", None]},
    ],
)
def test_a_value_comes_back_as_it_went_in(conn: Connection, given: object) -> None:
    assert value(conn, "SELECT ?", [given]) == given
    assert value(conn, "SELECT :v", {"v": given}) == given
    assert value(conn, "SELECT x FROM (SELECT $1 AS x) WHERE x = $1", [given]) == given or isinstance(
        given, list | dict
    )


def test_null_is_a_value(conn: Connection) -> None:
    assert value(conn, "SELECT ? IS NULL", [None]) is True
    assert value(conn, "SELECT coalesce(?, 1)", [None]) == 1
    conn.execute("CREATE TOPIC t (a INT, b VARCHAR, c DOUBLE[], d TIMESTAMPTZ)")
    conn.execute("INSERT INTO t VALUES (?, ?, ?, ?)", [None, None, None, None])
    assert rows(conn, "SELECT a, b, c, d FROM t WHERE a IS NOT DISTINCT FROM ?", [None]) == [(None, None, None, None)]


def test_a_uuid_is_text(conn: Connection) -> None:
    conn.execute("CREATE TOPIC t (a VARCHAR)")
    given = uuid.uuid4()
    try:
        conn.execute("INSERT INTO t VALUES (?)", [given])
    except conn.Error as error:
        assert error.hint or isinstance(error, conn.Error)
    else:
        assert values(conn, "SELECT a FROM t") == [str(given)]


def test_what_looks_like_a_parameter_in_text_or_a_comment_is_none(conn: Connection) -> None:
    assert rows(conn, "SELECT '? $1 :name', ? /* ? :x $2 */ -- ? $1\n", ["v"]) == [("? $1 :name", "v")]
    assert value(conn, "SELECT '12:30:00'") == "12:30:00"
    assert value(conn, "SELECT CAST(? AS INT)::VARCHAR", ["1"]) == "1"
    assert value(conn, "SELECT [1, 2, 3][2:3]") == [2, 3]
    assert value(conn, "SELECT $$a ? :b$$") == "a ? :b"


def test_the_same_parameter_may_be_used_again(conn: Connection) -> None:
    assert rows(conn, "SELECT $1, $1 + 1, $2", [1, "x"]) == [(1, 2, "x")]
    assert rows(conn, "SELECT :a, :a + 1", {"a": 1}) == [(1, 2)]


@pytest.mark.parametrize(
    ("statement", "parameters"),
    [
        ("SELECT ?", []),
        ("SELECT ?", None),
        ("SELECT ?", [1, 2]),
        ("SELECT $1, $3", [1, 2]),
        ("SELECT :a", {"b": 1}),
        ("SELECT 1", [1]),
        ("SELECT ?", {"a": 1}),
        ("SELECT ?, $1", [1, 2]),
        ("SELECT ?, :a", [1]),
        ("SELECT ?", [object()]),
    ],
)
def test_parameters_that_do_not_fit_are_refused(conn: Connection, statement: str, parameters: Any) -> None:
    with pytest.raises(conn.Error) as raised:
        conn.execute(statement, parameters)
    assert raised.value.sqlstate[:2] in ("07", "42", "22"), raised.value.sqlstate


def test_parameters_stand_wherever_a_value_may(conn: Connection) -> None:
    conn.execute("CREATE TOPIC t (a INT, b VARCHAR)")
    conn.execute("INSERT INTO t VALUES (?, ?), (?, lower(?))", [1, "x", 2, "Y"])
    conn.execute("INSERT INTO t (b, a) SELECT :b, :a WHERE :a > 0", {"a": 3, "b": "z"})
    assert values(conn, "SELECT a FROM t WHERE b IN (?, ?) ORDER BY a LIMIT ? OFFSET ?", ["x", "z", 1, 1]) == [3]
    assert values(conn, "SELECT a FROM t WHERE b LIKE $1 AND a BETWEEN $2 AND $3", ["%", 1, 2]) == [
        1,
        2,
    ]
    assert rows(conn, "WITH s AS (SELECT ? AS x) SELECT x, CASE WHEN x > ? THEN ? END FROM s", [5, 1, "big"]) == [
        (5, "big")
    ]
    assert rows(conn, "EXPLAIN SELECT * FROM t WHERE a = ?", [1])
    assert rows(conn, "SHOW TOPICS LIKE :p", {"p": "t"})
    conn.execute("CREATE TEMP TABLE k AS SELECT ? AS one", [1])
    assert values(conn, "SELECT one FROM k") == [1]


def test_a_parameter_is_never_text_of_the_statement(conn: Connection) -> None:
    conn.execute("CREATE TOPIC t (a VARCHAR)")
    evil = "x'); DROP TOPIC t; --"
    conn.execute("INSERT INTO t VALUES (?)", [evil])
    assert values(conn, "SELECT a FROM t WHERE a = :v", {"v": evil}) == [evil]
    with fails("22023"):
        conn.execute("SELECT * FROM subscribe(?, until => 'latest')", ["t', until => 'latest') --"])


def test_a_parameter_is_no_name(conn: Connection) -> None:
    for statement in ("CREATE TOPIC ? (a INT)", "DROP TOPIC ?", "SELECT * FROM ?", "INSERT INTO ? VALUES (1)"):
        with pytest.raises(conn.ProgrammingError):
            conn.execute(statement, ["t"])


def test_a_live_result_keeps_its_parameters(conn: Connection, other: Connection) -> None:
    conn.execute("CREATE TOPIC t (a INT)")
    live = conn.execute(
        "SELECT a + :plus FROM subscribe('t') WHERE a > :least OR abs(a) = :least", {"plus": 10, "least": 2}
    )
    other.execute("INSERT INTO t VALUES (1), (2), (3)")
    assert live.fetchmany(2) == [(12,), (13,)]
    live.close()


def test_a_field_of_a_struct_may_be_null(conn: Connection) -> None:
    conn.execute("CREATE TABLE s (id BIGINT, one STRUCT<a BIGINT, b VARCHAR>, many STRUCT<a BIGINT, b VARCHAR>[])")
    values = [
        (1, {"a": 1, "b": None}, [{"a": None, "b": None}]),
        (2, {"a": None, "b": None}, [{"a": None, "b": "x"}, None]),
        (3, None, []),
    ]
    for row in values:
        conn.execute("INSERT INTO s VALUES (?, ?, ?)", row)
    assert rows(conn, "SELECT * FROM s ORDER BY id") == values
    assert conn.execute("SELECT ?", ([{"a": {"b": None}, "c": [None]}],)).fetchone() == (
        [{"a": {"b": None}, "c": [None]}],
    )
