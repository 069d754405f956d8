"""The end of the process, while DataFusion's threads may still be at work.

A thread of DataFusion's that is inside Python, or waits to get in, when the interpreter goes down aborts the process
(exit code 134). So at exit nobody is let into DataFusion any more, what runs is cancelled, and the end waits until the
last thread has left.
"""

from __future__ import annotations

import atexit
import sys
import threading
import time
from collections.abc import Callable

from datafusion import SessionConfig

from .errors import InterfaceError

__all__ = [
    "at_shutdown",
    "call_began",
    "call_ended",
    "calling",
    "open_calls",
    "producer_began",
    "producer_ended",
    "producer_goes_on",
    "pull_began",
    "pull_ended",
]

_TIMEOUT = 5.0
# Threads leave Python a moment after the last thing that can be seen of them from here.
_GRACE = 0.1
_POLL = 0.005


class _Held(threading.local):
    """How many parts under ``calling`` this thread is in."""

    count = 0


_held = _Held()
_lock = threading.Lock()
_ending = False
_calls = 0
_pulls: set[object] = set()
_producers = 0
_parked_producers = 0
_used = False
_stoppers: list[Callable[[], None]] = []


def at_shutdown(stop: Callable[[], None]) -> None:
    """Call ``stop`` when the process ends: it is to cancel what runs, without waiting."""
    _stoppers.append(stop)


def call_began() -> None:
    """A call into DataFusion begins. Once the end has begun it does not return, or raises on the main thread."""
    global _calls, _used  # noqa: PLW0603 - there is one process
    with _lock:
        begins = not _ending
        if begins:
            _calls += 1
            _used = True
    if not begins:
        _park()


def pull_began(pull: object) -> None:
    """As ``call_began``, of a call that another thread may end: counted once, however often this is said of it."""
    global _used  # noqa: PLW0603
    _used = True
    _pulls.add(pull)  # before the next line looks: the end says that it has begun, and then looks here
    if _ending:
        _pulls.discard(pull)
        _park()


def pull_ended(pull: object) -> None:
    """It is over. May be said again."""
    _pulls.discard(pull)


def open_calls() -> int:
    """How many calls into DataFusion are not over."""
    return _calls + len(_pulls)


def call_ended() -> None:
    """A call into DataFusion is over."""
    global _calls  # noqa: PLW0603
    with _lock:
        _calls -= 1


class calling:
    """Around a part of a thread's work that calls DataFusion; may be nested."""

    __slots__ = ()

    def __enter__(self) -> None:
        call_began()
        _held.count += 1

    def __exit__(self, *_: object) -> None:
        _held.count -= 1
        call_ended()


def producer_began() -> None:
    """A thread of DataFusion's began to pull batches out of Python."""
    global _producers  # noqa: PLW0603
    with _lock:
        _producers += 1


def producer_goes_on() -> None:
    """It comes for another batch. Once the end has begun it stays here."""
    global _parked_producers  # noqa: PLW0603
    if _ending:
        with _lock:
            _parked_producers += 1
        _park()


def producer_ended() -> None:
    """It is through, or was dropped."""
    global _producers  # noqa: PLW0603
    with _lock:
        _producers -= 1


def _park() -> None:
    global _calls  # noqa: PLW0603
    if threading.current_thread() is threading.main_thread():
        raise InterfaceError("the interpreter is shutting down")
    with _lock:
        _calls -= _held.count  # those that it is in the midst of
    while True:
        time.sleep(3600)


@atexit.register
def _end() -> None:
    global _ending  # noqa: PLW0603
    _ending = True
    if not _used:
        return
    deadline = time.monotonic() + _TIMEOUT
    for stop in _stoppers:
        stop()
    while time.monotonic() < deadline:
        SessionConfig()  # what Rust dropped without Python's lock is freed by the next call into it
        with _lock:
            idle = not open_calls() and _producers <= _parked_producers
        if idle and not _foreign_threads():
            break
        time.sleep(_POLL)
    time.sleep(_GRACE)


def _foreign_threads() -> bool:
    """Whether a thread that Python did not start runs Python code, parked ones not counted."""
    own = {thread.ident for thread in threading.enumerate() if not isinstance(thread, threading._DummyThread)}
    foreign = [frame for ident, frame in sys._current_frames().items() if ident not in own]
    return any(frame.f_code is not _park.__code__ for frame in foreign)
