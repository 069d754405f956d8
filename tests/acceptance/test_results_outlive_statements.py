"""What an open result shows when its transaction, topic, tenant or event loop goes on without it."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from jammi_sql import errors
from jammi_sql.dbapi import Connection
from jammi_sql.engine import live
from tests.targets import another

from .language import rows, value, values


def test_a_live_reader_begun_in_a_transaction_skips_nothing_after_its_rollback(
    conn: Connection, other: Connection
) -> None:
    conn.execute("CREATE TOPIC t (x INT)")
    conn.execute("BEGIN")
    conn.execute("INSERT INTO t VALUES (1)")
    live = conn.execute("SELECT _offset, x FROM subscribe('t')")
    conn.execute("ROLLBACK")
    other.execute("INSERT INTO t VALUES (5)")
    other.execute("INSERT INTO t VALUES (6)")
    assert [live.fetchone(), live.fetchone()] == [(0, 5), (1, 6)]


def test_a_result_begun_in_a_transaction_is_readable_after_its_commit(conn: Connection) -> None:
    conn.execute("CREATE TOPIC t (x INT)")
    conn.execute("BEGIN")
    conn.execute("INSERT INTO t VALUES (1)")
    plain = conn.execute("SELECT x FROM t")
    bounded = conn.execute("SELECT x FROM subscribe('t', until => 'latest')")
    conn.execute("COMMIT")
    assert plain.fetchall() == [(1,)]
    assert bounded.fetchall() == [(1,)]


def test_a_result_begun_in_a_transaction_shows_nobody_elses_rows_after_its_rollback(
    conn: Connection, other: Connection
) -> None:
    conn.execute("CREATE TOPIC t (x INT)")
    conn.execute("BEGIN")
    conn.execute("INSERT INTO t VALUES (1)")
    plain = conn.execute("SELECT _offset, x FROM t")
    bounded = conn.execute("SELECT _offset, x FROM subscribe('t', until => 'latest')")
    conn.execute("ROLLBACK")
    other.execute("INSERT INTO t VALUES (777)")
    for cursor in (plain, bounded):
        try:
            seen = cursor.fetchall()
        except errors.ProgrammingError as error:
            assert error.sqlstate == "24000"
            assert error.hint
        else:  # read before the rollback, as it was then
            assert seen == [(0, 1)]


def test_a_waiting_subscribe_in_a_transaction_that_wrote_is_refused(conn: Connection) -> None:
    conn.execute("CREATE TOPIC t (x INT)")
    conn.execute("BEGIN")
    conn.execute("INSERT INTO t VALUES (1)")
    with pytest.raises(errors.NotSupportedError, match="cannot wait"):
        conn.execute("SELECT count(*) FROM subscribe('t', until => 5)")


def test_a_cancelled_task_loses_no_row_of_a_live_result(conn: Connection, other: Connection) -> None:
    conn.execute("CREATE TOPIC t (x INT)")
    count = 60

    async def read() -> list[int]:
        cursor = conn.execute("SELECT abs(x) AS x FROM subscribe('t', from => 0)")
        seen: list[int] = []
        while len(seen) < count:
            try:
                batch = await asyncio.wait_for(anext(cursor), 0.003)
            except TimeoutError:
                continue
            seen += batch.column("x").to_pylist()
        cursor.close()
        return seen

    publisher = threading.Thread(
        target=lambda: [other.execute("INSERT INTO t VALUES (?)", [number]) for number in range(count)]
    )
    publisher.start()
    assert asyncio.run(asyncio.wait_for(read(), 60)) == list(range(count))
    publisher.join()


def test_create_topic_if_not_exists_as_publishes_once_however_many_race(conn: Connection, other: Connection) -> None:
    barrier = threading.Barrier(2)
    failures: list[BaseException] = []

    def create(connection: Connection) -> None:
        barrier.wait()
        try:
            connection.execute(
                "CREATE TOPIC IF NOT EXISTS t AS SELECT CAST(value AS BIGINT) AS x FROM generate_series(1, 50000)"
            )
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=create, args=(connection,)) for connection in (conn, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert value(conn, "SELECT count(*) FROM t") == 50000


def test_an_insert_goes_through_while_columns_are_added(conn: Connection, other: Connection) -> None:
    conn.execute("CREATE TOPIC t (x INT)")
    done = threading.Event()

    def alter() -> None:
        for number in range(15):
            other.execute(f"ALTER TOPIC t ADD COLUMN c{number} INT")
        done.set()

    thread = threading.Thread(target=alter)
    thread.start()
    inserted = 0
    while not done.is_set() or not inserted:
        conn.execute("INSERT INTO t (x) VALUES (1)")
        inserted += 1
    thread.join()
    assert value(conn, "SELECT count(*) FROM t") == inserted


def test_the_default_schema_is_no_option(conn: Connection) -> None:
    with pytest.raises(errors.NotSupportedError):
        conn.execute("SET datafusion.catalog.default_schema = 's2'")


def test_a_column_may_be_called_view(conn: Connection) -> None:
    conn.execute("CREATE TOPIC t (a INT)")
    conn.execute("INSERT INTO t VALUES (1)")
    conn.execute("CREATE TEMP TABLE k AS SELECT a AS view FROM subscribe('t', until => 'latest')")
    assert values(conn, 'SELECT "view" FROM k') == [1]
    with pytest.raises(errors.NotSupportedError, match="a view cannot read subscribe"):
        conn.execute("CREATE OR REPLACE VIEW v AS SELECT a FROM subscribe('t', until => 'latest')")


def test_a_view_over_a_dropped_topic_is_an_unknown_topic(conn: Connection) -> None:
    conn.execute("CREATE TOPIC t (a INT)")
    conn.execute("CREATE VIEW v AS SELECT a FROM t")
    conn.execute("DROP TOPIC t")
    with pytest.raises(errors.ProgrammingError) as raised:
        rows(conn, "SELECT a FROM v")
    assert raised.value.sqlstate == "42P01"
    assert "traceback" not in str(raised.value)


def test_a_view_is_read_by_two_statements_at_once(conn: Connection) -> None:
    conn.execute("CREATE TOPIC t (a BIGINT)")
    conn.execute("INSERT INTO t SELECT value FROM generate_series(1, 200000)")
    conn.execute("CREATE VIEW v AS SELECT a FROM t")
    first = conn.execute("SELECT a FROM v")
    assert first.fetchone() is not None
    conn.execute("INSERT INTO t VALUES (0)")
    assert value(conn, "SELECT count(*) FROM v") == 200001
    assert len(first.fetchall()) == 199999


READS = {
    "rows": "SELECT _offset, x FROM t",
    "a stretch": "SELECT _offset, x FROM subscribe('t', from => 0, until => 'latest')",
    "a filter over a stretch": "SELECT _offset, x FROM subscribe('t', until => 'latest') WHERE x >= 0",
    "a view": "SELECT * FROM seen",
    "columns of the engine": "SELECT _offset, CAST(_row_idx AS INT) FROM t",
}


@pytest.mark.sqlite_only  # a folder has a place for segments
@pytest.mark.parametrize("compacted", [False, True])
@pytest.mark.parametrize("removal", ["TRUNCATE TOPIC t BEFORE 1000", "DROP TOPIC t", "CALL jammi.compact('t')"])
def test_results_that_have_begun_have_all_that_was_there(
    conn: Connection, other: Connection, removal: str, compacted: bool
) -> None:
    conn.execute("CREATE TOPIC t (x INT)")
    other.execute("CREATE VIEW seen AS SELECT _offset, x FROM t")
    conn.execute("BEGIN")
    for _ in range(80):  # more than a scan reads at once
        conn.execute("INSERT INTO t SELECT value FROM range(9000)")
    conn.execute("COMMIT")
    if compacted:
        conn.execute("CALL jammi.compact('t')")
        for _ in range(80):
            conn.execute("INSERT INTO t VALUES (0)")
    expected = value(other, "SELECT count(*) FROM t")
    readers = {read: other.execute(query).fetch_record_batch() for read, query in READS.items()}
    counts = {read: reader.read_next_batch().num_rows for read, reader in readers.items()}
    assert all(0 < count < expected for count in counts.values())
    conn.execute(removal)
    for read, reader in readers.items():
        counts[read] += sum(batch.num_rows for batch in reader)
    assert counts == dict.fromkeys(READS, expected)


@pytest.mark.in_process("looks into the engine, or holds it at a point")
def test_the_earliest_is_never_evicted_before_it_was_read(conn: Connection, other: Connection) -> None:
    conn.execute("CREATE TOPIC t (x INT)")
    for number in range(6):
        conn.execute("INSERT INTO t VALUES (?)", [number])
    earliest = other.execute("SELECT x FROM subscribe('t', from => 'earliest')")
    first = another(other).execute("SELECT x FROM subscribe('t', from => 0)")
    conn.execute("TRUNCATE TOPIC t BEFORE 3")
    assert [earliest.fetchone(), earliest.fetchone()] == [(3,), (4,)]
    with pytest.raises(errors.OffsetEvicted):
        first.fetchone()
    earliest.close()


@pytest.mark.in_process("looks into the engine, or holds it at a point")
@pytest.mark.parametrize(
    "statement",
    [
        "SELECT x FROM subscribe('t', from => 'earliest')",
        "SELECT x FROM subscribe('t', until => 'latest')",
        "SELECT min(x) FROM subscribe('t', until => 'latest')",
    ],
)
def test_the_earliest_is_not_evicted_while_its_statement_begins(
    conn: Connection, other: Connection, statement: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    conn.execute("CREATE TOPIC t (x INT)")
    for number in range(6):
        conn.execute("INSERT INTO t VALUES (?)", [number])
    until = live._until

    def removed_meanwhile(*arguments: Any) -> Any:
        found = until(*arguments)
        other.execute("TRUNCATE TOPIC t BEFORE 3")
        return found

    monkeypatch.setattr(live, "_until", removed_meanwhile)
    with conn.execute(statement) as result:
        assert result.fetchone() == (3,)


@pytest.mark.in_process("looks into the engine, or holds it at a point")
def test_results_that_were_left_hold_no_snapshot(conn: Connection) -> None:
    conn.execute("CREATE TOPIC t (x INT)")
    conn.execute("INSERT INTO t VALUES (1)")
    store: Any = conn.engine.services.store
    for statement in READS.values():
        if "seen" not in statement:
            with conn.cursor() as cursor:
                cursor.execute(statement).fetchone()
    assert store._snapshots._count() == 0
