"""Waking those who wait: threads by a lock, tasks by a future, all tasks of an event loop at once."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any, TypeAlias

__all__ = ["Waiter", "closed_gate", "finish", "wait", "wake"]

Waiter: TypeAlias = Any
"""A gate, which is a lock that was acquired, or an ``asyncio.Future``."""

# Ctrl-C must get through to the main thread: some libraries install signal handlers under which a wait on a lock is not
# interrupted. Other threads get no signals, and thousands of them need not look around.
_STRETCH = 0.2


def closed_gate() -> threading.Lock:
    """A plain lock to wait at. An interrupt can leave a ``threading.Condition``, which is Python code, locked for ever."""
    gate = threading.Lock()
    gate.acquire()
    return gate


def wait(gate: threading.Lock, timeout: float | None) -> bool:
    """Wait for ``gate`` to open, at most ``timeout`` seconds (``None``: for ever); whether it did."""
    if threading.current_thread() is not threading.main_thread():
        return gate.acquire(timeout=-1 if timeout is None else min(timeout, threading.TIMEOUT_MAX))
    deadline = None if timeout is None else time.monotonic() + timeout
    while True:
        left = _STRETCH if deadline is None else min(_STRETCH, deadline - time.monotonic())
        if gate.acquire(timeout=max(0.0, left)):
            return True
        if left < _STRETCH:
            return False


def wake(waiters: Iterable[Waiter]) -> None:
    """Wake each of them. To be called once for each: a gate opens for one wait."""
    loops: dict[asyncio.AbstractEventLoop, list[asyncio.Future[None]]] = {}
    for waiter in waiters:
        if isinstance(waiter, asyncio.Future):
            loops.setdefault(waiter.get_loop(), []).append(waiter)
        else:
            waiter.release()
    for loop, futures in loops.items():
        with suppress(RuntimeError):  # the loop is closed: nobody waits there any more
            loop.call_soon_threadsafe(finish, futures)


def finish(futures: Sequence[asyncio.Future[None]]) -> None:
    """Let the tasks that wait for them go on; called in their loop."""
    for future in futures:
        if not future.done():
            future.set_result(None)
