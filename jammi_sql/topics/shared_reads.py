"""Reads of the log that many subscriptions share when they are behind at about the same place."""

from __future__ import annotations

import asyncio
import threading
import time
import weakref
from collections import deque
from dataclasses import dataclass, field

from ..arrow.expression import Node
from ..ports import Reader
from ..tenancy import TenantId
from .catalog import CatalogTopic, tenant_text
from .entries import LogEntry
from .log import Log
from .predicate import Predicate
from .selection import Selected

__all__ = ["LogRead", "ReadChunk", "SharedReads"]

_BUDGET = 64 << 20
_CHUNK_BYTES = 8 << 20
_FRESH = 1.0
"""Seconds for which a read stands for another one: so long may it go unseen that another process removed batches."""
_FEW = 16
"""So many missing batches are read without regard to the condition, so that subscribers with others share them."""


@dataclass(frozen=True, slots=True)
class LogRead:
    """What a subscription wants of the log: at most ``limit`` batches of ``[start, stop)``."""

    topic: CatalogTopic
    tenant: TenantId | None
    node: Node | None
    start: int
    stop: int
    limit: int

    def run(self, log: Log, reader: Reader) -> ReadChunk:
        """Read it. Raises as ``Log.read``."""
        chunk = log.read(
            reader, self.topic, self.tenant, self.start, self.stop,
            limit=self.limit, byte_limit=_CHUNK_BYTES, node=self.node,
        )  # fmt: skip
        end = chunk.end
        seen = chunk.entries[-1].offset + 1 if chunk.entries else self.start
        if seen < end:  # what nobody has committed yet, whoever spoke of it, is not passed over
            end = max(seen, min(end, log.head(reader, self.topic).next))
        return ReadChunk(self.start, end, chunk.entries, self.node)


@dataclass(slots=True, eq=False)
class ReadChunk:
    """What the log has of ``[start, end)`` for one tenant, where ``node`` can hold."""

    start: int
    end: int
    entries: list[LogEntry]
    node: Node | None
    read_at: float = field(default_factory=time.monotonic)
    _selected: weakref.WeakKeyDictionary[Predicate, list[Selected]] = field(default_factory=weakref.WeakKeyDictionary)
    _mutex: threading.Lock = field(default_factory=threading.Lock)

    def select(self, predicate: Predicate) -> list[Selected]:
        """The batches with a matching row, computed once for each condition."""
        with self._mutex:
            selected = self._selected.get(predicate)
            if selected is None:
                kept = predicate.select([entry.batch for entry in self.entries]) if self.entries else []
                selected = self._selected[predicate] = [
                    Selected(entry.offset, entry if batch is entry.batch else entry._replace(batch=batch))
                    for entry, batch in zip(self.entries, kept, strict=True)
                    if batch is not None
                ]
            return selected

    @property
    def size(self) -> int:
        """Bytes of its batches."""
        return sum(entry.batch.nbytes for entry in self.entries)


_Key = tuple[int, int, str, int | None]


class _Flight:
    """That something is being read."""

    __slots__ = ("__weakref__", "mutex")

    def __init__(self) -> None:
        self.mutex = threading.Lock()


class SharedReads:
    """Keeps what was read of the log for a moment, under a budget of bytes.

    A subscription gets what another one with the same tenant has just read, and while one reads, the others wait for
    it. What is kept is forgotten as soon as this process removes batches, and after a second in any case.
    """

    def __init__(self, log: Log, reader: Reader, *, budget: int = _BUDGET) -> None:
        self._log = log
        self._reader = reader
        self._budget = budget
        self._chunks: dict[_Key, list[ReadChunk]] = {}
        self._order: deque[tuple[_Key, ReadChunk, int]] = deque()
        self._bytes = 0
        self._truncations = log.truncations
        self._flights: weakref.WeakValueDictionary[_Key, _Flight] = weakref.WeakValueDictionary()
        self._tasks: dict[tuple[asyncio.AbstractEventLoop, _Key], asyncio.Future[ReadChunk]] = {}
        self._mutex = threading.Lock()

    def find(self, read: LogRead) -> ReadChunk | None:
        """What is kept and has the first of it."""
        with self._mutex:
            self._tidy()
            for key in {_key(read, None), _key(read, read.node)}:
                for chunk in reversed(self._chunks.get(key, ())):
                    if chunk.start <= read.start < chunk.end:
                        return chunk
        return None

    def read(self, read: LogRead) -> ReadChunk:
        """As ``find``, and if there is nothing, read it, or wait for who does. Raises as ``Log.read``."""
        read = _widened(read)
        found = self.find(read)
        if found is not None:
            return found
        key = _key(read, read.node)
        with self._mutex:
            flight = self._flights.get(key)
            if flight is None:
                flight = self._flights[key] = _Flight()
        with flight.mutex:
            found = self.find(read)
            if found is None:
                truncations = self._log.truncations
                found = read.run(self._log, self._reader)
                self._keep(key, found, truncations)
            return found

    async def read_async(self, read: LogRead) -> ReadChunk | None:
        """As ``read``, in a thread of which there is one for all who wait for the same in an event loop.

        ``None`` where it was somebody else's that may or may not be the one: ask once more.
        """
        read = _widened(read)
        found = self.find(read)
        if found is not None:
            return found
        loop = asyncio.get_running_loop()
        place = (loop, _key(read, read.node))
        task = self._tasks.get(place)
        if task is not None:
            await asyncio.wait((task,))
            return None
        task = self._tasks[place] = loop.run_in_executor(None, self.read, read)
        task.add_done_callback(lambda done: (self._tasks.pop(place, None), done.cancelled() or done.exception()))
        await asyncio.wait((task,))  # who is cancelled leaves it to the others
        return task.result()

    def _keep(self, key: _Key, chunk: ReadChunk, truncations: int) -> None:
        size = chunk.size + 1024
        with self._mutex:
            self._tidy()
            if truncations != self._truncations or size > self._budget:
                return
            self._chunks.setdefault(key, []).append(chunk)
            self._order.append((key, chunk, size))
            self._bytes += size
            self._tidy()

    def _tidy(self) -> None:
        """Forget what is too old or too much; the lock is held."""
        forget_all = self._truncations != self._log.truncations
        self._truncations = self._log.truncations
        oldest = time.monotonic() - _FRESH
        while self._order and (forget_all or self._bytes > self._budget or self._order[0][1].read_at < oldest):
            key, chunk, size = self._order.popleft()
            self._bytes -= size
            chunks = self._chunks[key]
            chunks.remove(chunk)
            if not chunks:
                del self._chunks[key]


def _widened(read: LogRead) -> LogRead:
    if read.node is None or read.stop - read.start > _FEW:
        return read
    return LogRead(read.topic, read.tenant, None, read.start, read.stop, read.limit)


def _key(read: LogRead, node: Node | None) -> _Key:
    """A condition is known by its object, which the chunk that was read for it holds."""
    return read.topic.number, read.topic.version, tenant_text(read.tenant), None if node is None else id(node)
