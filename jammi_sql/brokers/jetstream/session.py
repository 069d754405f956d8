"""All that goes on between this process and the server, on one event loop."""

from __future__ import annotations

import asyncio
import logging
import random
import threading
import time
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from nats import errors
from nats.js import JetStreamContext

from ...topics.definition import TopicDefinition, TopicId
from .access import Access
from .client import CheckedClient, close, connect, reason_of
from .complaints import Complaints
from .consumers import Consumers
from .outbox import Outbox
from .retries import Retries
from .sender import Sender
from .streams import Names, Streams

__all__ = ["Session", "Timing", "end_tasks"]

_logger = logging.getLogger("jammi_sql.brokers")

_T = TypeVar("_T")

_TICK: Final = 0.5
"""Seconds between two looks at what is overdue."""
_REQUEST: Final = 2.0
"""Seconds that the server has for an answer."""
_FIRST_PAUSE: Final = 0.05
_STEADY: Final = 1.0
"""Seconds for which a connection must have lasted to be no reason for patience."""
_DELETIONS: Final = 4
"""Attempts to delete the stream of a topic that was dropped."""
_TOGETHER: Final = 16
_CANCEL: Final = 0.02
_CANCELS: Final = 50


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds: between signs of life, for a connection to be made, between two attempts at most, for the farewell."""

    heartbeat: float
    connect_timeout: float
    max_backoff: float
    close_timeout: float


class _Lost(Exception):
    """The connection is gone."""


class _Stopped(Exception):
    """The end was asked for."""


class Session:
    """Connects, for ever, and while connected sends, receives and looks after streams and consumers.

    Everything but ``connected`` and ``unwell_since`` belongs to the event loop.
    """

    def __init__(self, access: Access, timing: Timing, origin: str, outbox: Outbox, tails: Any) -> None:
        self.connected = threading.Event()
        self.unwell_since: float | None = time.monotonic()
        """Since when, in seconds of ``time.monotonic``, not everything is delivered that should be; ``None`` if it is."""
        self.jetstream: JetStreamContext | None = None
        self.names = Names(access.prefix)
        self.complaints = Complaints()
        self._access = access
        self._timing = timing
        self._origin = origin
        self._outbox = outbox
        self._answers = f"{access.inbox_prefix}.jammi-{origin}.answer"
        self._deliveries = f"{access.inbox_prefix}.jammi-{origin}.delivery"
        self.sender = Sender(outbox, origin, self.names, self.complaints, self.need)
        self.consumers = Consumers(tails, origin, self.names, self._deliveries, timing.heartbeat, self.complaints)
        self._needed: dict[TopicId, TopicDefinition] = {}
        self._ensured: dict[TopicId, TopicDefinition] = {}
        self._doomed: dict[TopicId, int] = {}
        self._retries = Retries(0.1, 5.0)
        self._changed = asyncio.Event()
        self._stopping = asyncio.Event()
        self._lost = asyncio.Event()
        self._loss = ""
        self._told = ""
        self._dropped = 0

    # --- what is asked of it, on the loop ---

    def register(self, topic: TopicDefinition) -> None:
        """Have a stream for a topic, unless there is one."""
        there = self._ensured.get(topic.id)
        if there is None or there.broker_metadata != topic.broker_metadata:
            self.need(topic)

    def need(self, topic: TopicDefinition) -> None:
        """Have its stream made, or changed."""
        self._doomed.pop(topic.id, None)
        self._needed[topic.id] = topic
        self._changed.set()

    def drop(self, topic: TopicId) -> None:
        """Have its stream deleted."""
        self._needed.pop(topic, None)
        self._ensured.pop(topic, None)
        self.sender.forget(topic)
        self.consumers.forget(topic)
        self._doomed[topic] = 0
        self._changed.set()

    def want(self, topic: TopicId) -> None:
        """Have its messages delivered."""
        self.consumers.want(topic)
        self._changed.set()

    def look(self) -> None:
        """A subscription ended: see whether somebody is left."""
        self._changed.set()

    def stop(self) -> None:
        """End it: send what waits, leave nothing on the server, within the time for the farewell."""
        self._stopping.set()

    # --- its life ---

    async def main(self) -> None:
        """Until it is stopped."""
        pause = _FIRST_PAUSE
        while not self._stopping.is_set():
            began = time.monotonic()
            try:
                client = await self._unless_stopped(self._connect())
                try:
                    await self._converse(client)
                finally:
                    self.connected.clear()
                    self.jetstream = None
                    self._set_well(False)
                    await close(client, self._timing.close_timeout if self._stopping.is_set() else 0.1)
            except _Stopped:
                break
            except Exception as error:
                self._say_unreachable(error)
            if time.monotonic() - began > max(_STEADY, self._timing.connect_timeout):
                pause = _FIRST_PAUSE
            try:
                await self._unless_stopped(asyncio.sleep(pause * random.uniform(0.5, 1)))
            except _Stopped:
                break
            pause = min(pause * 2, self._timing.max_backoff)

    async def _connect(self) -> CheckedClient:
        async def on_closed() -> None:
            self._lost.set()

        return await connect(
            self._access, f"jammi-sql {self._origin}", self._timing.connect_timeout, self._on_error, on_closed
        )

    async def _on_error(self, error: Exception) -> None:
        """nats-py's way to tell of what no call could raise."""
        if isinstance(error, (errors.UnexpectedEOF, errors.StaleConnectionError, OSError)):
            self._loss = reason_of(error)
            self._lost.set()
        elif self.connected.is_set():
            reason = reason_of(error)
            self.complaints.say(("server", reason), f"NATS at {self._access.location}: {reason}")

    async def _unless_stopped(self, work: Coroutine[Any, Any, _T]) -> _T:
        """Its result, or ``_Stopped`` as soon as the end is asked for."""
        task = asyncio.ensure_future(work)
        stopping = asyncio.ensure_future(self._stopping.wait())
        try:
            await asyncio.wait({task, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return task.result()
            raise _Stopped
        finally:
            await end_tasks(task, stopping)

    async def _converse(self, client: CheckedClient) -> None:
        """While the connection lasts. Raises why it ended."""
        self._lost.clear()  # another server may have refused before this one let us in
        self.jetstream = jetstream = client.jetstream(timeout=_REQUEST)
        await client.subscribe(f"{self._answers}.*", cb=self.sender.on_answer)
        await self._ask(client)
        self._retries.clear()
        self._ensured.clear()
        self.consumers.reconnected(client)
        self.sender.reconnected()
        self.connected.set()
        self._say_connected()
        tasks = [
            asyncio.ensure_future(work)
            for work in (
                self._stopping.wait(),
                self._until_lost(),
                self._listen(client),
                self.sender.run(client, self._answers),
                self._tend(jetstream),
            )
        ]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if tasks[0] not in done:
                await next(iter(done))
            else:
                await self._farewell(jetstream)
        finally:
            await end_tasks(*tasks)

    async def _until_lost(self) -> None:
        await self._lost.wait()
        raise _Lost(self._loss or "the connection was closed")

    async def _listen(self, client: CheckedClient) -> None:
        """Ask for a sign of life now and then: a silent network is none."""
        while True:
            await asyncio.sleep(self._timing.heartbeat)
            await self._ask(client)

    async def _ask(self, client: CheckedClient) -> None:
        try:
            async with asyncio.timeout(self._timing.connect_timeout):
                await client.flush()
        except TimeoutError:
            raise _Lost("it is silent") from None

    async def _farewell(self, jetstream: JetStreamContext) -> None:
        try:
            async with asyncio.timeout(self._timing.close_timeout / 2):
                while not self.sender.idle:
                    await asyncio.sleep(0.002)
        except TimeoutError:
            _logger.info("%d events were not handed over to NATS; they are in the log", len(self._outbox))
        try:
            async with asyncio.timeout(self._timing.close_timeout / 2):
                await self.consumers.remove_all(jetstream)
        except TimeoutError:
            pass  # the server removes them

    # --- streams and consumers ---

    async def _tend(self, jetstream: JetStreamContext) -> None:
        streams = Streams(jetstream, self.names, self.complaints)
        loop = asyncio.get_running_loop()
        while True:
            self._changed.clear()
            self.sender.expire(loop.time())
            self._look_at_outbox()
            await self._tend_streams(streams, loop.time())
            await self.consumers.tend(jetstream, loop.time())
            self._set_well(self.consumers.complete)
            now = loop.time()
            pause = min(self._retries.pause(now, _TICK), self.consumers.retries.pause(now, _TICK))
            try:
                async with asyncio.timeout(max(pause, 0.01)):
                    await self._changed.wait()
            except TimeoutError:
                pass

    async def _tend_streams(self, streams: Streams, now: float) -> None:
        calls: list[Coroutine[Any, Any, None]] = [
            *(self._delete(streams, topic) for topic in list(self._doomed) if self._retries.due(topic, now)),
            *(
                self._ensure(streams, topic)
                for topic in list(self._needed.values())
                if self._retries.due(topic.id, now)
            ),
        ]
        for start in range(0, len(calls), _TOGETHER):
            await asyncio.gather(*calls[start : start + _TOGETHER])

    async def _ensure(self, streams: Streams, topic: TopicDefinition) -> None:
        key = ("stream", topic.id)
        try:
            await streams.ensure(topic)
        except Exception as error:
            reason = reason_of(error)
            self.sender.stream_is_not_there(topic.id, reason)
            self._retries.failed(topic.id, asyncio.get_running_loop().time())
            self.complaints.say(key, f"there is no stream for topic {topic.name}: {reason}; it is read from the log")
            return
        self.complaints.settle(key)
        self._retries.settle(topic.id)
        if self._needed.get(topic.id) is topic:
            del self._needed[topic.id]
            self._ensured[topic.id] = topic
        self.sender.stream_is_there(topic.id)
        self.consumers.stream_is_there(topic.id)

    async def _delete(self, streams: Streams, topic: TopicId) -> None:
        try:
            await streams.delete(topic)
        except Exception as error:
            self._retries.failed(topic, asyncio.get_running_loop().time())
            self._doomed[topic] = attempts = self._doomed.get(topic, 0) + 1
            if attempts < _DELETIONS:
                return
            self.complaints.say(
                ("delete", topic), f"stream {self.names.stream(topic)} was not deleted: {reason_of(error)}"
            )
        self._doomed.pop(topic, None)
        self._retries.settle(topic)

    # --- what it says of itself ---

    def _set_well(self, well: bool) -> None:
        if well:
            self.unwell_since = None
        elif self.unwell_since is None:
            self.unwell_since = time.monotonic()

    def _look_at_outbox(self) -> None:
        if self._outbox.dropped > self._dropped:
            count, self._dropped = self._outbox.dropped - self._dropped, self._outbox.dropped
            self.complaints.say(
                "outbox",
                f"{count} events came too fast for NATS and were left out; other processes find them in the log",
            )

    def _say_unreachable(self, error: Exception) -> None:
        """Once, and again when the reason is another one."""
        reason = reason_of(error)
        if reason != self._told:
            _logger.warning(
                "NATS at %s cannot be used: %s; events reach other processes through the log until it can",
                self._access.location, reason,
            )  # fmt: skip
        self._told = reason

    def _say_connected(self) -> None:
        self._told = ""
        _logger.info("connected to NATS at %s", self._access.location)


async def end_tasks(*tasks: asyncio.Future[Any]) -> None:
    """End them, whatever became of them. Again and again: nats-py, and Python's ``wait_for``, swallow a cancellation at times."""
    pending = set(tasks)
    for _ in range(_CANCELS):
        if not pending:
            break
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=_CANCEL)
    for task in tasks:
        if task.done() and not task.cancelled():
            task.exception()  # seen, so that nothing is logged about it
