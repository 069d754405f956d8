"""Statements in threads, for an event loop that is not to wait for them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

from ..engine.session import Session
from ..errors import QueryCanceled

__all__ = ["Seat", "Work"]

_T = TypeVar("_T")
_AGAIN = 0.05  # seconds until what was interrupted before it had begun is interrupted again


class Seat:
    """A session and whose turn it is in it. Who waits for their turn holds no thread."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.turn = asyncio.Lock()
        self.used = time.monotonic()
        """When the last turn ended."""


class _Job:
    """How far a call got. It is changed by the event loop alone."""

    __slots__ = ("begun", "outcome", "over", "seat", "stopped")

    def __init__(self, seat: Seat, outcome: asyncio.Future[Any]) -> None:
        self.seat = seat
        self.outcome = outcome
        """What the call returned or raised; cancelled where nobody wants it any more."""
        self.over: asyncio.Future[None] | None = None
        """Done when no thread is at it any more, for who waits for that."""
        self.begun = False
        self.stopped = False


class Work:
    """A bounded number of threads."""

    def __init__(self, threads: int) -> None:
        self._pool = ThreadPoolExecutor(threads, "jammi-flight")
        self._jobs: dict[_Job, None] = {}
        self._stopping: set[asyncio.Task[None]] = set()  # the event loop holds its tasks weakly

    @property
    def running(self) -> int:
        """How many calls are running or wait for their turn."""
        return len(self._jobs)

    async def run(self, seat: Seat, call: Callable[[], _T]) -> _T:
        """What ``call`` returns, in a thread, with the turn in ``seat``.

        When the awaiting task is cancelled, the statement is ended, and a result that comes all the same is closed.
        """
        loop = asyncio.get_running_loop()
        job = _Job(seat, loop.create_future())
        self._jobs[job] = None
        try:
            await seat.turn.acquire()
        except BaseException:
            self._forget(job)
            raise
        try:
            if job.stopped:
                raise QueryCanceled("the statement was cancelled")
            self._pool.submit(self._call, loop, job, call)
        except BaseException:
            self._leave(job)
            raise
        job.begun = True
        try:
            result: _T = await job.outcome
        except asyncio.CancelledError:
            if job.outcome.cancelled():
                stopping = asyncio.ensure_future(self._stop(job))
                self._stopping.add(stopping)
                stopping.add_done_callback(self._stopping.discard)
            elif job.outcome.exception() is None:
                _let_go(job.outcome.result())
            raise
        return result

    def _call(self, loop: asyncio.AbstractEventLoop, job: _Job, call: Callable[[], Any]) -> None:
        """In a thread."""
        try:
            if job.stopped:
                raise QueryCanceled("the statement was cancelled")
            ended = partial(self._returned, job, call())
        except BaseException as error:
            ended = partial(self._raised, job, error)
        try:
            loop.call_soon_threadsafe(ended)
        finally:
            del ended  # an error refers to this frame

    def _returned(self, job: _Job, result: Any) -> None:
        self._leave(job)
        if job.outcome.done():
            _let_go(result)
        else:
            job.outcome.set_result(result)

    def _raised(self, job: _Job, error: BaseException) -> None:
        self._leave(job)
        if not job.outcome.done():  # what nobody waits for any more is no news
            job.outcome.set_exception(error)

    def _leave(self, job: _Job) -> None:
        job.seat.used = time.monotonic()
        job.seat.turn.release()
        self._forget(job)

    def _forget(self, job: _Job) -> None:
        del self._jobs[job]
        if job.over is not None:
            job.over.set_result(None)

    async def _stop(self, job: _Job) -> None:
        job.stopped = True
        if job.over is None:
            job.over = asyncio.get_running_loop().create_future()
        while job in self._jobs:
            if job.begun:
                job.seat.session.interrupt()  # again, until the thread has come to where it hears of it
            await asyncio.wait((job.over,), timeout=_AGAIN)

    async def end(self) -> None:
        """End all that runs, and the threads."""
        await asyncio.gather(*map(self._stop, list(self._jobs)))
        await asyncio.to_thread(self._pool.shutdown)


def _let_go(result: Any) -> None:
    if hasattr(result, "close"):
        result.close()
