"""How a crowd of subscribers is woken, and how those who are behind share what they read."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest

from jammi_sql import Engine
from jammi_sql.arrow.ranges import MeasuredRanges
from jammi_sql.errors import OffsetEvicted
from jammi_sql.topics import DeliveredBatch, Offset, Predicate, Subscription
from jammi_sql.topics.entries import Chunk
from jammi_sql.topics.log import Log
from jammi_sql.topics.selection import Handed, Selection
from jammi_sql.topics.shared_reads import LogRead, ReadChunk, SharedReads
from jammi_sql.topics.tail import Tail
from tests.subscription_support import TOPIC, collected, condition, publish, selections_of
from tests.topic_support import LIMIT, SCHEMA, batch_of, offsets, receive, until

MOMENT = datetime(2026, 1, 1, tzinfo=UTC)


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
