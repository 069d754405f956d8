"""Statements in threads, for an event loop that is not to wait for them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
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


class _State:
    """How far a call got. It is changed by the event loop alone."""

    begun = False
    stopped = False


class Work:
    """A bounded number of threads."""

    def __init__(self, threads: int) -> None:
        self._pool = ThreadPoolExecutor(threads, "jammi-flight")
        self._jobs: dict[asyncio.Task[Any], tuple[Seat, _State]] = {}
        self._stopping: set[asyncio.Task[None]] = set()  # the event loop holds its tasks weakly

    @property
    def running(self) -> int:
        """How many calls are running or wait for their turn."""
        return len(self._jobs)

    async def run(self, seat: Seat, call: Callable[[], _T]) -> _T:
        """What ``call`` returns, in a thread, with the turn in ``seat``.

        When the awaiting task is cancelled, the statement is ended, and a result that comes all the same is closed.
        """
        state = _State()
        job = asyncio.ensure_future(self._take_turn(seat, state, call))
        self._jobs[job] = seat, state
        job.add_done_callback(self._forget)
        try:
            return await asyncio.shield(job)
        except asyncio.CancelledError:
            stopping = asyncio.ensure_future(_stop(job, seat, state))
            self._stopping.add(stopping)
            stopping.add_done_callback(self._stopping.discard)
            raise

    async def _take_turn(self, seat: Seat, state: _State, call: Callable[[], _T]) -> _T:
        async with seat.turn:
            if state.stopped:
                raise QueryCanceled("the statement was cancelled")
            state.begun = True
            try:
                return await asyncio.get_running_loop().run_in_executor(self._pool, _unless(state, call))
            finally:
                seat.used = time.monotonic()

    def _forget(self, job: asyncio.Task[Any]) -> None:
        self._jobs.pop(job, None)
        if not job.cancelled():
            job.exception()  # one that nobody waits for any more is no news

    async def idle(self, timeout: float) -> bool:
        """Wait until nothing runs, at most so many seconds; whether that is so."""
        if self._jobs:
            await asyncio.wait(list(self._jobs), timeout=timeout)
        return not self._jobs

    async def end(self) -> None:
        """End all that runs, and the threads."""
        await asyncio.gather(*(_stop(job, seat, state) for job, (seat, state) in list(self._jobs.items())))
        await asyncio.to_thread(self._pool.shutdown)


async def _stop(job: asyncio.Task[Any], seat: Seat, state: _State) -> None:
    state.stopped = True
    while not job.done():
        if state.begun:
            seat.session.interrupt()  # again, until the thread has come to where it hears of it
        await asyncio.wait((job,), timeout=_AGAIN)
    if not job.cancelled() and job.exception() is None:
        left = job.result()
        if hasattr(left, "close"):
            left.close()


def _unless(state: _State, call: Callable[[], _T]) -> Callable[[], _T]:
    def run() -> _T:
        if state.stopped:
            raise QueryCanceled("the statement was cancelled")
        return call()

    return run
