"""Results: what a statement hands back, a stream of batches or a bare row count.

The engine makes them, the three faces (DB-API, Flight SQL, console) read them. A result is read by one thread at a
time; ``cancel`` and ``close`` may come from any other.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa

from .errors import ConnectionClosed, InterfaceError, QueryCanceled
from .finalizing import finalize, ready

__all__ = ["INTERRUPT_INTERVAL", "BatchResult", "BatchSource", "CommandResult", "IterableSource", "Progress", "Result"]

INTERRUPT_INTERVAL = 0.2
"""Seconds that the main thread may wait at a stretch, or else Ctrl-C is not noticed.

polars, which ADBC imports where it is installed, takes over SIGINT with SA_RESTART: a lock that the main thread waits
for is then no longer interrupted, and Python sees the signal only when it runs again.
"""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the queries of a statement are: ``rows`` and ``bytes`` that their scans have read, 0 where those do not
    tell; ``most``: the rows that the busiest step has put out, which in a join may be many more."""

    rows: int = 0
    bytes: int = 0
    most: int = 0

    def __add__(self, other: Progress) -> Progress:
        return Progress(self.rows + other.rows, self.bytes + other.bytes, max(self.most, other.most))


class BatchSource(Protocol):
    """Where the batches of a :class:`BatchResult` come from."""

    @property
    def schema(self) -> pa.Schema:
        """The schema of every batch. MUST be known before the first one, and MUST NOT raise."""
        ...

    def next_batch(self, timeout: float | None) -> pa.RecordBatch | None:
        """The next batch, or ``None`` at the end.

        ``timeout`` is in seconds, ``None`` waits for ever. 0 asks for what is there. MUST raise ``TimeoutError``
        when it passes, and lose no batch by it: it is asked in short stretches, so that Ctrl-C is noticed.
        """
        ...

    async def anext_batch(self) -> pa.RecordBatch | None:
        """As ``next_batch``, without blocking the event loop. MUST lose no batch when it is cancelled."""
        ...

    def cancel(self) -> None:
        """Make a running ``next_batch`` or ``anext_batch`` return or raise within a second, from any thread.

        What it returns or raises then does not matter. MUST NOT raise, also when called twice or after the end.
        """
        ...

    def close(self) -> None:
        """Release everything. Called once, never while ``next_batch`` runs. MUST NOT raise."""
        ...


class Result(Protocol):
    """The outcome of one statement."""

    @property
    def schema(self) -> pa.Schema | None:
        """The columns, or ``None`` for a statement that returns no rows."""
        ...

    @property
    def rowcount(self) -> int:
        """Rows inserted, changed or returned; -1 where that is not known (yet)."""
        ...

    @property
    def bounded(self) -> bool:
        """``False`` when the end may never come: a live ``subscribe`` without ``LIMIT`` or ``idle_timeout``."""
        ...

    def next_batch(self, timeout: float | None = None) -> pa.RecordBatch | None:
        """The next batch, which may be empty, or ``None`` at the end.

        ``timeout`` is in seconds; ``TimeoutError`` when it passes, after which one may ask again. A cancelled result
        raises ``QueryCanceled`` (57014), a closed one ``ConnectionClosed`` (08003).
        """
        ...

    async def anext_batch(self) -> pa.RecordBatch | None:
        """As ``next_batch``, for an event loop."""
        ...

    def cancel(self) -> None:
        """End it from any thread: a running ``next_batch`` raises ``QueryCanceled`` within a second."""
        ...

    def close(self) -> None:
        """Release everything; rows not read yet are gone. May be called again."""
        ...

    def reader(self) -> pa.RecordBatchReader:
        """The rest of the result as a reader that pulls batch by batch, so that it works on live results too.

        Letting go of the reader closes the result. Raises ``TypeError`` when there are no rows to read.
        """
        ...


class CommandResult:
    """The outcome of a statement without rows."""

    __slots__ = ("_rowcount",)

    def __init__(self, rowcount: int = -1) -> None:
        self._rowcount = rowcount

    @property
    def schema(self) -> None:
        """Always ``None``."""
        return None

    @property
    def rowcount(self) -> int:
        """Rows inserted or changed; -1 where the word has no meaning."""
        return self._rowcount

    @property
    def bounded(self) -> bool:
        """Always ``True``."""
        return True

    def next_batch(self, timeout: float | None = None) -> None:
        """Always ``None``: there is nothing to read."""
        return None

    async def anext_batch(self) -> None:
        """Always ``None``: there is nothing to read."""
        return None

    def cancel(self) -> None:
        """Nothing is running any more."""

    def close(self) -> None:
        """Nothing is held."""

    def reader(self) -> pa.RecordBatchReader:
        """Raises ``TypeError``: the statement returned no rows."""
        raise TypeError("the statement returned no rows")


class BatchResult:
    """Rows, pulled from a :class:`BatchSource` one batch at a time.

    The source is closed as soon as the end, an error, a cancel or ``close`` allows, and never while one of its own
    methods is still waiting for a batch.
    """

    __slots__ = (
        "__weakref__",
        "_bounded",
        "_cancelled",
        "_closed",
        "_ended",
        "_error",
        "_lock",
        "_pulling",
        "_released",
        "_rowcount",
        "_source",
    )

    def __init__(self, source: BatchSource, *, rowcount: int = -1, bounded: bool = True) -> None:
        self._source = source
        self._rowcount = rowcount
        self._bounded = bounded
        self._lock = threading.RLock()  # a garbage collection may end a reader on the thread that holds it
        ready()
        self._pulling = False
        self._cancelled = False
        self._closed = False
        self._ended = False
        self._error: Exception | None = None
        self._released = False

    @classmethod
    def of(cls, table: pa.Table) -> BatchResult:
        """A result whose rows are at hand, such as a listing."""
        return cls(IterableSource(table.schema, table.to_batches()), rowcount=table.num_rows)

    @property
    def schema(self) -> pa.Schema:
        """The columns."""
        return self._source.schema

    @property
    def rowcount(self) -> int:
        """Rows, where known before reading; -1 otherwise."""
        return self._rowcount

    @property
    def bounded(self) -> bool:
        """``False`` when the end may never come."""
        return self._bounded

    def next_batch(self, timeout: float | None = None) -> pa.RecordBatch | None:
        """The next batch, or ``None`` at the end; see :class:`Result`."""
        if not self._begin():
            return None
        try:
            return self._received(self._pull(timeout))
        except KeyboardInterrupt:
            self.cancel()
            raise
        except Exception as error:
            self._failed(error)
            raise
        finally:
            self._end()

    async def anext_batch(self) -> pa.RecordBatch | None:
        """As ``next_batch``, for an event loop. Cancelling the task leaves the result as it was."""
        if not self._begin():
            return None
        try:
            return self._received(await self._source.anext_batch())
        except Exception as error:
            self._failed(error)
            raise
        finally:
            self._end()

    def cancel(self) -> None:
        """End it from any thread; nothing happens when it is over already."""
        with self._lock:
            if self._ended or self._closed:
                return
            self._cancelled = True
        self._source.cancel()

    def close(self) -> None:
        """Release everything, from any thread, ending a running ``next_batch`` on the way."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            running = not self._ended
            release = not self._pulling
        if running:
            self._source.cancel()
        if release:
            self._release()

    def reader(self) -> pa.RecordBatchReader:
        """The rest of the rows as a lazily pulled reader, whose disposal closes the result."""
        return pa.RecordBatchReader.from_batches(self.schema, self._remaining())

    def _remaining(self) -> Iterator[pa.RecordBatch]:
        try:
            while (batch := self.next_batch()) is not None:
                yield batch
        finally:
            self.close()

    def _pull(self, timeout: float | None) -> pa.RecordBatch | None:
        if threading.current_thread() is not threading.main_thread():
            return self._source.next_batch(timeout)
        end = None if timeout is None else time.monotonic() + timeout
        while True:
            left = INTERRUPT_INTERVAL if end is None else max(end - time.monotonic(), 0)
            try:
                return self._source.next_batch(min(left, INTERRUPT_INTERVAL))
            except TimeoutError:
                if left < INTERRUPT_INTERVAL:
                    raise

    def _begin(self) -> bool:
        with self._lock:
            self._check()
            if self._error is not None:
                raise self._error
            if self._ended:
                return False
            if self._pulling:
                raise InterfaceError("another thread is reading this result", hint="give each thread its own cursor")
            self._pulling = True
            return True

    def _end(self) -> None:
        with self._lock:
            self._pulling = False
            over = self._ended or self._cancelled or self._closed
        if over:
            self._release()

    def _check(self) -> None:
        if self._closed:
            raise ConnectionClosed("the result is closed")
        if self._cancelled:
            raise QueryCanceled("the statement was cancelled")

    def _received(self, batch: pa.RecordBatch | None) -> pa.RecordBatch | None:
        self._check()  # a cancelled source may end as if it were through
        if batch is None:
            self._ended = True
        return batch

    def _failed(self, error: Exception) -> None:
        self._check()  # what a cancelled source raises is an accident of where it stood
        if not isinstance(error, TimeoutError):
            self._error = error  # asked again, it must not look like the end
            self._ended = True

    def _release(self) -> None:
        with self._lock:
            release, self._released = not self._released, True
        if release:
            self._source.close()

    def __del__(self) -> None:
        # Interpreter shutdown tears the engine down in no order: nothing can be released any more.
        if not getattr(self, "_released", True) and not sys.is_finalizing():
            finalize(self.close)


class IterableSource:
    """A source over batches that are at hand or made without waiting; ``timeout`` therefore never passes."""

    __slots__ = ("_batches", "_cancelled", "_schema")

    def __init__(self, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> None:
        self._schema = schema
        self._batches = iter(batches)
        self._cancelled = False

    @property
    def schema(self) -> pa.Schema:
        """The schema of every batch."""
        return self._schema

    def next_batch(self, timeout: float | None) -> pa.RecordBatch | None:
        """The next batch, at once."""
        return None if self._cancelled else next(self._batches, None)

    async def anext_batch(self) -> pa.RecordBatch | None:
        """The next batch, at once."""
        return self.next_batch(None)

    def cancel(self) -> None:
        """Stop after the batch being made."""
        self._cancelled = True

    def close(self) -> None:
        """Let go of the batches."""
        self._batches = iter(())
