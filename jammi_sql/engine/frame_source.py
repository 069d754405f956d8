"""A DataFusion query as a source of batches that can be cancelled."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import pyarrow as pa
from datafusion import DataFrame

from ..arrow.layouts import laid_out
from ..results import Progress
from ..shutdown import at_shutdown, calling
from .progress import measured
from .pull import Pull

__all__ = ["FrameSource"]


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
        self._pending: Pull | None = None
        self._stopped = False
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

    def _pull(self) -> Pull:
        pull = self._pending
        if pull is None:
            pull = self._pending = Pull(self._stream)
        pull.send()
        if self._stopped:  # before that thread could see this pull
            pull.cancel()
        return pull

    def next_batch(self, timeout: float | None) -> pa.RecordBatch | None:
        """The next batch, ``None`` at the end, ``TimeoutError`` when it takes longer.

        Then it comes with the next call.
        """
        pull = self._pull()
        if not pull.wait(timeout):
            raise TimeoutError(f"no batch within {timeout:.3g} s")
        return self._take(pull)

    async def anext_batch(self) -> pa.RecordBatch | None:
        """As ``next_batch``, for an event loop. A batch is not lost when the awaiting task is cancelled."""
        pull = self._pull()
        if not pull.done:
            await pull.ended()
        return self._take(pull)

    def _take(self, pull: Pull) -> pa.RecordBatch | None:
        try:
            batch = pull.take()
        except Exception as error:
            self._pending = None
            raise self._translate(error) from error
        if batch is not None:
            batch = laid_out(batch, self._schema)
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
        self._stopped = True
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
