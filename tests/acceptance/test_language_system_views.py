"""jammi.system."""

from __future__ import annotations

import pytest

from jammi_sql.dbapi import Connection

from .language import fails, rows, until, value, values

VIEWS = ["topics", "tables", "sources", "subscriptions", "segments", "settings", "sessions", "queries"]


@pytest.mark.parametrize("view", VIEWS)
def test_every_view_can_be_read_and_described(conn: Connection, view: str) -> None:
    for name in (f"jammi.system.{view}", f"system.{view}"):
        rows(conn, f"SELECT * FROM {name}")
        assert value(conn, f"SELECT count(*) FROM {name}") >= 0
        assert rows(conn, f"DESCRIBE {name}")


def test_topics_has_the_columns_of_the_contract(conn: Connection) -> None:
    conn.execute("CREATE TOPIC s.t (a INT, b INT) WITH (retention = '7 days')")
    conn.execute("INSERT INTO s.t VALUES (1, 2), (3, 4)")
    conn.execute("INSERT INTO s.t VALUES (1, 2)")
    table = conn.execute("SELECT * FROM jammi.system.topics").fetch_arrow_table()
    assert table.column_names == [
        "schema", "name", "tenant", "columns", "first_offset", "next_offset", "rows", "bytes", "retention",
    ]  # fmt: skip
    (row,) = table.to_pylist()
    assert row.pop("bytes") > 0
    assert row == {
        "schema": "s", "name": "t", "tenant": None, "columns": 2, "first_offset": 0, "next_offset": 2, "rows": 3,
        "retention": "7 days",
    }  # fmt: skip
    assert values(conn, "SELECT name FROM jammi.system.topics WHERE schema = 's' AND rows BETWEEN 3 AND 3") == ["t"]


def test_subscriptions_shows_the_live_ones(conn: Connection, other: Connection) -> None:
    conn.execute("CREATE TOPIC t (a INT)")
    for number in range(4):
        conn.execute(f"INSERT INTO t VALUES ({number})")
    live = conn.execute("SELECT a FROM subscribe('t', from => 0) WHERE a >= 1")
    assert live.fetchone() == (1,)
    table = other.execute("SELECT * FROM jammi.system.subscriptions").fetch_arrow_table()
    assert table.num_rows == 1
    row = table.to_pylist()[0]
    assert row["topic"] == "t"
    assert row["id"]
    assert row["since"] is not None
    assert row["lag"] >= 0
    assert row["session"] == value(conn, "SELECT id FROM jammi.system.sessions WHERE is_own")
    assert "a" in row["predicate"]
    live.close()
    until(lambda: value(other, "SELECT count(*) FROM jammi.system.subscriptions") == 0)


def test_settings_lists_each_with_a_line_of_text(conn: Connection) -> None:
    listed = {row[0]: row for row in rows(conn, "SELECT * FROM jammi.system.settings")}
    for name in ("pushdown", "statement_timeout", "memory_limit", "batch_size"):
        assert f"jammi.{name}" in listed or name in listed
    assert all(row[-1] for row in listed.values())
    conn.execute("SET jammi.statement_timeout = '5s'")
    changed = {row[0]: row[1] for row in rows(conn, "SELECT name, value FROM jammi.system.settings")}
    assert changed["jammi.statement_timeout"] == "5s"


@pytest.mark.parametrize(
    ("name", "literal", "shown"),
    [
        ("pushdown", "off", "off"),
        ("pushdown", "false", "off"),
        ("pushdown", "'on'", "on"),
        ("statement_timeout", "'200ms'", "0.2s"),
        ("statement_timeout", "INTERVAL '1 minute'", "60s"),
        ("statement_timeout", "3", "3s"),
        ("statement_timeout", "none", "none"),
        ("statement_timeout", "'1500 milliseconds'", "1.5s"),
        ("statement_timeout", "'2 days'", "172800s"),
        ("memory_limit", "'512M'", "512M"),
        ("memory_limit", "'1 TB'", "1T"),
        ("memory_limit", "'900kb'", "900K"),
        ("memory_limit", "100000000", "100000000"),
        pytest.param(
            "batch_size", "100", "100", marks=pytest.mark.in_process("a server's sessions begin with larger batches")
        ),
    ],
)
def test_settings_are_set_shown_and_reset(conn: Connection, name: str, literal: str, shown: str) -> None:
    ((_, default),) = rows(conn, f"SHOW jammi.{name}")
    conn.execute(f"SET jammi.{name} = {literal}")
    assert rows(conn, f"SHOW jammi.{name}") == [(f"jammi.{name}", shown)]
    assert value(conn, "SELECT 1") == 1
    conn.execute(f"RESET jammi.{name}")
    assert rows(conn, f"SHOW jammi.{name}") == [(f"jammi.{name}", default)]


@pytest.mark.parametrize(
    ("statement", "sqlstate"),
    [
        ("SET jammi.nothing = 1", "42704"),
        ("SHOW jammi.nothing", "42704"),
        ("RESET jammi.nothing", "42704"),
        ("SET jammi.batch_size = 0", "22023"),
        ("SET jammi.batch_size = 'many'", "22023"),
        ("SET jammi.pushdown = 'perhaps'", "22023"),
        ("SET jammi.statement_timeout = 'a while'", "22023"),
        ("SET jammi.memory_limit = 'all'", "22023"),
        ("SET jammi.batch_size", "42601"),
        ("SET jammi.batch_size =", "42601"),
    ],
)
def test_settings_that_are_none_are_refused(conn: Connection, statement: str, sqlstate: str) -> None:
    with fails(sqlstate):
        conn.execute(statement)


@pytest.mark.in_process("a server's sessions begin with larger batches")
def test_settings_are_the_sessions(conn: Connection, other: Connection) -> None:
    conn.execute("SET jammi.batch_size = 10")
    assert rows(other, "SHOW jammi.batch_size") == [("jammi.batch_size", "8192")]


def test_pushdown_changes_no_answer(conn: Connection) -> None:
    conn.execute("CREATE TOPIC t (a BIGINT, b DOUBLE)")
    for number in range(20):
        conn.execute(
            f"INSERT INTO t SELECT value, CASE WHEN value % 7 = 0 THEN NULL ELSE value END FROM range({number}, {number + 10})"
        )
    for condition in (
        "a = 5",
        "a > 25",
        "b IS NULL",
        "a NOT IN (1, 2)",
        "_offset < 3",
        "a + b > 40",
        "b < 3 OR a > 27",
    ):
        answers = []
        for switch in ("on", "off"):
            conn.execute(f"SET jammi.pushdown = {switch}")
            answers.append(value(conn, f"SELECT count(*) FROM t WHERE {condition}"))
        assert answers[0] == answers[1], condition


def test_system_views_are_read_only(conn: Connection) -> None:
    for view in VIEWS:
        for statement in (
            f"INSERT INTO jammi.system.{view} VALUES (1)",
            f"DELETE FROM jammi.system.{view}",
            f"DROP TOPIC jammi.system.{view}",
        ):
            with pytest.raises(conn.Error) as raised:
                conn.execute(statement)
            assert raised.value.sqlstate in ("42809", "42P01", "42939", "0A000"), (statement, raised.value)
    with fails("42P01"):
        conn.execute("SELECT * FROM jammi.system.nothing")
