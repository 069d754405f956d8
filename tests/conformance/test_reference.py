"""What the reference implementation's own tests assert about topics, held here on every store and broker."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from jammi_sql import Engine
from jammi_sql.errors import (
    BatchSchemaMismatch,
    PredicateParse,
    PredicateUnsupported,
    PublishTenantMismatch,
    TopicNotFound,
)
from jammi_sql.topics import DeliveredBatch, Offset, Predicate, Subscription, TopicDefinition, TopicId
from tests.topic_support import SCHEMA, TENANT_A, TENANT_B, batch_of, definition, ids, offsets, receive

if TYPE_CHECKING:
    from tests.conformance.conftest import Harness

START = Offset(0)

Collect = Callable[[Subscription, int], list[DeliveredBatch]]


async def receive_async(subscription: Subscription, count: int) -> list[DeliveredBatch]:
    delivered: list[DeliveredBatch] = []
    async with asyncio.timeout(50):
        async for one in subscription:
            delivered.append(one)
            if len(delivered) == count:
                break
    return delivered


@pytest.fixture(params=["sync", "async"])
def collect(request: pytest.FixtureRequest) -> Collect:
    """Reads so many deliveries, by ``next`` or by ``async for``."""
    if request.param == "sync":
        return receive
    return lambda subscription, count: asyncio.run(receive_async(subscription, count))


def publish_each(engine: Engine, topic: TopicDefinition, first: int, end: int, kind: str = "X") -> None:
    """One batch of one row for each number."""
    for number in range(first, end):
        engine.publisher.publish_scoped(topic, None, batch_of([number], kind))


def publish_alternating(engine: Engine, topic: TopicDefinition, count: int, rows: int) -> None:
    """Even batches are of kind X, odd ones of kind Y."""
    for number in range(count):
        kind = "X" if number % 2 == 0 else "Y"
        engine.publisher.publish_scoped(topic, None, batch_of(range(number * rows, (number + 1) * rows), kind))


def test_a_subscriber_gets_the_matching_rows_of_each_batch_in_publish_order(harness: Harness, collect: Collect) -> None:
    topic = definition()
    engine = harness.engine(topic)
    subscription = engine.subscriber.subscribe(topic, Predicate.from_sql(topic.schema, "kind = 'X'"), None)
    with ThreadPoolExecutor(1) as pool:
        publishing = pool.submit(publish_alternating, engine, topic, 100, 10)
        delivered = collect(subscription, 50)
        publishing.result()
    assert offsets(delivered) == list(range(0, 100, 2))
    for one in delivered:
        assert one.batch.column("kind").to_pylist() == ["X"] * 10


def test_a_fresh_broker_on_the_same_store_replays_everything(harness: Harness, collect: Collect) -> None:
    topic = definition()
    first = harness.engine(topic)
    publish_each(first, topic, 0, 100)
    first.close()
    engine = harness.open()
    engine.broker.register_topic(topic)
    delivered = collect(engine.subscriber.subscribe(topic, Predicate.match_all(), START), 100)
    assert ids(delivered) == list(range(100))
    assert [one.batch.num_rows for one in delivered] == [1] * 100


def test_two_subscribers_with_different_predicates_get_their_own_subsets(harness: Harness) -> None:
    topic = definition()
    engine = harness.engine(topic)
    predicates = [Predicate.from_sql(topic.schema, f"kind = '{kind}'") for kind in "XY"]
    subscriptions = [engine.subscriber.subscribe(topic, predicate, None) for predicate in predicates]
    with ThreadPoolExecutor(3) as pool:
        publishing = pool.submit(publish_alternating, engine, topic, 100, 1)
        of_x, of_y = pool.map(lambda subscription: receive(subscription, 50), subscriptions)
        publishing.result()
    assert offsets(of_x) == list(range(0, 100, 2))
    assert offsets(of_y) == list(range(1, 100, 2))


def test_a_tenant_finds_its_own_topic_and_not_the_one_of_another(harness: Harness) -> None:
    topic_a = definition("tenant_a.events", TENANT_A)
    topic_b = definition("tenant_b.events", TENANT_B)
    repo = harness.engine(topic_a, topic_b).topic_repo
    assert repo.lookup_by_name("tenant_b.events", TENANT_A) is None
    assert repo.lookup_by_name("tenant_a.events", None) is None
    own = repo.lookup_by_name("tenant_a.events", TENANT_A)
    assert own is not None
    assert own.id == topic_a.id
    assert [topic.name for topic in repo.list_topics(TENANT_B)] == ["tenant_b.events"]


def test_a_batch_of_another_schema_is_refused_and_nothing_is_written(harness: Harness) -> None:
    topic = definition()
    engine = harness.engine(topic)
    wrong = pa.record_batch([pa.array([1], pa.int64())], schema=pa.schema([pa.field("id", pa.int64(), nullable=False)]))
    with pytest.raises(BatchSchemaMismatch):
        engine.publisher.publish_scoped(topic, None, wrong)
    subscription = engine.subscriber.subscribe(topic, Predicate.match_all(), START)
    with pytest.raises(TimeoutError):
        subscription.next(timeout=0.05)
    assert engine.publisher.publish_scoped(topic, None, batch_of([1])).value == 0
    assert offsets(receive(subscription, 1)) == [0]


def test_a_slow_subscriber_gets_every_offset(harness: Harness, collect: Collect) -> None:
    topic = definition()
    engine = harness.engine(topic)
    subscription = engine.subscriber.subscribe(topic, Predicate.match_all(), None)
    with ThreadPoolExecutor(1) as pool:
        publishing = pool.submit(publish_each, engine, topic, 0, 200)
        delivered = collect(subscription, 200)
        publishing.result()
    assert offsets(delivered) == list(range(200))


def test_an_empty_predicate_matches_every_batch(harness: Harness, collect: Collect) -> None:
    topic = definition()
    engine = harness.engine(topic)
    subscription = engine.subscriber.subscribe(topic, Predicate.from_sql(topic.schema, ""), None)
    publish_each(engine, topic, 0, 5)
    assert [one.batch.num_rows for one in collect(subscription, 5)] == [1] * 5


def test_a_topic_is_listed_with_its_options_until_it_is_dropped(harness: Harness) -> None:
    schema = pa.schema(
        [
            pa.field("op", pa.utf8(), nullable=False),
            pa.field("ts_ms", pa.int64(), nullable=False),
            pa.field("payload", pa.utf8()),
        ]
    )
    topic = definition("orders.changes", schema=schema, metadata={"retention_seconds": "3600"})
    engine = harness.engine(topic)
    (listed,) = engine.topic_repo.list_topics(None)
    assert (listed.name, listed.id) == ("orders.changes", topic.id)
    assert listed.schema.equals(schema)
    assert listed.broker_metadata["retention_seconds"] == "3600"
    engine.topic_repo.drop_topic(topic.id, None)
    engine.broker.drop_topic(topic.id)
    assert engine.topic_repo.list_topics(None) == []


def test_registering_a_name_again_with_the_same_schema_keeps_the_first_definition(harness: Harness) -> None:
    topic = definition()
    engine = harness.engine(topic)
    engine.topic_repo.register_topic(definition())
    found = engine.topic_repo.lookup_by_name(topic.name, None)
    assert found is not None
    assert found.id == topic.id


def test_dropping_a_topic_that_is_not_there_is_topic_not_found(harness: Harness) -> None:
    with pytest.raises(TopicNotFound):
        harness.engine().topic_repo.drop_topic(TopicId.new(), None)


def test_an_aggregate_in_a_predicate_is_unsupported_and_garbage_does_not_parse() -> None:
    with pytest.raises(PredicateUnsupported):
        Predicate.from_sql(SCHEMA, "SUM(id) > 0")
    with pytest.raises(PredicateParse):
        Predicate.from_sql(SCHEMA, "(((")


def test_replay_only_returns_what_is_in_the_log_and_ends(harness: Harness) -> None:
    topic = definition("events.replay_only")
    engine = harness.engine(topic)
    publish_each(engine, topic, 0, 2)
    assert offsets(engine.subscriber.replay_only(topic, Predicate.match_all(), START)) == [0, 1]


def test_replay_only_without_an_offset_returns_nothing(harness: Harness) -> None:
    topic = definition("events.replay_only_empty")
    engine = harness.engine(topic)
    publish_each(engine, topic, 0, 3)
    assert list(engine.subscriber.replay_only(topic, Predicate.match_all(), None)) == []


def test_replay_only_applies_the_predicate(harness: Harness) -> None:
    topic = definition("events.replay_only_pred")
    engine = harness.engine(topic)
    engine.publisher.publish_scoped(topic, None, batch_of([0], "X"))
    engine.publisher.publish_scoped(topic, None, batch_of([1], "Y"))
    predicate = Predicate.from_sql(topic.schema, "kind = 'X'")
    assert offsets(engine.subscriber.replay_only(topic, predicate, START)) == [0]


def test_each_tenant_reads_its_own_rows_and_the_global_ones(harness: Harness) -> None:
    topic = definition("events.tenant_stamp")
    engine = harness.engine(topic)
    for number, tenant in ((1, TENANT_A), (2, TENANT_B), (3, None)):
        engine.publisher.publish_scoped(topic, tenant, batch_of([number]))
    seen = {
        tenant: engine.subscriber.replay_only_scoped(topic, tenant, Predicate.match_all(), START)
        for tenant in (TENANT_A, TENANT_B, None)
    }
    assert {tenant: ids(delivered) for tenant, delivered in seen.items()} == {
        TENANT_A: [1, 3],
        TENANT_B: [2, 3],
        None: [3],
    }
    assert [one.tenant for one in seen[TENANT_A]] == [TENANT_A, None]


def test_rows_of_one_tenant_reach_nobody_else_live_or_replayed(harness: Harness) -> None:
    topic = definition("events.scoped_filter")
    engine = harness.engine(topic)
    live = {
        tenant: engine.subscriber.subscribe_scoped(topic, tenant, Predicate.match_all(), None)
        for tenant in (TENANT_A, TENANT_B, None)
    }
    for number, tenant in ((10, TENANT_A), (20, TENANT_B), (11, TENANT_A)):
        engine.publisher.publish_scoped(topic, tenant, batch_of([number]))
    for tenant, expected in ((TENANT_A, [10, 11]), (TENANT_B, [20]), (None, [])):
        replayed = engine.subscriber.replay_only_scoped(topic, tenant, Predicate.match_all(), START)
        assert ids(replayed) == expected
        assert ids(receive(live[tenant], len(expected))) == expected
    engine.publisher.publish_scoped(topic, None, batch_of([99]))
    assert {tenant: ids(receive(one, 1)) for tenant, one in live.items()} == {
        TENANT_A: [99],
        TENANT_B: [99],
        None: [99],
    }


def test_a_topic_of_one_tenant_takes_no_batch_of_another_and_none_without_tenant(harness: Harness) -> None:
    topic = definition("events.pinned", TENANT_A)
    engine = harness.engine(topic)
    for publisher in (TENANT_B, None):
        with pytest.raises(PublishTenantMismatch) as caught:
            engine.publisher.publish_scoped(topic, publisher, batch_of([1]))
        error = caught.value
        assert (error.topic, error.topic_tenant, error.publish_tenant) == ("events.pinned", TENANT_A, publisher)
        assert error.sqlstate == "42501"
    assert engine.subscriber.replay_only_scoped(topic, TENANT_A, Predicate.match_all(), START) == []
    assert engine.publisher.publish_scoped(topic, TENANT_A, batch_of([3])).value == 0


def test_list_consumers_shows_where_each_live_subscription_is(harness: Harness) -> None:
    topic = definition("events.list_consumers")
    engine = harness.engine(topic)
    first = engine.broker.subscribe(topic.id, Predicate.match_all(), None)
    second = engine.broker.subscribe(topic.id, Predicate.match_all(), None)
    names = {str(first.id), str(second.id)}
    publish_each(engine, topic, 0, 3)
    for _ in range(3):
        first.next(timeout=20)
        second.next(timeout=20)
    snapshots = engine.broker.list_consumers(topic.id)
    assert {snapshot.consumer_name for snapshot in snapshots} == names
    assert len(snapshots) == 2
    for snapshot in snapshots:
        assert snapshot.topic_id == topic.id
        assert (snapshot.last_delivered_stream_sequence, snapshot.last_ack_stream_sequence) == (2, 2)
    name_of_second = str(second.id)
    del first
    assert [snapshot.consumer_name for snapshot in engine.broker.list_consumers(topic.id)] == [name_of_second]


def test_a_failed_hand_over_fails_no_publish_and_happens_once(
    harness: Harness, caplog: pytest.LogCaptureFixture
) -> None:
    topic = definition("test.session_inject_failure")
    engine = harness.engine(topic)
    harness.fail_next_hand_over(engine, "simulated broker outage")
    assert engine.publisher.publish_scoped(topic, None, batch_of([1])).value == 0
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "simulated broker outage" in caplog.text
    replayed = engine.subscriber.replay_only_scoped(topic, None, Predicate.match_all(), START)
    assert sum(one.batch.num_rows for one in replayed) == 1
    assert engine.publisher.publish_scoped(topic, None, batch_of([2], "Y")).value == 1
    assert len(caplog.records) == 1


def test_offsets_whose_hand_over_failed_are_there_after_a_crash(harness: Harness, collect: Collect) -> None:
    topic = definition("events.crash_mid_publish")
    first = harness.engine(topic)
    for number in range(64):
        if number == 7:
            harness.fail_next_hand_over(first)
        first.publisher.publish_scoped(topic, None, batch_of([number]))
    # No close: the crashed engine's broker and publisher are simply not used again.
    engine = harness.open()
    engine.broker.register_topic(topic)
    delivered = collect(engine.subscriber.subscribe(topic, Predicate.match_all(), START), 64)
    assert offsets(delivered) == list(range(64))


def test_replay_and_live_tail_meet_without_loss_after_a_failed_hand_over(harness: Harness, collect: Collect) -> None:
    topic = definition("events.resume_after_failure")
    engine = harness.engine(topic)
    for number in range(10):
        if number == 4:
            harness.fail_next_hand_over(engine)
        engine.publisher.publish_scoped(topic, None, batch_of([number]))
    subscription = engine.subscriber.subscribe(topic, Predicate.match_all(), START)
    with ThreadPoolExecutor(1) as pool:
        publishing = pool.submit(publish_each, engine, topic, 10, 20)
        delivered = collect(subscription, 20)
        publishing.result()
    assert offsets(delivered) == list(range(20))


def test_from_any_offset_and_with_any_failed_hand_over_each_offset_comes_once_in_order(harness: Harness) -> None:
    # The reference allows a duplicate at the seam; here there is none.
    chance = random.Random(0x1234_5678_9ABC_DEF0)
    engine = harness.engine()
    for case in range(12):
        total = chance.randint(4, 31)
        fail_at = chance.randrange(total)
        start = chance.randint(0, fail_at)
        attach_at = chance.randint(start, total)
        topic = definition(f"events.prop_case_{case}")
        engine.topic_repo.register_topic(topic)
        subscription = None
        for number in range(total):
            if number == attach_at:
                subscription = engine.subscriber.subscribe(topic, Predicate.match_all(), Offset(start))
            if number == fail_at:
                harness.fail_next_hand_over(engine)
            engine.publisher.publish_scoped(topic, None, batch_of([number]))
        if subscription is None:
            subscription = engine.subscriber.subscribe(topic, Predicate.match_all(), Offset(start))
        assert offsets(receive(subscription, total - start)) == list(range(start, total)), f"case {case}"
        subscription.close()
