"""What every store does for several at once: locks, threads, other processes, closing and backup."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pytest

from jammi_sql.errors import (
    ConnectionClosed,
    LockNotAvailable,
    ReadOnlyStore,
    StoreIOError,
)
from jammi_sql.ports import NamedQuery, Store
from jammi_sql.stores import SqliteStore
from tests.store_support import ALL, Opener, items, names, one_writer, q
from tests.topic_support import until


@one_writer
def test_a_second_writer_waits_at_most_its_limit(store: Store, opener: Opener) -> None:
    other = opener(lock_timeout=0.05)
    with store.begin():
        for waiting, timeout in ((store, 0.05), (other, None)):
            with pytest.raises(LockNotAvailable) as caught:
                waiting.begin(timeout=timeout)
            assert (caught.value.sqlstate, bool(caught.value.hint)) == ("55P03", True)
    other.begin().commit()
    store.begin(timeout=0).commit()


@one_writer
def test_a_thread_that_waits_for_itself_is_told_so(store: Store) -> None:
    with store.begin(), pytest.raises(LockNotAvailable, match="this thread itself"):
        store.begin(timeout=0.01)


@one_writer
def test_writers_of_one_process_are_served_in_the_order_in_which_they_came(store: Store) -> None:
    order: list[int] = []
    waiting = store.begin()
    threads: list[threading.Thread] = []

    def write(number: int) -> None:
        with store.begin() as transaction:
            order.append(number)
            transaction.execute(q(store).insert, (number, str(number)))

    for number in range(8):
        thread = threading.Thread(target=write, args=(number,))
        threads.append(thread)
        thread.start()
        _until_waiting(store, number + 1)
    waiting.commit()
    for thread in threads:
        thread.join()
    assert order == list(range(8))


def test_reads_and_writes_from_many_threads_lose_nothing(store: Store) -> None:
    def work(number: int) -> int:
        with store.begin() as transaction:
            transaction.execute(q(store).insert, (number, str(number)))
        return store.query(q(store).by_id, (number,)).num_rows

    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(work, range(200))) == [1] * 200
    assert store.query(ALL).num_rows == 200


def test_a_transaction_is_shared_by_threads_one_call_at_a_time(store: Store) -> None:
    with store.begin() as transaction, ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: transaction.execute(q(store).insert, (number, str(number))), range(100)))
    assert store.query(ALL).num_rows == 100


def test_changes_differ_after_each_commit_of_this_process_and_of_others(store: Store, opener: Opener) -> None:
    with store.begin() as transaction:
        transaction.execute(q(store).insert, (1, "a"))
        before = store.changes()
    own = store.changes()
    assert own != before
    other_store = opener()
    before = store.changes()
    with other_store.begin() as transaction:
        transaction.execute(q(store).insert, (2, "b"))
    assert store.changes() != before

    def nothing_done() -> bool:
        before = store.changes()
        names(store)
        store.begin().rollback()
        return store.changes() == before

    until(nothing_done, "it stays")  # a server's own transactions may come between


def test_a_watch_tells_of_each_commit_of_this_process_and_of_others(store: Store, opener: Opener) -> None:
    with opener(read_only=True) as reader:
        watches = [store.watch(0.01), reader.watch(0.01)]
        for number, writer in enumerate((store, opener(), store)):
            with writer.begin() as transaction:
                transaction.execute(q(store).insert, (number, "a"))
            for watch in watches:
                until(lambda watch=watch: watch.wait(1), "it tells of the commit")
        for watch in watches:
            watch.close()


def test_a_watch_sleeps_until_it_is_woken_and_may_be_made_again(store: Store) -> None:
    for _ in range(3):
        watch = store.watch(0.01)
        until(lambda watch=watch: not watch.wait(0.02), "it is quiet")  # one may tell of nothing when it begins
        store.begin().rollback()
        until(lambda watch=watch: not watch.wait(0.02), "it is quiet")
        watch.wake()
        assert not watch.wait(None)
        watch.close()
        watch.close()


def test_a_read_only_store_reads_and_refuses_to_write(store: Store, opener: Opener) -> None:
    with store.begin() as transaction:
        transaction.execute(q(store).insert, (1, "a"))
    reader = opener(read_only=True)
    assert (names(reader), reader.read_only, store.read_only) == (["a"], True, False)
    with pytest.raises(ReadOnlyStore):
        reader.begin()
    with pytest.raises(ReadOnlyStore):
        reader.query(q(store).returning, items([2], ["b"]))
    before = reader.changes()
    with store.begin() as transaction:
        transaction.execute(q(store).insert, (2, "b"))
    assert (names(reader), reader.changes() != before) == (["a", "b"], True)


def test_a_closed_store_refuses_calls_and_may_be_closed_again(store: Store) -> None:
    store.close()
    store.close()
    for call in (lambda: store.query(ALL), store.begin, store.changes, lambda: store.watch(1)):
        with pytest.raises(ConnectionClosed):
            call()


def test_closing_rolls_an_open_transaction_back(store: Store, opener: Opener) -> None:
    transaction = store.begin()
    transaction.execute(q(store).insert, (1, "a"))
    store.close()
    with pytest.raises(ConnectionClosed):
        transaction.commit()
    transaction.rollback()
    assert names(opener()) == []


@one_writer
def test_closing_wakes_writers_that_wait(store: Store) -> None:
    store.begin()
    with ThreadPoolExecutor(2) as pool:
        waiting = [pool.submit(store.begin) for _ in range(2)]
        _until_waiting(store, 2)
        store.close()
        for one in waiting:
            with pytest.raises(ConnectionClosed):
                one.result()


def test_reads_that_run_while_the_store_closes_end_well_or_are_refused(store: Store) -> None:
    with store.begin() as transaction:
        transaction.execute(q(store).insert_rows, items(list(range(900)), ["x" * 100] * 900))
    started = threading.Barrier(5)

    def read() -> set[int]:
        started.wait()
        counts = set()
        try:
            while True:
                counts.add(store.query(ALL).num_rows)
        except ConnectionClosed:
            return counts

    with ThreadPoolExecutor(4) as pool:
        reading = [pool.submit(read) for _ in range(4)]
        started.wait()
        store.close()
        assert all(one.result() <= {900} for one in reading)


def test_more_readers_than_connections_take_turns(store: Store) -> None:
    slow = f"{q(store).series.format(20000)} SELECT max(id) AS id FROM n"
    query = NamedQuery("slow", slow, pa.schema([("id", pa.int64())]))
    with ThreadPoolExecutor(32) as pool:
        answers = list(pool.map(lambda _: store.query(query).column(0)[0].as_py(), range(64)))
    assert answers == [20000] * 64


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_child_is_told_to_open_its_own_store(tmp_path: Path) -> None:
    script = """
import os, sys
from jammi_sql.errors import InterfaceError
from jammi_sql.stores import SqliteStore
store = SqliteStore.open(sys.argv[1])
transaction = store.begin()
child = os.fork()
if child == 0:
    for call in (store.begin, store.changes, transaction.commit, transaction.rollback):
        try:
            call()
            os._exit(1)
        except InterfaceError as error:
            assert "fork" in str(error)
    store.close()
    os._exit(7)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
transaction.commit()
store.close()
"""
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=True, timeout=60)


def _until_waiting(store: Store, count: int) -> None:
    """Until so many threads queue for the write lock, which no public name tells."""
    assert isinstance(store, SqliteStore)
    pause = threading.Event()
    while len(store._write_lock._waiting) != count:
        pause.wait(0.001)


@one_writer
def test_a_backup_is_a_consistent_store_of_its_own(store: Store, tmp_path: Path) -> None:
    with store.begin() as transaction:
        transaction.execute(q(store).insert, (101, "kept"))
    before = names(store)
    store.backup(tmp_path / "copy")
    with store.begin() as transaction:
        transaction.execute(q(store).insert, (102, "later"))
    with SqliteStore.open(tmp_path / "copy") as copy:
        assert names(copy) == before
        with copy.begin() as transaction:
            transaction.execute(q(store).insert, (103, "apart"))
    assert "apart" not in names(store)


@one_writer
def test_a_backup_overwrites_nothing(store: Store, tmp_path: Path) -> None:
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / "precious").write_text("x")
    with pytest.raises(StoreIOError, match="not empty") as raised:
        store.backup(tmp_path / "copy")
    assert raised.value.hint
    assert (tmp_path / "copy" / "precious").read_text() == "x"
