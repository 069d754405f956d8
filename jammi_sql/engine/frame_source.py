"""A DataFusion query as a source of batches that can be cancelled."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
import weakref
from collections.abc import Callable
from typing import Any

import pyarrow as pa
from datafusion import DataFrame

from ..arrow.layouts import converted
from ..results import Progress
from ..shutdown import at_shutdown, call_ended, calling, halt_at_end, may_call
from .progress import measured

__all__ = ["FrameSource"]


class _Loop:
    """The process's one event loop for queries.

    DataFusion stops a query only when the task that awaits it is cancelled: a stream that is pulled synchronously runs
    on. So every pull is a task on this loop, which does nothing but wait.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None

    def get(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                loop = asyncio.new_event_loop()
                threading.Thread(target=loop.run_forever, name="jammi-queries", daemon=True).start()
                self._loop = loop  # last: what is here runs, wherever Ctrl-C strikes
            return self._loop


_loop = _Loop()
_running: weakref.WeakSet[FrameSource] = weakref.WeakSet()


def _stop_all() -> None:
    for source in list(_running):
        source.close()


at_shutdown(_stop_all)


class _Pull(concurrent.futures.Future["pa.RecordBatch | None"]):
    """A batch on its way. The loop's thread begins and ends it, and counts it: no signal reaches that one."""

    def __init__(self, stream: Any) -> None:
        super().__init__()
        self.sent = False
        self._stream = stream
        self._begun = False
        self._task: asyncio.Task[pa.RecordBatch | None] | None = None

    def send(self) -> None:
        """Have it begun. May be called again: an interrupt can come before it is known that it was."""
        _loop.get().call_soon_threadsafe(self._begin)
        self.sent = True

    def _begin(self) -> None:
        if self._begun:
            return
        self._begun = True
        if self.cancelled() or not may_call():
            super().cancel()
            self.set_running_or_notify_cancel()
            return
        self._task = asyncio.ensure_future(_next(self._stream))
        self._task.add_done_callback(self._end)

    def _end(self, task: asyncio.Task[pa.RecordBatch | None]) -> None:
        call_ended()
        self._stream = self._task = None
        error = concurrent.futures.CancelledError() if task.cancelled() else task.exception()
        if not self.set_running_or_notify_cancel():
            return  # nobody wants it any more
        if error is None:
            self.set_result(task.result())
        else:
            self.set_exception(error)

    def cancel(self) -> bool:
        """Stop the query, from any thread."""
        cancelled = super().cancel()
        _loop.get().call_soon_threadsafe(self._stop)
        return cancelled

    def _stop(self) -> None:
        if self._task is not None:
            self._task.cancel()


class FrameSource:
    """The batches of ``frame``, pulled one by one.

    ``translate`` makes the error to raise out of DataFusion's. Waiting happens on a lock of Python's, so that Ctrl-C
    gets through, and a timeout loses no batch.
    """

    def __init__(
        self,
        frame: DataFrame,
        schema: pa.Schema,
        translate: Callable[[BaseException], BaseException],
        closed: Callable[[], None] = lambda: None,
    ) -> None:
        """``closed`` is called once, when nothing of the query is read any more."""
        self._schema = schema
        self._translate = translate
        self._closed: Callable[[], None] | None = closed
        self._pending: _Pull | None = None
        try:
            with calling():
                self._stream: Any = frame.execute_stream()
        except Exception as error:
            raise translate(error) from error
        self._frame: DataFrame | None = frame
        _running.add(self)

    @property
    def schema(self) -> pa.Schema:
        """The schema of every batch."""
        return self._schema

    def _pull(self) -> _Pull:
        halt_at_end()
        pull = self._pending
        if pull is None:
            pull = self._pending = _Pull(self._stream)
        if not pull.sent:
            pull.send()
        return pull

    def next_batch(self, timeout: float | None) -> pa.RecordBatch | None:
        """The next batch, ``None`` at the end, ``TimeoutError`` when it takes longer.

        Then it comes with the next call.
        """
        future = self._pull()
        if not future.done():
            done, _ = concurrent.futures.wait((future,), timeout)
            if not done:
                raise TimeoutError(f"no batch within {timeout:.3g} s")
        return self._take(future)

    async def anext_batch(self) -> pa.RecordBatch | None:
        """As ``next_batch``, for an event loop. A batch is not lost when the awaiting task is cancelled."""
        future = self._pull()
        if not future.done():
            await asyncio.wait((asyncio.wrap_future(future),))
        return self._take(future)

    def _take(self, pull: _Pull) -> pa.RecordBatch | None:
        try:
            batch = pull.result()
        except Exception as error:
            self._pending = None
            raise self._translate(error) from error
        if batch is not None and not batch.schema.equals(self._schema):
            columns = [
                column if column.type.equals(field.type) else converted(column, field.type)
                for column, field in zip(batch.columns, self._schema, strict=True)
            ]
            batch = pa.RecordBatch.from_arrays(columns, schema=self._schema)
        self._pending = None  # last: an interrupt before it loses nothing
        return batch

    def progress(self) -> Progress:
        """How far the query is, from any thread."""
        frame = self._frame
        if frame is None:
            return Progress()
        with calling():
            return measured(frame.execution_plan())  # the plan that runs: a frame makes one, when it is executed

    def cancel(self) -> None:
        """Stop the query, from any thread."""
        pending = self._pending
        if pending is not None:
            pending.cancel()

    def close(self) -> None:
        """Drop the query."""
        self.cancel()
        self._stream = self._frame = None
        _running.discard(self)
        closed, self._closed = self._closed, None
        if closed is not None:
            closed()


async def _next(stream: Any) -> pa.RecordBatch | None:
    try:
        batch = await stream.__anext__()
    except StopAsyncIteration:
        return None
    converted: pa.RecordBatch = batch.to_pyarrow()
    return converted
