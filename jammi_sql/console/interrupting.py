"""Statements that Ctrl-C always gets away from."""

from __future__ import annotations

import threading
import time

from ..dbapi import Connection, Cursor
from .typed_rows import Rows

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
        self._left: list[_Call] = []

    @property
    def stuck(self) -> bool:
        """Whether a cancelled statement has not ended yet; the connection answers nothing until it has."""
        self._left = [call for call in self._left if not call.over.is_set()]
        return bool(self._left)

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open, as far as the connection answers."""
        return not self.stuck and self._connection.in_transaction

    def execute(self, text: str, stdin: Rows | None = None) -> Cursor:
        """Run one statement, when those that were left behind have ended; ``stdin`` is what COPY ... FROM stdin reads."""
        call = _Call(self._connection.cursor(), text, stdin, [left.over for left in self._left])
        try:
            call.start()
            while not call.over.wait(_GLANCE):
                pass
        except KeyboardInterrupt:
            self._left.append(call)  # before anything else: a second Ctrl-C may come at once
            call.give_up()
            raise
        if call.error is not None:
            raise call.error
        return call.cursor


class _Call(threading.Thread):
    """One statement. ``over`` is set when it has ended, with ``error`` or with a result on ``cursor``."""

    def __init__(self, cursor: Cursor, text: str, stdin: Rows | None, before: list[threading.Event]) -> None:
        super().__init__(name="jammi-sql statement", daemon=True)
        self.cursor = cursor
        self.error: BaseException | None = None
        self.over = threading.Event()  # not is_alive(): a join() that Ctrl-C interrupts takes a thread for ended
        self._text = text
        self._stdin = stdin
        self._before = before
        self._given_up = False

    def run(self) -> None:
        try:
            # Not the connection's lock: who waits there cannot be cancelled, and would write when nobody wants it.
            for event in self._before:
                while not self._given_up and not event.wait(_GLANCE):
                    pass
            if not self._given_up:
                self.cursor.execute(self._text, stdin=self._stdin)
        except BaseException as error:  # for the thread that waits
            self.error = error
        finally:
            self.over.set()
            if self._given_up:
                self.cursor.close()

    def give_up(self) -> None:
        self._given_up = True
        end = time.monotonic() + _GRACE
        while not self.over.is_set() and time.monotonic() < end:
            self.cursor.adbc_cancel()  # again, since it may not have begun the first time
            self.over.wait(_GLANCE)
        if self.over.is_set():
            self.cursor.close()
