"""The connections of a store or an attached source."""

from __future__ import annotations

import gc
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from ..errors import ConnectionClosed, LockNotAvailable, OperationalError

__all__ = ["ConnectionPool"]

_STRETCH = 0.2  # seconds that a wait lasts at most before it looks around
_GONE = 5 * _STRETCH


class _Connection(Protocol):
    closed: bool

    def close(self) -> None: ...


_C = TypeVar("_C", bound=_Connection)


class ConnectionPool(Generic[_C]):
    """Connections lent to one call each.

    Opened when all are lent, up to ``limit``; then calls wait, in the order in which they came, at most ``timeout``
    seconds. ``keep`` idle ones stay open.

    Ctrl-C may come between any two steps. What is lent is therefore known by weak references: a connection that its
    borrower lost on the way is closed by the garbage collection and counts no more. And the lock is a plain one, since an
    interrupt can leave a ``threading.Condition``, which is entered by Python code, locked for ever.
    """

    __slots__ = (
        "_closed",
        "_hint",
        "_idle",
        "_keep",
        "_lent",
        "_limit",
        "_mutex",
        "_open",
        "_purpose",
        "_timeout",
        "_waiting",
        "_what",
    )

    def __init__(
        self,
        open_one: Callable[[], _C],
        *,
        limit: int,
        timeout: float,
        keep: int | None = None,
        purpose: str = "for reading ",
        hint: str = "run fewer reads at once",
        what: str = "the store",
    ) -> None:
        self._what = what
        self._purpose = purpose
        self._hint = hint
        self._open = open_one
        self._limit = limit
        self._timeout = timeout
        self._keep = limit if keep is None else keep
        self._mutex = threading.Lock()
        self._idle: list[_C] = []
        self._lent: list[weakref.ref[_C | _Opening]] = []
        self._waiting: deque[_Waiter] = deque()
        self._closed = False

    def take(self, *, timeout: float | None = None, check: Callable[[], None] | None = None) -> _C:
        """A connection for the caller alone, to be given back.

        ``timeout`` instead of the pool's; ``check`` is called while it waits, and what it raises ends the wait.
        """
        opening = self._wait_for_one(self._timeout if timeout is None else timeout, check)
        if not isinstance(opening, _Opening):
            return opening
        try:
            connection = self._open()
        except BaseException:
            with self._mutex:
                self._end(opening)
                self._wake()
            raise
        with self._mutex:
            self._end(opening)
            self._lent.append(weakref.ref(connection))
        return connection

    def _wait_for_one(self, timeout: float, check: Callable[[], None] | None) -> _C | _Opening:
        """An idle connection, or the right to open one, which ends with the object."""
        with self._mutex:
            found = self._found(None)
        if found is not None:
            return found
        deadline = time.monotonic() + timeout
        waiter = _Waiter()
        try:
            while True:
                with self._mutex:
                    found = self._found(waiter)
                if found is not None:
                    return found
                left = deadline - time.monotonic()
                if left <= 0:
                    raise OperationalError(
                        f"all {self._limit} connections {self._purpose}were busy for {timeout:g} s",
                        sqlstate="53300",
                        hint=self._hint,
                    )
                if check is not None:
                    check()
                waiter.wait(left)
        finally:
            with self._mutex:
                if waiter in self._waiting:
                    self._waiting.remove(waiter)
                self._wake()  # there may be something for the next one as well

    def _found(self, waiter: _Waiter | None) -> _C | _Opening | None:
        """With the mutex held: what there is for ``waiter``, or for somebody who has just come, if it is his turn."""
        if self._closed:
            raise ConnectionClosed(f"{self._what} is closed")
        first = self._first()
        if first is None or first is waiter:
            if self._idle:
                connection = self._idle.pop()  # the one used last, whose statements and pages are warm
                self._lent.append(weakref.ref(connection))
                return connection
            if self._count() < self._limit:
                opening = _Opening()
                self._lent.append(weakref.ref(opening))
                return opening
        if waiter is not None:
            waiter.looked = time.monotonic()
            if waiter not in self._waiting:
                self._waiting.append(waiter)
        return None

    def _first(self) -> _Waiter | None:
        """Who waits longest; who has not looked for long was interrupted, and is nobody."""
        while self._waiting and time.monotonic() - self._waiting[0].looked > _GONE:
            self._waiting.popleft()
        return self._waiting[0] if self._waiting else None

    def give_back(self, connection: _C) -> None:
        """End the loan."""
        with self._mutex:
            self._end(connection)
            kept = len(self._idle) < self._keep and not connection.closed
            if kept:
                self._idle.append(connection)
            self._wake()
        if not kept:
            connection.close()

    def discard_idle(self) -> None:
        """Close those that nobody has: the server has gone away from one of them, and so from all."""
        with self._mutex:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _count(self) -> int:
        """How many are lent; those that are lost are forgotten."""
        self._lent = [lent for lent in self._lent if lent() is not None]
        return len(self._lent)

    def _end(self, what: _C | _Opening) -> None:
        self._lent = [lent for lent in self._lent if lent() is not what]

    def _wake(self) -> None:
        """Let who waits longest look again; where the store closes, everybody."""
        first = self._first()
        if self._closed:
            for waiter in self._waiting:
                waiter.wake()
        elif first is not None:
            first.wake()

    def close(self, timeout: float) -> None:
        """Refuse new loans, wait for those that run, close all.

        Raises ``LockNotAvailable`` when they outlast ``timeout``.
        """
        deadline = time.monotonic() + timeout
        if self._lent:
            gc.collect()  # an exception's traceback may hold what its borrower lost
        waiter = _Waiter()
        while True:
            with self._mutex:
                self._closed = True
                if waiter in self._waiting:
                    self._waiting.remove(waiter)
                self._wake()
                lent = self._count()
                if lent:
                    waiter.looked = time.monotonic()
                    self._waiting.append(waiter)
            if not lent:
                break
            left = deadline - time.monotonic()
            if left <= 0:
                raise LockNotAvailable(
                    f"{lent} reads still ran after {timeout:g} s, {self._what} is not closed",
                    hint="close it again when they have ended",
                )
            waiter.wait(left)
        while self._idle:
            self._idle.pop().close()


class _Waiter:
    """Somebody who waits for a connection."""

    __slots__ = ("_gate", "looked")

    def __init__(self) -> None:
        self.looked = 0.0
        self._gate = threading.Lock()
        self._gate.acquire()

    def wait(self, timeout: float) -> None:
        """Until it is woken, or for a stretch."""
        self._gate.acquire(timeout=min(timeout, _STRETCH))

    def wake(self) -> None:
        """The pool's mutex is held."""
        if self._gate.locked():
            self._gate.release()


class _Opening:
    """A connection that is just being opened."""

    __slots__ = ("__weakref__",)
