"""EXPLAIN of everything."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from jammi_sql.dbapi import Connection

from .language import fails, rows, unbounded, value, values


@pytest.fixture
def topic(conn: Connection) -> Iterator[Connection]:
    conn.execute("CREATE TOPIC t (a INT)")
    conn.execute("INSERT INTO t VALUES (1)")
    yield conn


STATEMENTS = [
    "SELECT 1",
    "SELECT * FROM t WHERE a > 1",
    "SELECT * FROM subscribe('t')",
    "SELECT a + 1 FROM subscribe('t', from => 0) WHERE a > 1 LIMIT 5",
    "SELECT sum(a) FROM subscribe('t', until => 'latest')",
    "SELECT s.a FROM subscribe('t') AS s JOIN t ON s.a = t.a",
    "WITH s AS (SELECT * FROM subscribe('t', until => 1)) SELECT a FROM s",
    "INSERT INTO t VALUES (2)",
    "INSERT INTO t SELECT a FROM subscribe('t', until => 'latest')",
    "CREATE TOPIC u (a INT)",
    "CREATE TOPIC u AS SELECT a FROM t",
    "ALTER TOPIC t ADD COLUMN b INT",
    "ALTER TOPIC t RENAME TO u",
    "TRUNCATE TOPIC t BEFORE 100",
    "DROP TOPIC t",
    "SHOW TOPICS",
    "DESCRIBE t",
    "SET tenant = '0190a000-0000-7000-8000-00000000000a'",
    "BEGIN",
    "CREATE SCHEMA s",
]


@pytest.mark.parametrize("statement", STATEMENTS)
def test_explain_shows_steps_and_does_nothing(topic: Connection, statement: str) -> None:
    before = rows(topic, "SELECT * EXCLUDE (bytes) FROM jammi.system.topics")
    table = topic.execute(f"EXPLAIN {statement}").fetch_arrow_table()
    assert table.column_names == ["plan_type", "plan"]
    assert table.num_rows >= 1
    assert all(table.column("plan").to_pylist())
    assert rows(topic, "SELECT * EXCLUDE (bytes) FROM jammi.system.topics") == before
    assert not topic.in_transaction
    assert value(topic, "SHOW tenant") is None
    assert values(topic, "SELECT a FROM t") == [1]
    assert values(topic, "SELECT schema_name FROM information_schema.schemata WHERE schema_name = 's'") == []


def test_explain_of_a_subscription_shows_what_is_pushed(topic: Connection) -> None:
    text = repr(rows(topic, "EXPLAIN SELECT a FROM subscribe('t', from => 0) WHERE a > 5"))
    assert "t" in text
    assert "5" in text
    assert "from 0" in text


def test_explain_analyze_runs_the_statement(topic: Connection) -> None:
    assert rows(topic, "EXPLAIN ANALYZE INSERT INTO t VALUES (2)")
    assert values(topic, "SELECT a FROM t ORDER BY a") == [1, 2]
    assert rows(topic, "EXPLAIN ANALYZE SELECT sum(a) FROM subscribe('t', until => 'latest')")
    assert rows(topic, "EXPLAIN ANALYZE SELECT a FROM subscribe('t', from => 0) LIMIT 1")
    with unbounded():
        topic.execute("EXPLAIN ANALYZE SELECT a FROM subscribe('t')")


@pytest.mark.parametrize(
    "form",
    [
        "EXPLAIN VERBOSE",
        "EXPLAIN FORMAT TREE",
        "EXPLAIN FORMAT INDENT",
        "EXPLAIN ANALYZE VERBOSE",
        "EXPLAIN FORMAT PGJSON",
    ],
)
def test_the_forms_of_explain(topic: Connection, form: str) -> None:
    assert rows(topic, f"{form} SELECT a FROM t")
    if "FORMAT" not in form:
        assert rows(topic, f"{form} SELECT a FROM subscribe('t', until => 'latest')")


def test_explain_of_what_is_wrong_is_the_statements_error(topic: Connection) -> None:
    statement = "EXPLAIN SELECT count(*) FROM subscribe('t')"
    with unbounded(at=statement.index("subscribe")):
        topic.execute(statement)
    with fails("42P01", at=20):
        topic.execute("EXPLAIN INSERT INTO nowhere VALUES (1)")
    with fails("42703"):
        topic.execute("EXPLAIN SELECT nothing FROM t")
    with fails("42601"):
        topic.execute("EXPLAIN")
    with fails("42601"):
        topic.execute("EXPLAIN EXPLAIN SELECT 1")
    with fails("42601"):
        topic.execute("EXPLAIN SELEC 1")
