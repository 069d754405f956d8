"""What a session is running: its time limit and its cancellation."""

from __future__ import annotations

import threading
import time
import weakref

import pyarrow as pa

from ..errors import QueryCanceled
from ..results import BatchSource, Progress
from .frame_source import FrameSource

__all__ = ["Running"]


class Running:
    """The sources of a session that are not through, so that ``cancel`` reaches them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sources: weakref.WeakSet[_Watched] = weakref.WeakSet()
        self._current: weakref.WeakSet[_Watched] = weakref.WeakSet()  # those of the statement that was begun last
        self._limit: float | None = None
        self._deadline: float | None = None
        self._cancelled = threading.Event()
        self._closed = False

    def begin(self, timeout: float | None) -> None:
        """A statement begins, which may take ``timeout`` seconds from now on, its result included."""
        if self._cancelled.is_set():
            with self._lock:
                if not self._closed:
                    self._cancelled.clear()
        self._current = weakref.WeakSet()
        self._limit = timeout
        self._deadline = None if timeout is None else time.monotonic() + timeout

    def check(self) -> None:
        """``QueryCanceled`` when the running statement was cancelled or is over its time; for loops that write."""
        if self._cancelled.is_set():
            raise QueryCanceled("the statement was cancelled")
        if self._deadline is not None and time.monotonic() >= self._deadline:
            raise _timed_out(self._limit)

    def pause(self, seconds: float) -> None:
        """Wait, unless the statement is cancelled meanwhile."""
        self._cancelled.wait(seconds)
        self.check()

    def watch(self, source: BatchSource, *, limited: bool = True) -> BatchSource:
        """``source`` under this statement's time limit, unless not ``limited``, within reach of ``cancel``."""
        watched = _Watched(source, self._deadline if limited else None, self._limit)
        with self._lock:
            self._sources.add(watched)
            self._current.add(watched)
        if self._cancelled.is_set():  # while the statement was planned
            watched.stop()
        return watched

    def progress(self) -> Progress:
        """How far the queries of the statement that was begun last are, from any thread."""
        with self._lock:
            sources = list(self._current)
        return sum((source.progress() for source in sources), Progress())

    def cancel(self) -> None:
        """End everything that runs, from any thread."""
        self._cancelled.set()
        with self._lock:
            sources = list(self._sources)
        for source in sources:
            source.stop()

    def interrupt(self) -> None:
        """End the statement that was begun last, from any thread; results of others are read on."""
        self._cancelled.set()
        with self._lock:
            sources = list(self._current)
        for source in sources:
            source.stop()

    def close(self) -> None:
        """End everything, what is about to begin too."""
        with self._lock:
            self._closed = True
        self.cancel()


class _Watched:
    """A source with a deadline."""

    def __init__(self, source: BatchSource, deadline: float | None, limit: float | None) -> None:
        self._source = source
        self._deadline = deadline
        self._limit = limit
        self._stopped = False

    @property
    def schema(self) -> pa.Schema:
        return self._source.schema

    def next_batch(self, timeout: float | None) -> pa.RecordBatch | None:
        self._check()
        left = None if self._deadline is None else max(0.0, self._deadline - time.monotonic())
        shortest = timeout if left is None else left if timeout is None else min(timeout, left)
        try:
            batch = self._source.next_batch(shortest)
        except TimeoutError:
            self._check()
            raise
        except Exception:
            self._check()
            raise
        self._check()
        return batch

    async def anext_batch(self) -> pa.RecordBatch | None:
        self._check()
        if self._deadline is None:
            batch = await self._source.anext_batch()
        else:
            import asyncio  # noqa: PLC0415

            try:
                batch = await asyncio.wait_for(self._source.anext_batch(), max(0.0, self._deadline - time.monotonic()))
            except TimeoutError:
                self._check()
                raise
        self._check()
        return batch

    def _check(self) -> None:
        if self._stopped:
            raise QueryCanceled("the statement was cancelled")
        if self._deadline is not None and time.monotonic() >= self._deadline:
            self._source.cancel()
            raise _timed_out(self._limit)

    def progress(self) -> Progress:
        return self._source.progress() if isinstance(self._source, FrameSource) else Progress()

    def stop(self) -> None:
        """As ``cancel``, asked for by the session."""
        self._stopped = True
        self._source.cancel()

    def cancel(self) -> None:
        self._source.cancel()

    def close(self) -> None:
        self._source.close()


def _timed_out(limit: float | None) -> QueryCanceled:
    return QueryCanceled(
        f"the statement took longer than {limit:g} s", hint="SET jammi.statement_timeout = '...' allows more, none all"
    )
