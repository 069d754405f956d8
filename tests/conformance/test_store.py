"""The contract ``jammi_sql.ports.Store``, the same for each kind of store."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pytest

from jammi_sql.errors import (
    ConnectionClosed,
    Error,
    FailedTransaction,
    IntegrityError,
    InterfaceError,
    LockNotAvailable,
    NotNullViolation,
    ReadOnlyStore,
    StoreIOError,
    UndefinedObject,
    UniqueViolation,
)
from jammi_sql.ports import NamedQuery, Reader, Store
from jammi_sql.stores import SqliteStore
from tests.servers import stores
from tests.topic_support import until

COLUMNS: list[tuple[str, pa.DataType]] = [("id", pa.int64()), ("name", pa.utf8())]
ITEM = pa.schema(COLUMNS)
ALL = NamedQuery("items", "SELECT id, name FROM item ORDER BY id", ITEM)
NUMBERS = NamedQuery(
    "numbers", "SELECT id, rank FROM item ORDER BY id", pa.schema([("id", pa.int64()), ("rank", pa.int64())])
)
ROWS = "unnest($1::BIGINT[], $2::TEXT[]) AS g (id, name)"


@dataclass(frozen=True)
class Queries:
    """The same statements for each kind of store: ``insert`` for values, the others for the rows of a batch too."""

    insert: NamedQuery
    insert_rows: NamedQuery
    returning: NamedQuery
    some: NamedQuery
    by_id: NamedQuery
    by_ids: NamedQuery
    echo: str
    series: str
    check: str


QUERIES = {
    "sqlite": Queries(
        NamedQuery("insert_item", "INSERT INTO item (id, name) VALUES (?1, ?2)", None),
        NamedQuery("insert_item", "INSERT INTO item (id, name) VALUES (?1, ?2)", None),
        NamedQuery("append_item", "INSERT INTO item (id, name) SELECT ?1, ?2 RETURNING id, name", ITEM),
        NamedQuery("insert_some", "INSERT INTO item (id, name) SELECT ?1, ?2 WHERE ?1 <> 2", None),
        NamedQuery("item_by_id", "SELECT id, name FROM item WHERE id = ?1", ITEM),
        NamedQuery("item_by_id", "SELECT id, name FROM item WHERE id = ?1", ITEM),
        "SELECT ?1 AS value",
        "WITH RECURSIVE n(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n WHERE id < {})",
        "23000",
    ),
    "postgres": Queries(
        NamedQuery("insert_item", "INSERT INTO item (id, name) VALUES ($1, $2)", None),
        NamedQuery("insert_item", f"INSERT INTO item (id, name) SELECT * FROM {ROWS}", None),
        NamedQuery("append_item", f"INSERT INTO item (id, name) SELECT * FROM {ROWS} RETURNING id, name", ITEM),
        NamedQuery("insert_some", f"INSERT INTO item (id, name) SELECT * FROM {ROWS} WHERE id <> 2", None),
        NamedQuery("item_by_id", "SELECT id, name FROM item WHERE id = $1", ITEM),
        NamedQuery(
            "item_by_id",
            "SELECT id, name FROM unnest($1::BIGINT[]) WITH ORDINALITY AS g (wanted, place) JOIN item ON id = wanted"
            " ORDER BY place",
            ITEM,
        ),
        "SELECT $1::{} AS value",
        "WITH n(id) AS (SELECT generate_series(1, {}::BIGINT))",
        "23000",
    ),
}
KINDS = {pa.int64(): "BIGINT", pa.utf8(): "TEXT", pa.binary(): "BYTEA", pa.float64(): "DOUBLE PRECISION"}


def q(store: Store) -> Queries:
    return QUERIES[store.kind]


Opener = Callable[..., Store]

one_writer = pytest.mark.parametrize("opener", ["sqlite"], indirect=True)
"""What only a store with one write lock, in a folder, does."""


@pytest.fixture(params=["sqlite", "postgres"])
def opener(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Opener]:
    """Opens the same store as often as it is called; all are closed at the end."""
    opened: list[Store] = []

    target = stores.target(request, request.param, tmp_path)

    def open_store(**options: object) -> Store:
        store = stores.opened(target, **options)
        opened.append(store)
        return store

    yield open_store
    for store in opened:
        store.close()


@pytest.fixture
def store(opener: Opener) -> Store:
    """An open store with an empty table ``item``."""
    made = opener()
    with made.begin() as transaction:
        transaction.script(
            "CREATE TABLE item (id BIGINT PRIMARY KEY, name TEXT NOT NULL, rank BIGINT, CHECK (id < 1000))"
        )
    return made


def items(ids: list[int], texts: list[str]) -> pa.RecordBatch:
    return pa.record_batch([pa.array(ids, pa.int64()), pa.array(texts, pa.utf8())], names=["id", "name"])


def names(reader: Reader) -> list[str]:
    return [str(name) for name in reader.query(ALL).column("name").to_pylist()]


def test_a_committed_row_is_read_by_the_store_and_by_another_opening_of_it(store: Store, opener: Opener) -> None:
    with store.begin() as transaction:
        transaction.execute(q(store).insert, (1, "a"))
    assert names(store) == ["a"]
    assert names(opener()) == ["a"]


def test_a_transaction_reads_its_own_writes_and_nobody_else_does(store: Store) -> None:
    with store.begin() as transaction:
        transaction.execute(q(store).insert, (1, "a"))
        assert names(transaction) == ["a"]
        assert names(store) == []
        assert (transaction.committed, store.committed) == (False, True)


def test_an_exception_in_the_block_undoes_it_and_gives_the_lock_back(store: Store) -> None:
    transaction = store.begin()
    transaction.execute(q(store).insert, (1, "a"))
    with pytest.raises(KeyError), transaction:
        raise KeyError
    assert names(store) == []
    store.begin(timeout=0).rollback()


def test_results_have_exactly_the_declared_schema_even_when_empty_or_all_null(store: Store) -> None:
    assert store.query(ALL).equals(ITEM.empty_table())
    with store.begin() as transaction:
        transaction.execute(q(store).insert, (1, "a"))
    assert store.query(NUMBERS).to_pydict() == {"id": [1], "rank": [None]}
    assert store.query(NUMBERS).schema == NUMBERS.returns


def test_results_of_more_rows_than_the_driver_looks_at_are_whole(store: Store) -> None:
    series = q(store).series.format(5000)
    wide = NamedQuery("wide", f"{series} SELECT id, CASE WHEN id > 4000 THEN id END AS rank FROM n", NUMBERS.returns)
    table = store.query(wide)
    assert table.num_rows == 5000
    assert table.column("rank").to_pylist()[3998:4002] == [None, None, 4001, 4002]


@pytest.mark.parametrize(
    "value", [0, -(2**63), 2**63 - 1, "", "x'\"\0é🙂", b"", b"\0\xff", 1.5, -0.0, float("inf"), None], ids=repr
)
def test_each_kind_of_value_comes_back_as_it_went_in(store: Store, value: int | str | bytes | float | None) -> None:
    kind = pa.scalar(value).type if value is not None else pa.utf8()
    if store.kind == "postgres" and isinstance(value, str):
        value = value.replace("\0", "")  # which its text cannot hold: tables have bytes there
    echo = NamedQuery("echo", q(store).echo.format(KINDS[kind]), pa.schema([("value", kind)]))
    [answer] = store.query(echo, (value,)).column("value").to_pylist()
    assert (type(answer), repr(answer)) == (type(value), repr(value))


def test_a_record_batch_runs_the_statement_once_per_row_and_the_results_follow_each_other(store: Store) -> None:
    rows = items([3, 1, 2], ["c", "a", "b"])
    with store.begin() as transaction:
        returned = transaction.query(q(store).returning, rows)
        assert returned.to_pydict() == {"id": [3, 1, 2], "name": ["c", "a", "b"]}
        transaction.execute(q(store).insert_rows, items([4, 5], ["d", "e"]))
    assert names(store) == ["a", "b", "c", "d", "e"]
    assert store.query(q(store).by_ids, pa.record_batch({"id": [5, 9, 1]})).to_pydict() == {
        "id": [5, 1],
        "name": ["e", "a"],
    }


def test_a_statement_without_rows_says_how_many_it_changed_over_all_rows_of_its_parameters(store: Store) -> None:
    insert = q(store).some
    with store.begin() as transaction:
        batch = items([1, 2, 3], ["a", "b", "c"])
        assert transaction.execute(insert, batch) == 2
        assert transaction.execute(insert, items([2], ["b"])) == 0
        assert transaction.execute(insert, batch.slice(0, 0)) == 0
        assert transaction.execute(NamedQuery("clear", "DELETE FROM item", None)) == 2


def test_a_record_batch_without_rows_runs_nothing(store: Store) -> None:
    empty = items([], [])
    with store.begin() as transaction:
        assert transaction.query(q(store).returning, empty).equals(ITEM.empty_table())
        transaction.execute(q(store).insert_rows, empty)
    assert names(store) == []


def test_constraints_are_told_apart_and_leave_the_transaction_usable(store: Store) -> None:
    with store.begin() as transaction:
        transaction.execute(q(store).insert, (1, "a"))
        for values, kind, sqlstate in (
            ((1, "again"), UniqueViolation, "23505"),
            ((2, None), NotNullViolation, "23502"),
            ((1000, "check"), IntegrityError, "23000"),
        ):
            if not transaction.undoes_statements:
                transaction.savepoint("statement")
            with pytest.raises(kind) as caught:
                transaction.execute(q(store).insert, values)
            if not transaction.undoes_statements:
                transaction.rollback_to("statement")
            assert caught.value.sqlstate == sqlstate
            assert caught.value.__cause__ is not None
            assert "again" not in str(caught.value)
        transaction.execute(q(store).insert, (3, "c"))
    assert names(store) == ["a", "c"]


def test_a_savepoint_has_any_name_and_undoes_what_came_after_it(store: Store) -> None:
    with store.begin() as transaction:
        transaction.execute(q(store).insert, (1, "a"))
        transaction.savepoint('odd "name"; DROP TABLE item')
        transaction.execute(q(store).insert, (2, "b"))
        transaction.savepoint("inner")
        transaction.execute(q(store).insert, (3, "c"))
        transaction.rollback_to('odd "name"; DROP TABLE item')
        with pytest.raises(UndefinedObject):
            transaction.release("inner")
        transaction.execute(q(store).insert, (4, "d"))
        transaction.rollback_to('odd "name"; DROP TABLE item')
        transaction.execute(q(store).insert, (5, "e"))
        transaction.release('odd "name"; DROP TABLE item')
    assert names(store) == ["a", "e"]


def test_a_savepoint_of_the_same_name_hides_the_outer_one(store: Store) -> None:
    with store.begin() as transaction:
        transaction.savepoint("s")
        transaction.execute(q(store).insert, (1, "a"))
        transaction.savepoint("s")
        transaction.execute(q(store).insert, (2, "b"))
        transaction.rollback_to("s")
        assert names(transaction) == ["a"]
        transaction.release("s")
        transaction.rollback_to("s")
        assert names(transaction) == []


@one_writer
def test_callbacks_run_once_after_the_commit_while_the_lock_is_held(store: Store, opener: Opener) -> None:
    other = opener()
    seen: list[object] = []

    def look() -> None:
        seen.append(names(other))
        with pytest.raises(LockNotAvailable):
            store.begin(timeout=0)

    with store.begin() as transaction:
        transaction.execute(q(store).insert, (1, "a"))
        transaction.after_commit(look)
        assert seen == []
    assert seen == [["a"]]


def test_callbacks_are_forgotten_with_the_work_that_is_undone(store: Store) -> None:
    seen: list[str] = []
    with store.begin() as transaction:
        transaction.after_commit(lambda: seen.append("before"))
        transaction.savepoint("s")
        transaction.after_commit(lambda: seen.append("undone"))
        transaction.rollback_to("s")
        transaction.after_commit(lambda: seen.append("after"))
    transaction = store.begin()
    transaction.after_commit(lambda: seen.append("rolled back"))
    transaction.rollback()
    assert seen == ["before", "after"]


def test_a_transaction_that_is_over_refuses_everything_but_rollback(store: Store) -> None:
    transaction = store.begin()
    transaction.commit()
    for call in (
        lambda: transaction.execute(q(store).insert, (1, "a")),
        lambda: transaction.query(ALL),
        lambda: transaction.savepoint("s"),
        transaction.commit,
    ):
        with pytest.raises(InterfaceError, match="over"):
            call()
    transaction.rollback()
    assert names(store) == []


def test_after_an_operational_error_the_transaction_is_lost_and_says_so(store: Store) -> None:
    transaction = store.begin()
    transaction.execute(q(store).insert, (1, "a"))
    with pytest.raises(Error):
        transaction.execute(NamedQuery("broken", "INSERT INTO nowhere VALUES (1)", None))
    with pytest.raises(FailedTransaction) as caught:
        transaction.execute(q(store).insert, (2, "b"))
    assert caught.value.sqlstate == "25P02"
    with pytest.raises(FailedTransaction):
        transaction.commit()
    assert names(store) == []
    store.begin(timeout=0).rollback()


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
