"""A subscription: replay, live tail, what happens between them, and how it ends."""

from __future__ import annotations

import asyncio
import gc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pytest

from jammi_sql import Engine
from jammi_sql.brokers import InMemoryBroker
from jammi_sql.errors import InvalidTextRepresentation, OffsetEvicted, TopicNotFound
from jammi_sql.topics import DeliveredBatch, Offset, Predicate, Subscription, TopicDefinition
from tests.subscription_support import TOPIC, publish
from tests.topic_support import LIMIT, SCHEMA, batch_of, ids, offsets, receive, until


class SilentBroker(InMemoryBroker):
    """Hands nothing over and wakes nobody: only the watch over the log can help."""

    def publish(self, topic: TopicDefinition, delivered: DeliveredBatch) -> None:
        """Lose it."""


class NeverLookingBroker(InMemoryBroker):
    """Does not ask the store now and then: what is missing must be looked for because it is known to be."""

    heal_interval = 3600.0


def arm(engine: Engine) -> None:
    assert isinstance(engine.broker, InMemoryBroker)
    engine.broker.trigger_failure_for_next_publish("armed")


# --- waiting ---


def test_next_with_a_timeout_raises_timeout_error_and_loses_nothing(engine: Engine) -> None:
    subscription = engine.subscriber.subscribe(TOPIC)
    for number in range(3):
        for timeout in (0, 0.01):
            with pytest.raises(TimeoutError, match=r"events\.changes"):
                subscription.next(timeout=timeout)
        publish(engine, number, number + 1)
        assert offsets([subscription.next(timeout=0)]) == [number]


def test_a_timeout_counts_only_batches_that_match(engine: Engine) -> None:
    subscription = engine.subscriber.subscribe(TOPIC, Predicate.from_sql(SCHEMA, "id >= 5"))
    publish(engine, 0, 5)
    with pytest.raises(TimeoutError):
        subscription.next(timeout=0.01)
    publish(engine, 5, 6)
    assert offsets([subscription.next(timeout=LIMIT)]) == [5]


def waits(subscription: Subscription) -> bool:
    """Whether somebody is in its ``next``."""
    return subscription._reading.locked()


@pytest.mark.parametrize("ending", ["close", "engine"])
def test_closing_from_another_thread_ends_a_waiting_next(engine: Engine, ending: str) -> None:
    subscription = engine.subscriber.subscribe(TOPIC)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(lambda: list(subscription))
        until(lambda: waits(subscription), "next waits")
        if ending == "close":
            subscription.close()
        else:
            engine.close()
        assert waiting.result(timeout=LIMIT) == []
    with pytest.raises(StopIteration):
        subscription.next(timeout=0)
    subscription.close()


def test_a_subscription_is_a_context_manager_and_an_iterator(engine: Engine) -> None:
    publish(engine, 0, 3)
    with engine.subscriber.subscribe(TOPIC, None, 0) as subscription:
        assert next(subscription).offset.value == 0
        for delivered in subscription:
            if delivered.offset.value == 2:
                break
    assert list(subscription) == []


def test_a_subscription_that_is_let_go_of_leaves_the_broker(engine: Engine) -> None:
    subscription = engine.subscriber.subscribe(TOPIC)
    assert len(engine.broker.list_consumers(TOPIC.id)) == 1
    del subscription
    gc.collect()
    assert engine.broker.list_consumers(TOPIC.id) == []
    assert engine.subscriber.live == []


def test_list_consumers_shows_what_a_reader_took_and_forgets_closed_ones(engine: Engine) -> None:
    subscription = engine.subscriber.subscribe(TOPIC)
    seen = []
    for number in range(3):
        seen += [one.last_delivered_stream_sequence for one in engine.broker.list_consumers(TOPIC.id)]
        publish(engine, number, number + 1)
        receive(subscription, 1)
    (snapshot,) = engine.broker.list_consumers(TOPIC.id)
    assert [*seen, snapshot.last_delivered_stream_sequence] == [-1, 0, 1, 2]
    assert (snapshot.consumer_name, snapshot.topic_id) == (str(subscription.id), TOPIC.id)
    subscription.close()
    assert engine.broker.list_consumers(TOPIC.id) == []


def test_waiting_on_a_topic_that_is_dropped_is_an_error_and_no_endless_wait(engine: Engine) -> None:
    subscription = engine.subscriber.subscribe(TOPIC)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(subscription.next, LIMIT)
        until(lambda: waits(subscription), "next waits")
        engine.topic_repo.drop_topic(TOPIC.id)
        with pytest.raises(TopicNotFound, match=r"events\.changes"):
            waiting.result(timeout=LIMIT)
    with pytest.raises(TopicNotFound):
        subscription.next(timeout=0)


def test_an_async_wait_on_a_topic_that_is_dropped_is_an_error_too(engine: Engine) -> None:
    async def run() -> None:
        subscription = engine.subscriber.subscribe(TOPIC)
        waiting = asyncio.ensure_future(anext(subscription))
        await asyncio.sleep(0)
        await asyncio.to_thread(engine.topic_repo.drop_topic, TOPIC.id)
        with pytest.raises(TopicNotFound):
            await asyncio.wait_for(waiting, LIMIT)

    asyncio.run(run())


def test_a_topic_dropped_by_another_engine_is_noticed(engine: Engine, folder: Path) -> None:
    subscription = engine.subscriber.subscribe(TOPIC)
    with Engine.open(folder) as other:
        other.topic_repo.drop_topic(TOPIC.id)
    with pytest.raises(TopicNotFound):
        subscription.next(timeout=LIMIT)


# --- replay and live ---


def test_from_an_offset_to_come_waits_for_it(engine: Engine) -> None:
    subscription = engine.subscriber.subscribe(TOPIC, None, Offset(3))
    publish(engine, 0, 5)
    assert offsets(receive(subscription, 2)) == [3, 4]


@pytest.mark.parametrize("lost", [0, 2, 4])
def test_a_failed_hand_over_is_healed_from_the_log_at_once_also_when_it_was_the_last_event(
    folder: Path, lost: int
) -> None:
    with Engine.open(folder, broker=NeverLookingBroker()) as engine:
        engine.topic_repo.register_topic(TOPIC)
        subscription = engine.subscriber.subscribe(TOPIC)
        for number in range(5):
            if number == lost:
                arm(engine)
            publish(engine, number, number + 1)
        assert offsets(receive(subscription, 5)) == [0, 1, 2, 3, 4]


def test_a_broker_that_hands_nothing_over_costs_time_and_no_batch(folder: Path) -> None:
    with Engine.open(folder, broker=SilentBroker()) as engine:
        engine.topic_repo.register_topic(TOPIC)
        subscription = engine.subscriber.subscribe(TOPIC)
        for number in range(3):
            publish(engine, number, number + 1)
            assert offsets([subscription.next(timeout=LIMIT)]) == [number]


def test_hand_overs_that_come_twice_and_out_of_order_are_delivered_once_and_in_order(engine: Engine) -> None:
    class Unreliable(InMemoryBroker):
        def publish(self, topic: TopicDefinition, delivered: DeliveredBatch) -> None:
            held.append(delivered)
            if len(held) == 6:
                for place in (1, 0, 1, 3, 2, 5, 4, 0, 5):
                    super().publish(topic, held[place])

    held: list[DeliveredBatch] = []
    folder = engine.services.store.location
    with Engine.open(folder, broker=Unreliable()) as other:
        subscription = other.subscriber.subscribe(TOPIC)
        for number in range(6):
            other.publisher.publish_scoped(TOPIC, None, batch_of([number]))
        assert offsets(receive(subscription, 6)) == list(range(6))
        with pytest.raises(TimeoutError):
            subscription.next(timeout=0)


def held_for(subscription: Subscription) -> int:
    """How many batches wait for it, or for somebody with the same condition."""
    assert subscription._live is not None
    assert subscription._live._place is not None
    return len(subscription._live._place.selection._chain)


def test_a_slow_reader_falls_back_to_the_log_and_holds_no_more_than_the_queue(folder: Path) -> None:
    with Engine.open(folder, broker=InMemoryBroker(capacity=4)) as engine:
        engine.topic_repo.register_topic(TOPIC)
        slow = engine.subscriber.subscribe(TOPIC)
        quick = engine.subscriber.subscribe(TOPIC)
        held = []
        for number in range(200):
            publish(engine, number, number + 1)
            assert offsets([quick.next(timeout=LIMIT)]) == [number]
            held.append(held_for(slow))
        assert max(held) == 4
        assert offsets(receive(slow, 200)) == list(range(200))


def test_a_condition_that_fails_on_a_live_row_fails_there_again_and_skips_nothing(engine: Engine) -> None:
    subscription = engine.subscriber.subscribe(TOPIC, Predicate.from_sql(SCHEMA, "CAST(kind AS BIGINT) > 0"))
    engine.publisher.publish_scoped(TOPIC, None, batch_of([0], "1"))
    assert offsets(receive(subscription, 1)) == [0]
    engine.publisher.publish_scoped(TOPIC, None, batch_of([1], "one"))
    engine.publisher.publish_scoped(TOPIC, None, batch_of([2], "2"))
    for _ in range(3):
        with pytest.raises(InvalidTextRepresentation):
            subscription.next(timeout=LIMIT)
    assert subscription.position == 1


@pytest.mark.parametrize("condition", ["", "id >= 0", "id % 2 >= 0"])
@pytest.mark.parametrize("capacity", [1, 1024])
def test_a_subscription_outlives_a_column_added_by_another_engine(folder: Path, condition: str, capacity: int) -> None:
    with Engine.open(folder, broker=InMemoryBroker(capacity)) as engine, Engine.open(folder) as other:
        engine.topic_repo.register_topic(TOPIC)
        old = engine.subscriber.subscribe(TOPIC, Predicate.from_sql(SCHEMA, condition))
        publish(engine, 0, 1)
        other.session().execute("ALTER TOPIC events.changes ADD COLUMN extra BIGINT")
        altered = other.topic_repo.lookup_by_name("events.changes")
        assert altered is not None
        rows = {"id": [1], "kind": ["X"], "value": [1.0], "extra": [7]}
        other.publisher.publish_scoped(altered, None, pa.RecordBatch.from_pydict(rows, schema=altered.schema))
        publish(engine, 2, 5)
        new = engine.subscriber.subscribe(altered, None, 0)
        delivered = receive(old, 5)
        assert ids(delivered) == [0, 1, 2, 3, 4]
        assert {tuple(one.batch.schema.names) for one in delivered} == {("id", "kind", "value")}
        assert [one.batch.column("extra").to_pylist() for one in receive(new, 3)] == [[None], [7], [None]]


def test_an_evicted_offset_says_which_one_is_the_oldest(engine: Engine) -> None:
    publish(engine, 0, 10)
    engine.session().execute("TRUNCATE TOPIC events.changes BEFORE 6")
    for call in (
        lambda: engine.subscriber.subscribe(TOPIC, None, 5),
        lambda: engine.subscriber.replay_only(TOPIC, None, 5),
        lambda: engine.subscriber.subscribe(TOPIC, None, 0),
    ):
        with pytest.raises(OffsetEvicted) as caught:
            call()
        assert engine.broker.list_consumers(TOPIC.id) == []
        assert (caught.value.oldest, caught.value.sqlstate, caught.value.topic) == (6, "22023", "events.changes")
    assert offsets(receive(engine.subscriber.subscribe(TOPIC, None, 6), 4)) == [6, 7, 8, 9]


def test_a_reader_whose_next_batch_is_truncated_is_told_so(folder: Path) -> None:
    with Engine.open(folder, broker=InMemoryBroker(capacity=1)) as engine:
        engine.topic_repo.register_topic(TOPIC)
        slow = engine.subscriber.subscribe(TOPIC)
        publish(engine, 0, 10)
        engine.session().execute("TRUNCATE TOPIC events.changes BEFORE 6")
        with pytest.raises(OffsetEvicted) as caught:
            slow.next(timeout=LIMIT)
        assert (caught.value.requested, caught.value.oldest) == (0, 6)
