"""Listens to a channel of a PostgreSQL server, through psycopg where that is installed."""

from __future__ import annotations

import importlib.util
import logging
import os
import selectors
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import psycopg

__all__ = ["Listener"]

_logger = logging.getLogger("jammi_sql.stores")

_TRIAL: Final = 5.0
"""Seconds in which the server's answer to a first notification must come."""
_FIRST_PAUSE: Final = 0.1
_LAST_PAUSE: Final = 5.0
_ROUND: Final = 60.0


class Listener:
    """A thread with a connection of its own, which calls ``heard`` for each notification of others than ``token``.

    ``heard`` is called once more when the connection stands (again): nobody knows what came before. It connects anew
    for as long as it is not closed.
    """

    def __init__(self, url: str, channel: str, token: str, heard: Callable[[], None]) -> None:
        self.audible = False
        self._url = url
        self._channel = channel
        self._token = token
        self._heard = heard
        self._closed = self._released = False
        self._mutex = threading.Lock()
        self._thread: threading.Thread | None = None
        self._reading, self._writing = os.pipe()
        if importlib.util.find_spec("psycopg") is not None:
            self._thread = threading.Thread(target=self._run, name="jammi-listener", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """End the thread; at once, unless it is just connecting. May be called twice."""
        if self._closed:
            return
        self._closed = True
        with self._mutex:
            if not self._released:
                os.write(self._writing, b"x")
        if self._thread is None:
            self._release()

    def _release(self) -> None:
        # The thread may end long before the listener is closed. By then the numbers may be those of others' files.
        with self._mutex:
            if not self._released:
                self._released = True
                os.close(self._reading)
                os.close(self._writing)

    def _run(self) -> None:
        pause = _FIRST_PAUSE
        try:
            import psycopg  # noqa: PLC0415 - an extra, and half a second to import
        except ImportError as error:  # there, and its libpq is not
            _logger.info("psycopg cannot be used, so the server is polled: %s", error)
            self._release()
            return
        try:
            while not self._closed:
                try:
                    with psycopg.connect(self._url, autocommit=True) as connection:
                        if not self._tried(connection):
                            _logger.info("notifications do not arrive through this connection: the server is polled")
                            return
                        self.audible = True
                        self._heard()
                        pause = _FIRST_PAUSE
                        self._listen(connection)
                except (psycopg.Error, OSError) as error:
                    if self.audible:
                        _logger.info("the connection for notifications was lost: %s", str(error).split("\n", 1)[0])
                finally:
                    self.audible = False
                self._sleep(pause)
                pause = min(_LAST_PAUSE, pause * 2)
        finally:
            self._release()

    def _tried(self, connection: psycopg.Connection[Any]) -> bool:
        """Whether what is sent on this connection comes back on it: not so through a pooler of transactions."""
        from psycopg import sql  # noqa: PLC0415

        connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(self._channel)))
        connection.execute("SELECT pg_notify(%s, %s)", (self._channel, f"{self._token} hears"))
        return any(
            notification.payload == f"{self._token} hears"
            for notification in connection.notifies(timeout=_TRIAL, stop_after=1)
        )

    def _listen(self, connection: psycopg.Connection[Any]) -> None:
        while not self._closed:
            if self._told_to_end(_ROUND, connection.fileno()):
                return
            others = False
            for notification in connection.notifies(timeout=0):
                others = others or not notification.payload.startswith(self._token)
            if others:
                self._heard()

    def _sleep(self, pause: float) -> None:
        if not self._closed:
            self._told_to_end(pause)

    def _told_to_end(self, timeout: float, *also: int) -> bool:
        """Wait for that, for something to read on a descriptor of ``also``, or for so many seconds; whether it was that."""
        with selectors.DefaultSelector() as selector:  # select itself takes no descriptor above 1,023
            for descriptor in (self._reading, *also):
                selector.register(descriptor, selectors.EVENT_READ)
            return any(key.fd == self._reading for key, _ in selector.select(timeout))
