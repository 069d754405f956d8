"""The thread that begins and ends a connection's calls."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, Final, TypeVar

from ..errors import ConnectionClosed

__all__ = ["Asked", "Caller"]

_T = TypeVar("_T")
_LOOK: Final = 0.2  # seconds


class Asked:
    """A call. ``future`` is gRPC's, when it has begun; ``failure`` is why it could not begin.

    ``cancelled`` is when its end was asked for, in seconds of the monotonic clock.
    """

    def __init__(self, id_: bytes = b"") -> None:
        self.id = id_
        self.future: Any = None
        self.failure: BaseException | None = None
        self.cancelled: float | None = None
        self.is_over = False
        """Whether nothing more comes of it."""
        self._running = threading.Lock()
        self._running.acquire()

    def begun(self, future: Any) -> None:
        """It runs."""
        self.future = future
        future.add_done_callback(lambda _: self._ended())

    def failed(self, error: BaseException) -> None:
        """It never ran."""
        self.failure = error
        self._ended()

    def _ended(self) -> None:
        self.is_over = True
        self._running.release()

    def end(self) -> None:
        """End it here, whatever the server does. In the thread of calls only."""
        if self.future is not None:
            self.future.cancel()

    def wait(self, timeout: float) -> bool:
        """Whether it is over within so many seconds. For one thread."""
        if not self.is_over:
            self._running.acquire(timeout=timeout)
        return self.is_over


class Caller:
    """Runs what it is given, in order, in a thread of its own, which nothing there may hold up.

    Ctrl-C may hit Python code between taking a lock and the note that it is taken, and gRPC's calls take such locks all the
    time, which its own thread waits for: the connection would answer nothing any more. So the thread that hears of
    Ctrl-C, the main one, touches none that runs, and waits for plain locks, which have no such moment.
    """

    def __init__(self) -> None:
        self._work: SimpleQueue[Callable[[], object] | None] = SimpleQueue()
        self._thread = threading.Thread(target=_serve, args=(self._work,), name="jammi-wire-calls", daemon=True)
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        """Whether something will be done yet."""
        return self._thread.is_alive()

    def submit(self, work: Callable[[], object]) -> None:
        """Have it done soon. It raises nothing."""
        self._work.put(work)

    def begin(self, asked: Asked, call: Callable[[], Any]) -> None:
        """Begin a call, of which ``call`` makes the future."""

        def run() -> None:
            try:
                asked.begun(call())
            except BaseException as error:  # for the thread that waits
                asked.failed(error)

        self.submit(run)

    def result(self, work: Callable[[], _T]) -> _T:
        """What ``work``, which waits for nobody, gives or raises; ``ConnectionClosed`` after the end."""
        found: list[_T] = []
        failed: list[BaseException] = []
        done = threading.Lock()
        done.acquire()

        def run() -> None:
            try:
                found.append(work())
            except BaseException as error:  # for the thread that waits
                failed.append(error)
            finally:
                done.release()

        self.submit(run)
        while not done.acquire(timeout=_LOOK):
            if not self.is_alive:
                raise ConnectionClosed("the connection is closed")
        if failed:
            raise failed[0]
        return found[0]

    def end(self) -> None:
        """End the thread, after what it was given."""
        self._work.put(None)


def _serve(work: SimpleQueue[Callable[[], object] | None]) -> None:
    while (one := work.get()) is not None:
        one()
        del one  # it may hold a connection that nobody else does
