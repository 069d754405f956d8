"""The in-process brokers by themselves."""

from __future__ import annotations

import gc
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pyarrow as pa
import pytest

from jammi_sql import Engine
from jammi_sql.brokers import Broker, BrokerSubscription, InMemoryBroker, PollingBroker
from jammi_sql.errors import BrokerUnavailable, ConnectionClosed, DriverError, InvalidParameter
from jammi_sql.topics import DeliveredBatch, Offset, Predicate, TopicDefinition, TopicId
from jammi_sql.topics.tail import Tail
from tests.topic_support import LIMIT, SCHEMA, batch_of, definition, numbers

TOPIC = definition()
MOMENT = datetime(2026, 1, 1, tzinfo=UTC)


def delivered(offset: int, kind: str = "X", rows: int = 1) -> DeliveredBatch:
    return DeliveredBatch(Offset(offset, MOMENT), MOMENT, batch_of([offset] * rows, kind), None)


def hand_over(broker: InMemoryBroker, first: int, end: int) -> None:
    for offset in range(first, end):
        broker.publish(TOPIC, delivered(offset))


def take(subscription: BrokerSubscription, count: int) -> list[int]:
    return [subscription.next(timeout=LIMIT).offset.value for _ in range(count)]


@pytest.mark.parametrize(("kind", "name"), [(InMemoryBroker, "memory"), (PollingBroker, "polling")])
def test_brokers_have_the_contract_and_say_of_which_kind_they_are(kind: type[InMemoryBroker], name: str) -> None:
    broker: Broker = kind()
    assert isinstance(broker, Broker)
    assert not isinstance(object(), Broker)
    assert broker.driver_kind == name
    assert broker.heal_interval > 0


def test_every_subscription_gets_what_is_handed_over_after_it_was_made() -> None:
    broker = InMemoryBroker()
    broker.publish(TOPIC, delivered(0))
    first = broker.subscribe(TOPIC.id, Predicate.match_all(), None)
    broker.publish(TOPIC, delivered(1))
    second = broker.subscribe(TOPIC.id, Predicate.match_all(), None)
    broker.publish(TOPIC, delivered(2))
    assert take(first, 2) == [1, 2]
    assert take(second, 1) == [2]


class OfSomebodyElse:
    """What the page of the Python surface lists, and no more. It loses the second batch."""

    driver_kind = "other"

    def __init__(self) -> None:
        self._inner = InMemoryBroker()
        self.register_topic = self._inner.register_topic
        self.drop_topic = self._inner.drop_topic
        self.subscribe = self._inner.subscribe
        self.list_consumers = self._inner.list_consumers

    def publish(self, topic: TopicDefinition, delivered: DeliveredBatch) -> None:
        if delivered.offset.value == 1:
            raise DriverError("lost")
        self._inner.publish(topic, delivered)


def test_a_broker_may_leave_out_what_the_engine_can_do_without() -> None:
    with Engine.open(":memory:", broker=OfSomebodyElse()) as engine:  # type: ignore[arg-type] # as in plain Python
        topic = definition()
        engine.broker.register_topic(topic)
        engine.topic_repo.register_topic(topic)
        with engine.subscriber.subscribe(topic) as subscription:
            for number in range(2):  # nothing comes after the one that is lost: the engine has to look by itself
                engine.publisher.publish_scoped(topic, None, batch_of([number]))
            assert [subscription.next(timeout=LIMIT).offset.value for _ in range(2)] == [0, 1]
    with pytest.raises(ConnectionClosed):
        engine.topic_repo.list_topics(None)


def test_a_topic_hears_nothing_of_another() -> None:
    broker = InMemoryBroker()
    subscription = broker.subscribe(TOPIC.id, Predicate.match_all(), None)
    broker.publish(definition("another"), delivered(0))
    with pytest.raises(TimeoutError):
        subscription.next(timeout=0)


def test_a_predicate_and_a_first_offset_leave_out_the_rest() -> None:
    broker = InMemoryBroker()
    predicate = Predicate.from_sql(SCHEMA, "kind = 'X'")
    subscription = broker.subscribe(TOPIC.id, predicate, Offset(2))
    for offset in range(6):
        broker.publish(TOPIC, delivered(offset, "X" if offset % 2 == 0 else "Y"))
    assert take(subscription, 2) == [2, 4]
    with pytest.raises(TimeoutError):
        subscription.next(timeout=0.01)


def read(subscription: BrokerSubscription, following: int) -> tuple[list[int], int]:
    found, end = subscription.read(following)
    return [one.entry.offset for one in found], end


def test_who_is_too_slow_is_cut_off_and_finds_out_how_far_the_topic_is() -> None:
    broker = InMemoryBroker(capacity=3)
    subscription = broker.subscribe(TOPIC.id, Predicate.match_all(), None)
    hand_over(broker, 0, 4)
    assert (read(subscription, 0), subscription.head) == (([], 0), 4)
    hand_over(broker, 4, 6)
    assert read(subscription, 0) == ([], 0)
    assert read(subscription, 4) == ([], 4)  # was read in vain: what is missing is in the log
    assert read(subscription, 6) == ([], 6)
    hand_over(broker, 6, 8)
    assert read(subscription, 6) == ([6, 7], 8)


def test_who_reads_alone_is_cut_off_and_the_others_are_not() -> None:
    broker = InMemoryBroker(capacity=3)
    slow, quick = (broker.subscribe(TOPIC.id, Predicate.match_all(), None) for _ in range(2))
    for offset in range(10):
        broker.publish(TOPIC, delivered(offset))
        assert read(quick, offset) == ([offset], offset + 1)
    assert read(slow, 0) == ([], 0)
    hand_over(broker, 10, 11)
    assert read(slow, 10) == ([10], 11)


def test_what_slow_readers_hold_is_bounded_by_bytes_too_and_they_hold_it_together() -> None:
    before = pa.total_allocated_bytes()
    tail = Tail(1000, 10_000)
    slow = [BrokerSubscription(TOPIC.id, Predicate.match_all(), None, tail=tail) for _ in range(50)]
    size = delivered(0, rows=100).batch.nbytes
    for offset in range(100):
        slow[0].put(delivered(offset, rows=100))
        assert len(tail.chain) * size <= 10_000
        assert pa.total_allocated_bytes() - before < 40_000
    assert [one.head for one in slow] == [100] * 50
    assert [read(one, 0) for one in slow] == [([], 0)] * 50


@pytest.mark.parametrize("way", ["read", "next", "close"])
def test_what_nobody_wants_any_more_is_let_go_of(way: str) -> None:
    tail = Tail(1000, 10_000)
    subscription = BrokerSubscription(TOPIC.id, Predicate.match_all(), None, tail=tail)
    for offset in range(50):
        subscription.put(delivered(offset, rows=100))
        if way == "read":
            assert read(subscription, offset) == ([offset], offset + 1)
        elif way == "next":
            assert subscription.next(timeout=0).offset.value == offset
        elif offset == 1:
            subscription.close()
        assert len(tail.chain) == (1 if way == "close" and offset == 0 else 0)


def test_a_publisher_never_waits_for_a_reader_that_sleeps() -> None:
    broker = InMemoryBroker(capacity=2)
    sleeping = [broker.subscribe(TOPIC.id, Predicate.match_all(), None) for _ in range(20)]
    with ThreadPoolExecutor(1) as pool:
        pool.submit(hand_over, broker, 0, 1000).result(timeout=LIMIT)
    assert len(sleeping) == 20


@pytest.mark.parametrize("capacity", [0, -1])
def test_a_capacity_below_one_is_refused(capacity: int) -> None:
    with pytest.raises(InvalidParameter):
        InMemoryBroker(capacity)


def test_an_armed_failure_happens_once_and_hands_nothing_over() -> None:
    broker = InMemoryBroker()
    subscription = broker.subscribe(TOPIC.id, Predicate.match_all(), None)
    broker.trigger_failure_for_next_publish("simulated outage")
    with pytest.raises(DriverError, match="simulated outage") as caught:
        broker.publish(TOPIC, delivered(0))
    assert isinstance(caught.value, BrokerUnavailable)
    assert caught.value.sqlstate == "08006"
    broker.publish(TOPIC, delivered(1))
    assert take(subscription, 1) == [1]


def test_consumers_are_listed_while_they_live_with_the_last_offset_that_they_took() -> None:
    broker = InMemoryBroker()
    first = broker.subscribe(TOPIC.id, Predicate.match_all(), None)
    second = broker.subscribe(TOPIC.id, Predicate.match_all(), None)
    hand_over(broker, 0, 3)
    take(first, 2)
    by_name = {one.consumer_name: one for one in broker.list_consumers(TOPIC.id)}
    assert by_name[str(first.id)].last_delivered_stream_sequence == 1
    assert by_name[str(first.id)].last_ack_stream_sequence == 1
    assert by_name[str(second.id)].last_delivered_stream_sequence == -1
    second.close()
    assert [one.consumer_name for one in broker.list_consumers(TOPIC.id)] == [str(first.id)]
    del first
    gc.collect()
    assert broker.list_consumers(TOPIC.id) == []
    assert broker.list_consumers(TopicId.new()) == []


def test_registering_and_dropping_may_be_repeated_and_dropping_the_unknown_is_no_error() -> None:
    broker = InMemoryBroker()
    for _ in range(2):
        broker.register_topic(TOPIC)
    subscription = broker.subscribe(TOPIC.id, Predicate.match_all(), None)
    broker.register_topic(TOPIC)
    broker.publish(TOPIC, delivered(0))
    assert take(subscription, 1) == [0]
    for _ in range(2):
        broker.drop_topic(TOPIC.id)
    assert subscription.dropped


def test_closing_ends_waiting_readers_and_may_be_repeated() -> None:
    broker = InMemoryBroker()
    subscriptions = [broker.subscribe(TOPIC.id, Predicate.match_all(), None) for _ in range(3)]
    started = threading.Barrier(4)

    def wait(subscription: BrokerSubscription) -> list[DeliveredBatch]:
        started.wait(LIMIT)
        return list(subscription)

    with ThreadPoolExecutor(3) as pool:
        waiting = [pool.submit(wait, subscription) for subscription in subscriptions]
        started.wait(LIMIT)
        broker.close()
        broker.close()
        assert [one.result(timeout=LIMIT) for one in waiting] == [[], [], []]
    subscriptions[0].put(delivered(0))
    assert subscriptions[0].read(0) == ([], 0)


def test_a_broker_subscription_is_a_context_manager_and_an_iterator() -> None:
    broker = InMemoryBroker()
    with broker.subscribe(TOPIC.id, Predicate.match_all(), None) as subscription:
        hand_over(broker, 0, 2)
        assert numbers(next(subscription).batch) == [0]
        assert numbers(next(subscription).batch) == [1]
    assert subscription.closed
    assert list(subscription) == []
