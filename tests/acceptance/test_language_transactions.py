"""Transactions over topics."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

import jammi_sql
from jammi_sql.dbapi import Connection

from .language import LIMIT, fails, rows, value, values

pytestmark = pytest.mark.wire_too


@pytest.fixture
def topic(conn: Connection) -> Iterator[Connection]:
    conn.execute("CREATE TOPIC t (a INT NOT NULL)")
    yield conn


def test_commit_publishes_and_rollback_leaves_nothing(topic: Connection, other: Connection) -> None:
    topic.execute("BEGIN")
    topic.execute("INSERT INTO t VALUES (1)")
    assert values(topic, "SELECT a FROM t") == [1]  # it reads its own writes
    assert values(other, "SELECT a FROM t") == []
    topic.execute("ROLLBACK")
    assert values(topic, "SELECT a FROM t") == []
    topic.execute("BEGIN TRANSACTION")
    topic.execute("INSERT INTO t VALUES (2)")
    topic.execute("INSERT INTO t VALUES (3)")
    topic.execute("COMMIT")
    assert rows(other, "SELECT _offset, a FROM t ORDER BY 1") == [(0, 2), (1, 3)]


@pytest.mark.parametrize(
    ("statement", "sqlstate"),
    [
        ("COMMIT", "25P01"),
        ("ROLLBACK", "25P01"),
        ("SAVEPOINT s", "25P01"),
        ("ROLLBACK TO s", "25P01"),
        ("RELEASE s", "25P01"),
    ],
)
def test_outside_a_transaction_there_is_nothing_to_end(topic: Connection, statement: str, sqlstate: str) -> None:
    with fails(sqlstate):
        topic.execute(statement)


def test_a_begin_inside_a_transaction_is_refused_and_the_transaction_lives_on(topic: Connection) -> None:
    topic.execute("BEGIN")
    topic.execute("INSERT INTO t VALUES (1)")
    with fails("25001"):
        topic.execute("BEGIN")
    topic.execute("COMMIT")
    assert values(topic, "SELECT a FROM t") == [1]


def test_a_rollback_burns_no_offset(topic: Connection) -> None:
    for number in range(3):
        topic.execute("BEGIN")
        assert values(topic, f"INSERT INTO t VALUES ({number}) RETURNING _offset") == [number]
        topic.execute("ROLLBACK")
        topic.execute(f"INSERT INTO t VALUES ({number})")
    assert rows(topic, "SELECT _offset, a FROM t ORDER BY 1") == [(0, 0), (1, 1), (2, 2)]
    assert values(topic, "SELECT next_offset FROM jammi.system.topics") == [3]


def test_own_writes_are_read_in_every_way_and_taken_back_in_every_way(topic: Connection) -> None:
    topic.execute("INSERT INTO t VALUES (0)")
    topic.execute("BEGIN")
    topic.execute("INSERT INTO t VALUES (1)")
    assert value(topic, "SELECT count(*) FROM t") == 2
    assert values(topic, "SELECT a FROM subscribe('t', until => 'latest')") == [0, 1]
    assert values(topic, "SELECT rows FROM jammi.system.topics") == [2]
    topic.execute("INSERT INTO t SELECT a + 10 FROM t")
    assert value(topic, "SELECT count(*) FROM t") == 4
    topic.execute("ROLLBACK")
    assert value(topic, "SELECT count(*) FROM t") == 1
    assert values(topic, "SELECT a FROM subscribe('t', until => 'latest')") == [0]
    assert rows(topic, "SELECT rows, next_offset FROM jammi.system.topics") == [(1, 1)]


def test_events_reach_subscribers_at_commit_together_and_in_order(topic: Connection, other: Connection) -> None:
    topic.execute("CREATE TOPIC u (a INT)")
    live = other.execute("SELECT _offset, a FROM subscribe('t', from => 'earliest')")
    reader = live.fetch_record_batch()
    found: list[tuple[int, int]] = []
    done = threading.Event()

    def read() -> None:
        while len(found) < 4:
            batch = next(reader)
            found.extend(zip(batch.column(0).to_pylist(), batch.column(1).to_pylist(), strict=True))
        done.set()

    thread = threading.Thread(target=read)
    thread.start()
    topic.execute("BEGIN")
    for number in range(3):
        topic.execute(f"INSERT INTO t VALUES ({number})")
        topic.execute(f"INSERT INTO u VALUES ({number})")
    assert not done.wait(0.1)
    assert found == []
    topic.execute("COMMIT")
    topic.execute("INSERT INTO t VALUES (3)")
    assert done.wait(LIMIT)
    thread.join()
    assert found == [(0, 0), (1, 1), (2, 2), (3, 3)]
    live.close()


def test_events_of_a_rolled_back_transaction_reach_nobody(topic: Connection, other: Connection) -> None:
    live = other.execute("SELECT a FROM subscribe('t')")
    topic.execute("BEGIN")
    topic.execute("INSERT INTO t VALUES (1)")
    topic.execute("ROLLBACK")
    topic.execute("INSERT INTO t VALUES (2)")
    assert live.fetchone() == (2,)
    live.close()


def test_savepoints_undo_a_part(topic: Connection) -> None:
    topic.execute("BEGIN")
    topic.execute("INSERT INTO t VALUES (1)")
    topic.execute("SAVEPOINT one")
    topic.execute("INSERT INTO t VALUES (2)")
    topic.execute('SAVEPOINT "Two; --"')
    topic.execute("INSERT INTO t VALUES (3)")
    topic.execute("ROLLBACK TO one")
    with fails("42704"):
        topic.execute('ROLLBACK TO "Two; --"')
    topic.execute("INSERT INTO t VALUES (4)")
    topic.execute("ROLLBACK TO SAVEPOINT one")  # it is still there
    topic.execute("INSERT INTO t VALUES (5)")
    topic.execute("RELEASE one")
    with fails("42704"):
        topic.execute("RELEASE SAVEPOINT one")
    topic.execute("COMMIT")
    assert rows(topic, "SELECT _offset, a FROM t ORDER BY 1") == [(0, 1), (1, 5)]


def test_an_error_undoes_its_statement_and_does_not_end_the_transaction(topic: Connection) -> None:
    topic.execute("BEGIN")
    topic.execute("INSERT INTO t VALUES (1)")
    with pytest.raises(topic.IntegrityError):
        topic.execute("INSERT INTO t VALUES (2), (NULL)")
    with pytest.raises(topic.ProgrammingError):
        topic.execute("SELEC 1")
    with pytest.raises(topic.ProgrammingError):
        topic.execute("SELECT * FROM nowhere")
    with pytest.raises(topic.DataError):
        topic.execute("INSERT INTO t SELECT 1 / (value - 69999) FROM range(140000)")
    with pytest.raises(topic.Error):
        topic.cursor().executemany("INSERT INTO t VALUES (?)", [(1,), (None,)])
    with pytest.raises(topic.DataError):
        topic.execute("INSERT INTO t VALUES (7) RETURNING 1 / (a - 7)")
    topic.execute("INSERT INTO t VALUES (3)")
    topic.execute("COMMIT")
    assert rows(topic, "SELECT _offset, a FROM t ORDER BY 1") == [(0, 1), (1, 3)]


def test_ddl_is_part_of_a_transaction(topic: Connection, other: Connection) -> None:
    topic.execute("INSERT INTO t VALUES (1)")
    topic.execute("BEGIN")
    topic.execute("CREATE TOPIC u (b INT)")
    topic.execute("INSERT INTO u VALUES (1)")
    topic.execute("ALTER TOPIC t ADD COLUMN c INT")
    topic.execute("INSERT INTO t VALUES (2, 2)")
    topic.execute("ALTER TOPIC t RENAME TO renamed")
    topic.execute("CREATE SCHEMA s")
    topic.execute("CREATE TOPIC s.v AS SELECT 1 AS a")
    assert rows(topic, "SELECT a, c FROM renamed ORDER BY a") == [(1, None), (2, 2)]
    assert sorted(values(other, "SELECT name FROM jammi.system.topics")) == ["t"]
    topic.execute("ROLLBACK")
    assert sorted(values(topic, "SELECT name FROM jammi.system.topics")) == ["t"]
    assert rows(topic, "SELECT * EXCLUDE (_produced_at) FROM t") == [(0, 0, None, 1)]
    with fails("42P01"):
        topic.execute("SELECT * FROM u")
    topic.execute("ALTER TOPIC t ADD COLUMN c VARCHAR")  # the version that was undone left no trace
    topic.execute("INSERT INTO t VALUES (3, 'x')")
    assert rows(other, "SELECT a, c FROM t ORDER BY a") == [(1, None), (3, "x")]


def test_dropping_and_truncating_can_be_rolled_back(topic: Connection) -> None:
    topic.execute("INSERT INTO t VALUES (1)")
    topic.execute("INSERT INTO t VALUES (2)")
    topic.execute("BEGIN")
    topic.execute("TRUNCATE TOPIC t BEFORE 1")
    assert values(topic, "SELECT a FROM t") == [2]
    topic.execute("DROP TOPIC t")
    with fails("42P01"):
        topic.execute("SELECT * FROM t")
    topic.execute("CREATE TOPIC t (b VARCHAR)")
    topic.execute("INSERT INTO t VALUES ('new')")
    topic.execute("ROLLBACK")
    assert values(topic, "SELECT a FROM t ORDER BY a") == [1, 2]


def test_without_autocommit_the_first_statement_opens_a_transaction(topic: Connection, other: Connection) -> None:
    topic.autocommit = False
    topic.execute("INSERT INTO t VALUES (1)")
    assert topic.in_transaction
    topic.rollback()
    topic.execute("INSERT INTO t VALUES (2)")
    topic.execute("INSERT INTO t VALUES (3)")
    assert values(other, "SELECT a FROM t") == []
    topic.commit()
    assert rows(other, "SELECT _offset, a FROM t ORDER BY 1") == [(0, 2), (1, 3)]
    topic.commit()  # nothing to do
    topic.rollback()


def test_closing_with_an_open_transaction_undoes_it() -> None:
    engine = jammi_sql.Engine.open(None)
    try:
        with engine.session() as conn:
            conn.execute("CREATE TOPIC t (a INT)")
            conn.execute("BEGIN")
            conn.execute("INSERT INTO t VALUES (1)")
        with engine.session() as conn:
            assert value(conn, "SELECT count(*) FROM t") == 0
            conn.execute("INSERT INTO t VALUES (1)")  # and the write lock is free
    finally:
        engine.close()


def test_the_transaction_block_commits_or_undoes(topic: Connection) -> None:
    with topic.transaction():
        topic.execute("INSERT INTO t VALUES (1)")
    with pytest.raises(RuntimeError), topic.transaction():
        topic.execute("INSERT INTO t VALUES (2)")
        raise RuntimeError
    assert values(topic, "SELECT a FROM t") == [1]


@pytest.mark.parametrize("statement", ["COMMIT", "END", "COMMIT TRANSACTION", "commit work", "END TRANSACTION"])
def test_the_words_that_commit(topic: Connection, statement: str) -> None:
    topic.execute("START TRANSACTION")
    topic.execute("INSERT INTO t VALUES (1)")
    topic.execute(statement)
    assert not topic.in_transaction
    assert values(topic, "SELECT a FROM t") == [1]


def test_a_commit_that_returned_is_there_after_reopening(tmp_path: object) -> None:
    with jammi_sql.connect(f"{tmp_path}/store") as conn:
        conn.execute("CREATE TOPIC t (a INT)")
        conn.execute("BEGIN")
        conn.execute("INSERT INTO t VALUES (1)")
        conn.execute("COMMIT")
        conn.execute("BEGIN")
        conn.execute("INSERT INTO t VALUES (2)")
    with jammi_sql.connect(f"{tmp_path}/store") as conn:
        assert rows(conn, "SELECT _offset, a FROM t") == [(0, 1)]
        assert values(conn, "INSERT INTO t VALUES (3) RETURNING _offset") == [1]
