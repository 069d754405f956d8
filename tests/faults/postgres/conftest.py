"""Engines on a PostgreSQL server behind a proxy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count

import pytest

from jammi_sql import Engine
from jammi_sql.topics import TopicDefinition
from tests.servers.postgres import PostgresServer
from tests.servers.proxy import Proxy
from tests.topic_support import definition

_SCHEMAS = count(1)


@pytest.fixture
def proxy(postgres: PostgresServer) -> Iterator[Proxy]:
    """The way to the server."""
    with Proxy(("127.0.0.1", postgres.port)) as proxy:
        yield proxy


@pytest.fixture
def url(postgres: PostgresServer, proxy: Proxy) -> str:
    """A new store, by way of the proxy."""
    here = postgres.url().replace(f":{postgres.port}/", f":{proxy.port}/")
    return f"{here}?schema=faults_{next(_SCHEMAS)}"


@pytest.fixture
def open_engine(url: str) -> Iterator[Callable[..., Engine]]:
    """Engines on the store; all are closed at the end."""
    opened: list[Engine] = []

    def open_one(**options: float) -> Engine:
        engine = Engine.open(url, **options)
        opened.append(engine)
        return engine

    yield open_one
    for engine in opened:
        engine.close()


@pytest.fixture
def engine(open_engine: Callable[..., Engine]) -> Engine:
    return open_engine()


@pytest.fixture
def topic(engine: Engine) -> TopicDefinition:
    topic = definition()
    engine.topic_repo.register_topic(topic)
    return topic
