"""The connections with which a store reads."""

from __future__ import annotations

import gc
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable

from ..errors import ConnectionClosed, LockNotAvailable, OperationalError
from .sqlite_connection import SqliteConnection

__all__ = ["ReaderPool"]

_STRETCH = 0.2  # seconds that a wait lasts at most before it looks around


class ReaderPool:
    """Connections lent to one call each.

    Opened when all are lent, up to ``limit``; then calls wait at most ``timeout`` seconds. ``keep`` idle ones stay open.

    Ctrl-C may come between any two steps. What is lent is therefore known by weak references: a connection that its
    borrower lost on the way is closed by the garbage collection and counts no more. And the lock is a plain one, since an
    interrupt can leave a ``threading.Condition``, which is entered by Python code, locked for ever.
    """

    __slots__ = ("_closed", "_idle", "_keep", "_lent", "_limit", "_mutex", "_open", "_timeout", "_waiting")

    def __init__(
        self, open_one: Callable[[], SqliteConnection], *, limit: int, timeout: float, keep: int | None = None
    ) -> None:
        self._open = open_one
        self._limit = limit
        self._timeout = timeout
        self._keep = limit if keep is None else keep
        self._mutex = threading.Lock()
        self._idle: list[SqliteConnection] = []
        self._lent: list[weakref.ref[SqliteConnection | _Opening]] = []
        self._waiting: deque[threading.Lock] = deque()
        self._closed = False

    def take(self) -> SqliteConnection:
        """A connection for the caller alone, to be given back."""
        opening = self._wait_for_one()
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

    def _wait_for_one(self) -> SqliteConnection | _Opening:
        """An idle connection, or the right to open one, which ends with the object."""
        deadline = time.monotonic() + self._timeout
        while True:
            gate = threading.Lock()
            gate.acquire()
            with self._mutex:
                if self._closed:
                    raise ConnectionClosed("the store is closed")
                if self._idle:
                    connection = self._idle.pop()  # the one used last, whose statements and pages are warm
                    self._lent.append(weakref.ref(connection))
                    return connection
                if self._count() < self._limit:
                    opening = _Opening()
                    self._lent.append(weakref.ref(opening))
                    return opening
                self._waiting.append(gate)
            left = deadline - time.monotonic()
            if left <= 0:
                raise OperationalError(
                    f"all {self._limit} connections for reading were busy for {self._timeout:g} s",
                    sqlstate="53300",
                    hint="run fewer reads at once",
                )
            gate.acquire(timeout=min(left, _STRETCH))

    def give_back(self, connection: SqliteConnection) -> None:
        """End the loan."""
        with self._mutex:
            self._end(connection)
            kept = len(self._idle) < self._keep and not connection.closed
            if kept:
                self._idle.append(connection)
            self._wake()
        if not kept:
            connection.close()

    def _count(self) -> int:
        """How many are lent; those that are lost are forgotten."""
        self._lent = [lent for lent in self._lent if lent() is not None]
        return len(self._lent)

    def _end(self, what: SqliteConnection | _Opening) -> None:
        self._lent = [lent for lent in self._lent if lent() is not what]

    def _wake(self) -> None:
        """Let those who wait look again: one for each change, and whoever gave up meanwhile is nobody."""
        while self._waiting:
            gate = self._waiting.popleft()
            gate.release()
            if not self._closed:
                return

    def close(self, timeout: float) -> None:
        """Refuse new loans, wait for those that run, close all.

        Raises ``LockNotAvailable`` when they outlast ``timeout``.
        """
        deadline = time.monotonic() + timeout
        if self._lent:
            gc.collect()  # an exception's traceback may hold what its borrower lost
        while True:
            gate = threading.Lock()
            gate.acquire()
            with self._mutex:
                self._closed = True
                self._wake()
                lent = self._count()
                if lent:
                    self._waiting.append(gate)
            if not lent:
                break
            left = deadline - time.monotonic()
            if left <= 0:
                raise LockNotAvailable(
                    f"{lent} reads still ran after {timeout:g} s, the store is not closed",
                    hint="close it again when they have ended",
                )
            gate.acquire(timeout=min(left, _STRETCH))
        while self._idle:
            self._idle.pop().close()


class _Opening:
    """A connection that is just being opened."""

    __slots__ = ("__weakref__",)
