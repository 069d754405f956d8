"""Companion tables and topics in one transaction, and what is there after it."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from typing import Any

import pytest

import jammi_sql
from jammi_sql import errors
from jammi_sql.dbapi import Connection
from tests.targets import another

from .language import background, fails, rows, value, values

pytestmark = pytest.mark.both_stores


def test_tables_topics_and_definitions_are_one_transaction(t: Connection, other: Connection, store_kind: str) -> None:
    for end in ("ROLLBACK", "COMMIT"):
        t.execute("BEGIN")
        t.execute("UPDATE t SET n = n + 1 WHERE id = 1")
        t.execute("INSERT INTO e SELECT n FROM t WHERE id = 1")
        t.execute("CREATE TABLE u (x INT PRIMARY KEY)")
        t.execute("INSERT INTO u VALUES (1)")
        t.execute("ALTER TABLE t ADD COLUMN z VARCHAR DEFAULT 'q'")
        t.execute("CREATE UNIQUE INDEX i ON t (n)")
        t.execute("DELETE FROM t WHERE id = 2")
        t.execute(
            "MERGE INTO u USING t ON u.x = t.id WHEN MATCHED THEN UPDATE SET x = 5 WHEN NOT MATCHED THEN INSERT VALUES (t.id)"
        )
        t.execute("ALTER TABLE u RENAME TO w")
        assert rows(t, "SELECT * FROM t") == [(1, 11, "q")]
        assert values(t, "SELECT x FROM w") == [5]
        if store_kind == "sqlite":  # on PostgreSQL readers wait for whoever altered the table
            assert rows(other, "SELECT * FROM t ORDER BY id") == [(1, 10), (2, 20)]
        assert values(other, "SELECT a FROM e") == []
        with fails("42P01"):
            other.execute("SELECT * FROM w")
        t.execute(end)
        if end == "ROLLBACK":
            for session in (t, other):
                assert rows(session, "SELECT * FROM t ORDER BY id") == [(1, 10), (2, 20)]
                assert values(session, "SELECT name FROM jammi.system.tables") == ["t"]
                assert values(session, "SELECT next_offset FROM jammi.system.topics") == [0]
    assert rows(other, "SELECT * FROM t") == [(1, 11, "q")]
    assert values(other, "SELECT x FROM w") == [5]
    assert rows(other, "SELECT _offset, a FROM e") == [(0, 11)]


def test_own_writes_are_read_in_every_way(t: Connection) -> None:
    assert value(t, "SELECT sum(n) FROM t") == 30  # now it is in memory
    t.execute("CREATE VIEW v AS SELECT sum(n) AS s FROM t")
    t.execute("BEGIN")
    t.execute("INSERT INTO t VALUES (3, 30)")
    t.execute("UPDATE t SET n = 100 WHERE id = 1")
    assert value(t, "SELECT sum(n) FROM t") == 150
    assert value(t, "SELECT n FROM t WHERE id = 1") == 100
    assert value(t, "SELECT count(*) FROM t") == 3
    assert value(t, "SELECT s FROM v") == 150
    assert value(t, "SELECT a.n + b.n FROM t a JOIN t b ON a.id = 1 AND b.id = 3") == 130
    assert values(t, "SELECT rows FROM jammi.system.tables WHERE name = 't'") == [3]
    assert values(t, "SELECT id FROM t WHERE n IN (SELECT max(n) FROM t)") == [1]
    t.execute("INSERT INTO e SELECT n FROM t")
    t.execute("INSERT INTO t SELECT id + 10, n FROM t")
    assert value(t, "SELECT count(*) FROM t") == 6
    t.execute("ROLLBACK")
    assert rows(t, "SELECT sum(n), count(*), (SELECT s FROM v) FROM t") == [(30, 2, 30)]
    assert value(t, "SELECT n FROM t WHERE id = 1") == 10


def test_savepoints_over_tables_and_topics(t: Connection) -> None:
    t.execute("BEGIN")
    t.execute("UPDATE t SET n = 11 WHERE id = 1")
    t.execute("SAVEPOINT a")
    t.execute("UPDATE t SET n = 12 WHERE id = 1")
    t.execute("INSERT INTO e VALUES (12)")
    t.execute("CREATE TABLE gone (x INT)")
    t.execute("SAVEPOINT b")
    t.execute("DELETE FROM t")
    t.execute("DROP TABLE t")
    t.execute("ROLLBACK TO b")
    assert rows(t, "SELECT id, n FROM t ORDER BY id") == [(1, 12), (2, 20)]
    t.execute("ROLLBACK TO a")
    assert rows(t, "SELECT id, n FROM t ORDER BY id") == [(1, 11), (2, 20)]
    with fails("42P01"):
        t.execute("SELECT * FROM gone")
    with fails("42704"):
        t.execute("ROLLBACK TO b")
    t.execute("INSERT INTO e VALUES (1)")
    t.execute("RELEASE a")
    t.execute("COMMIT")
    assert rows(t, "SELECT n, (SELECT sum(a) FROM e) FROM t WHERE id = 1") == [(11, 1)]


def test_savepoints_of_one_name_nest(t: Connection) -> None:
    t.execute("BEGIN")
    for number in range(5):
        t.execute("SAVEPOINT s")
        t.execute(f"INSERT INTO t VALUES ({100 + number}, 0)")
    t.execute("ROLLBACK TO s")
    t.execute("RELEASE s")
    t.execute("ROLLBACK TO s")
    assert values(t, "SELECT id FROM t WHERE id >= 100 ORDER BY id") == [100, 101, 102]
    t.execute("COMMIT")
    assert value(t, "SELECT count(*) FROM t") == 5


def test_an_error_undoes_its_statement_alone(t: Connection) -> None:
    t.execute("BEGIN")
    t.execute("INSERT INTO t VALUES (3, 30)")
    for statement in (
        "INSERT INTO t VALUES (4, 40), (1, 1)",
        "UPDATE t SET id = 7",
        "UPDATE t SET n = 1 / (n - 30)",
        "INSERT INTO t VALUES (5, 1) RETURNING 1 / (n - 1)",
        "DELETE FROM t RETURNING 1 / (n - 30)",
        "MERGE INTO t USING t AS s ON true WHEN MATCHED THEN DELETE",
        "CREATE TABLE c AS SELECT 1 / (n - 30) AS x FROM t",
        "ALTER TABLE t ADD COLUMN m INT NOT NULL",
        "INSERT INTO t SELECT id, n FROM t ON CONFLICT (id) DO UPDATE SET n = 1 / (t.n - 30)",
    ):
        with pytest.raises(errors.DatabaseError):
            t.execute(statement)
        assert rows(t, "SELECT * FROM t ORDER BY id") == [(1, 10), (2, 20), (3, 30)], statement
    with pytest.raises(errors.IntegrityError):
        t.cursor().executemany("INSERT INTO t VALUES (?, 1)", [(50,), (51,), (1,)])
    t.execute("INSERT INTO t VALUES (4, 40)")
    t.execute("COMMIT")
    assert values(t, "SELECT id FROM t ORDER BY id") == [1, 2, 3, 4]
    assert values(t, "SELECT name FROM jammi.system.tables") == ["t"]


def test_events_come_after_the_commit_that_changed_the_table(t: Connection, other: Connection) -> None:
    live = other.execute("SELECT a, n FROM subscribe('e') JOIN t ON t.id = a")
    t.execute("BEGIN")
    t.execute("INSERT INTO e VALUES (1), (2)")
    t.execute("UPDATE t SET n = n * 2")
    t.execute("INSERT INTO e VALUES (2)")
    t.execute("COMMIT")
    assert sorted(live.fetchone() for _ in range(3)) == [(1, 20), (2, 40), (2, 40)]
    live.close()


def test_conn_transaction_commits_or_undoes(t: Connection, other: Connection) -> None:
    with t.transaction():
        t.execute("UPDATE t SET n = 1")
        t.execute("INSERT INTO e VALUES (1)")
        assert values(other, "SELECT n FROM t ORDER BY id") == [10, 20]
    assert values(other, "SELECT n FROM t") == [1, 1]
    with pytest.raises(ZeroDivisionError), t.transaction():
        t.execute("UPDATE t SET n = 2")
        t.execute("INSERT INTO e VALUES (2)")
        raise ZeroDivisionError
    assert values(other, "SELECT n FROM t") == [1, 1]
    assert values(other, "SELECT a FROM e") == [1]


def test_without_autocommit_statements_wait_for_commit() -> None:
    engine = jammi_sql.Engine.open(None)
    try:
        with engine.session() as one, engine.session() as two:
            one.autocommit = False
            one.execute("CREATE TABLE t (a INT)")
            one.commit()
            one.execute("INSERT INTO t VALUES (1)")
            assert values(two, "SELECT a FROM t") == []
            one.rollback()
            one.execute("INSERT INTO t VALUES (2)")
            one.commit()
            assert values(two, "SELECT a FROM t") == [2]
    finally:
        engine.close()


@pytest.mark.parametrize("how", ["close", "forget"])
def test_a_session_that_ends_inside_a_transaction_holds_nothing(t: Connection, how: str) -> None:
    session = another(t)
    session.execute("BEGIN")
    session.execute("UPDATE t SET n = 0")
    cursor = session.execute("SELECT * FROM t")
    cursor.fetchone()
    if how == "close":
        session.close()
    del session, cursor
    gc.collect()
    with background(lambda: t.execute("UPDATE t SET n = n + 1")):
        pass
    assert values(t, "SELECT n FROM t ORDER BY id") == [11, 21]


@pytest.fixture
def store(tmp_path: Any) -> Iterator[str]:
    yield f"{tmp_path}/store"


def test_what_was_committed_is_there_after_reopening(store: str) -> None:
    with jammi_sql.connect(store) as conn:
        conn.execute("CREATE TABLE t (id INT PRIMARY KEY, v DOUBLE DEFAULT 1.5, u INT UNIQUE)")
        conn.execute("CREATE INDEX i ON t (v)")
        with conn.transaction():
            conn.execute("INSERT INTO t (id, u) VALUES (1, 1)")
        conn.execute("INSERT INTO t VALUES (2, 'NaN'::DOUBLE, NULL)")
        conn.execute("BEGIN")
        conn.execute("INSERT INTO t VALUES (3, 3, 3)")
    with jammi_sql.connect(store) as conn:
        assert [(i, str(v), u) for i, v, u in rows(conn, "SELECT * FROM t ORDER BY id")] == [
            (1, "1.5", 1),
            (2, "nan", None),
        ]
        for statement in ("INSERT INTO t (id) VALUES (1)", "INSERT INTO t VALUES (5, 5, 1)"):
            with fails("23505", errors.IntegrityError):
                conn.execute(statement)
        assert value(conn, "INSERT INTO t (id) VALUES (3) RETURNING v") == 1.5
        with fails("42P07"):
            conn.execute("CREATE INDEX i ON t (u)")


def test_another_engine_on_the_same_store_sees_each_change(store: str) -> None:
    with jammi_sql.connect(store) as one:
        one.execute("CREATE TABLE t (id INT PRIMARY KEY, n INT)")
        one.execute("INSERT INTO t VALUES (1, 0)")
        with jammi_sql.connect(store) as two:
            for number in range(1, 6):
                assert value(two, "SELECT sum(n) FROM t") == number - 1
                assert value(two, "SELECT sum(n) FROM t") == number - 1
                (one if number % 2 else two).execute("UPDATE t SET n = ?", [number])
                assert value(one, "SELECT sum(n) FROM t") == number
            one.execute("ALTER TABLE t ADD COLUMN m INT DEFAULT 4")
            assert rows(two, "SELECT * FROM t") == [(1, 5, 4)]


def test_a_read_only_connection_changes_no_table(store: str) -> None:
    with jammi_sql.connect(store) as conn:
        conn.execute("CREATE TABLE t (a INT)")
        conn.execute("INSERT INTO t VALUES (1)")
    with jammi_sql.connect(store, read_only=True) as conn:
        assert values(conn, "SELECT a FROM t") == [1]
        for statement in (
            "INSERT INTO t VALUES (2)",
            "UPDATE t SET a = 2",
            "DELETE FROM t",
            "DROP TABLE t",
            "CREATE TABLE u (a INT)",
        ):
            with pytest.raises(errors.OperationalError) as raised:
                conn.execute(statement)
            assert raised.value.sqlstate == "25006"
