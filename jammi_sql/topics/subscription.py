"""A subscription: replay from the log stitched to the live tail by offset."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Self

from ..errors import OffsetEvicted
from ..logs import about, reason
from ..ports import Broker, Clock, Reader
from ..tenancy import TenantId
from .catalog import CatalogTopic, tenant_text
from .delivery import BrokerSubscription, DeliveredBatch
from .entries import LogEntry
from .log import Log
from .predicate import Predicate
from .selection import Selected
from .shared_reads import LogRead, ReadChunk, SharedReads
from .wake import finish
from .watch import HeadWatch

__all__ = ["Subscription"]

_logger = logging.getLogger("jammi_sql.topics")

_FIRST_CHUNK = 16
_LARGEST_CHUNK = 1024


class Subscription:
    """Every batch of a topic from an offset on, in order, each once, none skipped.

    The subscription knows the offset that it needs next. It reads the log up to the head that it knows of, then takes
    what the broker hands over as long as no offset is missing; whatever else happens (a gap, that it was too slow, a
    notice of the head watch) sends it back to the log. Offsets without a matching row are passed over in silence. What
    others want as well is decoded and selected once: the live end by a ``Selection``, the log by ``SharedReads``.

    ``pruning_node`` is what a row must fulfil to be wanted: batches whose column ranges rule it out are not read.
    ``description``, ``session`` (the id of the one whose statement it is), ``delivered`` (batches) and ``rows`` are shown
    in ``jammi.system.subscriptions``.

    It is an iterator and an async iterator of ``DeliveredBatch``, and a context manager. One reader at a time; ``close``
    may come from any thread and ends a waiting ``next`` at once.
    """

    __slots__ = (
        "__weakref__", "_chunk", "_clock", "_earliest", "_end", "_end_us", "_head", "_idle_over", "_idle_timeout",
        "_live", "_log", "_next", "_opened_at", "_quiet_since", "_read_at", "_reader", "_reading", "_ready", "_shared",
        "_tenants", "_waiting_since", "closed", "delivered", "description", "id", "predicate", "pruning_node", "rows",
        "session", "since", "tenant", "topic",
    )  # fmt: skip

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
        shared: SharedReads | None = None,
        earliest: bool = False,
    ) -> None:
        self.id = uuid.uuid4() if live is None else live.id
        self.topic = topic
        self.tenant = tenant
        self.predicate = predicate
        self.pruning_node = predicate.pruning_node
        self.description = predicate.text
        self.session: str | None = None
        self.since = datetime.now(UTC)
        self.closed = False
        self.delivered = 0
        self.rows = 0
        self._reader = reader
        self._log = log
        self._shared = shared
        self._tenants = ("", tenant_text(tenant))
        self._next = start
        self._earliest = earliest
        self._head = self._opened_at = head
        self._end = None if until is None else until + 1
        self._end_us: int | None = None
        self._clock: Clock | None = None
        self._idle_timeout = idle_timeout
        self._idle_over = False
        self._quiet_since = time.monotonic()
        self._read_at: float | None = None
        # Since when the reader waits, over timeouts of ``next``; None while it is busy with what it got.
        self._waiting_since: float | None = None
        self._live = live
        self._chunk = _FIRST_CHUNK
        self._ready: list[Selected] = []  # the next one last
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
        shared: SharedReads | None = None,
        earliest: bool = False,
    ) -> Subscription:
        """Attach to the live tail first and look at the log second, so that nothing falls between.

        ``start`` ``None`` means the next offset to come. Raises ``OffsetEvicted`` for one that retention removed, unless
        it is the ``earliest``.
        """
        live = _attach(broker, topic)
        try:
            head = log.head(reader, topic)
            first = head.next if start is None else start
            if earliest:
                first = max(first, head.first)
            if first < head.first:
                raise OffsetEvicted(topic.name, first, head.first)
            watch.add(topic.number, live)
            live.narrow(predicate, topic.codec.schema)
        except BaseException:
            live.close()
            raise
        return cls(
            reader, log, topic, tenant, predicate, first,
            until=until, idle_timeout=idle_timeout, live=live, head=head.next, shared=shared, earliest=earliest,
        )  # fmt: skip

    @property
    def position(self) -> int:
        """The offset needed next."""
        for item in self._ready[-1:]:  # in one step: whoever reads may take it meanwhile
            return item.entry.offset
        return self._next if self._live is None else self._live.passed(self._next)

    def needs(self, within: float) -> int | None:
        """The offset that it reads next, if it read something within so many seconds; else ``None``."""
        read_at = self._read_at
        return None if self.closed or read_at is None or time.monotonic() - read_at > within else self._next

    @property
    def last_delivered(self) -> int:
        """The offset handed out last, -1 before the first."""
        return -1 if self._live is None else self._live.last_delivered

    @property
    def head(self) -> int:
        """The next offset to come, as far as this subscription knows."""
        return max(self._head, self._next, 0 if self._live is None else self._live.head)

    def want_only(self, condition: Predicate) -> None:
        """Be spared the live batches that ``condition`` leaves out; before the first is read."""
        if self._live is not None:
            self._live.narrow(condition, self.topic.codec.schema)

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
        entries = [item.entry for item in reversed(self._ready)]
        self._ready = []
        if entries:
            self._waiting_since = None
            self.delivered += len(entries)
            self.rows += sum(entry.batch.num_rows for entry in entries)
            if self._live is not None:
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
                self._take_live()
            if self._must_wait() and not self._behind:
                assert self._live is not None
                self._live.wait(self._patience(deadline), self._next, self._end)
                self._take_live()
                self._check_topic()
                self._check_clock()
                self._check_idle()
            if self._must_wait() and deadline is not None and time.monotonic() >= deadline:
                raise TimeoutError(f"no batch of topic {self.topic.name} within {timeout:.3g} s")

    def _begin_wait(self) -> None:
        if self._waiting_since is None and self._idle_timeout is not None:
            self._waiting_since = time.monotonic()

    def _must_wait(self) -> bool:
        return not (self._ready or self.ended)

    def _patience(self, deadline: float | None = None) -> float | None:
        """Seconds until there is something to do other than to wait; ``None`` for none."""
        if deadline is None and self._idle_timeout is None and self._end_us is None:
            return None
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
        if self._live is not None and not self._live.closed and not self._idle_over:
            return False
        return not self._behind

    @property
    def _behind(self) -> bool:
        return self._next < (self._head if self._end is None else min(self._head, self._end))

    @property
    def _idle_deadline(self) -> float | None:
        if self._idle_timeout is None:
            return None
        return max(self._quiet_since, self._waiting_since or 0.0) + self._idle_timeout

    def _request(self) -> LogRead:
        """What is missing of the log."""
        stop = self._head if self._end is None else min(self._head, self._end)
        return LogRead(self.topic, self.tenant, self.pruning_node, self._next, stop, self._chunk)

    @property
    def _sharing(self) -> SharedReads | None:
        """Where to look for what others read; ``None`` where there are none."""
        return self._shared if self._live is not None and self._live.tail.crowded else None

    def _read_log(self) -> None:
        shared = self._sharing
        if shared is not None:
            # It is a hint as well: whatever is wrong with a read of somebody else, it may be nothing to this one.
            with suppress(Exception):
                chunk = shared.read(self._request())
                self._accept_chunk(chunk)
                return
        try:
            chunk = self._request().run(self._log, self._reader)
        except OffsetEvicted as error:
            if self._read_at is not None or not self._earliest:
                raise
            self._next = error.oldest
        else:
            self._accept_chunk(chunk)

    def _accept_chunk(self, chunk: ReadChunk) -> None:
        """Take what was read for this subscription, or for one that needs the same."""
        start = self._next
        end = chunk.end if self._end is None else min(chunk.end, self._end)
        if self._end_us is not None:
            for entry in chunk.entries:
                if self._next <= entry.offset < end and entry.produced_us > self._end_us and self._visible(entry):
                    self._end = end = entry.offset
                    break
        # A condition that fails on a row fails there again, and skips nothing.
        self._accept(chunk.select(self.predicate), end)
        self._chunk = min(self._chunk * 2, _LARGEST_CHUNK)
        if chunk.end <= start:
            # A hand-over spoke of what is not in the log: it is of another store, such as a copy on the same server.
            self._head = start
            if self._live is not None:
                self._live.tail.recede(chunk.end)
        # That there was something of another tenant is nobody's business: it does not count as an arrival.
        if chunk.entries or self._next <= self._opened_at:
            self._quiet_since = time.monotonic()

    def _take_live(self) -> None:
        live = self._live
        if live is None:
            return
        head = live.tail.head  # known before it is read: what is below it is there, or missing
        found, end = live.read(self._next)
        if self._end_us is not None:
            late = next((item.entry.offset for item in found if item.entry.produced_us > self._end_us), None)
            if late is not None:
                self._end = late if self._end is None else min(self._end, late)
        if end > self._next:
            if self._idle_timeout is not None:
                self._quiet_since = max(self._quiet_since, live.moved(self._tenants))
            self._accept(found, end if self._end is None else min(end, self._end))
        if head > self._head:
            self._head = head

    def _visible(self, entry: LogEntry) -> bool:
        return entry.tenant in self._tenants

    def _accept(self, items: Sequence[Selected], end: int) -> None:
        """Make ready what is needed of ``items``, which are all that matches up to offset ``end``."""
        start, tenants = self._next, self._tenants
        self._read_at = time.monotonic()
        ready = [item for item in items if start <= item.entry.offset < end and item.entry.tenant in tenants]
        ready.reverse()
        self._ready = ready + self._ready if self._ready else ready
        if end > start:
            self._next = end

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
        item = self._ready.pop()
        entry = item.entry
        self._waiting_since = None
        self.delivered += 1
        self.rows += entry.batch.num_rows
        live = self._live
        if live is not None:
            live.last_delivered = entry.offset
        return item.delivered

    def __iter__(self) -> Iterator[DeliveredBatch]:
        return self

    def __next__(self) -> DeliveredBatch:
        return self.next()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> DeliveredBatch:
        if not self._ready:
            await self.wait_async()
        with self._reading:
            if not self._ready or self.closed:
                raise StopAsyncIteration
            return self._deliver()

    async def wait_async(self) -> None:
        """As waiting in ``next``, without blocking the event loop: the log is read in a thread, the tail is not."""
        suspended = False
        self._begin_wait()
        while self._must_wait():
            if self._behind:
                suspended = await self._read_async() or suspended
                continue
            live = self._live
            assert live is not None
            arrived: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            woken = False
            try:
                if live.await_more(arrived, self._next, self._end):
                    suspended = True
                    patience = self._patience()
                    if patience is None:
                        await arrived
                        woken = True
                    else:
                        await _at_most(arrived, patience)
            finally:
                if not woken:  # who was woken waits there no more
                    live.forget()
            self._take_live()
            if self._ready:
                break
            self._check_topic()
            self._check_clock()
            self._check_idle()
        if not suspended and self._ready:  # who always finds something leaves room for the others
            await asyncio.sleep(0)

    async def _read_async(self) -> bool:
        """Read the log in a thread, unless somebody has read it; whether that took time."""
        shared = self._sharing
        if shared is not None:
            with suppress(Exception):  # as above
                request = self._request()
                chunk, waited = shared.find(request), False
                if chunk is None:
                    chunk, waited = await shared.read_async(request), True
                if chunk is not None:
                    with self._reading:
                        self._accept_chunk(chunk)
                return waited
        await asyncio.to_thread(self._locked_read)
        return True

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


async def _at_most(future: asyncio.Future[None], timeout: float) -> None:
    """Wait for ``future``, at most ``timeout`` seconds."""
    timer = future.get_loop().call_later(timeout, finish, (future,))
    try:
        await future
    finally:
        timer.cancel()


def _attach(broker: Broker, topic: CatalogTopic) -> BrokerSubscription:
    """The broker's live tail; where it has none to give, one that only the head watch tells of new batches."""
    try:
        broker.register_topic(topic.definition)
        return broker.subscribe(topic.definition.id, Predicate.match_all(), None)
    except Exception as error:
        _logger.warning(
            "no live hand-over of topic %s, its batches are read from the log: %s",
            topic.name,
            reason(error),
            extra=about(error, topic=topic.name, broker=broker.driver_kind),
        )
        return BrokerSubscription(topic.definition.id, Predicate.match_all(), None, capacity=1)
