"""Live delivery inside a process: how soon, to how many, and what a sleeping subscriber costs."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import pytest

from jammi_sql import Cursor, Engine
from jammi_sql.brokers import InMemoryBroker
from jammi_sql.brokers.memory import PollingBroker
from jammi_sql.topics import DeliveredBatch, Predicate, Subscription, TopicDefinition

from .measure import Report, interleaved, median_ratio, percentile
from .rows import SCHEMA, batch_of, new_topic

pytestmark = pytest.mark.bench

SENT = 500
SUBSCRIBERS = 200


class _TimedBroker(PollingBroker):
    """Notes when each batch is handed over, which is right behind its commit."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[float] = []

    def publish(self, topic: TopicDefinition, delivered: DeliveredBatch) -> None:
        self.sent.append(time.perf_counter())
        super().publish(topic, delivered)


def _delays(
    engine: Engine, broker: _TimedBroker, topic: TopicDefinition, receive: Callable[[int], None]
) -> list[float]:
    """Seconds from commit to arrival of each batch; ``receive(n)`` waits for the n-th."""
    arrived: list[float] = []

    def read() -> None:
        for number in range(SENT):
            receive(number)
            arrived.append(time.perf_counter())

    reader = threading.Thread(target=read)
    reader.start()
    broker.sent.clear()
    for number in range(SENT):
        engine.publisher.publish_scoped(topic, None, batch_of(10, number * 10))
        time.sleep(0.001)
    reader.join()
    return [there - here for here, there in zip(broker.sent, arrived, strict=True)]


def test_delay_of_a_delivery(tmp_path: Path, report: Report) -> None:
    broker = _TimedBroker()
    with Engine.open(tmp_path, broker=broker) as engine:
        topic = new_topic(engine, "t")
        subscription = engine.subscriber.subscribe(topic)
        taken = {"subscription": _delays(engine, broker, topic, lambda _: _expect(subscription.next(timeout=60)))}
        subscription.close()
        for name, wanted, condition in (
            ("SQL, columns", "id", "value >= 0 AND id >= 0"),
            ("SQL, arithmetic", "id, value * 2 AS twice", "id * 3 % 10 >= 0 AND lower(category) LIKE '%'"),
            ("SQL, left to DataFusion", "id", "reverse(category) IS NOT NULL AND id % 10 >= 0"),
        ):
            cursor = engine.session().execute(f"SELECT {wanted} FROM subscribe('t') WHERE {condition}")

            def receive(number: int, cursor: Cursor = cursor) -> None:
                rows = 0
                while rows < 10:
                    rows += len(cursor.fetchmany(10))

            taken[name] = _delays(engine, broker, topic, receive)
            cursor.close()
    for name, delays in taken.items():
        p50, p99 = percentile(delays, 0.5) * 1000, percentile(delays, 0.99) * 1000
        if name == "SQL, left to DataFusion":  # beside the others, to see what the kernels save
            report.add("live", f"{name}, p50 and p99", f"{p50:.2f} and {p99:.2f} ms")
            continue
        report.add("live", f"{name}, p50", f"{p50:.2f} ms", "≤ 0.5 ms", p50 <= 0.5)
        report.add("live", f"{name}, p99", f"{p99:.2f} ms", "≤ 3 ms", p99 <= 3)


def _expect(delivered: DeliveredBatch) -> None:
    assert delivered.batch.num_rows == 10


def test_many_subscribers_and_sleeping_ones(tmp_path: Path, report: Report) -> None:
    count = 100
    with Engine.open(tmp_path, broker=InMemoryBroker(capacity=64)) as engine:
        alone, slept, crowd = (new_topic(engine, name) for name in ("alone", "slept", "crowd"))
        sleeping = engine.subscriber.subscribe(slept)
        readers = [
            engine.subscriber.subscribe(crowd, Predicate.from_sql(SCHEMA, f"id = {number}"))
            for number in range(SUBSCRIBERS)
        ]

        def publish(topic: TopicDefinition, rows: int) -> None:
            for _ in range(count):
                engine.publisher.publish_scoped(topic, None, batch_of(rows))

        def publish_to_crowd() -> None:
            threads = [threading.Thread(target=_read, args=(reader, count)) for reader in readers]
            for thread in threads:
                thread.start()
            publish(crowd, SUBSCRIBERS)
            for thread in threads:
                thread.join()

        (crowded,) = interleaved(publish_to_crowd, rounds=2)
        awake, asleep = interleaved(lambda: publish(alone, 10), lambda: publish(slept, 10), rounds=9)
        for number in range(10 * count):
            assert sleeping.next(timeout=60).offset.value == number
    deliveries = count * SUBSCRIBERS
    report.add(
        "live", f"{SUBSCRIBERS} subscribers with predicates", f"{deliveries / median(crowded):,.0f} deliveries/s"
    )
    ratio = median_ratio(asleep, awake)
    report.add("live", "publish to a sleeper : to nobody", f"{ratio:.2f}", "about 1", ratio <= 1.15)


def _read(subscription: Subscription, count: int) -> None:
    for _ in range(count):
        assert subscription.next(timeout=60).batch.num_rows == 1


IDLE = 10.0


def test_idle_cost_of_a_live_subscription(tmp_path: Path, report: Report) -> None:
    def spent() -> float:
        """Seconds of processor time a minute, of this process."""
        begun, wall = time.process_time(), time.perf_counter()
        time.sleep(IDLE)
        return (time.process_time() - begun) / (time.perf_counter() - wall) * 60

    with Engine.open(tmp_path) as engine:
        topic = new_topic(engine, "idle")
        without = spent()
        with engine.subscriber.subscribe(topic) as subscription:
            with pytest.raises(TimeoutError):
                subscription.next(timeout=1.5)  # it looks around for a second first
            subscribed = spent()
            reader = threading.Thread(target=lambda: list(subscription))
            reader.start()
            waiting = spent()
        reader.join()
    report.add("live", "idle engine", f"{without:.2f} CPU s per minute")
    report.add("live", "with a subscription", f"{subscribed:.2f} CPU s per minute")
    report.add("live", "with a thread that waits on it", f"{waiting:.2f} CPU s per minute", "about 0", waiting <= 0.3)


_PUBLISHER = """
import random, sys, time
from jammi_sql import Engine
from jammi_sql.brokers import InMemoryBroker
from tests.bench.rows import batch_of

class Timed(InMemoryBroker):
    def publish(self, topic, delivered):
        print(time.monotonic(), flush=True)  # right behind the commit

with Engine.open(sys.argv[1], broker=Timed()) as engine:
    topic = engine.topic_repo.lookup_by_name("t")
    sys.stdin.readline()
    for number in range(int(sys.argv[2])):
        engine.publisher.publish_scoped(topic, None, batch_of(10))
        time.sleep(random.uniform(0, 2 * float(sys.argv[3])))
"""


@pytest.mark.parametrize(("name", "count", "pause"), [("now and then", 60, 0.1), ("at once", 300, 0.0)])
def test_arrival_from_another_process(tmp_path: Path, report: Report, name: str, count: int, pause: float) -> None:
    with Engine.open(tmp_path) as engine, engine.subscriber.subscribe(new_topic(engine, "t")) as subscription:
        command = [sys.executable, "-c", _PUBLISHER, str(tmp_path), str(count), str(pause)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as publisher:
            assert publisher.stdin is not None
            publisher.stdin.write("go\n")
            publisher.stdin.flush()
            arrived = []
            begun = time.process_time()
            for _ in range(count):
                subscription.next(timeout=60)
                arrived.append(time.monotonic())
            spent = (time.process_time() - begun) / count * 1000
            assert publisher.stdout is not None
            sent = [float(line) for line in publisher.stdout]
    taken = [there - here for here, there in zip(sent, arrived, strict=True)]
    p50, p99 = percentile(taken, 0.5) * 1000, percentile(taken, 0.99) * 1000
    report.add("live", f"from another process, {name}, p50", f"{p50:.1f} ms", "≤ 20 ms", p50 <= 20)
    report.add("live", f"from another process, {name}, p99", f"{p99:.1f} ms", "≤ 20 ms", p99 <= 20)
    report.add("live", f"from another process, {name}, cost", f"{spent:.2f} CPU ms per batch")


def test_arrival_from_another_connection_without_a_hand_over(tmp_path: Path, report: Report) -> None:
    """Two engines on one folder stand for two processes: neither knows of the other but through the store."""
    taken: list[float] = []
    with Engine.open(tmp_path) as writer, Engine.open(tmp_path) as reader:
        topic = new_topic(writer, "t")
        with reader.subscriber.subscribe(topic) as subscription:
            for number in range(200):
                writer.publisher.publish_scoped(topic, None, batch_of(10))
                sent = time.perf_counter()
                assert subscription.next(timeout=60).offset.value == number
                taken.append(time.perf_counter() - sent)
    p50, p99 = percentile(taken, 0.5) * 1000, percentile(taken, 0.99) * 1000
    report.add("live", "from another engine, p50", f"{p50:.1f} ms", "≤ 20 ms", p50 <= 20)
    report.add("live", "from another engine, p99", f"{p99:.1f} ms", "≤ 20 ms", p99 <= 20)
