"""A subscription: replay from the log stitched to the live tail by offset."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
import uuid
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import Self

from ..arrow.batches import upgrade
from ..errors import Error, OffsetEvicted
from ..ports import Broker, Clock, Reader
from ..tenancy import TenantId
from .catalog import CatalogTopic, tenant_text
from .delivery import BrokerSubscription, DeliveredBatch
from .entries import LogEntry
from .log import Log
from .offset import Offset, datetime_of, microseconds_of
from .predicate import Predicate
from .watch import HeadWatch

__all__ = ["Subscription"]

_logger = logging.getLogger("jammi_sql.topics")

_FIRST_CHUNK = 16
_LARGEST_CHUNK = 1024
_CHUNK_BYTES = 8 << 20


class Subscription:
    """Every batch of a topic from an offset on, in order, each once, none skipped.

    The subscription knows the offset that it needs next. It reads the log up to the head that it knows of, then takes
    what the broker hands over as long as that is exactly the next offset; whatever else happens (a gap, a full queue, a
    notice of the head watch) sends it back to the log. Offsets without a matching row are passed over in silence.

    ``pruning_node`` is what a row must fulfil to be wanted: batches whose column ranges rule it out are not read.
    ``description`` is shown in ``jammi.system.subscriptions``.

    It is an iterator and an async iterator of ``DeliveredBatch``, and a context manager. One reader at a time; ``close``
    may come from any thread and ends a waiting ``next`` at once.
    """

    def __init__(
        self,
        reader: Reader,
        log: Log,
        topic: CatalogTopic,
        tenant: TenantId | None,
        predicate: Predicate,
        start: int,
        *,
        until: int | None = None,
        idle_timeout: float | None = None,
        live: BrokerSubscription | None = None,
        head: int = 0,
    ) -> None:
        self.id = uuid.uuid4() if live is None else live.id
        self.topic = topic
        self.tenant = tenant
        self.predicate = predicate
        self.pruning_node = predicate.pruning_node
        self.description = predicate.text
        self.since = datetime.now(UTC)
        self.closed = False
        self._reader = reader
        self._log = log
        self._tenants = ("", tenant_text(tenant))
        self._next = start
        self._head = head
        self._end = None if until is None else until + 1
        self._end_us: int | None = None
        self._clock: Clock | None = None
        self._idle_timeout = idle_timeout
        self._idle_over = False
        self._quiet_since = time.monotonic()
        # Since when the reader waits, over timeouts of ``next``; None while it is busy with what it got.
        self._waiting_since: float | None = None
        self._live = live
        self._chunk = _FIRST_CHUNK
        self._ready: deque[LogEntry] = deque()
        self._reading = threading.Lock()

    @classmethod
    def open(
        cls,
        reader: Reader,
        log: Log,
        broker: Broker,
        watch: HeadWatch,
        topic: CatalogTopic,
        tenant: TenantId | None,
        predicate: Predicate,
        start: int | None,
        *,
        until: int | None = None,
        idle_timeout: float | None = None,
    ) -> Subscription:
        """Attach to the live tail first and look at the log second, so that nothing falls between.

        ``start`` ``None`` means the next offset to come. Raises ``OffsetEvicted`` for one that retention removed.
        """
        live = _attach(broker, topic)
        try:
            head = log.head(reader, topic)
            first = head.next if start is None else start
            if first < head.first:
                raise OffsetEvicted(topic.name, first, head.first)
            watch.add(topic.number, live)
        except BaseException:
            live.close()
            raise
        return cls(
            reader, log, topic, tenant, predicate, first,
            until=until, idle_timeout=idle_timeout, live=live, head=head.next,
        )  # fmt: skip

    @property
    def position(self) -> int:
        """The offset needed next."""
        return self._ready[0].offset if self._ready else self._next

    @property
    def last_delivered(self) -> int:
        """The offset handed out last, -1 before the first."""
        return -1 if self._live is None else self._live.last_delivered

    @property
    def head(self) -> int:
        """The next offset to come, as far as this subscription knows."""
        return max(self._head, self._next)

    def end_after(self, moment_us: int, clock: Clock) -> None:
        """End with the last batch produced at or before ``moment_us``, which may be in the future."""
        self._end_us = moment_us
        self._clock = clock

    # --- for readers in blocks (the SQL engine) ---

    def take(self, timeout: float | None = None) -> list[LogEntry]:
        """The next matching batches, at least one; an empty list at the end. ``TimeoutError`` when none came in time."""
        with self._reading:
            self._wait(timeout)
            return self._taken()

    def take_ready(self) -> list[LogEntry]:
        """What waits to be taken, without waiting; an empty list where that is nothing."""
        with self._reading:
            return self._taken()

    def _taken(self) -> list[LogEntry]:
        entries = list(self._ready)
        self._ready.clear()
        if entries:
            self._waiting_since = None
        if entries and self._live is not None:
            self._live.last_delivered = entries[-1].offset
        return entries

    def _wait(self, timeout: float | None) -> None:
        """Until something is ready or the end is reached."""
        deadline = None if timeout is None else time.monotonic() + timeout
        self._begin_wait()
        while self._must_wait():
            if self._behind:
                self._read_log()
            else:
                self._take_live(self._patience(deadline))
                self._check_topic()
                self._check_clock()
                self._check_idle()
            if self._must_wait() and deadline is not None and time.monotonic() >= deadline:
                raise TimeoutError(f"no batch of topic {self.topic.name} within {timeout:.3g} s")

    def _begin_wait(self) -> None:
        if self._waiting_since is None:
            self._waiting_since = time.monotonic()

    def _must_wait(self) -> bool:
        return not self._ready and not self.ended

    def _patience(self, deadline: float | None = None) -> float | None:
        """Seconds until there is something to do other than to wait; ``None`` for none."""
        limits = [limit - time.monotonic() for limit in (deadline, self._idle_deadline) if limit is not None]
        if self._end_us is not None and self._clock is not None:
            limits.append((self._end_us - self._clock.now_us()) / 1e6 + 0.001)
        return max(0.0, min(limits)) if limits else None

    def _check_topic(self) -> None:
        """After a wait that brought nothing: ``TopicNotFound``, now and ever after, if the topic was dropped."""
        if self._live is not None and self._live.dropped and self._must_wait() and not self._behind:
            self._head = max(self._head, self._log.head(self._reader, self.topic).next)

    def _check_clock(self) -> None:
        """End once the last moment is over and the log holds nothing more of it."""
        if self._end_us is None or self._clock is None or self._clock.now_us() <= self._end_us:
            return
        self._head = max(self._head, self._log.head(self._reader, self.topic).next)
        if not self._behind:
            self._end = self._next

    def _check_idle(self) -> None:
        """End once nothing came for so long while the reader waited, and the log, asked for itself, has nothing more."""
        limit = self._idle_deadline
        if limit is None or self._ready or self._behind or time.monotonic() < limit:
            return
        self._head = max(self._head, self._log.head(self._reader, self.topic).next)
        self._idle_over = not self._behind

    @property
    def ended(self) -> bool:
        """Whether nothing can come any more."""
        if self.closed or (self._end is not None and self._next >= self._end):
            return True
        if self._behind:
            return False
        return self._live is None or self._live.closed or self._idle_over

    @property
    def _behind(self) -> bool:
        return self._next < (self._head if self._end is None else min(self._head, self._end))

    @property
    def _idle_deadline(self) -> float | None:
        if self._idle_timeout is None:
            return None
        return max(self._quiet_since, self._waiting_since or 0.0) + self._idle_timeout

    def _read_log(self) -> None:
        stop = self._head if self._end is None else min(self._head, self._end)
        chunk = self._log.read(
            self._reader,
            self.topic,
            self.tenant,
            self._next,
            stop,
            limit=self._chunk,
            byte_limit=_CHUNK_BYTES,
            node=self.pruning_node,
        )
        self._chunk = min(self._chunk * 2, _LARGEST_CHUNK)
        self._accept(chunk.entries)
        self._next = chunk.end
        self._quiet_since = time.monotonic()

    def _take_live(self, timeout: float | None) -> None:
        live = self._live
        assert live is not None
        items, notice = live.take(timeout, self._head)
        if items:
            notice = max(notice, items[-1].offset.value + 1)
        self._head = max(self._head, notice)
        accepted: list[LogEntry] = []
        following = self._next
        for item in items:
            offset = item.offset.value
            if offset < following:
                continue
            if offset > following or (self._end is not None and offset >= self._end):
                break  # one was not handed over: the log has it, and this one too
            following = offset + 1
            tenant = tenant_text(item.tenant)
            if tenant in self._tenants:
                batch = upgrade(item.batch, self.topic.codec.schema)
                accepted.append(LogEntry(offset, microseconds_of(item.produced_at), tenant, batch))
        self._accept(accepted)
        # Only now: a condition that fails on a row fails there again, and skips nothing.
        if following > self._next:
            self._next = following
            self._quiet_since = time.monotonic()

    def _accept(self, entries: list[LogEntry]) -> None:
        if self._end_us is not None:
            late = next((place for place, entry in enumerate(entries) if entry.produced_us > self._end_us), None)
            if late is not None:
                self._end = entries[late].offset
                entries = entries[:late]
        if not entries:
            return
        if self.predicate.matches_all:
            self._ready.extend(entries)
            return
        kept = self.predicate.select([entry.batch for entry in entries])
        for entry, batch in zip(entries, kept, strict=True):
            if batch is not None:
                self._ready.append(entry._replace(batch=batch))

    # --- for readers one by one ---

    def next(self, timeout: float | None = None) -> DeliveredBatch:
        """The next batch with a matching row.

        Waits at most ``timeout`` seconds (``None``: for ever), then raises ``TimeoutError`` and loses nothing.
        Raises ``StopIteration`` at the end and after ``close``.
        """
        with self._reading:
            if not self._ready:
                self._wait(timeout)
            if not self._ready or self.closed:
                raise StopIteration
            return self._deliver()

    def _deliver(self) -> DeliveredBatch:
        entry = self._ready.popleft()
        self._waiting_since = None
        if self._live is not None:
            self._live.last_delivered = entry.offset
        produced_at = datetime_of(entry.produced_us)
        tenant = TenantId(entry.tenant) if entry.tenant else None
        return DeliveredBatch(Offset(entry.offset, produced_at), produced_at, entry.batch, tenant)

    def __iter__(self) -> Iterator[DeliveredBatch]:
        return self

    def __next__(self) -> DeliveredBatch:
        return self.next()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> DeliveredBatch:
        await self.wait_async()
        with self._reading:
            if not self._ready or self.closed:
                raise StopAsyncIteration
            return self._deliver()

    async def wait_async(self) -> None:
        """As waiting in ``next``, without blocking the event loop: the log is read in a thread, the tail is not."""
        if self._ready or self.ended:
            return
        live = self._live
        arrived = asyncio.Event()
        loop = asyncio.get_running_loop()

        def arrive() -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(arrived.set)

        if live is not None:
            live.listen(arrive)
        self._begin_wait()
        try:
            while self._must_wait():
                if self._behind:
                    await asyncio.to_thread(self._locked_read)
                    continue
                arrived.clear()
                self._take_live(0)
                self._check_topic()
                self._check_idle()
                if not self._must_wait() or self._head > self._next:
                    continue
                with suppress(TimeoutError):
                    await asyncio.wait_for(arrived.wait(), self._patience())
                self._check_clock()
        finally:
            if live is not None:
                live.listen(None)

    def _locked_read(self) -> None:
        with self._reading:
            if self._behind:
                self._read_log()

    def close(self) -> None:
        """End it, from any thread, at once. May be called twice."""
        self.closed = True
        if self._live is not None:
            self._live.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _attach(broker: Broker, topic: CatalogTopic) -> BrokerSubscription:
    """The broker's live tail; where it has none to give, one that only the head watch tells of new batches."""
    try:
        broker.register_topic(topic.definition)
        return broker.subscribe(topic.definition.id, Predicate.match_all(), None)
    except Exception as error:
        reason = error.message if isinstance(error, Error) else repr(error)
        _logger.warning("no live hand-over of topic %s, its batches are read from the log: %s", topic.name, reason)
        return BrokerSubscription(topic.definition.id, Predicate.match_all(), None, capacity=1)
