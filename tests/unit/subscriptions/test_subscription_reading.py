"""Subscriptions that read a long log, in an event loop, or what other processes publish."""

from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from jammi_sql import Engine, faults
from jammi_sql.brokers import InMemoryBroker, PollingBroker
from jammi_sql.ports import NamedQuery, Reader
from jammi_sql.topics import DeliveredBatch, Predicate, Subscription
from jammi_sql.topics.entries import Chunk
from jammi_sql.topics.log import Log
from jammi_sql.topics.watch import HeadWatch
from tests.subscription_support import TOPIC, publish
from tests.topic_support import LIMIT, SCHEMA, batch_of, ids, offsets, receive


def publish_many(engine: Engine, count: int, size: int = 1) -> None:
    """So many batches in one transaction."""
    topic = engine.services.catalog.resolve(engine.services.store, TOPIC)
    batches = (batch_of(range(number * size, (number + 1) * size)) for number in range(count))
    with engine.services.store.begin() as transaction:
        engine.publisher.publish_all(transaction, topic, None, batches)


# --- long replays ---


class CountingReader:
    """Passes reads on and counts those of payloads, with the bytes that each of them brought."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self.committed = reader.committed
        self.batches: list[int] = []
        self.sizes: list[int] = []

    def query(
        self, query: NamedQuery, parameters: Sequence[int | str | bytes | float | None] | pa.RecordBatch = ()
    ) -> pa.Table:
        table = self._reader.query(query, parameters)
        if query.name == "batch_payloads":
            self.batches.append(table.num_rows)
            self.sizes.append(table.nbytes)
        return table


def replay_counted(engine: Engine) -> tuple[Subscription, CountingReader]:
    reader = CountingReader(engine.services.store)
    topic = engine.services.catalog.resolve(engine.services.store, TOPIC)
    return engine.subscriber.open(topic, None, Predicate.match_all(), 0, reader=reader), reader


def test_the_first_batch_of_a_long_replay_comes_before_the_rest_is_read(engine: Engine) -> None:
    publish_many(engine, 5000)
    subscription, reader = replay_counted(engine)
    assert offsets(receive(subscription, 1)) == [0]
    assert sum(reader.batches) <= 16
    assert offsets(receive(subscription, 4999)) == list(range(1, 5000))
    assert sum(reader.batches) == 5000
    assert len(reader.batches) < 50


def test_a_long_replay_holds_a_bounded_part_of_the_log(engine: Engine) -> None:
    assert engine.services.segments.keeper is not None
    engine.services.segments.keeper.close()  # all of it is to be read from the store
    publish_many(engine, 200, size=20_000)  # about 100 MB
    gc.collect()
    subscription, reader = replay_counted(engine)
    before = pa.total_allocated_bytes()
    most = 0
    for number in range(200):
        assert subscription.next(timeout=LIMIT).offset.value == number
        most = max(most, pa.total_allocated_bytes() - before)
    assert sum(reader.sizes) > 70e6
    assert max(reader.sizes) < 10e6
    assert most < 40e6


def test_a_condition_on_a_column_reads_no_payload_that_its_range_rules_out(engine: Engine) -> None:
    publish_many(engine, 40, size=500)
    reader = CountingReader(engine.services.store)
    topic = engine.services.catalog.resolve(engine.services.store, TOPIC)
    predicate = Predicate.from_sql(SCHEMA, "id >= 19500")
    subscription = engine.subscriber.open(topic, None, predicate, 0, reader=reader)
    assert offsets(receive(subscription, 1)) == [39]
    assert sum(reader.batches) == 1


# --- asyncio ---


def test_async_iteration_gets_replay_and_live_in_order_while_the_loop_runs(engine: Engine) -> None:
    publish(engine, 0, 50)

    async def run() -> list[int]:
        seen: list[int] = []
        async with asyncio.timeout(LIMIT):
            publishing = asyncio.create_task(asyncio.to_thread(publish, engine, 50, 100))
            async for delivered in engine.subscriber.subscribe(TOPIC, None, 0):
                seen.append(delivered.offset.value)
                if len(seen) == 100:
                    break
            await publishing
        return seen

    assert asyncio.run(run()) == list(range(100))


def test_a_cancelled_anext_loses_nothing(engine: Engine) -> None:
    async def run() -> list[int]:
        subscription = engine.subscriber.subscribe(TOPIC, None, 0)
        seen: list[int] = []
        for number in range(30):
            waiting = asyncio.ensure_future(anext(subscription))
            for _ in range(number % 4):
                await asyncio.sleep(0)
            await asyncio.to_thread(publish, engine, number, number + 1)
            waiting.cancel()
            try:
                seen.append((await waiting).offset.value)
            except asyncio.CancelledError:
                pass
        async with asyncio.timeout(LIMIT):
            while len(seen) < 30:
                seen.append((await anext(subscription)).offset.value)
        return seen

    assert asyncio.run(run()) == list(range(30))


def test_an_anext_cancelled_while_the_log_is_read_loses_nothing(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(engine, 0, 40)

    async def run() -> list[int]:
        subscription = engine.subscriber.subscribe(TOPIC, None, 0)
        reading, go_on = threading.Event(), threading.Event()
        read = Log.read

        def slowly(log: Log, *arguments: Any, **named: Any) -> Chunk:
            reading.set()
            assert go_on.wait(LIMIT)
            return read(log, *arguments, **named)

        monkeypatch.setattr(Log, "read", slowly)
        waiting = asyncio.ensure_future(anext(subscription))
        assert await asyncio.to_thread(reading.wait, LIMIT)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        go_on.set()
        async with asyncio.timeout(LIMIT):
            return [(await anext(subscription)).offset.value for _ in range(40)]

    assert asyncio.run(run()) == list(range(40))


def test_closing_ends_an_async_iteration(engine: Engine) -> None:
    async def run() -> list[DeliveredBatch]:
        subscription = engine.subscriber.subscribe(TOPIC)
        waiting = asyncio.ensure_future(collect(subscription))
        live = subscription._live
        assert live is not None
        while not live.tail._waiting:
            await asyncio.sleep(0)
        await asyncio.to_thread(subscription.close)
        return await asyncio.wait_for(waiting, LIMIT)

    async def collect(subscription: Subscription) -> list[DeliveredBatch]:
        return [delivered async for delivered in subscription]

    assert asyncio.run(run()) == []


def test_hundreds_of_async_subscriptions_need_no_thread_each(engine: Engine) -> None:
    async def run() -> tuple[list[list[int]], int]:
        before = threading.active_count()
        subscriptions = [engine.subscriber.subscribe(TOPIC) for _ in range(300)]
        waiting = [asyncio.ensure_future(take(subscription)) for subscription in subscriptions]
        await asyncio.sleep(0)
        threads = threading.active_count() - before
        await asyncio.to_thread(publish, engine, 0, 3)
        async with asyncio.timeout(LIMIT):
            return list(await asyncio.gather(*waiting)), threads

    async def take(subscription: Subscription) -> list[int]:
        return [(await anext(subscription)).offset.value for _ in range(3)]

    seen, threads = asyncio.run(run())
    assert seen == [[0, 1, 2]] * 300
    assert threads < 30


# --- other processes ---

OTHER_PROCESS = """
import sys
from jammi_sql import Engine
import pyarrow as pa
with Engine.open(sys.argv[1]) as engine:
    topic = engine.topic_repo.lookup_by_name("events.changes")
    for number in range(20):
        rows = [pa.array([number]), pa.array(["X"]), pa.array([0.5])]
        engine.publisher.publish_scoped(topic, None, pa.record_batch(rows, schema=topic.schema))
"""


@pytest.mark.parametrize("kind", [PollingBroker, InMemoryBroker])
def test_publishes_of_another_process_arrive(folder: Path, kind: type[InMemoryBroker]) -> None:
    with Engine.open(folder, broker=kind()) as engine:
        engine.topic_repo.register_topic(TOPIC)
        subscription = engine.subscriber.subscribe(TOPIC)
        with subprocess.Popen([sys.executable, "-c", OTHER_PROCESS, str(folder)], env=dict(os.environ)) as process:
            assert ids(receive(subscription, 20)) == list(range(20))
            assert process.wait(60) == 0


def test_without_a_broker_publishes_of_another_engine_arrive(folder: Path) -> None:
    with Engine.open(folder) as engine, Engine.open(folder) as other:
        engine.topic_repo.register_topic(TOPIC)
        subscription = engine.subscriber.subscribe(TOPIC)
        for number in range(10):
            publish(other, number, number + 1)
            assert offsets([subscription.next(timeout=LIMIT)]) == [number]


def test_what_a_transaction_publishes_arrives_together_at_its_commit(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(HeadWatch, "_tell", lambda watch: None)  # it may find all in the log before one is handed over
    subscription = engine.subscriber.subscribe(TOPIC)
    session = engine.session()
    session.execute("BEGIN")
    for number in range(3):
        session.execute(f"INSERT INTO events.changes VALUES ({number}, 'X', 1.0)")
    with pytest.raises(TimeoutError):
        subscription.next(timeout=0)
    arrived: list[int] = []
    with faults.armed("publish.before_hand_over", lambda: arrived.append(subscription.head)):
        session.execute("COMMIT")
    assert arrived == [0, 1, 2]
    assert offsets(receive(subscription, 3)) == [0, 1, 2]
