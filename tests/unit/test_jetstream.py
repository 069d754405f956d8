"""The JetStream broker on a server that is well: what goes through it, what it leaves there, who gets in."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from nats.js.api import ConsumerInfo, StreamConfig
from nats.js.errors import NotFoundError

from jammi_sql import Engine
from jammi_sql.brokers import Broker, JetStreamBroker
from jammi_sql.errors import DriverError, InvalidParameter, TopicNotFound
from jammi_sql.topics import Predicate, TopicDefinition
from tests.jetstream_support import (
    EAGER,
    ask,
    check_history,
    deafen,
    finished,
    publish,
    python,
    stream_of,
    until_delivered,
)
from tests.servers.nats import NatsServer
from tests.topic_support import LIMIT, TENANT_A, TENANT_B, batch_of, definition, ids, offsets, receive, until

Opener = Callable[..., Engine]


@pytest.fixture
def opener(nats_server: NatsServer, tmp_path: Path) -> Iterator[Opener]:
    """Opens engines on one store, with brokers of their own, as processes of their own would."""
    opened: list[Engine] = []

    def open_engine(**options: Any) -> Engine:
        broker = JetStreamBroker(nats_server.url, **{**EAGER, **options})
        engine = Engine.open(tmp_path / "store", broker=broker)
        opened.append(engine)
        assert broker.wait_connected(LIMIT)
        return engine

    yield open_engine
    for engine in opened:
        engine.close()


@pytest.fixture
def writer(opener: Opener) -> Engine:
    """An engine that publishes."""
    return opener()


@pytest.fixture
def reader(opener: Opener) -> Engine:
    """Another one on the same store, which hears of publishes through the broker alone."""
    return deafen(opener())


@pytest.fixture
def topic(writer: Engine) -> TopicDefinition:
    """A topic that is registered."""
    return writer.topic_repo.register_topic(definition())


def config_of(server: NatsServer, topic: TopicDefinition) -> StreamConfig:
    return ask(server.url, lambda js: js.stream_info(stream_of(topic))).config


def consumers_of(server: NatsServer, topic: TopicDefinition) -> list[ConsumerInfo]:
    try:
        return ask(server.url, lambda js: js.consumers_info(stream_of(topic)))
    except NotFoundError:  # its stream is made a moment after the topic
        return []


def has_stream(server: NatsServer, name: str) -> bool:
    try:
        ask(server.url, lambda js: js.stream_info(name))
    except NotFoundError:
        return False
    return True


# --- what goes through it ---


def test_it_has_the_contract(writer: Engine) -> None:
    broker: Broker = writer.broker
    assert broker.driver_kind == "jetstream"
    assert 0 < broker.heal_interval < 1


def test_batches_of_another_engine_arrive_through_the_server(
    writer: Engine, reader: Engine, topic: TopicDefinition
) -> None:
    with reader.subscriber.subscribe(topic) as subscription:
        until_delivered(reader, topic)
        publish(writer, topic, 0, 50)
        delivered = check_history(subscription, 0, 50)
    assert [one.produced_at.tzinfo for one in delivered] == [UTC] * 50
    assert isinstance(reader.broker, JetStreamBroker) and isinstance(writer.broker, JetStreamBroker)
    assert reader.broker.statistics["received"] == 50
    assert writer.broker.statistics["dropped"] == writer.broker.statistics["failed"] == 0


def test_batches_of_another_process_arrive_through_the_server(
    nats_server: NatsServer, reader: Engine, topic: TopicDefinition
) -> None:
    program = """
import sys, jammi_sql
with jammi_sql.connect(sys.argv[1], broker=sys.argv[2]) as conn:
    for number in range(30):
        conn.execute("INSERT INTO events.changes VALUES (?, 'X', 1.0)", (number,))
"""
    with reader.subscriber.subscribe(topic) as subscription:
        until_delivered(reader, topic)
        process = python(program, reader.services.store.location, nats_server.url)
        check_history(subscription, 0, 30)
        finished(process)


def test_a_subscription_gets_what_its_own_process_published_at_once_and_once(
    writer: Engine, topic: TopicDefinition
) -> None:
    deafen(writer)
    with writer.subscriber.subscribe(topic) as subscription:
        until_delivered(writer, topic)
        publish(writer, topic, 0, 20)
        check_history(subscription, 0, 20)
        assert isinstance(writer.broker, JetStreamBroker)
        broker = writer.broker
        until(lambda: broker.statistics["acknowledged"] == 20, "all is acknowledged")
        with pytest.raises(TimeoutError):
            subscription.next(timeout=0.05)
        assert broker.statistics["received"] == 0


def test_publishers_here_and_there_share_one_order(writer: Engine, reader: Engine, topic: TopicDefinition) -> None:
    each = 60
    subscriptions = [engine.subscriber.subscribe(topic) for engine in (reader, writer)]
    until_delivered(reader, topic)
    with ThreadPoolExecutor(4) as pool:
        for engine in (writer, reader, writer, reader):
            pool.submit(publish, engine, topic, 0, each)
    # Something is missing of what came in disorder: the next batch shows that.
    publish(writer, topic, each, each + 1)
    histories = [receive(one, 4 * each + 1) for one in subscriptions]
    assert [offsets(one) for one in histories] == [list(range(4 * each + 1))] * 2
    assert ids(histories[0]) == ids(histories[1])


def test_what_no_broker_handed_over_is_found_in_the_log(opener: Opener, topic: TopicDefinition) -> None:
    hearing = opener()
    with hearing.subscriber.subscribe(topic) as subscription:
        until_delivered(hearing, topic)
        with Engine.open(hearing.services.store.location) as without:
            publish(without, topic, 0, 10)
            check_history(subscription, 0, 10)


def test_a_batch_over_the_servers_limit_is_told_of_and_read_from_the_log(
    writer: Engine, reader: Engine, topic: TopicDefinition
) -> None:
    rows = 200_000
    with reader.subscriber.subscribe(topic) as subscription:
        until_delivered(reader, topic)
        writer.publisher.publish_scoped(topic, None, batch_of(range(rows)))
        publish(writer, topic, 1, 2)
        large, small = receive(subscription, 2)
        assert (large.batch.num_rows, small.batch.num_rows) == (rows, 1)
        assert large.batch.nbytes > 1 << 20
    assert isinstance(writer.broker, JetStreamBroker)
    assert writer.broker.statistics["failed"] == 0


def test_rows_of_one_tenant_reach_nobody_else(writer: Engine, reader: Engine, topic: TopicDefinition) -> None:
    live = {
        tenant: reader.subscriber.subscribe_scoped(topic, tenant, Predicate.match_all(), None)
        for tenant in (TENANT_A, TENANT_B, None)
    }
    until_delivered(reader, topic)
    for number, tenant in enumerate((TENANT_A, TENANT_B, TENANT_A, None)):
        writer.publisher.publish_scoped(topic, tenant, batch_of([number]))
    assert {tenant: ids(receive(one, count)) for (tenant, one), count in zip(live.items(), (3, 2, 1), strict=True)} == {
        TENANT_A: [0, 2, 3],
        TENANT_B: [1, 3],
        None: [3],
    }


def test_a_subscription_sees_batches_of_a_newer_schema_as_its_own(writer: Engine, reader: Engine) -> None:
    session = writer.session()
    session.execute("CREATE TOPIC notes (id BIGINT)")
    found = writer.topic_repo.lookup_by_name("notes")
    assert found is not None
    with reader.subscriber.subscribe(found) as subscription:
        until_delivered(reader, found)
        session.execute("INSERT INTO notes VALUES (0)")
        session.execute("ALTER TOPIC notes ADD COLUMN more DOUBLE")
        session.execute("INSERT INTO notes VALUES (1, 0.5)")
        delivered = receive(subscription, 2)
        assert ids(delivered) == [0, 1]
        assert [one.batch.schema.names for one in delivered] == [["id"], ["id"]]
        latest = writer.topic_repo.lookup_by_name("notes")
        assert latest is not None
        with reader.subscriber.subscribe(latest, from_offset=0) as newer:
            session.execute("INSERT INTO notes VALUES (2, 1.5)")
            assert [one.batch.to_pylist() for one in receive(newer, 3)][2] == [{"id": 2, "more": 1.5}]


def test_a_schema_of_any_kind_goes_through(writer: Engine, reader: Engine) -> None:
    table = pa.table(
        {
            "d": pa.array(["a", "b", None]).dictionary_encode(),
            "s": [{"x": 1}, None, {"x": 3}],
            "l": [[1.5], [], None],
            "t": pa.array([1, 2, None], pa.timestamp("ns", "UTC")),
        }
    )
    topic = writer.topic_repo.register_topic(TopicDefinition("kinds", table.schema))
    with reader.subscriber.subscribe(topic) as subscription:
        until_delivered(reader, topic)
        writer.publisher.publish_scoped(topic, None, table)
        assert subscription.next(timeout=LIMIT).batch.to_pylist() == table.to_pylist()


def test_many_topics_share_one_connection(nats_server: NatsServer, writer: Engine, reader: Engine) -> None:
    topics = [writer.topic_repo.register_topic(definition(f"many.t{number}")) for number in range(50)]
    subscriptions = [reader.subscriber.subscribe(topic) for topic in topics]
    until_delivered(reader, *topics)
    for topic in topics:
        publish(writer, topic, 0, 3)
    for subscription in subscriptions:
        check_history(subscription, 0, 3)
    for subscription in subscriptions:
        subscription.close()

    async def consumers(js: Any) -> int:
        return sum([len(await js.consumers_info(stream_of(topic))) for topic in topics])

    until(lambda: ask(nats_server.url, consumers) == 0, "all consumers are removed")


def test_stores_on_one_server_know_nothing_of_each_other(
    nats_server: NatsServer, tmp_path: Path, writer: Engine, topic: TopicDefinition
) -> None:
    with Engine.open(tmp_path / "another", broker=nats_server.url) as another:
        same_name = another.topic_repo.register_topic(definition())
        deafen(another)
        with another.subscriber.subscribe(same_name) as subscription:
            until_delivered(another, same_name)
            publish(writer, topic, 0, 5)
            with pytest.raises(TimeoutError):
                subscription.next(timeout=0.05)
            publish(another, same_name, 0, 1)
            check_history(subscription, 0, 1)


# --- consumers ---


def test_one_consumer_serves_all_subscriptions_and_goes_with_the_last(
    nats_server: NatsServer, writer: Engine, reader: Engine, topic: TopicDefinition
) -> None:
    assert consumers_of(nats_server, topic) == []
    subscriptions = [reader.subscriber.subscribe(topic) for _ in range(3)]
    until_delivered(reader, topic)
    (consumer,) = consumers_of(nats_server, topic)
    assert isinstance(reader.broker, JetStreamBroker)
    assert consumer.name == reader.broker.origin
    assert consumer.config.inactive_threshold == 30.0  # what a killed process leaves is gone soon
    assert consumer.config.durable_name is None
    publish(writer, topic, 0, 3)
    for subscription in subscriptions:
        check_history(subscription, 0, 3)
    subscriptions.pop().close()
    subscriptions.pop()
    gc.collect()
    publish(writer, topic, 3, 4)
    check_history(subscriptions[0], 3, 4)
    assert len(consumers_of(nats_server, topic)) == 1
    del subscriptions[:], subscription
    gc.collect()
    until(lambda: consumers_of(nats_server, topic) == [], "the consumer is removed")


def test_closing_the_engine_removes_its_consumers(
    nats_server: NatsServer, reader: Engine, topic: TopicDefinition
) -> None:
    subscription = reader.subscriber.subscribe(topic)
    until_delivered(reader, topic)
    reader.close()
    reader.close()
    assert consumers_of(nats_server, topic) == []
    assert subscription.closed


def test_consumers_of_other_processes_are_listed_with_the_servers_figures(
    writer: Engine, reader: Engine, topic: TopicDefinition
) -> None:
    subscription = reader.subscriber.subscribe(topic)
    until_delivered(reader, topic)
    assert isinstance(reader.broker, JetStreamBroker)
    (idle,) = writer.broker.list_consumers(topic.id)
    assert (idle.consumer_name, idle.topic_id) == (reader.broker.origin, topic.id)
    assert (idle.last_delivered_stream_sequence, idle.last_ack_stream_sequence) == (-1, -1)
    publish(writer, topic, 0, 3)
    check_history(subscription, 0, 3)
    (there,) = writer.broker.list_consumers(topic.id)
    assert (there.last_delivered_stream_sequence, there.last_ack_stream_sequence) == (2, 2)
    (here,) = reader.broker.list_consumers(topic.id)
    assert (here.consumer_name, here.last_delivered_stream_sequence) == (str(subscription._live.id), 2)  # type: ignore[union-attr]
    assert writer.broker.list_consumers(definition().id) == []


# --- streams ---


def test_a_stream_is_as_the_options_of_its_topic_say(nats_server: NatsServer, writer: Engine) -> None:
    writer.session().execute(
        "CREATE TOPIC kept (a INT) WITH (jetstream_max_age = '10 minutes', jetstream_max_bytes = 1000000, jetstream_storage = 'memory', note = 'x')"
    )
    topic = writer.topic_repo.lookup_by_name("kept")
    assert topic is not None
    until(lambda: has_stream(nats_server, stream_of(topic)), "the stream is made")
    config = config_of(nats_server, topic)
    assert (config.max_age, config.max_bytes, config.storage, config.num_replicas) == (600, 1_000_000, "memory", 1)
    assert config.subjects == [f"jammi.{topic.id}"]
    assert "kept" in (config.description or "")


def test_a_stream_follows_its_topics_options_and_keeps_what_an_operator_set(
    nats_server: NatsServer, writer: Engine
) -> None:
    session = writer.session()
    session.execute("CREATE TOPIC kept (a INT) WITH (jetstream_max_age = '10 minutes')")
    topic = writer.topic_repo.lookup_by_name("kept")
    assert topic is not None
    session.execute("INSERT INTO kept VALUES (1)")
    until(lambda: has_stream(nats_server, stream_of(topic)), "the stream is made")
    theirs = config_of(nats_server, topic).evolve(max_bytes=123456)
    ask(nats_server.url, lambda js: js.update_stream(theirs))
    session.execute("ALTER TOPIC kept SET (jetstream_max_age = '20 minutes')")
    session.execute("INSERT INTO kept VALUES (2)")
    until(lambda: config_of(nats_server, topic).max_age == 1200, "the stream is changed")
    assert config_of(nats_server, topic).max_bytes == 123456


def test_a_wrong_option_is_refused_in_sql_and_left_out_in_python(
    nats_server: NatsServer, writer: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    session = writer.session()
    for statement in (
        "CREATE TOPIC kept (a INT) WITH (jetstream_replicas = 'many')",
        "ALTER TOPIC events.changes SET (jetstream_replicas = 'many')",
    ):
        writer.topic_repo.register_topic(definition())
        with pytest.raises(InvalidParameter, match="jetstream_replicas"):
            session.execute(statement)
    topic = definition("odd", metadata={"jetstream_storage": "tape", "jetstream_max_bytes": "4096"})
    writer.topic_repo.register_topic(topic)
    until(lambda: has_stream(nats_server, stream_of(topic)), "the stream is made")
    assert config_of(nats_server, topic).max_bytes == 4096
    (record,) = caplog.records
    assert "jetstream_storage" in record.message and "'tape'" in record.message


def test_a_publish_makes_the_stream_of_a_topic_that_others_registered(
    nats_server: NatsServer, tmp_path: Path, opener: Opener
) -> None:
    with Engine.open(tmp_path / "store") as without:
        topic = without.topic_repo.register_topic(definition())
    writer = opener()
    publish(writer, topic, 0, 5)
    assert isinstance(writer.broker, JetStreamBroker)
    broker = writer.broker
    until(lambda: broker.statistics["acknowledged"] == 5, "all is acknowledged")
    assert ask(nats_server.url, lambda js: js.stream_info(stream_of(topic))).state.messages == 5


def test_dropping_a_topic_deletes_its_stream_and_ends_its_subscriptions(
    nats_server: NatsServer, opener: Opener, writer: Engine, topic: TopicDefinition
) -> None:
    hearing = opener()
    with hearing.subscriber.subscribe(topic) as there, writer.subscriber.subscribe(topic) as here:
        until_delivered(hearing, topic)
        publish(writer, topic, 0, 2)
        for subscription in (here, there):
            check_history(subscription, 0, 2)
        writer.topic_repo.drop_topic(topic.id)
        for subscription in (here, there):
            with pytest.raises(TopicNotFound):
                subscription.next(timeout=LIMIT)
    until(lambda: not has_stream(nats_server, stream_of(topic)), "the stream is deleted")
    again = writer.topic_repo.register_topic(definition())
    with hearing.subscriber.subscribe(again) as subscription:
        publish(writer, again, 0, 2)
        check_history(subscription, 0, 2)


# --- its end ---


def test_what_waits_at_close_is_sent(nats_server: NatsServer, writer: Engine, topic: TopicDefinition) -> None:
    publish(writer, topic, 0, 100)
    writer.close()
    assert ask(nats_server.url, lambda js: js.stream_info(stream_of(topic))).state.messages == 100


def test_a_process_that_closes_nothing_still_sends_what_it_has_and_ends(
    nats_server: NatsServer, writer: Engine, topic: TopicDefinition
) -> None:
    program = """
import sys, jammi_sql
conn = jammi_sql.connect(sys.argv[1], broker=sys.argv[2])
live = conn.execute("SELECT * FROM subscribe('events.changes')")
for number in range(30):
    conn.execute("INSERT INTO events.changes VALUES (?, 'X', 1.0)", (number,))
conn.engine.broker.wait_connected(20)
"""
    finished(python(program, writer.services.store.location, nats_server.url))
    assert ask(nats_server.url, lambda js: js.stream_info(stream_of(topic))).state.messages == 30
    assert consumers_of(nats_server, topic) == []


def test_a_forked_child_gets_an_error_and_neither_hangs(nats_server: NatsServer, tmp_path: Path) -> None:
    program = """
import os, sys, warnings
warnings.simplefilter("ignore")
from jammi_sql.brokers import JetStreamBroker
from jammi_sql.errors import DriverError
from jammi_sql.topics import Predicate
from tests.topic_support import definition
broker = JetStreamBroker(sys.argv[1])
assert broker.wait_connected(20)
child = os.fork()
if child == 0:
    calls = [
        lambda: broker.subscribe(definition().id, Predicate.match_all(), None),
        lambda: broker.register_topic(definition()),
        lambda: broker.publish(definition(), None),
        lambda: broker.list_consumers(definition().id),
    ]
    for call in calls:
        try:
            call()
        except DriverError as error:
            assert "fork" in error.message
        else:
            sys.exit(3)
    broker.close()
    sys.exit(7)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
assert broker.connected
broker.close()
"""
    finished(python(program, nats_server.url))


def test_a_broker_that_is_let_go_of_ends_its_thread(nats_server: NatsServer) -> None:
    def running() -> int:
        return sum(thread.name == "jammi-jetstream" for thread in threading.enumerate())

    before = running()
    broker = JetStreamBroker(nats_server.url, **EAGER)
    assert broker.wait_connected(LIMIT)
    assert running() == before + 1
    del broker
    gc.collect()
    until(lambda: running() == before, "the thread ends")


def test_after_close_nothing_raises_and_nothing_is_listed(nats_server: NatsServer, topic: TopicDefinition) -> None:
    broker = JetStreamBroker(nats_server.url, **EAGER)
    assert broker.wait_connected(LIMIT)
    broker.close()
    broker.close()
    broker.register_topic(topic)
    broker.drop_topic(topic.id)
    assert not broker.connected
    with pytest.raises(DriverError) as caught:
        broker.list_consumers(topic.id)
    assert caught.value.sqlstate == "08006"
