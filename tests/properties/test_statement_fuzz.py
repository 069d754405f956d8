"""Whatever text is executed: an answer or an error of this package, in time, and nothing done that was not asked for."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import jammi_sql
from jammi_sql import errors
from jammi_sql.dbapi import Connection
from jammi_sql.dialect import parse, statements

VALID = [
    "CREATE TOPIC s (a INT NOT NULL COMMENT 'x', b VARCHAR[], c STRUCT<d DECIMAL(5, 2)>) WITH (retention = INTERVAL '7 days')",
    "CREATE GLOBAL TOPIC IF NOT EXISTS events.s AS SELECT a, b FROM t WHERE a > 1",
    "ALTER TOPIC s ADD COLUMN IF NOT EXISTS c FLOAT[3]",
    "ALTER TOPIC s SET (retention = 'forever', x = 1)",
    "ALTER TOPIC s RENAME TO events.r",
    "TRUNCATE TOPIC s BEFORE TIMESTAMP '2024-01-01 00:00:00'",
    "DROP TOPIC IF EXISTS s",
    "SHOW TOPICS LIKE 't%'",
    "DESCRIBE t",
    "SHOW CREATE TOPIC t",
    "INSERT INTO s (a, b) VALUES (1, 'it''s'), (2, NULL) RETURNING _offset, a + 1 AS next",
    "INSERT INTO s SELECT a, b FROM subscribe('t', until => 'latest')",
    "SELECT a, upper(b) FROM subscribe('t', from => 0, until => 'latest', idle_timeout => INTERVAL '1 second') AS s WHERE a > 0 LIMIT 3",
    "SELECT s.a, t.b FROM subscribe('public.t', from => 'earliest') AS s LEFT JOIN t ON s.a = t.a LIMIT 2 OFFSET 1",
    "SELECT b, count(*) FROM subscribe('\"t\"', until => 1) GROUP BY b HAVING count(*) > 0 ORDER BY 1 DESC",
    "WITH w AS (SELECT * FROM t) SELECT a, row_number() OVER (ORDER BY a) FROM w QUALIFY row_number() OVER (ORDER BY a) = 1",
    "SET tenant = '0190a000-0000-7000-8000-00000000000a'",
    "SET jammi.batch_size = 100",
    "SHOW jammi.pushdown",
    "SAVEPOINT p",
    "ROLLBACK TO SAVEPOINT p",
    "CREATE SCHEMA IF NOT EXISTS events",
    "DROP SCHEMA IF EXISTS events CASCADE",
    "EXPLAIN ANALYZE VERBOSE SELECT a FROM subscribe('t', from => 1) LIMIT 1",
    "UPDATE t SET a = 2 WHERE a = 1",
    "DELETE FROM t WHERE a = 1",
    "MERGE INTO t USING s ON t.a = s.a WHEN MATCHED THEN DELETE",
    "CREATE TEMP TABLE k AS SELECT * FROM t",
    "SELECT * EXCLUDE (_produced_at) FROM jammi.system.topics WHERE name LIKE 't' ESCAPE '\\'",
    "SELECT $$a;b$$, E'\\n', X'00', \"a\" FROM t -- done",
]

# COPY and EXTERNAL TABLE are left out: a mutated path would write wherever it points.
WORDS = [
    *[
        "CREATE",
        "GLOBAL",
        "TOPIC",
        "IF",
        "NOT",
        "EXISTS",
        "ALTER",
        "ADD",
        "COLUMN",
        "SET",
        "RESET",
        "RENAME",
        "TO",
        "TRUNCATE",
        "BEFORE",
        "DROP",
        "SHOW",
        "TOPICS",
        "LIKE",
        "DESCRIBE",
    ],
    *[
        "INSERT",
        "INTO",
        "VALUES",
        "SELECT",
        "FROM",
        "WHERE",
        "AS",
        "WITH",
        "JOIN",
        "LEFT",
        "ON",
        "LIMIT",
        "ORDER",
        "BY",
        "GROUP",
        "HAVING",
        "RETURNING",
        "UNION",
        "ALL",
        "NULL",
    ],
    *[
        "TIMESTAMP",
        "INTERVAL",
        "BEGIN",
        "COMMIT",
        "ROLLBACK",
        "SAVEPOINT",
        "RELEASE",
        "EXPLAIN",
        "ANALYZE",
        "UPDATE",
        "DELETE",
        "MERGE",
        "TABLE",
        "VIEW",
        "SCHEMA",
    ],
    *[
        "tenant",
        "jammi",
        ".",
        "public",
        "t",
        "s",
        "a",
        "b",
        "_offset",
        "INT",
        "VARCHAR",
        "STRUCT",
        "<",
        ">",
        "=>",
        "=",
        ",",
        ";",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        "*",
        "+",
        "-",
        "/",
        "%",
        "||",
        "::",
        "?",
        "$1",
        ":x",
        "1",
        "0",
        "-1",
        "1e9",
    ],
    *[
        "'t'",
        "'latest'",
        "'x",
        '"',
        '"t"',
        "--",
        "/*",
        "*/",
        "\n",
        "$$",
        "\\",
        "\x00",
        "🐎",
        "'1 second'",
        "''",
        "E'\\'",
        "subscribe(",
        "until",
        "from",
    ],
]

KEPT = "SELECT _offset, _row_idx, _tenant_id, a, b FROM jammi.public.t ORDER BY _offset, _row_idx"


@pytest.fixture(scope="module")
def conn() -> Iterator[Connection]:
    with jammi_sql.connect() as connection:
        connection.execute("CREATE TOPIC t (a INT, b VARCHAR)")
        for number in range(3):
            connection.execute(f"INSERT INTO t VALUES ({number}, 'x'), ({number}, NULL)")
        yield connection


def targets(statement: object) -> set[str]:
    """The last name parts of what a statement of the dialect may change."""
    if isinstance(statement, statements.Explain):
        return targets(statement.statement) if statement.analyze else set()
    if isinstance(statement, statements.DropSchema):
        return {"t"} if statement.name.parts[-1] == "public" else set()
    found = set()
    for attribute in ("name", "target"):
        name = getattr(statement, attribute, None)
        if isinstance(name, statements.Name):
            found.add(name.parts[-1])
    return found


def check(conn: Connection, text: str, parameters: object = None) -> None:
    """Run ``text``; the topic ``t`` keeps its rows and columns unless the text names it as what is to be changed."""
    try:
        parsed = parse(text)
    except errors.Error:
        parsed = []  # then it must not run at all
    may_change = len(parsed) == 1 and "t" in targets(parsed[0].statement)
    before = conn.execute(KEPT).fetchall()
    conn.execute("SET jammi.statement_timeout = '2s'")
    watchdog = threading.Timer(30, conn.adbc_cancel)
    watchdog.start()
    # One transaction around each, so that the next example finds what this one found.
    conn.execute("BEGIN")
    try:
        cursor = conn.execute(text, parameters)
        for _ in range(50):
            if cursor.description is None or cursor.fetchone() is None:
                break
        cursor.close()
    except errors.Error as error:
        assert re.fullmatch(r"[0-9A-Z]{5}", error.sqlstate), error.sqlstate
        assert error.sqlstate not in ("XX000", "HY000"), error
        assert error.position is None or 0 <= error.position <= len(text), (error.position, text)
        assert str(error)
    finally:
        assert watchdog.is_alive(), f"it hung: {text!r}"
        watchdog.cancel()
        watchdog.join()
        conn.execute("RESET jammi.statement_timeout")
        conn.execute("RESET tenant")
        if not may_change and conn.in_transaction:
            assert conn.execute(KEPT).fetchall() == before, text
        conn.rollback()
        conn.execute("RESET jammi.batch_size")
        for name, kind in conn.execute("SELECT name, schema FROM jammi.system.tables").fetchall():
            quoted = '"' + name.replace('"', '""') + '"'
            for what in ("TABLE", "VIEW"):
                try:
                    conn.execute(f'DROP {what} IF EXISTS "{kind}".{quoted}')
                except errors.Error:
                    pass
    # A COMMIT that the text itself holds ends the transaction around it, with nothing in it.
    assert conn.execute(KEPT).fetchall() == before, text


FUZZ = settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


@st.composite
def mutated(draw: st.DrawFn) -> str:
    """A valid statement that was cut, doubled, or had pieces exchanged."""
    text = draw(st.sampled_from(VALID))
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(text)))
        end = draw(st.integers(start, min(len(text), start + 12)))
        put = draw(st.one_of(st.just(""), st.sampled_from(WORDS), st.text(max_size=3), st.sampled_from(VALID)))
        text = text[:start] + put + text[end:]
    return text


@FUZZ
@given(text=st.lists(st.sampled_from(WORDS), max_size=14).map(" ".join))
@example(text="")
@example(text=";")
@example(text="SELECT * FROM subscribe( 't' , until => 9 )")
@example(text="COMMIT ; DROP TOPIC t")
def test_a_soup_of_words_is_answered_or_refused(conn: Connection, text: str) -> None:
    check(conn, text)


@FUZZ
@given(text=mutated())
def test_a_mutated_statement_is_answered_or_refused(conn: Connection, text: str) -> None:
    check(conn, text)


@FUZZ
@given(text=st.sampled_from(VALID), data=st.data())
def test_a_truncated_statement_is_answered_or_refused(conn: Connection, text: str, data: st.DataObject) -> None:
    check(conn, text[: data.draw(st.integers(0, len(text)))])


@FUZZ
@given(text=st.text(max_size=40))
def test_any_text_is_answered_or_refused(conn: Connection, text: str) -> None:
    check(conn, text)


@pytest.mark.parametrize("text", VALID)
def test_the_statements_that_are_mutated_change_only_what_they_name(conn: Connection, text: str) -> None:
    check(conn, text)


@FUZZ
@given(
    text=st.sampled_from(
        [
            "SELECT ?",
            "SELECT a FROM t WHERE a = ? OR b = ?",
            "INSERT INTO s VALUES (?, ?)",
            "SELECT a FROM subscribe(?, from => ?, until => ?)",
            "SELECT a FROM subscribe('t', until => ?, idle_timeout => ?)",
            "TRUNCATE TOPIC s BEFORE ?",
            "SET tenant = ?",
            "SHOW TOPICS LIKE ?",
            "SELECT a FROM t LIMIT ?",
        ]
    ),
    data=st.data(),
)
def test_any_parameters_are_taken_or_refused(conn: Connection, text: str, data: st.DataObject) -> None:
    scalar = st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**64), 2**64),
        st.floats(),
        st.text(max_size=8),
        st.binary(max_size=4),
        st.datetimes(),
        st.dates(),
        st.timedeltas(),
        st.decimals(allow_nan=False),
        st.uuids(),
        st.sampled_from(["t", "earliest", "latest"]),
        st.lists(st.integers(-5, 5), max_size=3),
        st.dictionaries(st.text(max_size=2), st.integers(-5, 5), max_size=2),
    )
    count = text.count("?") + data.draw(st.sampled_from([0, 0, 0, -1, 1]))
    check(conn, text, data.draw(st.lists(scalar, min_size=count, max_size=count)))
