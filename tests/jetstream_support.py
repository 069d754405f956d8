"""What the tests of the JetStream broker share."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import nats
from nats.js import JetStreamContext

from jammi_sql import Engine
from jammi_sql.brokers import JetStreamBroker
from jammi_sql.topics import DeliveredBatch, Subscription, TopicDefinition
from tests.topic_support import LIMIT, batch_of, ids, offsets, receive, until

__all__ = [
    "EAGER",
    "ask",
    "check_history",
    "deafen",
    "delivers",
    "finished",
    "publish",
    "python",
    "stream_of",
    "until_delivered",
]

_T = TypeVar("_T")

EAGER: dict[str, Any] = {"heartbeat": 0.2, "connect_timeout": 0.5, "max_backoff": 0.1, "close_timeout": 0.5}
"""A broker that notices at once, for tests which break things."""


def deafen(engine: Engine) -> Engine:
    """Let its watch over the log tell nothing: what arrives comes from the broker, or because that showed a gap."""
    engine.services.watch._tell = lambda: None  # type: ignore[method-assign]
    return engine


def delivers(engine: Engine, topic: TopicDefinition) -> bool:
    """Whether the server delivers a topic to this engine, as far as its broker knows."""
    broker = engine.broker
    assert isinstance(broker, JetStreamBroker)
    return broker.connected and str(topic.id) in broker._link.session.consumers._heard


def until_delivered(engine: Engine, *topics: TopicDefinition) -> None:
    """Wait until the server delivers them to this engine."""
    until(lambda: all(delivers(engine, topic) for topic in topics), "the server delivers")


def publish(engine: Engine, topic: TopicDefinition, first: int, end: int) -> None:
    """One batch of one row for each number."""
    for number in range(first, end):
        engine.publisher.publish_scoped(topic, None, batch_of([number]))


def check_history(subscription: Subscription, first: int, end: int) -> list[DeliveredBatch]:
    """Each offset comes once and in order, with the row that was published under it."""
    delivered = receive(subscription, end - first)
    assert offsets(delivered) == list(range(first, end))
    assert ids(delivered) == list(range(first, end))
    return delivered


def stream_of(topic: TopicDefinition, prefix: str = "jammi") -> str:
    """What its stream is called."""
    return f"{prefix}-{topic.id}"


def ask(url: str, question: Callable[[JetStreamContext], Awaitable[_T]]) -> _T:
    """The server's answer, by a connection of its own."""

    async def run() -> _T:
        client = await nats.connect(url)
        try:
            return await question(client.jetstream())
        finally:
            await client.close()

    return asyncio.run(run())


def python(program: str, *arguments: object) -> subprocess.Popen[str]:
    """Another process, whose output can be read."""
    command = [sys.executable, "-c", program, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ))


def finished(process: subprocess.Popen[str]) -> str:
    """What it said, once it ended well."""
    out, err = process.communicate(timeout=LIMIT * 2)
    assert process.returncode == 0, err
    return out
