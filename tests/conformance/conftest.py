"""Engines over every kind of store and of broker."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest

from jammi_sql import Engine
from jammi_sql.brokers import Broker, InMemoryBroker, JetStreamBroker, PollingBroker
from jammi_sql.ports import Store
from jammi_sql.topics import TopicDefinition
from tests.servers import stores
from tests.servers.nats import NatsServer
from tests.store_support import Opener

BrokerFactory = Callable[[], InMemoryBroker]


@contextmanager
def in_process(kind: BrokerFactory, request: pytest.FixtureRequest) -> Iterator[BrokerFactory]:
    """Brokers that need no server."""
    yield kind


@contextmanager
def jetstream(request: pytest.FixtureRequest) -> Iterator[BrokerFactory]:
    """Brokers on a server that all tests share: topics have identities of their own."""
    server: NatsServer = request.getfixturevalue("nats_server")

    def connected() -> JetStreamBroker:
        broker = JetStreamBroker(server.url)
        assert broker.wait_connected(50)
        return broker

    yield connected


# Each gives what makes a fresh broker, whose ``trigger_failure_for_next_publish`` lets a hand-over fail.
BROKERS: dict[str, Callable[[pytest.FixtureRequest], AbstractContextManager[BrokerFactory]]] = {
    "memory": partial(in_process, InMemoryBroker),
    "polling": partial(in_process, PollingBroker),
    "jetstream": jetstream,
}


# How a subscription is read says nothing about the store: ``async for`` on each of them and on each broker, all pairs in soak.
AWAITED = [("sqlite", "memory"), ("sqlite", "polling"), ("postgres", "jetstream")]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the other pairs."""
    for item in items:
        if isinstance(item, pytest.Function) and hasattr(item, "callspec"):
            chosen = item.callspec.params
            if chosen.get("collect") == "async" and chosen["harness"] not in AWAITED:
                item.add_marker(pytest.mark.soak)


@dataclass
class Harness:
    """One store, on which engines with brokers of their own are opened; all are closed at the end."""

    target: str
    new_broker: BrokerFactory
    opened: list[Engine] = field(default_factory=list)

    def open(self, broker: Broker | None = None) -> Engine:
        """Another engine on the store, with a fresh broker unless one is given."""
        engine = Engine.open(self.target, broker=broker or self.new_broker())
        self.opened.append(engine)
        return engine

    def engine(self, *topics: TopicDefinition) -> Engine:
        """An engine on which ``topics`` are registered, with the broker and in the catalogue."""
        engine = self.open()
        for topic in topics:
            engine.broker.register_topic(topic)
            engine.topic_repo.register_topic(topic)
        return engine

    def fail_next_hand_over(self, engine: Engine, message: str = "simulated outage") -> None:
        """Let the broker of ``engine`` fail once; the commit before it stands."""
        assert isinstance(engine.broker, InMemoryBroker)
        engine.broker.trigger_failure_for_next_publish(message)


@pytest.fixture(
    params=[(store, broker) for store in stores.KINDS for broker in BROKERS], ids=lambda pair: f"{pair[0]}-{pair[1]}"
)
def harness(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Harness]:
    """An empty store of one kind, and brokers of one kind."""
    store, broker = request.param
    with BROKERS[broker](request) as new_broker:
        harness = Harness(stores.target(request, store, tmp_path), new_broker)
        try:
            yield harness
        finally:
            for engine in harness.opened:
                engine.close()


@pytest.fixture(params=["sqlite", "postgres"])
def opener(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Opener]:
    """Opens the same store as often as it is called; all are closed at the end."""
    opened: list[Store] = []

    target = stores.target(request, request.param, tmp_path)

    def open_store(**options: object) -> Store:
        store = stores.opened(target, **options)
        opened.append(store)
        return store

    yield open_store
    for store in opened:
        store.close()


@pytest.fixture
def store(opener: Opener) -> Store:
    """An open store with an empty table ``item``."""
    made = opener()
    with made.begin() as transaction:
        transaction.script(
            "CREATE TABLE item (id BIGINT PRIMARY KEY, name TEXT NOT NULL, rank BIGINT, CHECK (id < 1000))"
        )
    return made
