"""How processes that share a PostgreSQL server hear of each other's commits.

Who committed sends a notification, soon after the commit and not inside it: the server lets transactions that notify
commit one by one. Who watches listens where psycopg is there (ADBC cannot), and looks by itself once a second, since a
process may die between its commit and its notification. Without psycopg, or through a pooler that loses notifications,
it looks every ``interval`` seconds.
"""

from __future__ import annotations

import logging
import math
import secrets
import threading
import time
from collections.abc import Callable
from typing import Final

from ..errors import Error
from .postgres_listener import Listener

__all__ = ["Notifier", "PostgresWatch"]

_logger = logging.getLogger("jammi_sql.stores")

_HEARTBEAT: Final = 1.0
"""Seconds between two looks of who listens."""
_SHORTEST: Final = 0.02
"""Seconds between two looks of who does not."""
_PAUSE: Final = 0.01
"""Seconds between two notifications: to send one costs as much as a small publish."""


class Notifier:
    """Tells the others that this process committed, in a thread that runs since the first commit."""

    def __init__(self, send: Callable[[str, str], None], channel: str) -> None:
        self.channel = channel
        self.token = secrets.token_hex(8)
        self._send = send
        self._roused = threading.Event()
        self._due = self._closed = False
        self._thread: threading.Thread | None = None
        self._mutex = threading.Lock()

    def signal(self) -> None:
        """Send a notification soon. Never blocks."""
        if self._due or self._closed:
            return
        self._due = True
        self._roused.set()
        if self._thread is None:
            with self._mutex:
                if self._thread is None:
                    self._thread = threading.Thread(target=self._run, name="jammi-notifier", daemon=True)
                    self._thread.start()

    def close(self) -> None:
        """Send what is due, and end the thread."""
        self._closed = True
        self._roused.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout=5)

    def _run(self) -> None:
        failing = closed = False
        while not closed:
            self._roused.wait()
            self._roused.clear()
            closed = self._closed  # before it looks: who commits and closes at once has told of it all the same
            if not self._due:
                continue
            self._due = False  # before it sends: a commit from now on may be too late for this one
            try:
                self._send(self.channel, self.token)
                failing = False
            except Error as error:  # the others look once a second by themselves
                if not failing and not closed:
                    _logger.warning("other processes were not told of a commit: %s", error.message)
                failing = True
            time.sleep(0 if closed else _PAUSE)


class PostgresWatch:
    """``ports.CommitWatch`` on PostgreSQL. ``changes`` is ``Store.changes``.

    What this process commits is found by the look that is due, at most a second later: its own subscribers have it from the
    broker.
    """

    def __init__(
        self,
        changes: Callable[[], int],
        url: str,
        notifier: Notifier,
        interval: float,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._changes = changes
        self._interval = max(_SHORTEST, interval)
        self._clock = clock
        self._roused = threading.Event()
        self._heard = self._woken = False
        self._last = changes()
        self._looked_at = clock()
        self._listener = Listener(url, notifier.channel, notifier.token, self._hear)

    @property
    def audible(self) -> bool:
        """Whether notifications arrive."""
        return self._listener.audible

    def wait(self, timeout: float | None = None) -> bool:
        """As ``ports.CommitWatch.wait``."""
        deadline = math.inf if timeout is None else self._clock() + timeout
        while True:
            self._roused.clear()
            if self._woken:
                self._woken = False
                return False
            if self._heard:
                self._heard = False
                return True
            now = self._clock()
            due = self._looked_at + (max(_HEARTBEAT, self._interval) if self.audible else self._interval)
            if now >= due:
                self._looked_at = now
                mark = self._changes()
                changed, self._last = mark != self._last, mark
                if changed:
                    return True
            elif now >= deadline:
                return False
            else:
                self._roused.wait(min(due, deadline) - now)

    def wake(self) -> None:
        """As ``ports.CommitWatch.wake``."""
        self._woken = True
        self._roused.set()

    def close(self) -> None:
        """As ``ports.CommitWatch.close``."""
        self._listener.close()

    def _hear(self) -> None:
        self._heard = True
        self._roused.set()
