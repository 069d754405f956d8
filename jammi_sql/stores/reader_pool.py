"""The connections with which a store reads."""

from __future__ import annotations

import threading
from collections.abc import Callable

from ..errors import ConnectionClosed, LockNotAvailable, OperationalError
from .sqlite_connection import SqliteConnection

__all__ = ["ReaderPool"]


class ReaderPool:
    """Connections lent to one call each:

    Opened when all are lent, up to ``limit``; then calls wait at most ``timeout`` seconds.
    """

    __slots__ = ("_changed", "_closed", "_idle", "_lent", "_limit", "_open", "_timeout")

    def __init__(self, open_one: Callable[[], SqliteConnection], *, limit: int, timeout: float) -> None:
        self._open = open_one
        self._limit = limit
        self._timeout = timeout
        self._idle: list[SqliteConnection] = []
        self._lent = 0
        self._closed = False
        self._changed = threading.Condition(threading.Lock())

    def take(self) -> SqliteConnection:
        """A connection for the caller alone, to be given back."""
        with self._changed:
            if not (self._idle or self._lent < self._limit or self._closed) and not self._changed.wait_for(
                lambda: self._idle or self._lent < self._limit or self._closed, self._timeout
            ):
                raise OperationalError(
                    f"all {self._limit} connections for reading were busy for {self._timeout:g} s",
                    sqlstate="53300",
                    hint="run fewer reads at once",
                )
            if self._closed:
                raise ConnectionClosed("the store is closed")
            self._lent += 1
            if self._idle:
                return self._idle.pop()  # the one used last, whose statements and pages are warm
        try:
            return self._open()
        except BaseException:
            with self._changed:
                self._lent -= 1
                self._changed.notify_all()
            raise

    def give_back(self, connection: SqliteConnection) -> None:
        """End the loan."""
        with self._changed:
            self._lent -= 1
            self._idle.append(connection)
            self._changed.notify_all()

    def close(self, timeout: float) -> None:
        """Refuse new loans, wait for those that run, close all.

        Raises ``LockNotAvailable`` when they outlast ``timeout``.
        """
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            if not self._changed.wait_for(lambda: self._lent == 0, timeout):
                raise LockNotAvailable(
                    f"{self._lent} reads still ran after {timeout:g} s, the store is not closed",
                    hint="close it again when they have ended",
                )
            while self._idle:
                self._idle.pop().close()
