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
from ..shutdown import at_shutdown, call_began, call_ended, calling

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
                self._loop = asyncio.new_event_loop()
                threading.Thread(target=self._loop.run_forever, name="jammi-queries", daemon=True).start()
            return self._loop


_loop = _Loop()
_running: weakref.WeakSet[FrameSource] = weakref.WeakSet()


def _stop_all() -> None:
    for source in list(_running):
        source.close()


at_shutdown(_stop_all)


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
        self.pending: concurrent.futures.Future[pa.RecordBatch | None] | None = None
        try:
            with calling():
                self._stream: Any = frame.execute_stream()
        except Exception as error:
            raise translate(error) from error
        _running.add(self)

    @property
    def schema(self) -> pa.Schema:
        """The schema of every batch."""
        return self._schema

    def _pull(self) -> concurrent.futures.Future[pa.RecordBatch | None]:
        if self.pending is None:
            call_began()
            self.pending = asyncio.run_coroutine_threadsafe(_next(self._stream), _loop.get())
            self.pending.add_done_callback(lambda _: call_ended())
        return self.pending

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

    def _take(self, future: concurrent.futures.Future[pa.RecordBatch | None]) -> pa.RecordBatch | None:
        self.pending = None
        try:
            batch = future.result()
        except Exception as error:
            raise self._translate(error) from error
        if batch is None or batch.schema.equals(self._schema):
            return batch
        columns = [
            column if column.type.equals(field.type) else converted(column, field.type)
            for column, field in zip(batch.columns, self._schema, strict=True)
        ]
        return pa.RecordBatch.from_arrays(columns, schema=self._schema)

    def cancel(self) -> None:
        """Stop the query, from any thread."""
        pending = self.pending
        if pending is not None:
            pending.cancel()

    def close(self) -> None:
        """Drop the query."""
        self.cancel()
        self._stream = None
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
