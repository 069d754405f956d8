"""The JetStream broker: how soon a batch is in another process, and what it costs a publisher; beside plain JetStream."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import nats
import pytest
from nats.aio.msg import Msg

from jammi_sql import Engine
from jammi_sql.brokers import JetStreamBroker
from jammi_sql.topics import TopicDefinition
from tests.jetstream_support import deafen, until_delivered
from tests.servers.nats import NatsServer
from tests.topic_support import until

from .measure import Report, interleaved, median_ratio, percentile
from .rows import batch_of, new_topic

pytestmark = pytest.mark.bench

_PUBLISHER = """
import random, sys, time
from jammi_sql import Engine
from jammi_sql.brokers import JetStreamBroker
from tests.bench.rows import batch_of

class Timed(JetStreamBroker):
    def publish(self, topic, delivered):
        print(time.monotonic(), flush=True)  # right behind the commit
        super().publish(topic, delivered)

store, url, count, pause = sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
broker = Timed(url)
broker.wait_connected(20)
with Engine.open(store, broker=broker) as engine:
    topic = engine.topic_repo.lookup_by_name("t")
    for number in range(20):
        engine.publisher.publish_scoped(topic, None, batch_of(10))
    sys.stdin.readline()
    for number in range(count):
        engine.publisher.publish_scoped(topic, None, batch_of(10))
        time.sleep(random.uniform(0, 2 * pause))
"""

_PLAIN_PUBLISHER = """
import asyncio, random, sys, time
import nats
from tests.bench.rows import batch_of

url, count, pause = sys.argv[2], int(sys.argv[3]), float(sys.argv[4])

async def main():
    client = await nats.connect(url)
    stream = client.jetstream()
    payload = batch_of(10).serialize().to_pybytes()
    for number in range(20):
        await stream.publish("plain.t", payload)
    await asyncio.to_thread(sys.stdin.readline)
    for number in range(count):
        print(time.monotonic(), flush=True)
        await stream.publish("plain.t", payload)
        await asyncio.sleep(random.uniform(0, 2 * pause))
    await client.close()

asyncio.run(main())
"""

WARM = 20


@pytest.fixture(scope="module")
def synced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    """A server that is through with a message when it is on disk; by default it syncs every two minutes."""
    folder = tmp_path_factory.mktemp("synced")
    settings = {"jetstream": {"store_dir": str(folder / "store"), "sync_interval": "always"}}
    with NatsServer(folder, settings) as server:
        yield server


def _delays(
    program: str, store: Path, url: str, count: int, pause: float, arrivals: Callable[[Callable[[], None]], list[float]]
) -> list[float]:
    """Seconds from a publisher's hand-over to the arrival here; ``arrivals`` calls what lets it begin."""
    command = [sys.executable, "-c", program, str(store), url, str(count), str(pause)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as publisher:
        assert publisher.stdin is not None and publisher.stdout is not None

        def begin() -> None:
            assert publisher.stdin is not None
            publisher.stdin.write("go\n")
            publisher.stdin.flush()

        arrived = arrivals(begin)
        sent = [float(line) for line in publisher.stdout][-count:]
    return [there - here for here, there in zip(sent, arrived[-count:], strict=True)]


@pytest.mark.parametrize(("name", "count", "pause"), [("now and then", 100, 0.02), ("at once", 500, 0.0)])
def test_arrival_in_another_process(
    tmp_path: Path, nats_server: NatsServer, report: Report, name: str, count: int, pause: float
) -> None:
    with Engine.open(tmp_path / "store", broker=JetStreamBroker(nats_server.url)) as engine:
        topic = new_topic(engine, "t")
        deafen(engine)  # the store tells as well; here it is to be the broker alone
        with engine.subscriber.subscribe(topic) as subscription:
            until_delivered(engine, topic)

            def through_engine(begin: Callable[[], None]) -> list[float]:
                arrived = []
                for number in range(WARM + count):
                    if number == WARM:
                        begin()
                    assert subscription.next(timeout=60).offset.value == number
                    arrived.append(time.monotonic())
                return arrived

            ours = _delays(_PUBLISHER, tmp_path / "store", nats_server.url, count, pause, through_engine)

    def plainly(begin: Callable[[], None]) -> list[float]:
        async def main() -> list[float]:
            client = await nats.connect(nats_server.url)
            stream = client.jetstream()
            await stream.add_stream(name="plain", subjects=["plain.>"])
            arrived: list[float] = []
            done = asyncio.Event()

            async def on_message(message: Msg) -> None:
                arrived.append(time.monotonic())
                if len(arrived) == WARM:
                    begin()
                if len(arrived) == WARM + count:
                    done.set()

            await stream.subscribe("plain.t", cb=on_message, ordered_consumer=True)
            await done.wait()
            await stream.delete_stream("plain")
            await client.close()
            return arrived

        return asyncio.run(main())

    plain = _delays(_PLAIN_PUBLISHER, tmp_path, nats_server.url, count, pause, plainly)
    for share, target in ((0.5, None), (0.99, 10)):
        here, there = percentile(ours, share) * 1000, percentile(plain, share) * 1000
        report.add(
            "jetstream",
            f"from another process, {name}, p{share * 100:.0f} (plain JetStream {there:.2f} ms)",
            f"{here:.2f} ms",
            "" if target is None else f"≤ {target} ms",
            None if target is None else here <= target,
        )


def test_cost_of_a_publish(tmp_path: Path, nats_server: NatsServer, synced: NatsServer, report: Report) -> None:
    count = 300
    with (
        Engine.open(tmp_path / "alone", broker="memory") as alone,
        Engine.open(tmp_path / "shared", broker=JetStreamBroker(nats_server.url, queue=1 << 20)) as shared,
        asyncio.Runner() as runner,
    ):
        topics = {engine: new_topic(engine, "t") for engine in (alone, shared)}
        broker = shared.broker
        assert isinstance(broker, JetStreamBroker) and broker.wait_connected(20)
        payload = batch_of(10).serialize().to_pybytes()

        def publish(engine: Engine) -> None:
            topic: TopicDefinition = topics[engine]
            for _ in range(count):
                engine.publisher.publish_scoped(topic, None, batch_of(10))

        def with_broker() -> None:
            publish(shared)

        def drained() -> None:
            """So that the next contender has the machine for itself; not part of anybody's time."""
            until(lambda: broker._link.session.sender.idle, "all is acknowledged")

        clients = [runner.run(nats.connect(server.url)) for server in (nats_server, synced)]
        streams = [client.jetstream() for client in clients]
        for stream in streams:
            runner.run(stream.add_stream(name="cost", subjects=["cost"]))

        async def plainly(place: int) -> None:
            for _ in range(count):
                await streams[place].publish("cost", payload)

        # Those that sync come by themselves: the disk goes on behind them.
        without, broker_too, _ = interleaved(lambda: publish(alone), with_broker, drained, rounds=7)
        beside, _, unsynced_plain, synced_plain = interleaved(
            with_broker, drained, lambda: runner.run(plainly(0)), lambda: runner.run(plainly(1)), rounds=5
        )
        for client in clients:
            runner.run(client.close())
        statistics = broker.statistics
    assert statistics["dropped"] == statistics["failed"] == 0
    ratio = median_ratio(broker_too, without)
    report.add("jetstream", "publish with the broker : without, time", f"{ratio:.2f}", "", None)
    report.add("jetstream", "publish with the broker", f"{count / sorted(broker_too)[3]:,.0f} batches/s")
    for name, plain in (("not synced", unsynced_plain), ("synced", synced_plain)):
        report.add(
            "jetstream", f"publish with the broker : plain JetStream, {name}, acknowledged, time",
            f"{median_ratio(beside, plain):.2f}",
        )  # fmt: skip
