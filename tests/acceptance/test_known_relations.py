"""A session that knows a table and a topic from before writes to what the names lead to now."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from jammi_sql import Connection, Engine
from jammi_sql.errors import Error, NotNullViolation

TENANT = "7f1e6c7e-3a53-4c55-8d1a-0a2f3c1d9b11"


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with Engine.open(tmp_path) as opened:
        yield opened


@pytest.fixture
def session(engine: Engine) -> Iterator[Connection]:
    """One that knows ``t`` and ``events``."""
    with engine.session() as opened:
        opened.execute("CREATE TABLE t (id BIGINT PRIMARY KEY, value DOUBLE)")
        opened.execute("INSERT INTO t VALUES (1, 0), (2, 0)")
        opened.execute("CREATE TOPIC events (id BIGINT NOT NULL, what VARCHAR)")
        for _ in range(2):
            change(opened)
        yield opened


@pytest.fixture
def other(engine: Engine) -> Iterator[Connection]:
    with engine.session() as opened:
        yield opened


def change(session: Connection) -> None:
    """A transaction over both."""
    session.execute("BEGIN")
    assert session.execute("UPDATE t SET value = value + 1 WHERE id = ?", (1,)).rowcount == 1
    assert session.execute("INSERT INTO events VALUES (?, ?)", (1, "changed")).rowcount == 1
    session.execute("COMMIT")


def rows(session: Connection, text: str) -> list[tuple[object, ...]]:
    return session.execute(text).fetchall()


def test_it_changes_what_it_knows(session: Connection) -> None:
    change(session)
    assert rows(session, "SELECT * FROM t ORDER BY id") == [(1, 3.0), (2, 0.0)]
    assert rows(session, "SELECT id, what FROM events") == [(1, "changed")] * 3


@pytest.mark.parametrize(
    "statements",
    [
        ("DROP TABLE t", "CREATE TABLE t (value DOUBLE, id BIGINT PRIMARY KEY)", "INSERT INTO t VALUES (0, 1)"),
        (
            "ALTER TABLE t RENAME TO old",
            "CREATE TABLE t (id BIGINT PRIMARY KEY, value DOUBLE)",
            "INSERT INTO t VALUES (1, 0)",
        ),
        ("ALTER TABLE t RENAME COLUMN value TO old", "ALTER TABLE t ADD COLUMN value DOUBLE DEFAULT 0"),
        ("ALTER TABLE t DROP COLUMN value", "ALTER TABLE t ADD COLUMN value DOUBLE DEFAULT 0"),
    ],
    ids=["made anew", "another one", "another column", "column made anew"],
)
def test_a_table_that_became_another(session: Connection, other: Connection, statements: tuple[str, ...]) -> None:
    for statement in statements:
        other.execute(statement)
    change(session)
    assert rows(session, "SELECT value FROM t WHERE id = 1") == [(1.0,)]


@pytest.mark.parametrize(
    "statements",
    [
        ("DROP TOPIC events", "CREATE TOPIC events (id BIGINT NOT NULL, what VARCHAR)"),
        ("ALTER TOPIC events RENAME TO old", "CREATE TOPIC events (id BIGINT NOT NULL, what VARCHAR)"),
        ("DROP TOPIC events", "CREATE TABLE events (id BIGINT PRIMARY KEY, what VARCHAR)"),
    ],
    ids=["made anew", "another one", "a table"],
)
def test_a_topic_that_became_another(session: Connection, other: Connection, statements: tuple[str, ...]) -> None:
    for statement in statements:
        other.execute(statement)
    change(session)
    assert rows(session, "SELECT id, what FROM events") == [(1, "changed")]


def test_a_topic_with_another_column(session: Connection, other: Connection) -> None:
    other.execute("ALTER TOPIC events ADD COLUMN more BIGINT")
    session.execute("BEGIN")
    session.execute("UPDATE t SET value = 9 WHERE id = 1")
    with pytest.raises(Error):
        session.execute("INSERT INTO events VALUES (?, ?)", (1, "changed"))
    session.execute("INSERT INTO events VALUES (?, ?, ?)", (1, "changed", 5))
    session.execute("COMMIT")
    assert rows(session, "SELECT more FROM events ORDER BY _offset") == [(None,), (None,), (5,)]


def test_what_is_not_null_no_more(session: Connection, other: Connection) -> None:
    session.execute("BEGIN")
    session.execute("UPDATE t SET value = 9 WHERE id = 1")
    with pytest.raises(NotNullViolation):
        session.execute("INSERT INTO events VALUES (?, ?)", (None, "changed"))
    session.execute("COMMIT")
    other.execute("DROP TOPIC events")
    other.execute("CREATE TOPIC events (id BIGINT, what VARCHAR)")
    session.execute("BEGIN")
    session.execute("UPDATE t SET value = 9 WHERE id = 1")
    session.execute("INSERT INTO events VALUES (?, ?)", (None, "changed"))
    session.execute("COMMIT")
    assert rows(session, "SELECT id, what FROM events") == [(None, "changed")]


def test_what_a_rollback_takes_back_is_not_known(session: Connection, other: Connection) -> None:
    statements = ("UPDATE t SET more = 1.5 WHERE id = 1", "INSERT INTO events VALUES (1, 'changed', 1.5)")
    for statement in (
        "BEGIN",
        "ALTER TABLE t ADD COLUMN more DOUBLE",
        "ALTER TOPIC events ADD COLUMN more DOUBLE",
        *statements,
        "ROLLBACK",
    ):
        session.execute(statement)
    other.execute("ALTER TABLE t ADD COLUMN more VARCHAR")  # the same version of the table, which is another one
    other.execute("ALTER TOPIC events ADD COLUMN more VARCHAR")
    for statement in ("BEGIN", *statements, "COMMIT"):
        session.execute(statement)
    assert rows(session, "SELECT more FROM t WHERE id = 1") == [("1.5",)]
    assert rows(session, "SELECT more FROM events ORDER BY _offset DESC LIMIT 1") == [("1.5",)]


def test_a_tenant_s_own_comes_before_a_global_one_that_was_used(session: Connection, engine: Engine) -> None:
    with engine.session(TENANT) as tenant:
        for statement in ("BEGIN", "DELETE FROM t WHERE id = 7", "INSERT INTO events VALUES (2, 'global')", "COMMIT"):
            tenant.execute(statement)
        tenant.execute("CREATE TOPIC events (id BIGINT NOT NULL, what VARCHAR)")
        for statement in ("BEGIN", "DELETE FROM t WHERE id = 7", "INSERT INTO events VALUES (3, 'own')", "COMMIT"):
            tenant.execute(statement)
        assert rows(tenant, "SELECT id, what FROM events") == [(3, "own")]


def test_an_in_memory_table_in_its_place(session: Connection, other: Connection) -> None:
    other.execute("DROP TOPIC events")
    session.execute("CREATE TEMP TABLE events AS SELECT 5 AS id, 'mine' AS what")
    session.execute("BEGIN")
    session.execute("UPDATE t SET value = 9 WHERE id = 1")
    session.execute("INSERT INTO events VALUES (?, ?)", (6, "mine"))
    session.execute("COMMIT")
    assert rows(session, "SELECT id, what FROM events ORDER BY id") == [(5, "mine"), (6, "mine")]


def test_a_change_of_no_row_leaves_the_version_of_the_table(session: Connection, other: Connection) -> None:
    session.execute("UPDATE t SET value = 1 WHERE id = 1")
    other.execute("BEGIN")
    other.execute("SELECT * FROM t").fetchall()
    assert session.execute("UPDATE t SET value = 1 WHERE id = 100").rowcount == 0
    other.execute("UPDATE t SET value = 2 WHERE id = 1")  # 40001 if anything had changed
    other.execute("COMMIT")
    assert rows(session, "SELECT value FROM t WHERE id = 1") == [(2.0,)]


def test_a_sum_that_is_too_great_is_left_to_the_planner(session: Connection) -> None:
    session.execute("CREATE TABLE n (id BIGINT PRIMARY KEY, value TINYINT)")
    session.execute("INSERT INTO n VALUES (1, 126)")
    session.execute("UPDATE n SET value = value + 1 WHERE id = 1")
    with pytest.raises(Error):
        session.execute("UPDATE n SET value = value + 1 WHERE id = 1")
    assert rows(session, "SELECT value FROM n") == [(127,)]
