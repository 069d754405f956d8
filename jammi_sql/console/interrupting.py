"""Statements that Ctrl-C always gets away from."""

from __future__ import annotations

import threading

from ..dbapi import Connection, Cursor

__all__ = ["Statements"]

_GLANCE = 0.1  # seconds that the main thread waits at a stretch, so that it notices Ctrl-C
_GRACE = 0.7  # seconds that a cancelled statement has to end


class Statements:
    """Runs statements on a thread of its own; Ctrl-C cancels one and raises ``KeyboardInterrupt`` within a second.

    The main thread only hears of Ctrl-C in Python code, and planning is not: while statements that were cancelled
    still hold the engine's threads, DataFusion may keep its caller for long. One that does not end in time is left
    behind; it ends when it can, and its result is closed.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._left: _Call | None = None

    @property
    def stuck(self) -> bool:
        """Whether a cancelled statement has not ended yet; the connection answers nothing until it has."""
        return self._left is not None and not self._left.over.is_set()

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open, as far as the connection answers."""
        return not self.stuck and self._connection.in_transaction

    def execute(self, text: str) -> Cursor:
        """Run one statement."""
        call = _Call(self._connection, text)
        call.start()
        try:
            while not call.over.wait(_GLANCE):
                pass
        except KeyboardInterrupt:
            call.give_up()
            if not call.over.is_set() and not self.stuck:
                self._left = call
            raise
        if call.error is not None:
            raise call.error
        assert call.cursor is not None
        return call.cursor


class _Call(threading.Thread):
    def __init__(self, connection: Connection, text: str) -> None:
        super().__init__(name="jammi-sql statement", daemon=True)
        self.cursor: Cursor | None = None
        self.error: BaseException | None = None
        self.over = threading.Event()  # not is_alive(): a join() that Ctrl-C interrupts takes a thread for ended
        self._text = text
        self._running = connection.cursor()
        self._lock = threading.Lock()
        self._given_up = False

    def run(self) -> None:
        try:
            self._running.execute(self._text)
        except BaseException as error:  # for the thread that waits
            self.error = error
        with self._lock:
            self.cursor = self._running
            given_up = self._given_up
        if given_up:
            self._running.close()
        self.over.set()

    def give_up(self) -> None:
        with self._lock:
            self._given_up = True
            cursor = self.cursor
        self._running.adbc_cancel()
        if cursor is not None:
            cursor.close()
        self.over.wait(_GRACE)
