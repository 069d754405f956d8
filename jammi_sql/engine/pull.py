"""A batch on its way out of a query.

DataFusion stops a query only when the future that it was awaited by is cancelled: a stream that is pulled synchronously
runs on. Of whoever awaits it DataFusion wants three things: the running event loop makes a future, the future takes what
is to be called when it is over, and the loop calls what sets its result. A :class:`Pull` is such a loop and such a
future, without a thread of its own: what a loop would call soon it calls at once, on the thread of DataFusion's that
asks for it. A real loop in between costs two switches of threads a batch, which took longer than a small query.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from asyncio import events
from collections.abc import Callable
from concurrent.futures import CancelledError
from typing import Any

import pyarrow as pa

from ..shutdown import pull_began, pull_ended

__all__ = ["Pull"]


class Pull:
    """The next batch of a stream. One thread waits for it, any may cancel it.

    A signal may interrupt the main thread at any line here. Whether DataFusion has begun is therefore told by what it
    did, not by who asked it; no signal reaches the thread on which it tells the outcome.
    """

    __slots__ = ("_batch", "_cancel", "_error", "_lock", "_stopped", "_stream", "_told", "_waiter", "done")

    def __init__(self, stream: Any) -> None:
        self.done = False
        """Whether it is over: ``take`` waits no longer."""
        self._stream = stream
        self._cancel: Callable[[Pull], None] | None = None  # DataFusion's; there from when it begins
        self._stopped = False
        self._told = threading.Lock()  # taken by who tells DataFusion so, which must hear it once
        self._batch: Any = None
        self._error: BaseException | None = None
        self._lock = threading.Lock()  # free once it is over
        self._lock.acquire()
        self._waiter: tuple[asyncio.AbstractEventLoop, asyncio.Future[None]] | None = None

    def send(self) -> None:
        """Have it begun, unless it was."""
        stream = self._stream
        if self._cancel is not None or self.done:
            return
        pull_began(self)
        outer = events._get_running_loop()
        try:
            try:
                events._set_running_loop(self)  # type: ignore[arg-type] # as much of one as is needed
                stream.rbs.__anext__()
            finally:
                events._set_running_loop(outer)
            if self._stopped:  # by another thread, before there was somebody to tell
                self._tell_stopped()
        except BaseException:
            events._set_running_loop(outer)  # an interrupt may have come before that
            raise

    def wait(self, timeout: float | None) -> bool:
        """Wait at most so many seconds; whether it is over."""
        return self.done or self._lock.acquire(timeout=-1 if timeout is None else timeout)

    async def ended(self) -> None:
        """Wait in an event loop."""
        loop = asyncio.get_running_loop()
        waiter = loop.create_future()
        self._waiter = loop, waiter
        if not self.done:  # or else nobody may be left to tell
            await waiter

    def take(self) -> pa.RecordBatch | None:
        """The batch, ``None`` where there is no more, once it is over. May be called again.

        ``CancelledError`` of ``concurrent.futures`` where it was cancelled; what DataFusion raises.
        """
        if self._stopped:
            raise CancelledError
        if isinstance(self._error, StopAsyncIteration):
            return None
        if self._error is not None:
            raise self._error
        batch: pa.RecordBatch = self._batch.to_pyarrow()
        return batch

    def cancel(self) -> None:
        """Stop the query, from any thread. May be called again."""
        if not self.done:
            self._stopped = True
            self._tell_stopped()
        self._end()

    def _tell_stopped(self) -> None:
        if self._cancel is not None and self._told.acquire(blocking=False):
            self._cancel(self)

    def _end(self) -> None:
        self.done = True
        self._stream = (
            None  # what DataFusion does ahead for it ends with the stream, and a failure may hold this for long
        )
        pull_ended(self)
        with contextlib.suppress(RuntimeError):  # it is free: it was cancelled, and ended all the same
            self._lock.release()
        waiter, self._waiter = self._waiter, None
        if waiter is not None:
            with contextlib.suppress(RuntimeError):  # that loop is closed
                waiter[0].call_soon_threadsafe(_wake, waiter[1])

    # --- what DataFusion asks of an event loop and its future ---

    def create_future(self) -> Pull:
        """As of an event loop."""
        return self

    def call_soon_threadsafe(self, call: Callable[..., object], *arguments: object, context: object = None) -> None:
        """As of an event loop."""
        call(*arguments)

    def add_done_callback(self, call: Callable[[Pull], None]) -> None:
        """As of a future. DataFusion begins once this returns."""
        self._cancel = call

    def cancelled(self) -> bool:
        """As of a future."""
        return self._stopped

    def set_result(self, batch: Any) -> None:
        """As of a future."""
        self._batch = batch
        self._end()

    def set_exception(self, error: BaseException) -> None:
        """As of a future."""
        self._error = error
        self._end()


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
