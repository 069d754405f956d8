"""Many live subscribers in one process: what they share, and that nobody gets less, more or later because of others."""

from __future__ import annotations

import asyncio
import gc
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pyarrow as pa
import pytest

from jammi_sql import Engine
from jammi_sql.brokers import InMemoryBroker
from jammi_sql.errors import InvalidTextRepresentation
from jammi_sql.topics import Predicate, Subscription
from jammi_sql.topics.log import Log
from jammi_sql.topics.watch import HeadWatch
from tests.subscription_support import CONDITIONS, TOPIC, collected, condition, publish, selections_of
from tests.topic_support import LIMIT, SCHEMA, TENANT_A, TENANT_B, batch_of, offsets, receive, until

SIZE = 300


@pytest.mark.parametrize("capacity", [2, 1024])
def test_hundreds_of_tasks_with_conditions_get_each_of_their_batches_once_and_in_order(capacity: int) -> None:
    batches = 100
    with Engine.open(broker=InMemoryBroker(capacity)) as engine:
        engine.topic_repo.register_topic(TOPIC)
        publish(engine, 0, 5)

        async def run() -> list[list[int]]:
            tasks = [
                asyncio.ensure_future(
                    collected(
                        engine.subscriber.subscribe(TOPIC, condition(number), 5 * (number % 2)),
                        batches // CONDITIONS - number % 2 * (number % CONDITIONS < 5),
                    )
                )
                for number in range(SIZE)
            ]
            publishing = asyncio.ensure_future(asyncio.to_thread(publish, engine, 5, batches))
            async with asyncio.timeout(2 * LIMIT):
                got = await asyncio.gather(*tasks)
                await publishing
            return list(got)

        for number, got in enumerate(asyncio.run(run())):
            first = 5 * (number % 2)
            assert got == [offset for offset in range(first, batches) if offset % CONDITIONS == number % CONDITIONS]


def test_threads_that_wait_in_a_crowd_are_woken_for_their_batches(engine: Engine) -> None:
    size, batches = 40, 60
    subscriptions = [engine.subscriber.subscribe(TOPIC, condition(number)) for number in range(size)]
    with ThreadPoolExecutor(size) as pool:
        waiting = [pool.submit(receive, one, batches // CONDITIONS) for one in subscriptions]
        until(lambda: sum(len(one.waiting) for one in selections_of(subscriptions)) == size, "all wait")
        publish(engine, 0, batches)
        for number, one in enumerate(waiting):
            assert offsets(one.result(LIMIT)) == list(range(number % CONDITIONS, batches, CONDITIONS))


def test_a_tenant_gets_its_own_batches_out_of_what_is_shared(engine: Engine) -> None:
    tenants = [None, TENANT_A, TENANT_B]
    subscriptions = {
        tenant: [engine.subscriber.subscribe_scoped(TOPIC, tenant) for _ in range(5)] for tenant in tenants
    }
    assert len(selections_of([one for group in subscriptions.values() for one in group])) == 1
    replays = {
        tenant: [engine.subscriber.subscribe_scoped(TOPIC, tenant, None, 0) for _ in range(5)] for tenant in tenants
    }
    for number in range(12):
        engine.publisher.publish_scoped(TOPIC, tenants[number % 3], batch_of([number]))
    replays_late = {
        tenant: [engine.subscriber.subscribe_scoped(TOPIC, tenant, None, 0) for _ in range(5)] for tenant in tenants
    }
    for groups in (subscriptions, replays, replays_late):
        for place, tenant in enumerate(tenants):
            wanted = [number for number in range(12) if number % 3 in (0, place)]
            for one in groups[tenant]:
                got = receive(one, len(wanted))
                assert offsets(got) == wanted
                assert {each.tenant for each in got} <= {None, tenant}
                with pytest.raises(TimeoutError):
                    one.next(timeout=0)


# --- what they share ---


def test_equal_conditions_are_one_object_and_others_are_not() -> None:
    text = "id > 3 AND kind = 'X'"
    one = Predicate.from_sql(SCHEMA, text)
    assert Predicate.from_sql(SCHEMA, text) is one
    assert Predicate.match_all() is Predicate.from_sql(SCHEMA, " ")
    assert Predicate.from_sql(SCHEMA, "id > 4 AND kind = 'X'") is not one
    assert Predicate.from_sql(SCHEMA.remove(2), text) is not one
    volatile = "random() >= 0"
    assert Predicate.from_sql(SCHEMA, volatile) is not Predicate.from_sql(SCHEMA, volatile)


def test_a_condition_on_the_time_means_the_time_at_which_it_was_made() -> None:
    schema = pa.schema([("at", pa.timestamp("us", "UTC"))])
    made = [Predicate.from_sql(schema, "at > now()") for _ in range(2)]
    assert made[0] is not made[1]


def test_a_condition_is_evaluated_once_for_all_who_have_it(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    evaluated: list[int] = []
    select = Predicate.select
    monkeypatch.setattr(
        Predicate, "select", lambda predicate, batches: (evaluated.append(len(batches)), select(predicate, batches))[1]
    )
    subscriptions = [engine.subscriber.subscribe(TOPIC, condition(0)) for _ in range(30)]
    publish(engine, 0, 21)
    got = [receive(one, 2) for one in subscriptions]
    assert [offsets(one) for one in got] == [[0, 20]] * 30
    assert sum(evaluated) == 21
    assert all(one[0] is got[0][0] for one in got)  # not even the delivery is made twice


def test_rows_that_all_match_are_handed_on_without_a_copy(engine: Engine) -> None:
    subscription = engine.subscriber.subscribe(TOPIC, Predicate.from_sql(SCHEMA, "id >= 0"))
    batch = batch_of([1, 2, 3])
    engine.publisher.publish_scoped(TOPIC, None, batch)
    (got,) = receive(subscription, 1)
    assert got.batch.column(0).buffers()[1].address == batch.column(0).buffers()[1].address


def test_who_waits_is_not_woken_by_what_does_not_match(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(HeadWatch, "_tell", lambda watch: None)
    read: list[Subscription] = []
    take_live = Subscription._take_live
    monkeypatch.setattr(Subscription, "_take_live", lambda one: (read.append(one), take_live(one))[1])
    subscriptions = [engine.subscriber.subscribe(TOPIC, condition(number)) for number in range(CONDITIONS)]
    with ThreadPoolExecutor(CONDITIONS) as pool:
        waiting = [pool.submit(receive, one, 1) for one in subscriptions]
        until(lambda: sum(len(one.waiting) for one in selections_of(subscriptions)) == CONDITIONS, "all wait")
        read.clear()
        publish(engine, 0, 1)
        assert offsets(waiting[0].result(LIMIT)) == [0]
        until(lambda: all(one.position == 1 for one in subscriptions), "the others know that it is nothing to them")
        assert read == [subscriptions[0]]
        assert [one.head - one.position for one in subscriptions] == [0] * CONDITIONS
        publish(engine, 1, CONDITIONS)
        assert [offsets(one.result(LIMIT)) for one in waiting[1:]] == [[number] for number in range(1, CONDITIONS)]


def test_a_condition_that_rarely_matches_holds_nothing_and_needs_no_log_afterwards(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[int] = []
    read = Log.read
    monkeypatch.setattr(Log, "read", lambda *arguments, **named: (reads.append(1), read(*arguments, **named))[1])
    monkeypatch.setattr(HeadWatch, "_tell", lambda watch: None)
    subscriptions = [engine.subscriber.subscribe(TOPIC, Predicate.from_sql(SCHEMA, "id = 1500")) for _ in range(20)]
    with ThreadPoolExecutor(20) as pool:
        waiting = [pool.submit(receive, one, 1) for one in subscriptions]
        (selection,) = selections_of(subscriptions)
        until(lambda: len(selection.waiting) == 20, "all wait")
        publish(engine, 0, 1500)
        until(lambda: len(selection._tail.chain) == 0, "nothing is held")
        publish(engine, 1500, 1501)
        assert [offsets(one.result(LIMIT)) for one in waiting] == [[1500]] * 20
    assert reads == []


@pytest.mark.parametrize("size", [1, 20])
def test_what_matched_is_let_go_of_once_all_have_it(engine: Engine, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(HeadWatch, "_tell", lambda watch: None)  # who finds it in the log first stays where he is
    subscriptions = [engine.subscriber.subscribe(TOPIC, condition(0)) for _ in range(size)]
    (selection,) = selections_of(subscriptions)
    with ThreadPoolExecutor(size) as pool:
        for first in (0, CONDITIONS):
            waiting = [pool.submit(receive, one, 1) for one in subscriptions]
            until(lambda: len(selection.waiting) == size, "all wait")
            publish(engine, first, first + CONDITIONS)
            for one in waiting:
                one.result(LIMIT)
            until(lambda: len(selection._chain) == 0, "nothing is held")


def test_statements_with_equal_filters_share_what_they_leave_out(engine: Engine) -> None:
    text = "SELECT id, _row_idx FROM subscribe('events.changes') WHERE id IN (3, 5) AND kind <> 'Y'"
    cursors = [engine.session().execute(text) for _ in range(10)]
    other = engine.session().execute(text.replace("5", "6"))
    assert len(selections_of(engine.subscriber.live)) == 2
    engine.publisher.publish_scoped(TOPIC, None, batch_of([1, 2]))
    engine.publisher.publish_scoped(TOPIC, None, batch_of([1, 3, 2, 5, 6]))
    assert [cursor.fetchmany(2) for cursor in cursors] == [[(3, 1), (5, 3)]] * 10
    assert other.fetchmany(2) == [(3, 1), (6, 4)]
    assert {one.delivered for one in engine.subscriber.live} == {1}


def test_statements_whose_filters_differ_in_the_sign_of_zero_share_nothing(engine: Engine) -> None:
    texts = [f"SELECT id FROM subscribe('events.changes') WHERE value = {zero}" for zero in ("0.0", "-0.0")]
    cursors = [engine.session().execute(text) for text in texts]
    assert len(selections_of(engine.subscriber.live)) == 2
    engine.publisher.publish_scoped(TOPIC, None, batch_of([0, 1], values=[0.0, -0.0]))
    answers = [cursor.fetchmany(1) for cursor in cursors]
    relation = "(VALUES (0, CAST(0.0 AS DOUBLE)), (1, CAST('-0.0' AS DOUBLE))) AS t(id, value)"
    asked = [
        engine.session()
        .execute(f"SELECT id FROM {relation} WHERE value = CAST({zero} AS DOUBLE) ORDER BY id")
        .fetchmany(1)
        for zero in ("0.0", "-0.0")
    ]
    assert answers == asked


# --- fairness ---


def test_one_that_is_stuck_costs_the_others_nothing(engine: Engine) -> None:
    assert engine.services.segments.keeper is not None
    engine.services.segments.keeper.close()  # what a compaction holds is not what is counted here
    stuck = [engine.subscriber.subscribe(TOPIC) for _ in range(20)]
    before = pa.total_allocated_bytes()
    quick = engine.subscriber.subscribe(TOPIC)
    for number in range(2000):
        engine.publisher.publish_scoped(TOPIC, None, batch_of(range(number, number + 1000)))
        assert offsets([quick.next(timeout=LIMIT)]) == [number]
    gc.collect()
    held = pa.total_allocated_bytes() - before
    assert held < 40e6  # all that was published is 58 MB
    for one in stuck[:3]:
        assert offsets(receive(one, 2000)) == list(range(2000))


def test_a_condition_that_fails_is_an_error_for_who_has_it_and_only_from_its_row_on(engine: Engine) -> None:
    failing = Predicate.from_sql(SCHEMA, "CAST(kind AS BIGINT) > 0")
    early = [engine.subscriber.subscribe(TOPIC, failing) for _ in range(3)]
    others = [engine.subscriber.subscribe(TOPIC) for _ in range(3)]
    for number, kind in enumerate(["1", "one", "2"]):
        engine.publisher.publish_scoped(TOPIC, None, batch_of([number], kind))
    late = [engine.subscriber.subscribe(TOPIC, failing, 2) for _ in range(3)]
    engine.publisher.publish_scoped(TOPIC, None, batch_of([3], "3"))
    assert [offsets(receive(one, 4)) for one in others] == [[0, 1, 2, 3]] * 3
    assert [offsets(receive(one, 2)) for one in late] == [[2, 3]] * 3
    for one in early:
        assert offsets(receive(one, 1)) == [0]
        for _ in range(2):
            with pytest.raises(InvalidTextRepresentation):
                one.next(timeout=LIMIT)
        assert one.position == 1


def test_a_task_that_always_finds_something_leaves_room_for_the_others(engine: Engine) -> None:
    async def run() -> int:
        busy, turns = engine.subscriber.subscribe(TOPIC), 0

        async def other() -> None:
            nonlocal turns
            while True:
                await asyncio.sleep(0)
                turns += 1

        task = asyncio.ensure_future(other())
        for number in range(50):
            publish(engine, number, number + 1)
            assert (await anext(busy)).offset.value == number
        task.cancel()
        return turns

    assert asyncio.run(run()) >= 49


def test_an_interrupted_wait_leaves_nobody_behind(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    subscription = engine.subscriber.subscribe(TOPIC)

    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("jammi_sql.topics.delivery.wait", interrupted)
        with pytest.raises(KeyboardInterrupt):
            subscription.next(timeout=LIMIT)
    (selection,) = selections_of([subscription])
    assert selection.waiting == set()
    publish(engine, 0, 1)
    assert offsets(receive(subscription, 1)) == [0]


def test_closing_wakes_who_waits(engine: Engine) -> None:
    subscriptions = [engine.subscriber.subscribe(TOPIC) for _ in range(20)]
    (selection,) = selections_of(subscriptions)
    with ThreadPoolExecutor(20) as pool:
        waiting = [pool.submit(list, one) for one in subscriptions]
        until(lambda: len(selection.waiting) == 20, "all wait")
        for one in subscriptions:
            one.close()
        try:
            assert [one.result(LIMIT) for one in waiting] == [[]] * 20
        finally:
            selection._tail.wake_all()
