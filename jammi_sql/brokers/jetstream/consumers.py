"""What other processes published: one consumer for each topic that somebody in this process subscribes to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from nats.js.errors import NotFoundError

from ...topics.definition import TopicId
from ...topics.tail import Tail
from .client import CheckedClient, reason_of
from .complaints import Complaints
from .message import ORIGIN, decode
from .retries import Retries
from .streams import Names

__all__ = ["Consumers"]

_INACTIVE: Final = 30.0
"""Seconds after which the server removes the consumers of a process that is gone."""
_MISSED: Final = 2.5
"""Heartbeats without a sign of a consumer after which it counts as gone."""
_TOGETHER: Final = 16
"""Requests to the server at a time."""
_PENDING_BYTES: Final = 16 << 20
"""Of a topic, what may wait here to be looked at; the rest is read from the log."""


class Consumers:
    """Push consumers without acknowledgement, from the newest message on, whose heartbeats tell that they are there.

    Push, because a message then comes in one step and an idle consumer costs its heartbeat alone. Nothing is
    acknowledged and nothing is asked for again: a gap is found by its offset and read from the log. They are called
    after this process, so that making one again is a no-op on a server that still has it.
    """

    def __init__(
        self,
        tails: Callable[[TopicId], Tail | None],
        origin: str,
        names: Names,
        deliveries: str,
        heartbeat: float,
        complaints: Complaints,
    ) -> None:
        self.retries = Retries(0.1, 2.0)
        self.received = 0
        self._tails = tails
        self._origin = origin
        self._names = names
        self._deliveries = deliveries
        self._heartbeat = heartbeat
        self._complaints = complaints
        self._wanted: dict[str, TopicId] = {}
        self._unwanted: dict[str, TopicId] = {}
        self._heard: dict[str, float] = {}
        self._client: CheckedClient | None = None
        # One for each consumer: the server takes no subscription with a wildcard for somebody who listens.
        self._inboxes: dict[str, Subscription] = {}

    def want(self, topic: TopicId) -> None:
        """Somebody subscribes to ``topic``."""
        self._wanted[str(topic)] = topic

    def stream_is_there(self, topic: TopicId) -> None:
        """A stream was made: its consumer may have gone with the one before."""
        self.retries.settle(str(topic))
        self._heard.pop(str(topic), None)

    def forget(self, topic: TopicId) -> None:
        """The topic was dropped, and its consumer goes with its stream."""
        text = str(topic)
        if self._wanted.pop(text, None) is not None:
            self._unwanted[text] = topic

    def reconnected(self, client: CheckedClient) -> None:
        """Nothing is known of what the server has, and what it delivers goes to ``client``."""
        self._client = client
        self._inboxes.clear()
        self._heard.clear()
        self.retries.clear()

    @property
    def complete(self) -> bool:
        """Whether all that are wanted are there."""
        return self._wanted.keys() <= self._heard.keys()

    async def tend(self, jetstream: JetStreamContext, now: float) -> None:
        """Make those that are missing, and remove those that nobody needs any more."""
        for text, topic in list(self._wanted.items()):
            tail = self._tails(topic)
            if tail is None or tail.deserted:
                del self._wanted[text]
                self._unwanted[text] = topic
        for text in [text for text, heard in self._heard.items() if now - heard > _MISSED * self._heartbeat]:
            del self._heard[text]
        missing = [
            (text, topic)
            for text, topic in self._wanted.items()
            if text not in self._heard and self.retries.due(text, now)
        ]
        unwanted, self._unwanted = self._unwanted, {}
        calls = [
            *(self._create(jetstream, text, topic) for text, topic in missing),
            *(self._delete(jetstream, text, topic) for text, topic in unwanted.items() if text not in self._wanted),
        ]
        for start in range(0, len(calls), _TOGETHER):
            await asyncio.gather(*calls[start : start + _TOGETHER])

    async def remove_all(self, jetstream: JetStreamContext) -> None:
        """Leave nothing on the server."""
        self._unwanted.update(self._wanted)
        self._wanted.clear()
        await self.tend(jetstream, asyncio.get_running_loop().time())

    async def _create(self, jetstream: JetStreamContext, text: str, topic: TopicId) -> None:
        config = ConsumerConfig(
            name=self._origin,
            deliver_subject=f"{self._deliveries}.{text}",
            deliver_policy=DeliverPolicy.NEW,
            ack_policy=AckPolicy.NONE,
            idle_heartbeat=self._heartbeat,
            inactive_threshold=_INACTIVE,
            mem_storage=True,
            num_replicas=1,
        )
        loop = asyncio.get_running_loop()
        try:
            if text not in self._inboxes and self._client is not None:
                self._inboxes[text] = await self._client.subscribe(
                    f"{self._deliveries}.{text}", cb=self.on_message, pending_bytes_limit=_PENDING_BYTES
                )
            await jetstream.add_consumer(self._names.stream(topic), config)
        except Exception as error:
            self.retries.failed(text, loop.time())
            # Without a stream there is nobody yet who published, or the topic is gone.
            if not isinstance(error, NotFoundError):
                self._complaints.say(
                    ("consumer", text),
                    f"the server delivers nothing of topic {topic}: {reason_of(error)}; it is read from the log",
                )
        else:
            self.retries.settle(text)
            self._complaints.settle(("consumer", text))
            self._heard[text] = loop.time()

    async def _delete(self, jetstream: JetStreamContext, text: str, topic: TopicId) -> None:
        self._heard.pop(text, None)
        self.retries.settle(text)
        inbox = self._inboxes.pop(text, None)
        try:
            if inbox is not None:
                await inbox.unsubscribe()
            await jetstream.delete_consumer(self._names.stream(topic), self._origin)
        except Exception:  # nobody listens any more: the server does it in the end
            pass

    async def on_message(self, message: Msg) -> None:
        """A batch, or a sign that a consumer is there."""
        text = message.subject.rpartition(".")[2]
        topic = self._wanted.get(text)
        if topic is None:
            return
        if text in self._heard:
            self._heard[text] = asyncio.get_running_loop().time()
        headers = message.headers
        if headers is None or "Status" in headers or headers.get(ORIGIN) == self._origin:
            return  # a heartbeat, nothing of ours, or published here and handed over long since
        arrival = decode(headers, message.data)
        tail = None if arrival is None else self._tails(topic)
        if arrival is None or tail is None:
            return
        self.received += 1
        if arrival.delivered is None:
            tail.notify(arrival.offset + 1)
        else:
            tail.append(arrival.delivered, own=False)
