"""Whatever happens to the server or on the way to it: nothing is skipped, repeated or blocked."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from nats.js import JetStreamContext

from jammi_sql import Engine
from jammi_sql.brokers import JetStreamBroker
from jammi_sql.brokers.jetstream.message import Encoder
from jammi_sql.errors import DriverError
from jammi_sql.topics import DeliveredBatch, Predicate, Subscription, TopicDefinition
from tests.jetstream_support import (
    EAGER,
    ask,
    check_history,
    deafen,
    delivers,
    finished,
    publish,
    python,
    stream_of,
    until_delivered,
)
from tests.servers.nats import NatsServer
from tests.servers.proxy import Proxy
from tests.topic_support import LIMIT, batch_of, definition, offsets, receive, until


@dataclass
class World:
    """One store, and engines that reach a server of their own through a proxy."""

    folder: Path
    server: NatsServer
    proxy: Proxy
    topic: TopicDefinition = field(default_factory=definition)
    opened: list[Engine] = field(default_factory=list)

    def open(self, **options: Any) -> Engine:
        """Another engine, which need not be connected yet."""
        broker = JetStreamBroker(f"nats://127.0.0.1:{self.proxy.port}", **{**EAGER, **options})
        engine = Engine.open(self.folder / "store", broker=broker)
        self.opened.append(engine)
        self.topic = engine.topic_repo.register_topic(self.topic)
        return engine

    def close(self) -> None:
        """End them all."""
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(Engine.close, self.opened))


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with NatsServer(tmp_path / "nats") as server, Proxy(server.address) as proxy:
        world = World(tmp_path, server, proxy)
        yield world
        world.close()


def broker_of(engine: Engine) -> JetStreamBroker:
    assert isinstance(engine.broker, JetStreamBroker)
    return engine.broker


def until_connected(*engines: Engine) -> None:
    until(lambda: all(broker_of(engine).connected for engine in engines), "they are connected")


def until_handed_over(
    writer: Engine, reader: Engine, topic: TopicDefinition, subscription: Subscription, at: int
) -> int:
    """Publish until something comes through the server again; the offset behind that."""
    received = broker_of(reader).statistics["received"]

    def through() -> bool:
        nonlocal at
        publish(writer, topic, at, at + 1)
        check_history(subscription, at, at + 1)
        at += 1
        return broker_of(reader).statistics["received"] > received

    until(through, "batches come through the server again")
    return at


# --- the server ---


def purge(world: World) -> None:
    ask(world.server.url, lambda js: js.purge_stream(stream_of(world.topic)))


def delete_stream(world: World) -> None:
    ask(world.server.url, lambda js: js.delete_stream(stream_of(world.topic)))


def delete_consumers(world: World) -> None:
    async def work(js: JetStreamContext) -> None:
        for consumer in await js.consumers_info(stream_of(world.topic)):
            await js.delete_consumer(stream_of(world.topic), consumer.name)

    ask(world.server.url, work)


def restart(world: World) -> None:
    world.server.restart()


def stop_and_start(world: World) -> None:
    world.server.stop()
    world.server.start()


def lose_everything(world: World) -> None:
    world.server.kill()
    world.server.lose_store()
    world.server.start()


def drop_connections(world: World) -> None:
    world.proxy.drop()


def nothing(world: World) -> None:
    """So that the test itself is tested."""


@pytest.mark.parametrize(
    "fault",
    [nothing, purge, delete_stream, delete_consumers, restart, stop_and_start, lose_everything, drop_connections],
)
def test_whatever_happens_to_the_server_each_offset_comes_once_and_it_goes_on(
    world: World, fault: Callable[[World], None]
) -> None:
    writer, reader = world.open(), world.open()
    until_connected(writer, reader)
    with reader.subscriber.subscribe(world.topic) as subscription:
        until_delivered(reader, world.topic)
        publish(writer, world.topic, 0, 20)
        with ThreadPoolExecutor(1) as pool:
            publishing = pool.submit(publish, writer, world.topic, 20, 120)
            fault(world)
            publishing.result(LIMIT)
        check_history(subscription, 0, 120)
        end = until_handed_over(writer, reader, world.topic, subscription, 120)
        with pytest.raises(TimeoutError):
            subscription.next(timeout=0)
    with world.open().subscriber.subscribe(world.topic, from_offset=0) as replay:
        check_history(replay, 0, end)


# --- the network ---


def cut(world: World) -> None:
    world.proxy.cut()


def blackhole(world: World) -> None:
    world.proxy.blackhole()


def delay(world: World) -> None:
    world.proxy.delay(0.3)


@pytest.mark.parametrize("fault", [cut, blackhole, delay])
def test_while_the_network_fails_batches_arrive_through_the_log(world: World, fault: Callable[[World], None]) -> None:
    writer, reader = world.open(), world.open()
    until_connected(writer, reader)
    with reader.subscriber.subscribe(world.topic) as subscription:
        until_delivered(reader, world.topic)
        publish(writer, world.topic, 0, 20)
        fault(world)
        publish(writer, world.topic, 20, 60)
        check_history(subscription, 0, 60)  # while it lasts
        world.proxy.heal()
        end = until_handed_over(writer, reader, world.topic, subscription, 60)
        with pytest.raises(TimeoutError):
            subscription.next(timeout=0)
    assert end > 60
    until(lambda: reader.broker.heal_interval == 0.25, "all is well")


def test_a_silent_network_is_noticed_and_the_log_is_looked_at_more_often(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    engine = world.open()
    until_connected(engine)
    with engine.subscriber.subscribe(world.topic):
        until_delivered(engine, world.topic)
        assert engine.broker.heal_interval == 0.25
        world.proxy.blackhole()
        until(lambda: not broker_of(engine).connected, "it is noticed")
        until(lambda: engine.broker.heal_interval == 0.01, "the log is looked at more often")
        until(lambda: engine.services.watch._heard_within == 0.01, "the engine follows")
        assert "it is silent" in caplog.text
        world.proxy.heal()
        until_delivered(engine, world.topic)
        until(lambda: engine.services.watch._heard_within == 0.25, "the engine follows")


def test_a_publisher_never_waits_for_a_silent_server_and_what_is_too_much_is_left_out(
    world: World, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    # On a busy machine so much would be given up meanwhile that the queue is never full.
    monkeypatch.setattr("jammi_sql.brokers.jetstream.sender._PATIENCE", 200.0)
    count, rows = 30, 45_000  # of a megabyte each: more than may be unacknowledged and waiting together
    writer, reader = world.open(queue=5, connect_timeout=200.0, heartbeat=200.0), world.open()
    until_connected(writer, reader)
    with reader.subscriber.subscribe(world.topic) as subscription, writer.subscriber.subscribe(world.topic) as own:
        until_delivered(reader, world.topic)
        world.proxy.blackhole()
        with ThreadPoolExecutor(1) as pool:
            for _ in range(count):
                pool.submit(writer.publisher.publish_scoped, world.topic, None, batch_of(range(rows))).result(LIMIT)
        for one in (own, subscription):
            delivered = receive(one, count)
            assert offsets(delivered) == list(range(count))
            assert {each.batch.num_rows for each in delivered} == {rows}
        statistics = broker_of(writer).statistics
        assert statistics["dropped"] > 0
        assert statistics["waiting"] <= 5
        until(lambda: "left out" in caplog.text, "it is told")
        closing = ThreadPoolExecutor(1).submit(writer.close)
        closing.result(LIMIT)


def test_closing_ends_soon_whatever_the_server_does(world: World) -> None:
    engines = [world.open() for _ in range(3)]
    until_connected(*engines)
    subscriptions = [engine.subscriber.subscribe(world.topic) for engine in engines]
    until(lambda: all(delivers(engine, world.topic) for engine in engines), "the server delivers")
    with ThreadPoolExecutor(4) as pool:
        waiting = [pool.submit(list, subscription) for subscription in subscriptions]
        world.proxy.blackhole()
        publish(engines[0], world.topic, 0, 10)
        pool.submit(engines[0].close).result(LIMIT)
        world.proxy.cut()
        pool.submit(engines[1].close).result(LIMIT)
        world.server.kill()
        pool.submit(engines[2].close).result(LIMIT)
        assert [offsets(one.result(LIMIT))[:1] for one in waiting][0] == [0]


def test_what_was_not_acknowledged_is_sent_again_and_stored_once(world: World) -> None:
    engine = world.open()
    until_connected(engine)
    broker = broker_of(engine)
    publish(engine, world.topic, 0, 10)
    until(lambda: broker.statistics["acknowledged"] == 10, "all is acknowledged")
    world.proxy.delay(0.2)  # the server has them before this side knows
    publish(engine, world.topic, 10, 30)
    until(lambda: _messages(world) >= 20, "the server has some")
    world.proxy.drop()
    world.proxy.delay(0.0)
    publish(engine, world.topic, 30, 40)
    until(lambda: _messages(world) == 40, "the server has all")
    until(lambda: broker._link.session.sender.idle, "nothing waits")
    found = ask(world.server.url, lambda js: _stored(js, stream_of(world.topic), 40))
    assert sorted(found) == list(range(40))
    assert _messages(world) == 40


def _messages(world: World) -> int:
    return ask(world.server.url, lambda js: js.stream_info(stream_of(world.topic))).state.messages


async def _stored(js: JetStreamContext, stream: str, count: int) -> list[int]:
    return [int((await js.get_msg(stream, number)).headers["Jammi-Offset"]) for number in range(1, count + 1)]


# --- at the start ---


def test_unreachable_at_the_start_it_works_says_so_once_and_connects_later(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server = NatsServer(tmp_path / "nats", start=False)
    opened = [Engine.open(tmp_path / "store", broker=JetStreamBroker(server.url, **EAGER)) for _ in range(2)]
    writer, reader = opened
    try:
        topic = writer.topic_repo.register_topic(definition())
        with reader.subscriber.subscribe(topic) as subscription:
            publish(writer, topic, 0, 30)
            check_history(subscription, 0, 30)
            until(lambda: len(caplog.records) >= 2, "it is told")
            with pytest.raises(DriverError):
                reader.broker.list_consumers(topic.id)
            server.start()
            until_connected(writer, reader)
            end = until_handed_over(writer, reader, topic, subscription, 30)
            assert end > 30
        told = [record.message for record in caplog.records if record.levelno >= logging.WARNING]
        assert len(told) == 2  # one for each broker
        assert all(f"127.0.0.1:{server.port} cannot be used" in message for message in told)
    finally:
        for engine in opened:
            engine.close()
        server.kill()


def test_a_server_without_jetstream_is_told_of_and_costs_nothing_but_time(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with NatsServer(tmp_path / "nats", {"jetstream": False}) as server:
        with Engine.open(tmp_path / "store", broker=JetStreamBroker(server.url, **EAGER)) as engine:
            until_connected(engine)
            topic = engine.topic_repo.register_topic(definition())
            with engine.subscriber.subscribe(topic) as subscription, Engine.open(tmp_path / "store") as another:
                publish(engine, topic, 0, 5)
                publish(another, topic, 5, 10)
                check_history(subscription, 0, 10)
            until(lambda: "there is no stream" in caplog.text, "it is told")
            with pytest.raises(DriverError):
                engine.broker.list_consumers(topic.id)


# --- what comes from the server ---


def test_duplicates_disorder_and_losses_change_nothing(nats_server: NatsServer, tmp_path: Path) -> None:
    chance = random.Random(7)
    count = 200
    with (
        Engine.open(tmp_path / "store") as writer,
        deafen(Engine.open(tmp_path / "store", broker=JetStreamBroker(nats_server.url, **EAGER))) as reader,
    ):
        topic = writer.topic_repo.register_topic(definition())
        with reader.subscriber.subscribe(topic) as subscription:
            until_delivered(reader, topic)
            publish(writer, topic, 0, count + 1)
            batches = writer.subscriber.replay_only(topic, Predicate.match_all(), 0)
            order = list(range(count))
            for _ in range(count):  # within reach, as a network does it
                place = chance.randrange(count - 10)
                other = place + chance.randrange(10)
                order[place], order[other] = order[other], order[place]
            sent = [number for number in order if chance.random() < 0.8 for _ in range(chance.choice([1, 1, 2, 3]))]
            ask(nats_server.url, lambda js: _send(js, topic, [batches[number] for number in [*sent, count]]))
            check_history(subscription, 0, count + 1)
            with pytest.raises(TimeoutError):
                subscription.next(timeout=0.05)


async def _send(js: JetStreamContext, topic: TopicDefinition, batches: list[DeliveredBatch]) -> None:
    for number, batch in enumerate(batches):
        headers, payload = Encoder(topic.id, "somebody").encode(batch, 1 << 20)
        await js.publish(f"jammi.{topic.id}", payload, headers={**headers, "Nats-Msg-Id": str(number)})


def test_messages_of_strangers_and_damaged_ones_change_nothing(nats_server: NatsServer, tmp_path: Path) -> None:
    with (
        Engine.open(tmp_path / "store") as writer,
        deafen(Engine.open(tmp_path / "store", broker=JetStreamBroker(nats_server.url, **EAGER))) as reader,
    ):
        topic = writer.topic_repo.register_topic(definition())
        with reader.subscriber.subscribe(topic) as subscription:
            until_delivered(reader, topic)
            publish(writer, topic, 0, 5)
            batches = writer.subscriber.replay_only(topic, Predicate.match_all(), 0)

            async def work(js: JetStreamContext) -> None:
                subject = f"jammi.{topic.id}"
                await js.publish(subject, b"hello")
                await js.publish(subject, b"", headers={"Jammi-Offset": "many"})
                headers, payload = Encoder(topic.id, "somebody").encode(batches[0], 1 << 20)
                await js.publish(subject, payload[:-20], headers={**headers, "Nats-Msg-Id": "damaged"})
                await js.publish(subject, b"no arrow", headers={"Jammi-Offset": "3"})
                await _send(js, topic, batches[4:])

            ask(nats_server.url, work)
            check_history(subscription, 0, 5)


# --- processes ---

_PUBLISHER = """
import sys, jammi_sql
from jammi_sql import Engine, faults
from jammi_sql.brokers import JetStreamBroker
from tests.topic_support import batch_of
store, url, first, end, killed_at = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:])
broker = JetStreamBroker(url)
broker.wait_connected(20)
engine = Engine.open(store, broker=broker)
topic = engine.topic_repo.lookup_by_name("events.changes")
for number in range(first, end):
    if number == killed_at:
        import os, signal
        with faults.armed("publish.before_hand_over", lambda: os.kill(os.getpid(), signal.SIGKILL)):
            engine.publisher.publish_scoped(topic, None, batch_of([number]))
    engine.publisher.publish_scoped(topic, None, batch_of([number]))
engine.close()
"""


def test_a_publisher_killed_between_commit_and_hand_over_loses_nothing(world: World) -> None:
    reader = world.open()
    until_connected(reader)
    with reader.subscriber.subscribe(world.topic) as subscription:
        until_delivered(reader, world.topic)
        store = reader.services.store.location
        killed = python(_PUBLISHER, store, world.server.url, 0, 10, 5)
        check_history(subscription, 0, 6)
        assert killed.wait(LIMIT) == -9
        killed.communicate()
        publish(reader, world.topic, 6, 10)
        check_history(subscription, 6, 10)


def test_publishers_in_several_processes_through_a_restart_of_the_server(world: World) -> None:
    readers = [world.open(), world.open()]
    until_connected(*readers)
    subscriptions = [reader.subscriber.subscribe(world.topic) for reader in readers]
    until(lambda: all(delivers(reader, world.topic) for reader in readers), "the server delivers")
    store = readers[0].services.store.location
    processes = [python(_PUBLISHER, store, world.server.url, 0, 150, -1) for _ in range(2)]
    first = [receive(subscription, 50) for subscription in subscriptions]
    world.server.restart()
    rest = [receive(subscription, 250) for subscription in subscriptions]
    for process in processes:
        finished(process)
    histories = [before + after for before, after in zip(first, rest, strict=True)]
    assert [offsets(history) for history in histories] == [list(range(300))] * 2
    rows = [[one.batch.to_pylist() for one in history] for history in histories]
    assert rows[0] == rows[1]
    assert sorted(row[0]["id"] for row in rows[0]) == sorted([*range(150), *range(150)])


def test_a_batch_that_the_server_refuses_is_told_of_and_read_from_the_log(
    nats_server: NatsServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Engine.open(tmp_path / "store", broker=JetStreamBroker(nats_server.url, **EAGER)) as engine:
        until_connected(engine)
        topic = engine.topic_repo.register_topic(definition())
        until(lambda: topic.id in broker_of(engine)._link.session._ensured, "the stream is made")

        async def limit(js: JetStreamContext) -> None:
            config = (await js.stream_info(stream_of(topic))).config
            await js.update_stream(config.evolve(max_msg_size=500))

        ask(nats_server.url, limit)
        with engine.subscriber.subscribe(topic) as subscription:
            engine.publisher.publish_scoped(topic, None, batch_of(range(500)))
            assert subscription.next(timeout=LIMIT).batch.num_rows == 500
        until(lambda: "did not take offset 0 of topic events.changes" in caplog.text, "it is told")
        assert broker_of(engine).statistics["failed"] == 1
