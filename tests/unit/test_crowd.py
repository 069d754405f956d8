"""Many live subscribers in one process: what they share, and that nobody gets less, more or later because of others."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest

from jammi_sql import Engine
from jammi_sql.arrow.ranges import MeasuredRanges
from jammi_sql.brokers import InMemoryBroker
from jammi_sql.errors import InvalidTextRepresentation, OffsetEvicted
from jammi_sql.topics import DeliveredBatch, Offset, Predicate, Subscription
from jammi_sql.topics.entries import Chunk
from jammi_sql.topics.log import Log
from jammi_sql.topics.selection import Handed, Selection
from jammi_sql.topics.shared_reads import LogRead, ReadChunk, SharedReads
from jammi_sql.topics.tail import Tail
from jammi_sql.topics.watch import HeadWatch
from tests.topic_support import LIMIT, SCHEMA, TENANT_A, TENANT_B, batch_of, definition, offsets, receive, until

TOPIC = definition("events.changes")
MOMENT = datetime(2026, 1, 1, tzinfo=UTC)
SIZE = 300
CONDITIONS = 20


@pytest.fixture
def engine() -> Iterator[Engine]:
    with Engine.open(broker=InMemoryBroker()) as engine:
        engine.topic_repo.register_topic(TOPIC)
        yield engine


def publish(engine: Engine, first: int, end: int) -> None:
    for number in range(first, end):
        engine.publisher.publish_scoped(TOPIC, None, batch_of([number]))


def condition(number: int) -> Predicate:
    return Predicate.from_sql(SCHEMA, f"id % {CONDITIONS} = {number % CONDITIONS}")


def selections_of(subscriptions: list[Subscription]) -> set[Selection]:
    return {one._live._place.selection for one in subscriptions}  # type: ignore[union-attr]


# --- everybody gets what is theirs ---


async def collected(subscription: Subscription, count: int) -> list[int]:
    return [(await anext(subscription)).offset.value for _ in range(count)]


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


# --- the dispatcher ---


def dispatchers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "jammi-dispatcher"]


def woken_by_the_broker_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The watch over the log may see a commit, and wake all, before the publisher hands it over."""
    monkeypatch.setattr(Tail, "notify", lambda tail, head: None)


def test_few_are_woken_by_the_publisher_and_a_crowd_by_one_thread_which_ends(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jammi_sql.brokers.dispatcher._IDLE", 0.01)
    woken_by_the_broker_alone(monkeypatch)
    until(lambda: not dispatchers(), "those of other tests end")

    def waited_for(size: int) -> int:
        subscriptions = [engine.subscriber.subscribe(TOPIC) for _ in range(size)]
        with ThreadPoolExecutor(size) as pool:
            waiting = [pool.submit(receive, one, 1) for one in subscriptions]
            until(lambda: all(len(one.waiting) == size for one in selections_of(subscriptions)), "all wait")
            monkeypatch.setattr("jammi_sql.brokers.dispatcher._IDLE", 60.0)
            publish(engine, 0, 1)
            for one in waiting:
                one.result(LIMIT)
        for one in subscriptions:
            one.close()
        return len(dispatchers())

    assert waited_for(8) == 0
    assert waited_for(30) == 1
    assert waited_for(30) == 1


def test_what_goes_wrong_in_the_dispatcher_wakes_all(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(selection: Selection) -> bool:
        raise MemoryError("no room")

    woken: list[Tail] = []
    wake_all = Tail.wake_all

    def counted(tail: Tail) -> None:
        woken.append(tail)
        wake_all(tail)

    monkeypatch.setattr(Selection, "tell", broken)
    monkeypatch.setattr(Tail, "wake_all", counted)
    woken_by_the_broker_alone(monkeypatch)
    subscriptions = [engine.subscriber.subscribe(TOPIC) for _ in range(20)]
    with ThreadPoolExecutor(20) as pool:
        waiting = [pool.submit(receive, one, 1) for one in subscriptions]
        until(lambda: all(len(one.waiting) == 20 for one in selections_of(subscriptions)), "all wait")
        publish(engine, 0, 1)
        assert [offsets(one.result(LIMIT)) for one in waiting] == [[0]] * 20
    assert len(woken) == 1  # else they would look for themselves, much later
    assert "no room" in caplog.text


# --- shared reads ---


def count_reads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    reads: list[int] = []
    read = Log.read

    def counted(log: Log, *arguments: Any, **named: Any) -> Chunk:
        reads.append(1)
        return read(log, *arguments, **named)

    monkeypatch.setattr(Log, "read", counted)
    return reads


def test_who_is_behind_at_the_same_place_shares_the_reads(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(engine, 0, 40)
    reads = count_reads(monkeypatch)
    in_threads: list[int] = []
    shared_read = SharedReads.read
    begin = threading.Event()

    def waiting_read(shared: SharedReads, read: LogRead) -> ReadChunk:
        assert begin.wait(LIMIT)
        in_threads.append(1)
        return shared_read(shared, read)

    monkeypatch.setattr(SharedReads, "read", waiting_read)

    async def run() -> list[list[int]]:
        subscriptions = [engine.subscriber.subscribe(TOPIC, None, number % 3) for number in range(200)]
        async with asyncio.timeout(LIMIT):
            tasks = [asyncio.ensure_future(collected(one, 37)) for one in subscriptions]
            for _ in range(5):
                await asyncio.sleep(0)  # all of them want to read
            begin.set()
            return list(await asyncio.gather(*tasks))

    for number, got in enumerate(asyncio.run(run())):
        assert got == list(range(number % 3, number % 3 + 37))
    assert len(reads) < 20
    assert len(in_threads) < 20
    reads.clear()
    subscriptions = [engine.subscriber.subscribe(TOPIC, condition(0), 20) for _ in range(20)]
    with ThreadPoolExecutor(20) as pool:
        assert [offsets(one) for one in pool.map(lambda one: receive(one, 1), subscriptions)] == [[20]] * 20
    assert len(reads) <= 3


def test_a_few_missing_batches_are_read_once_for_all_conditions(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(engine, 0, 5)
    reads = count_reads(monkeypatch)
    subscriptions = [engine.subscriber.subscribe(TOPIC, Predicate.from_sql(SCHEMA, f"id = {n}"), 0) for n in range(5)]
    assert [offsets(receive(one, 1)) for one in subscriptions] == [[0], [1], [2], [3], [4]]
    assert len(reads) == 1


def test_removed_batches_are_not_shown_out_of_a_shared_read(engine: Engine) -> None:
    publish(engine, 0, 10)
    subscriptions = [engine.subscriber.subscribe(TOPIC, None, 0) for _ in range(3)]
    assert offsets(receive(subscriptions[0], 1)) == [0]
    engine.session().execute("TRUNCATE TOPIC events.changes BEFORE 6")
    for one in subscriptions[1:]:
        with pytest.raises(OffsetEvicted):
            one.next(timeout=LIMIT)


def test_shared_reads_keep_to_their_budget_and_are_forgotten_after_a_moment(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = engine.subscriber._shared
    shared._budget = 50_000
    for number in range(40):
        engine.publisher.publish_scoped(TOPIC, None, batch_of(range(number, number + 100)))
    subscriptions = [engine.subscriber.subscribe(TOPIC, None, number) for number in range(0, 40, 5)]
    for one in subscriptions:
        assert len(receive(one, 5)) == 5
        assert shared._bytes <= 50_000
        assert shared._bytes == sum(size for _, _, size in shared._order)
        assert {id(chunk) for chunks in shared._chunks.values() for chunk in chunks} == {
            id(chunk) for _, chunk, _ in shared._order
        }
    shared._budget = 64 << 20
    receive(engine.subscriber.subscribe(TOPIC, None, 0), 1)
    assert shared._order
    monkeypatch.setattr("jammi_sql.topics.shared_reads._FRESH", 0.0)
    reads = count_reads(monkeypatch)
    receive(engine.subscriber.subscribe(TOPIC, None, 0), 1)
    assert len(reads) == 1


def test_damage_that_a_condition_rules_out_is_no_error_though_others_read_it(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(engine, 0, 3)
    read = Log.read

    def damaged(log: Log, *arguments: Any, **named: Any) -> Chunk:
        if named["node"] is None:
            raise OSError("damaged")
        return read(log, *arguments, **named)

    monkeypatch.setattr(Log, "read", damaged)
    subscriptions = [engine.subscriber.subscribe(TOPIC, Predicate.from_sql(SCHEMA, "id = 2"), 0) for _ in range(2)]
    assert [offsets(receive(one, 1)) for one in subscriptions] == [[2], [2]]

    async def run() -> DeliveredBatch:
        return await asyncio.wait_for(
            anext(engine.subscriber.subscribe(TOPIC, Predicate.from_sql(SCHEMA, "id = 2"), 0)), LIMIT
        )

    assert asyncio.run(run()).offset.value == 2


def test_those_who_wait_are_woken_also_by_what_another_reader_has_looked_at_already(engine: Engine) -> None:
    subscriptions = [engine.subscriber.subscribe(TOPIC) for _ in range(20)]
    awake = engine.subscriber.subscribe(TOPIC)
    (selection,) = selections_of([*subscriptions, awake])
    with ThreadPoolExecutor(20) as pool:
        waiting = [pool.submit(receive, one, 1) for one in subscriptions]
        until(lambda: len(selection.waiting) == 20, "all wait")
        with selection._tail._mutex:  # the dispatcher cannot come between
            batch = DeliveredBatch(Offset(0), MOMENT, batch_of([0]), None)
            selection._tail.chain.append(Handed(batch, 1, MeasuredRanges(batch.batch)), 1)
            assert selection.read(selection.place(), 1) == ([], 1)
        selection._tail.tell()
        for one in waiting:
            one.result(LIMIT)


# --- ends ---


async def all_of(subscription: Subscription) -> list[int]:
    return [one.offset.value async for one in subscription]


def test_who_has_an_end_is_told_that_it_is_reached_though_nothing_matches(engine: Engine) -> None:
    topic = engine.services.catalog.resolve(engine.services.store, TOPIC)

    def crowd(size: int) -> list[Subscription]:
        none = condition(7)
        return [engine.subscriber.open(topic, None, none, 0, until=3 + number % 2) for number in range(size)]

    tasks, threads = crowd(60), crowd(20)
    with ThreadPoolExecutor(len(threads)) as pool:
        waiting = [pool.submit(list, one) for one in threads]

        async def run() -> None:
            ended = [asyncio.ensure_future(all_of(one)) for one in tasks]
            while not all(one._live._waiter for one in (*tasks, *threads)):  # type: ignore[union-attr]
                await asyncio.sleep(0.01)
            await asyncio.to_thread(publish, engine, 0, 4)
            assert await asyncio.wait_for(asyncio.gather(*ended[::2]), LIMIT) == [[]] * 30
            assert not any(task.done() for task in ended[1::2])
            await asyncio.to_thread(publish, engine, 4, 5)
            assert await asyncio.wait_for(asyncio.gather(*ended[1::2]), LIMIT) == [[]] * 30

        try:
            asyncio.run(run())
            assert [one.result(LIMIT) for one in waiting] == [[]] * 20
        finally:
            for one in threads:
                one.close()
