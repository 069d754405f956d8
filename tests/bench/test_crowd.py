"""Thousands of live subscribers in one process: how late, what each of them costs, and what the publisher feels of them."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from jammi_sql import Engine
from jammi_sql.topics import Predicate, Subscription, TopicDefinition

from .measure import Report, percentile
from .rows import new_topic

pytestmark = pytest.mark.bench

CONDITIONS = 20
RATE = 200
SECONDS = 10.0
SCHEMA = pa.schema([("id", pa.int64()), ("kind", pa.int64()), ("sent", pa.float64())])


class _Crowd:
    """Subscribers in one event loop of their own thread, each of which checks what it gets."""

    def __init__(self, engine: Engine, topic: TopicDefinition, size: int, wanted: Callable[[int], list[int]]) -> None:
        self.delays: list[float] = []
        predicates = [Predicate.from_sql(SCHEMA, f"kind = {kind}") for kind in range(CONDITIONS)]
        self.subscriptions = [
            engine.subscriber.subscribe(topic, predicates[number % CONDITIONS]) for number in range(size)
        ]
        self._wanted = [wanted(kind) for kind in range(CONDITIONS)]
        self.cpu = 0.0
        self.started = threading.Event()
        self.thread = threading.Thread(target=lambda: asyncio.run(self._run()))
        self.thread.start()
        assert self.started.wait(60)

    async def _run(self) -> None:
        begun = time.thread_time()
        tasks = [
            asyncio.ensure_future(self._read(subscription, self._wanted[number % CONDITIONS]))
            for number, subscription in enumerate(self.subscriptions)
        ]
        await asyncio.sleep(0.2)
        self.started.set()
        await asyncio.gather(*tasks)
        self.cpu = time.thread_time() - begun

    async def _read(self, subscription: Subscription, wanted: list[int]) -> None:
        got = []
        async for delivered in subscription:
            self.delays.append(time.perf_counter() - delivered.batch.column(2)[0].as_py())
            got.append(delivered.offset.value)
            if len(got) == len(wanted):
                break
        assert got == wanted
        subscription.close()


def _publish(engine: Engine, topic: TopicDefinition, batches: int, kinds: Callable[[int], list[int]]) -> list[float]:
    """Seconds that each publish took, at the pace asked for."""
    taken = []
    begun = time.perf_counter()
    for number in range(batches):
        wait = begun + number / RATE - time.perf_counter()
        if wait > 0:
            time.sleep(wait)
        values = kinds(number)
        now = time.perf_counter()
        batch = pa.record_batch(
            [np.full(len(values), number), np.array(values), np.full(len(values), now)], schema=SCHEMA
        )
        now = time.perf_counter()
        engine.publisher.publish_scoped(topic, None, batch)
        taken.append(time.perf_counter() - now)
    taken.append(time.perf_counter() - begun)
    return taken


def _one_kind(number: int) -> list[int]:
    return [number % CONDITIONS] * 10


def _all_kinds(number: int) -> list[int]:
    return list(range(CONDITIONS))


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.2f} ms"


@pytest.mark.parametrize(("name", "kinds"), [("1 condition in 20 matches", _one_kind), ("all match", _all_kinds)])
@pytest.mark.parametrize("size", [0, 20, 200, 2000])
def test_crowd(tmp_path: Path, report: Report, size: int, name: str, kinds: Callable[[int], list[int]]) -> None:
    batches = int(RATE * SECONDS)
    with Engine.open(tmp_path) as engine:
        topic = TopicDefinition("t", SCHEMA)
        engine.topic_repo.register_topic(topic)
        crowd = _Crowd(engine, topic, size, lambda kind: [number for number in range(batches) if kind in kinds(number)])
        begun = time.process_time()
        *taken, whole = _publish(engine, topic, batches, kinds)
        crowd.thread.join(60)
        spent = time.process_time() - begun
        assert not crowd.thread.is_alive()
    title = f"{size} subscribers, {name}"
    rate = batches / whole
    report.add("crowd", f"{title}: publishes", f"{rate:.0f}/s", f"{RATE}/s", rate >= RATE * 0.99)
    report.add(
        "crowd", f"{title}: publish, p50 and p99", f"{_ms(percentile(taken, 0.5))} and {_ms(percentile(taken, 0.99))}"
    )
    report.add("crowd", f"{title}: processor", f"{spent / whole * 100:.0f} %")
    if size:
        expected = sum(size // CONDITIONS * len(set(kinds(number))) for number in range(batches))
        assert len(crowd.delays) == expected
        p50, p99 = percentile(crowd.delays, 0.5), percentile(crowd.delays, 0.99)
        report.add("crowd", f"{title}: delivery, p50 and p99", f"{_ms(p50)} and {_ms(p99)}", "p99 < 100 ms", p99 < 0.1)
        report.add("crowd", f"{title}: per delivery", f"{crowd.cpu / expected * 1e6:.1f} µs")


def test_memory_of_a_subscriber(tmp_path: Path, report: Report) -> None:
    size = 2000
    with Engine.open(tmp_path) as engine:
        topic = new_topic(engine, "t")
        predicates = [Predicate.from_sql(topic.schema, f"id = {number}") for number in range(CONDITIONS)]
        first = engine.subscriber.subscribe(topic, predicates[0])

        async def wait() -> tuple[int, int]:
            gc.collect()
            tracemalloc.start()
            before = tracemalloc.get_traced_memory()[0]
            subscriptions = [engine.subscriber.subscribe(topic, predicates[n % CONDITIONS]) for n in range(size)]
            gc.collect()
            open_ = tracemalloc.get_traced_memory()[0] - before
            tasks = [asyncio.ensure_future(anext(one)) for one in subscriptions]
            await asyncio.sleep(0.5)
            gc.collect()
            waiting = tracemalloc.get_traced_memory()[0] - before
            tracemalloc.stop()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            return open_, waiting

        subscribed, waiting = asyncio.run(wait())
        first.close()
    report.add("crowd", "memory of a subscription", f"{subscribed / size:,.0f} bytes")
    report.add("crowd", "memory of one that a task waits for", f"{waiting / size:,.0f} bytes")
