"""What a session is running: its time limit and its cancellation."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TypeVar

import pyarrow as pa

from ..ctrl_c import CtrlCHeld
from ..errors import QueryCanceled
from ..errors_datafusion import error_of_panic, is_panic
from ..results import BatchSource, Progress
from ..tenancy import TenantId
from .execution import Execution
from .frame_source import FrameSource

__all__ = ["Executing", "Running"]

_T = TypeVar("_T")


class Running:
    """The statements of a session that are not through, and what they read from, so that ``cancel`` reaches them."""

    def __init__(self) -> None:
        self._lock = threading.RLock()  # a garbage collection may close a result on the thread that holds it
        self._executions: dict[Execution, None] = {}
        self._current: Execution | None = None  # that which was begun last
        self._sources: set[_Watched] = set()
        self._limit: float | None = None
        self._deadline: float | None = None
        self._cancelled = threading.Event()
        self._closed = False
        self._held: CtrlCHeld | None = None
        self._executing = Executing(self)

    def begin(self, timeout: float | None, text: str, tenant: TenantId | None) -> Executing:
        """A statement begins, which may take ``timeout`` seconds from now on, its result included.

        It is run within what is returned.
        """
        execution = Execution(text, tenant)
        with self._lock:  # or else who kills the one before might meet this one
            if self._cancelled.is_set() and not self._closed:
                self._cancelled.clear()
            self._current = execution
            self._executions[execution] = None
        self._limit = timeout
        self._deadline = None if timeout is None else time.monotonic() + timeout
        return self._executing

    def returned(self) -> None:
        """The statement that was begun last has returned: it is over once what it reads from is closed."""
        execution = self._current
        assert execution is not None
        with self._lock:
            execution.returned = True
            if not execution.sources:
                self._executions.pop(execution, None)

    @property
    def executions(self) -> list[Execution]:
        """The statements that are not through, in the order in which they began."""
        with self._lock:
            return list(self._executions)

    def kill(self, execution: Execution) -> bool:
        """End one of ``executions``, from any thread; whether it was not over."""
        with self._lock:
            if execution not in self._executions:
                return False
            if execution.returned:
                del self._executions[execution]  # who reads it hears of it with the next rows
            else:
                self._cancelled.set()
            sources = list(execution.sources)
        for source in sources:
            source.stop()
        return True

    def check(self) -> None:
        """``QueryCanceled`` when the running statement was cancelled or is over its time; for loops that write."""
        if self._cancelled.is_set() or (self._held is not None and self._held.came):
            raise QueryCanceled("the statement was cancelled")
        if self._deadline is not None and time.monotonic() >= self._deadline:
            raise _timed_out(self._limit)

    @contextmanager
    def undisturbed(self) -> Iterator[None]:
        """Within, Ctrl-C ends the statement as ``cancel`` would, where it looks or waits, and is raised at the end.

        Raised at any line, it would be lost where DataFusion asks Python, or make DataFusion panic.
        """
        if self._held is not None:
            yield
            return
        with CtrlCHeld() as held:
            self._held = held
            try:
                yield
            finally:
                self._held = None

    def waiting(self, call: Callable[[], _T]) -> _T:
        """What ``call`` gives, which waits without a look at ``check``: Ctrl-C is raised in it."""
        return call() if self._held is None else self._held.wait(call)

    def pause(self, seconds: float) -> None:
        """Wait, unless the statement is cancelled meanwhile."""
        self._cancelled.wait(seconds)
        self.check()

    def watch(self, source: BatchSource, *, limited: bool = True, live: bool = False) -> BatchSource:
        """``source`` under this statement's time limit, unless not ``limited``, within reach of ``cancel``.

        ``live``: it has no end.
        """
        execution = self._current
        watched = _Watched(self, source, self._deadline if limited else None, self._limit, execution)
        with self._lock:
            self._sources.add(watched)
            if execution is not None:
                execution.sources.add(watched)
                execution.is_live = execution.is_live or live
        if self._cancelled.is_set():  # while the statement was planned
            watched.stop()
        return watched

    def follows(self, subscription: str) -> None:
        """The rows of the statement that was begun last come from a subscription of this id."""
        if self._current is not None:
            self._current.subscription = subscription

    def progress(self) -> Progress:
        """How far the queries of the statement that was begun last are, from any thread."""
        with self._lock:
            sources = [] if self._current is None else list(self._current.sources)
        return sum((source.progress() for source in sources if isinstance(source, _Watched)), Progress())

    def closed(self, watched: _Watched) -> None:
        """What was watched is through."""
        execution = watched.execution
        with self._lock:
            self._sources.discard(watched)
            if execution is not None:
                execution.sources.discard(watched)
                if execution.returned and not execution.sources:
                    self._executions.pop(execution, None)

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
            sources = [] if self._current is None else list(self._current.sources)
        for source in sources:
            source.stop()

    def close(self) -> None:
        """End everything, what is about to begin too."""
        with self._lock:
            self._closed = True
        self.cancel()


class Executing:
    """Within, the statement that was begun last is run. A panic of DataFusion's is ``InternalError`` to who is outside."""

    __slots__ = ("_running",)

    def __init__(self, running: Running) -> None:
        self._running = running

    def __enter__(self) -> None:
        """Nothing more: it was begun."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._running.returned()
        if error is not None and is_panic(error):
            raise error_of_panic(error) from error


class _Watched:
    """A source with a deadline."""

    def __init__(
        self,
        running: Running,
        source: BatchSource,
        deadline: float | None,
        limit: float | None,
        execution: Execution | None,
    ) -> None:
        self.execution = execution
        # Not what is asked for beside it later, to describe another statement.
        self._is_result = execution is not None and not execution.returned
        self._running = running
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
        self._pulls(True)
        try:
            batch = self._running.waiting(lambda: self._source.next_batch(shortest))
        except TimeoutError:
            self._check()
            raise
        except BaseException as error:
            self._failed(error)
            raise
        finally:
            self._pulls(False)
        self._check()
        self._count(batch)
        return batch

    async def anext_batch(self) -> pa.RecordBatch | None:
        self._check()
        self._pulls(True)
        try:
            batch = await self._anext()
        except BaseException as error:
            self._failed(error)
            raise
        finally:
            self._pulls(False)
        self._check()
        self._count(batch)
        return batch

    def _failed(self, error: BaseException) -> None:
        """Raise what is to be raised in place of ``error``, if anything."""
        if is_panic(error):
            raise error_of_panic(error) from error
        if isinstance(error, Exception):
            self._check()

    async def _anext(self) -> pa.RecordBatch | None:
        if self._deadline is None:
            return await self._source.anext_batch()
        import asyncio  # noqa: PLC0415

        return await asyncio.wait_for(self._source.anext_batch(), max(0.0, self._deadline - time.monotonic()))

    def _pulls(self, pulling: bool) -> None:
        if self.execution is not None and self._is_result:
            self.execution.pulling = pulling

    def _count(self, batch: pa.RecordBatch | None) -> None:
        execution = self.execution
        if batch is not None and execution is not None and execution.returned and self._is_result:
            execution.rows += batch.num_rows

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
        self._running.closed(self)
        self._source.close()


def _timed_out(limit: float | None) -> QueryCanceled:
    return QueryCanceled(
        f"the statement took longer than {limit:g} s", hint="SET jammi.statement_timeout = '...' allows more, none all"
    )
