"""A publisher whose waits end early: locked stores, cancelled callers, Ctrl-C anywhere."""

from __future__ import annotations

import itertools
import linecache
import signal
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import jammi_sql.stores
import jammi_sql.topics
from jammi_sql import Engine, faults
from jammi_sql.errors import LockNotAvailable, OperationalError, QueryCanceled
from jammi_sql.ports import Transaction
from jammi_sql.stores import SqliteStore
from jammi_sql.topics import TopicDefinition
from jammi_sql.topics.catalog import CatalogTopic
from tests.topic_support import LIMIT, SCHEMA, batch_of, definition, ids, until


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with Engine.open(tmp_path / "store", broker="memory", lock_timeout=LIMIT) as engine:
        yield engine


@pytest.fixture
def topic(engine: Engine) -> TopicDefinition:
    return engine.topic_repo.register_topic(definition())


@pytest.fixture
def resolved(engine: Engine, topic: TopicDefinition) -> CatalogTopic:
    return engine.services.catalog.resolve(engine.services.store, topic)


def logged(engine: Engine, topic: TopicDefinition) -> list[int]:
    return ids(engine.subscriber.replay_only(topic, None, 0))


def waiting(engine: Engine, count: int) -> None:
    until(lambda: len(engine.publisher._waiting) == count, f"{count} wait")


class Cancelled:
    """A check that raises once it was told to."""

    def __init__(self) -> None:
        self.told = threading.Event()
        self.calls = 0

    def __call__(self) -> None:
        self.calls += 1
        if self.told.is_set():
            raise QueryCanceled("cancelled")


def test_a_store_that_stays_locked_fails_a_whole_group_after_one_wait(
    engine: Engine, resolved: CatalogTopic, monkeypatch: pytest.MonkeyPatch
) -> None:
    begins = itertools.count()
    gate = threading.Event()

    def begin(**_: Any) -> Transaction:
        next(begins)
        assert gate.wait(LIMIT)
        raise LockNotAvailable("locked")

    monkeypatch.setattr(engine.services.store, "begin", begin)
    with ThreadPoolExecutor(10) as pool:
        futures = [pool.submit(engine.publisher.publish, resolved, None, batch_of([number])) for number in range(10)]
        waiting(engine, 9)
        gate.set()
        assert [type(future.exception(LIMIT)) for future in futures] == [LockNotAvailable] * 10
    assert next(begins) == 2


def test_a_lock_lost_while_each_is_tried_alone_is_waited_for_once(
    engine: Engine, resolved: CatalogTopic, monkeypatch: pytest.MonkeyPatch
) -> None:
    begins: list[int] = []
    begin = engine.services.store.begin

    def limited(**options: Any) -> Transaction:
        begins.append(1)
        if len(begins) > 2:
            raise LockNotAvailable("locked")
        return begin(**options)

    blocker = begin()
    monkeypatch.setattr(engine.services.store, "begin", limited)
    with ThreadPoolExecutor(6) as pool, faults.armed("publish.after_insert", "error@2"):
        futures = [pool.submit(engine.publisher.publish, resolved, None, batch_of([number])) for number in range(6)]
        waiting(engine, 5)
        blocker.rollback()
        outcomes = [type(future.exception(LIMIT)) for future in futures]
    assert sorted(outcome.__name__ for outcome in outcomes) == ["LockNotAvailable"] * 5 + ["NoneType"]
    assert len(begins) == 3


def test_a_leader_that_is_cancelled_while_the_store_is_locked_fails_alone_and_the_others_are_published(
    engine: Engine, topic: TopicDefinition, resolved: CatalogTopic
) -> None:
    check = Cancelled()
    blocker = engine.services.store.begin()
    with ThreadPoolExecutor(4) as pool:
        leader = pool.submit(engine.publisher.publish, resolved, None, batch_of([0]), check)
        until(lambda: engine.publisher._leading is not None and check.calls, "a leader that looks")
        others = [pool.submit(engine.publisher.publish, resolved, None, batch_of([number])) for number in (1, 2, 3)]
        waiting(engine, 3)
        check.told.set()
        assert isinstance(leader.exception(LIMIT), QueryCanceled)
        blocker.rollback()
        assert sorted(other.result(LIMIT).value for other in others) == [0, 1, 2]
    assert sorted(logged(engine, topic)) == [1, 2, 3]


def test_who_was_taken_by_a_cancelled_leader_keeps_its_place_in_front(
    engine: Engine, topic: TopicDefinition, resolved: CatalogTopic
) -> None:
    check = Cancelled()
    blocker = engine.services.store.begin()
    publisher = engine.publisher
    with ThreadPoolExecutor(8) as pool:
        first = pool.submit(publisher.publish, resolved, None, batch_of([0]), None)
        until(lambda: publisher._leading is not None and publisher._taken, "a leader")
        leader = pool.submit(publisher.publish, resolved, None, batch_of([1]), check)
        waiting(engine, 1)
        early = pool.submit(publisher.publish, resolved, None, batch_of([2]))
        waiting(engine, 2)
        with faults.armed("store.after_commit", blocker_again := _Hold(engine)):
            blocker.rollback()
            assert first.result(LIMIT).value == 0
            until(lambda: len(publisher._taken) == 2, "a second group")
        late = pool.submit(publisher.publish, resolved, None, batch_of([3]))
        waiting(engine, 1)
        check.told.set()
        assert isinstance(leader.exception(LIMIT), QueryCanceled)
        blocker_again.release()
        assert [early.result(LIMIT).value, late.result(LIMIT).value] == [1, 2]
    assert logged(engine, topic) == [0, 2, 3]


class _Hold:
    """Waits for the write lock right behind the transaction that commits now, and keeps it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._go = threading.Event()
        self._thread = threading.Thread(target=self._hold, daemon=True)

    def __call__(self) -> None:
        self._thread.start()
        until(lambda: self._engine.services.store._write_lock._waiting, "the holder waits")

    def _hold(self) -> None:
        with self._engine.services.store.begin(timeout=LIMIT):
            self._go.wait(LIMIT)

    def release(self) -> None:
        self._go.set()
        self._thread.join()


def test_a_follower_that_is_cancelled_leaves_the_queue_and_is_not_published(
    engine: Engine, topic: TopicDefinition, resolved: CatalogTopic
) -> None:
    check = Cancelled()
    check.told.set()
    blocker = engine.services.store.begin()
    with ThreadPoolExecutor(2) as pool:
        leader = pool.submit(engine.publisher.publish, resolved, None, batch_of([0]))
        until(lambda: engine.publisher._leading is not None and engine.publisher._taken, "a leader")
        with pytest.raises(QueryCanceled):
            engine.publisher.publish(resolved, None, batch_of([1]), check)
        waiting(engine, 0)
        blocker.rollback()
        assert leader.result(LIMIT).value == 0
    assert logged(engine, topic) == [0]


def test_a_follower_that_is_cancelled_after_a_leader_took_it_is_not_published_either(
    engine: Engine, topic: TopicDefinition, resolved: CatalogTopic, monkeypatch: pytest.MonkeyPatch
) -> None:
    check = Cancelled()
    begin = engine.services.store.begin
    groups: list[int] = []

    def slow(**options: Any) -> Transaction:
        transaction = begin(**options)
        groups.append(len(engine.publisher._taken))
        if len(groups) == 2:  # the group of the two followers is taken, the lock is had
            check.told.set()
            until(cancelled.done, "the cancelled one is gone")
        return transaction

    blocker = begin()
    monkeypatch.setattr(engine.services.store, "begin", slow)
    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(engine.publisher.publish, resolved, None, batch_of([0]))
        until(lambda: engine.publisher._leading is not None and engine.publisher._taken, "a leader")
        second = pool.submit(engine.publisher.publish, resolved, None, batch_of([1]))
        waiting(engine, 1)
        cancelled = pool.submit(engine.publisher.publish, resolved, None, batch_of([2]), check)
        waiting(engine, 2)
        blocker.rollback()
        assert [first.result(LIMIT).value, second.result(LIMIT).value] == [0, 1]
        assert isinstance(cancelled.exception(LIMIT), QueryCanceled)
    assert groups == [1, 2]
    assert logged(engine, topic) == [0, 1]


def test_an_offset_is_not_answered_before_it_is_on_disk(engine: Engine, resolved: CatalogTopic) -> None:
    seen: list[bool] = []
    blocker = engine.services.store.begin()
    with ThreadPoolExecutor(3) as pool:
        futures = [pool.submit(engine.publisher.publish, resolved, None, batch_of([number])) for number in range(3)]
        waiting(engine, 2)

        def look() -> None:
            for taken in engine.publisher._taken:
                assert taken.offset is not None
                taken.wake()  # a follower that looks around now
                seen.append(taken.done)

        with faults.armed("store.before_commit", look):
            blocker.rollback()
            for future in futures:
                future.result(LIMIT)
    assert seen == [False] * 3


CODE = tuple(str(Path(module.__file__ or "").parent) for module in (jammi_sql.topics, jammi_sql.stores))


class InterruptedAt:
    """Ctrl-C on the n-th line that this thread runs in the packages of topics and stores.

    Between a ``with`` or ``try`` line and the next instruction Python never looks for signals, only a trace does.
    """

    def __init__(self, line: int) -> None:
        self._left = line
        self.struck = ""

    def __call__(self, frame: FrameType, event: str, argument: object) -> Any:
        if not frame.f_code.co_filename.startswith(CODE):
            return None
        if event == "line" and not self._skips(frame):
            self._left -= 1
            if self._left == 0:
                self.struck = f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}"
                sys.settrace(None)
                raise KeyboardInterrupt
        return self

    @staticmethod
    def _skips(frame: FrameType) -> bool:
        text = linecache.getline(frame.f_code.co_filename, frame.f_lineno).strip()
        if text.startswith(("with ", "try:", "finally:", "except")):
            return True
        # The first line of a finally block is reached from the block above without a look.
        before = linecache.getline(frame.f_code.co_filename, frame.f_lineno - 1).strip()
        return before.startswith(("try:", "finally:", "except"))


def test_ctrl_c_on_any_line_of_a_publish_stops_no_later_one_and_publishes_nothing_twice(
    engine: Engine, topic: TopicDefinition
) -> None:
    engine.publisher.publish_scoped(topic, None, batch_of([-1]))
    struck = 0
    for line in itertools.count(1):
        interrupt = InterruptedAt(line)
        before = sys.gettrace()
        sys.settrace(interrupt)
        try:
            engine.publisher.publish_scoped(topic, None, batch_of([2 * line]))
        except KeyboardInterrupt:
            pass
        finally:
            sys.settrace(before)
        assert engine.publisher._leading is None, interrupt.struck
        assert not engine.publisher._waiting, interrupt.struck
        assert engine.services.store._write_lock.owner is None, interrupt.struck
        engine.publisher.publish_scoped(topic, None, batch_of([2 * line + 1]))
        if not interrupt.struck:
            break
        struck += 1
    found = logged(engine, topic)
    assert len(found) == len(set(found))
    assert struck > 100
    assert {2 * line + 1 for line in range(1, struck + 2)} <= set(found)


def test_followers_of_a_leader_that_is_interrupted_are_published(
    engine: Engine, topic: TopicDefinition, resolved: CatalogTopic, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = engine.services.store
    begin = store.begin
    strikes = iter([True])
    blocker = begin()

    def interrupted(**options: Any) -> Transaction:
        if len(engine.publisher._taken) > 1 and next(strikes, False):
            raise KeyboardInterrupt
        return begin(**options)

    monkeypatch.setattr(store, "begin", interrupted)
    with ThreadPoolExecutor(6) as pool:
        futures = [pool.submit(engine.publisher.publish, resolved, None, batch_of([number])) for number in range(6)]
        waiting(engine, 5)
        blocker.rollback()
        outcomes = [future.exception(LIMIT) for future in futures]
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["KeyboardInterrupt"] + ["NoneType"] * 5
    assert len(logged(engine, topic)) == 5


def test_followers_of_a_leader_interrupted_in_its_commit_are_told_that_nobody_knows(
    engine: Engine, resolved: CatalogTopic
) -> None:
    def strike() -> None:
        if len(engine.publisher._taken) > 1:
            raise KeyboardInterrupt

    blocker = engine.services.store.begin()
    with ThreadPoolExecutor(4) as pool, faults.armed("store.after_commit", strike):
        futures = [pool.submit(engine.publisher.publish, resolved, None, batch_of([number])) for number in range(4)]
        waiting(engine, 3)
        blocker.rollback()
        outcomes = [future.exception(LIMIT) for future in futures]
    assert sorted(type(outcome).__name__ for outcome in outcomes) == [
        "KeyboardInterrupt",
        "NoneType",
        "OperationalError",
        "OperationalError",
    ]
    assert all("may or may not" in str(error) for error in outcomes if isinstance(error, OperationalError))


@pytest.mark.skipif(sys.platform == "win32", reason="signals to a thread")
def test_a_signal_ends_a_wait_for_the_store_also_where_lock_waits_are_not_interrupted(
    engine: Engine, topic: TopicDefinition, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocker = engine.services.store.begin()
    main = threading.main_thread().ident
    assert main is not None
    previous = signal.signal(signal.SIGUSR1, signal.default_int_handler)
    signal.siginterrupt(signal.SIGUSR1, False)
    lock = engine.services.store._write_lock

    def strike() -> None:
        until(lambda: lock._waiting, "the main thread waits")
        signal.pthread_kill(main, signal.SIGUSR1)

    thread = threading.Thread(target=strike)
    thread.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            engine.publisher.publish_scoped(topic, None, batch_of([1]))
    finally:
        thread.join()
        signal.signal(signal.SIGUSR1, previous)
        blocker.rollback()
    assert engine.publisher.publish_scoped(topic, None, batch_of([2])).value == 0


def test_begin_calls_check_while_a_thread_or_another_process_has_the_lock(tmp_path: Path) -> None:
    with SqliteStore.open(tmp_path) as store, SqliteStore.open(tmp_path) as other:
        for holder in (store, other):
            check = Cancelled()
            check.told.set()
            blocker = holder.begin()
            with pytest.raises(QueryCanceled):
                store.begin(timeout=LIMIT, check=check)
            assert check.calls == 1
            blocker.rollback()
            store.begin(timeout=0, check=check).rollback()
            assert check.calls == 1


def test_what_is_remembered_of_topics_is_bounded(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    engine.topic_repo.register_topic(definition())
    monkeypatch.setattr(engine.publisher._resolved, "_limit", 3)
    monkeypatch.setattr(engine.services.catalog._known, "_limit", 3)
    for number in range(10):
        engine.publisher.publish_scoped(definition(), None, batch_of([number]))
        engine.topic_repo.register_topic(TopicDefinition(f"t{number}", SCHEMA))
    assert len(engine.topic_repo.list_topics()) == 11
    assert len(engine.publisher._resolved) == len(engine.services.catalog._known) == 3
