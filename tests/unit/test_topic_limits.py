"""Topics at their edges: idle readers, topics that go meanwhile, foreign tenants, broken brokers, wrong arguments."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from jammi_sql import Engine
from jammi_sql.brokers import InMemoryBroker
from jammi_sql.errors import DuplicateObject, Error, InvalidParameter, OffsetEvicted, TopicNotFound
from jammi_sql.ports import NamedQuery
from jammi_sql.stores import SqliteStore, sqlite
from jammi_sql.tenancy import TenantId
from jammi_sql.topics import (
    BrokerSubscription,
    DeliveredBatch,
    Predicate,
    Subscription,
    TopicDefinition,
    TopicId,
    selection,
    subscription,
)
from jammi_sql.topics.catalog import CatalogTopic
from tests.topic_support import LIMIT, SCHEMA, TENANT_A, TENANT_B, batch_of, definition, ids, offsets, until


class Clock:
    """Stands for the module ``time``: the machine's time, and whatever was added to it."""

    def __init__(self) -> None:
        self.added = 0.0

    def monotonic(self) -> float:
        """Seconds."""
        return time.monotonic() + self.added


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with Engine.open(tmp_path / "store", broker="memory") as engine:
        yield engine


@pytest.fixture
def topic(engine: Engine) -> TopicDefinition:
    return engine.topic_repo.register_topic(definition())


def resolved(engine: Engine, topic: TopicDefinition) -> CatalogTopic:
    return engine.services.catalog.resolve(engine.services.store, topic)


def publish(engine: Engine, topic: TopicDefinition, number: int) -> None:
    engine.publisher.publish_scoped(topic, None, batch_of([number]))


# --- idle ---


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(subscription, "time", clock)
    return clock


def idle(engine: Engine, topic: TopicDefinition, seconds: float) -> Subscription:
    return engine.subscriber.open(resolved(engine, topic), None, Predicate.match_all(), None, idle_timeout=seconds)


def test_what_arrived_while_the_reader_was_busy_is_delivered_before_it_counts_as_idle(
    engine: Engine, topic: TopicDefinition, clock: Clock
) -> None:
    live = idle(engine, topic, 0.05)
    for number in range(3):
        publish(engine, topic, number)
        clock.added += 100
        assert offsets([live.next(timeout=LIMIT)]) == [number]
    with pytest.raises(StopIteration):
        live.next(timeout=LIMIT)
    assert live.ended


def test_an_async_reader_that_was_busy_gets_what_arrived_meanwhile_too(
    engine: Engine, topic: TopicDefinition, clock: Clock
) -> None:
    async def read() -> list[int]:
        live = idle(engine, topic, 0.05)
        publish(engine, topic, 0)
        found = []
        async for delivered in live:
            found.append(delivered.offset.value)
            if len(found) < 3:
                publish(engine, topic, len(found))
            clock.added += 100
        return found

    assert asyncio.run(asyncio.wait_for(read(), LIMIT)) == [0, 1, 2]


def test_the_idle_time_counts_from_the_moment_the_reader_waits_and_over_its_timeouts(
    engine: Engine, topic: TopicDefinition, clock: Clock
) -> None:
    live = idle(engine, topic, 50)
    publish(engine, topic, 0)
    live.next(timeout=LIMIT)
    clock.added += 100
    with pytest.raises(TimeoutError):
        live.next(timeout=0)
    clock.added += 100
    with pytest.raises(StopIteration):
        live.next(timeout=0)


def test_the_idle_time_of_a_reader_in_blocks_starts_anew_with_each_block(
    engine: Engine, topic: TopicDefinition, clock: Clock
) -> None:
    live = idle(engine, topic, 50)
    publish(engine, topic, 0)
    assert [entry.offset for entry in live.take(LIMIT)] == [0]
    clock.added += 100
    with pytest.raises(TimeoutError):
        live.take(0)
    clock.added += 100
    assert live.take(0) == []


@pytest.mark.parametrize("handed_over", [True, False])
@pytest.mark.parametrize("publisher", [TENANT_A, TENANT_B])
def test_what_another_tenant_publishes_does_not_keep_a_reader_from_being_idle(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch, handed_over: bool, publisher: TenantId
) -> None:
    class Silent(InMemoryBroker):
        heal_interval = 3600.0

        def publish(self, topic: TopicDefinition, delivered: DeliveredBatch) -> None:
            """Hand it over, or lose it."""
            if handed_over:
                super().publish(topic, delivered)

    monkeypatch.setattr(selection, "time", clock)
    with Engine.open(tmp_path, broker=Silent()) as engine:
        topic = engine.topic_repo.register_topic(definition())
        condition = Predicate.from_sql(SCHEMA, "kind = 'nothing'")
        live = engine.subscriber.open(resolved(engine, topic), TENANT_A, condition, None, idle_timeout=100)
        with pytest.raises(TimeoutError):
            live.next(timeout=0)
        clock.added += 90
        for number in range(20):  # more than are read without regard to the condition
            engine.publisher.publish_scoped(topic, publisher, batch_of([number]))
        until(lambda: live.head == 20, "the reader knows of them")
        with pytest.raises(TimeoutError):
            live.next(timeout=0)
        clock.added += 20
        with pytest.raises(TimeoutError if publisher == TENANT_A else StopIteration):
            live.next(timeout=0)


def test_the_log_is_asked_before_a_reader_counts_as_idle(tmp_path: Path) -> None:
    class Silent(InMemoryBroker):
        heal_interval = 3600.0

        def publish(self, topic: TopicDefinition, delivered: DeliveredBatch) -> None:
            """Lose it."""

    with Engine.open(tmp_path, broker=Silent()) as engine:
        topic = engine.topic_repo.register_topic(definition())
        live = idle(engine, topic, 0.05)
        publish(engine, topic, 0)
        assert offsets([live.next(timeout=LIMIT)]) == [0]


# --- topics that change meanwhile ---


def test_counting_the_rows_of_a_topic_that_was_dropped_or_cut_is_an_error(
    engine: Engine, topic: TopicDefinition
) -> None:
    for number in range(3):
        publish(engine, topic, number)
    store, log, found = engine.services.store, engine.services.log, resolved(engine, topic)
    assert [count[0] for count in log.counts(store, found, None, 0, 3, 10)[0]] == [0, 1, 2]
    engine.session().execute("TRUNCATE TOPIC events.changes BEFORE 2")
    with pytest.raises(OffsetEvicted):
        log.counts(store, found, None, 0, 3, 10)
    assert [count[0] for count in log.counts(store, found, None, 2, 3, 10)[0]] == [2]
    engine.topic_repo.drop_topic(topic.id)
    with pytest.raises(TopicNotFound):
        log.counts(store, found, None, 2, 3, 10)


def test_the_number_of_a_topic_that_was_rolled_back_is_not_given_to_another(engine: Engine) -> None:
    catalog, store = engine.services.catalog, engine.services.store
    transaction = store.begin()
    gone, _ = catalog.register(transaction, definition("gone"))
    transaction.rollback()
    with store.begin() as transaction:
        there, _ = catalog.register(transaction, definition("there"))
    assert gone.number != there.number


# --- tenants ---


def test_a_moment_leads_to_the_first_batch_that_the_reader_may_see(engine: Engine, topic: TopicDefinition) -> None:
    for tenant in (TENANT_A, TENANT_B, None, TENANT_A):
        engine.publisher.publish_scoped(topic, tenant, batch_of([0]))
    found, log, store = resolved(engine, topic), engine.services.log, engine.services.store
    assert {tenant: log.offset_since(store, found, 0, tenant) for tenant in (TENANT_A, TENANT_B, None)} == {
        TENANT_A: 0,
        TENANT_B: 1,
        None: 2,
    }
    assert log.offset_since(store, found, 0) == 0
    private = engine.topic_repo.register_topic(definition("private"))
    engine.publisher.publish_scoped(private, TENANT_A, batch_of([0]))
    assert log.offset_since(store, resolved(engine, private), 0, TENANT_B) == 1


def test_a_tenant_cannot_read_the_topic_of_another_whose_definition_it_has(engine: Engine) -> None:
    own = engine.topic_repo.register_topic(definition("private", TENANT_A))
    engine.publisher.publish_scoped(own, TENANT_A, batch_of([1]))
    unknown = definition("private", TENANT_A)
    for call in (engine.subscriber.subscribe_scoped, engine.subscriber.replay_only_scoped):
        with pytest.raises(TopicNotFound) as caught:
            call(own, TENANT_B, None, 0)
        assert caught.value.message == "topic private is not registered"
    assert unknown.id != own.id
    assert engine.subscriber.replay_only(own, None, 0) == []
    with pytest.raises(TimeoutError):
        engine.subscriber.subscribe(own, None, 0).next(timeout=0)
    assert ids(engine.subscriber.replay_only_scoped(own, TENANT_A, None, 0)) == [1]


# --- the watch ---


def test_the_watch_goes_on_after_whatever_was_raised_and_says_so_once(
    engine: Engine, topic: TopicDefinition, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    store = engine.services.store
    changes, left = store.changes, [3]

    def troubled() -> int:
        if left[0]:
            left[0] -= 1
            raise MemoryError("a moment of trouble")
        return changes()

    monkeypatch.setattr(store, "changes", troubled)
    live = engine.subscriber.subscribe(topic)
    with Engine.open(store.location) as other:
        publish(other, topic, 7)
    assert ids([live.next(timeout=LIMIT)]) == [7]
    assert [record.getMessage() for record in caplog.records] == ["cannot look for new batches: MemoryError"]


def test_a_new_subscription_starts_the_watch_again_if_its_thread_is_dead(
    engine: Engine, topic: TopicDefinition, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead = threading.Thread(target=lambda: None)
    dead.start()
    dead.join()
    monkeypatch.setattr(engine.services.watch, "_thread", dead)
    live = engine.subscriber.subscribe(topic)
    with Engine.open(engine.services.store.location) as other:
        publish(other, topic, 7)
    assert ids([live.next(timeout=LIMIT)]) == [7]


# --- brokers ---


class Unreachable(InMemoryBroker):
    """Raises from everything once it is down."""

    heal_interval = 0.01
    down = False

    def _try(self) -> None:
        if self.down:
            raise ConnectionError("unreachable")

    def register_topic(self, topic: TopicDefinition) -> None:
        self._try()
        super().register_topic(topic)

    def drop_topic(self, topic_id: TopicId) -> None:
        self._try()
        super().drop_topic(topic_id)

    def subscribe(self, *arguments: Any) -> BrokerSubscription:
        self._try()
        return super().subscribe(*arguments)

    def publish(self, topic: TopicDefinition, delivered: DeliveredBatch) -> None:
        self._try()
        super().publish(topic, delivered)


def test_an_unreachable_broker_fails_no_committed_statement_and_no_subscription(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    broker = Unreachable()
    with Engine.open(tmp_path, broker=broker) as engine:
        broker.down = True
        topic = engine.topic_repo.register_topic(definition())
        live = engine.subscriber.subscribe(topic)
        publish(engine, topic, 0)
        assert offsets([live.next(timeout=LIMIT)]) == [0]
        session = engine.session()
        session.execute("CREATE TOPIC more (k BIGINT)")
        session.execute("DROP TOPIC more")
        engine.topic_repo.drop_topic(topic.id)
        assert engine.topic_repo.list_topics() == []
        with pytest.raises(TopicNotFound):
            live.next(timeout=LIMIT)
    assert {record.levelno >= logging.WARNING for record in caplog.records} == {True}
    for said in ("did not register", "no live hand-over", "was not handed over", "committed", "did not forget"):
        assert said in caplog.text


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_what_a_callback_raises_keeps_no_other_from_running_and_the_lock_from_nobody(
    tmp_path: Path, error: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[str] = []

    def broken() -> None:
        raise error("broken")

    with SqliteStore.open(tmp_path) as store:
        transaction = store.begin()
        transaction.script("CREATE TABLE extra (a INTEGER)")
        transaction.after_commit(broken)
        transaction.after_commit(lambda: seen.append("second"))
        if error is KeyboardInterrupt:
            with pytest.raises(KeyboardInterrupt):
                transaction.commit()
        else:
            transaction.commit()
            assert [record.name for record in caplog.records] == ["jammi_sql.stores"]
        assert seen == ["second"]
        count = NamedQuery("count", "SELECT count(*) AS n FROM extra", pa.schema([("n", pa.int64())]))
        assert store.query(count).column(0).to_pylist() == [0]
        store.begin(timeout=0).rollback()


def test_a_subscription_may_be_let_go_of_while_a_lock_is_held(engine: Engine, topic: TopicDefinition) -> None:
    # What runs when one is collected may run anywhere, also in who holds these locks: it must take none.
    assert isinstance(engine.broker, InMemoryBroker)
    live = [engine.subscriber.subscribe(topic) for _ in range(3)]
    for one in live:
        cycle: list[object] = [one]
        cycle.append(cycle)
    tail = one._live.tail  # type: ignore[union-attr]
    del one, cycle

    def collect() -> None:
        locks = (engine.broker._lock, engine.services.watch._changed, engine.subscriber._changing)  # type: ignore[attr-defined]
        with locks[0], locks[1], locks[2], tail._mutex:
            live.clear()
            gc.collect()

    with ThreadPoolExecutor(1) as pool:
        pool.submit(collect).result(LIMIT)
    # The head watch may be telling them something just now, and lets go of them right after.
    deadline = time.monotonic() + LIMIT
    while engine.broker.list_consumers(topic.id) and time.monotonic() < deadline:
        gc.collect()
        time.sleep(0.01)
    assert engine.broker.list_consumers(topic.id) == []
    assert not any(hasattr(kind, "__del__") for kind in (Subscription, BrokerSubscription))


# --- the store ---


def test_a_commit_is_seen_within_a_second_of_its_write_to_the_log_though_the_log_looks_the_same(
    engine: Engine, topic: TopicDefinition, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    with SqliteStore.open(engine.services.store.location) as store:
        publish(engine, topic, 0)
        path, stat = store._log_path, os.stat
        frozen = stat(path)
        monkeypatch.setattr(os, "stat", lambda name, **more: frozen if name == path else stat(name, **more))
        monkeypatch.setattr(sqlite, "time", clock)
        before = store.changes()
        for number in range(1, 4):  # as if its sync had lasted so long
            clock.added += 0.3
            publish(engine, topic, number)
            now = store.changes()
            assert now != before
            before = now
        clock.added += 1
        store.changes()
        asked = store._asked_at
        assert store.changes() == before
        assert store._asked_at == asked  # quiet at last: SQLite was not asked again


# --- wrong arguments ---


def test_an_identity_in_use_is_refused_whoever_has_it(engine: Engine) -> None:
    own = engine.topic_repo.register_topic(definition("secret", TENANT_A))
    for tenant in (TENANT_A, TENANT_B, None):
        with pytest.raises(DuplicateObject) as caught:
            engine.topic_repo.register_topic(TopicDefinition("mine", SCHEMA, tenant, id=own.id))
        assert "secret" not in str(caught.value)
        assert str(TENANT_A) not in str(caught.value)
    assert engine.topic_repo.list_topics(TENANT_B) == []
    assert engine.topic_repo.register_topic(own).id == own.id


def test_tenant_and_identity_of_a_definition_may_be_given_as_text(engine: Engine) -> None:
    identity = TopicId.new()
    given: Any = str(TENANT_A), str(identity)
    made = TopicDefinition("mine", SCHEMA, given[0], id=given[1])
    assert (made.tenant, made.id) == (TENANT_A, identity)
    assert engine.topic_repo.register_topic(made) == made


def _broken_reader() -> pa.RecordBatchReader:
    def batches() -> Iterator[pa.RecordBatch]:
        yield batch_of([1])
        raise RuntimeError("the source broke")

    return pa.RecordBatchReader.from_batches(SCHEMA, batches())


MISUSES: dict[str, Callable[[Engine, Any], object]] = {
    "no schema": lambda engine, topic: TopicDefinition("t", None),  # type: ignore[arg-type]
    "no name": lambda engine, topic: TopicDefinition(None, SCHEMA),  # type: ignore[arg-type]
    "options in a list": lambda engine, topic: TopicDefinition("t", SCHEMA, None, ["a"]),  # type: ignore[arg-type]
    "a tenant that is none": lambda engine, topic: TopicDefinition("t", SCHEMA, "zz"),  # type: ignore[arg-type]
    "an identity that is none": lambda engine, topic: TopicId("zzz"),
    "an identity of another kind": lambda engine, topic: TopicId(7),  # type: ignore[arg-type]
    "looking None up": lambda engine, topic: engine.topic_repo.lookup_by_name(None),  # type: ignore[arg-type]
    "an offset in words": lambda engine, topic: engine.subscriber.subscribe(topic, None, "x"),  # type: ignore[arg-type]
    "a truth as offset": lambda engine, topic: engine.subscriber.replay_only(topic, None, True),
    "a condition in words": lambda engine, topic: engine.subscriber.subscribe(topic, "kind = 'X'"),  # type: ignore[arg-type]
    "a condition without offset": lambda engine, topic: engine.subscriber.replay_only(topic, "kind = 'X'"),  # type: ignore[arg-type]
    "a name to subscribe to": lambda engine, topic: engine.subscriber.subscribe(topic.name),
    "a name to publish to": lambda engine, topic: engine.publisher.publish_scoped(topic.name, None, batch_of([1])),
    "a name to register": lambda engine, topic: engine.topic_repo.register_topic(topic.name),
}


@pytest.mark.parametrize("misuse", MISUSES.values(), ids=MISUSES)
def test_a_wrong_argument_is_an_invalid_parameter(
    engine: Engine, topic: TopicDefinition, misuse: Callable[[Engine, TopicDefinition], object]
) -> None:
    with pytest.raises(InvalidParameter) as caught:
        misuse(engine, topic)
    assert caught.value.sqlstate == "22023"
    assert caught.value.hint


def test_the_hint_for_a_condition_in_words_says_how_to_make_one(engine: Engine, topic: TopicDefinition) -> None:
    with pytest.raises(InvalidParameter) as caught:
        engine.subscriber.subscribe(topic, "kind = 'X'")  # type: ignore[arg-type]
    assert "Predicate.from_sql" in (caught.value.hint or "")


def test_data_whose_reader_fails_is_refused_with_the_cause(engine: Engine, topic: TopicDefinition) -> None:
    with pytest.raises(Error) as caught:
        engine.publisher.publish_scoped(topic, None, _broken_reader())
    assert "the source broke" in str(caught.value)
    assert engine.subscriber.replay_only(topic, None, 0) == []
    until(lambda: engine.publisher._leading is None, "nobody leads")
