"""The thread on which a broker talks to its server."""

from __future__ import annotations

import asyncio
import atexit
import logging
import os
import threading
import weakref
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError
from contextlib import suppress
from typing import Any, TypeVar

from ...errors import DriverError
from ...topics.definition import TopicId
from ...topics.tail import Tail
from .access import Access
from .outbox import Outbox
from .session import Session, Timing, end_tasks

__all__ = ["Link"]

_logger = logging.getLogger("jammi_sql.brokers")

_T = TypeVar("_T")

_links: weakref.WeakSet[Link] = weakref.WeakSet()


class Link:
    """Runs a ``Session`` on an event loop of its own, and hands calls of other threads over to it.

    It holds nothing of its broker, so that one that nobody closed can be let go of.
    """

    def __init__(
        self,
        access: Access,
        timing: Timing,
        origin: str,
        queue: tuple[int, int],
        tails: Callable[[TopicId], Tail | None],
    ) -> None:
        self.outbox = Outbox(*queue, lambda: self.call(self.session.sender.wake.set))
        self.session = Session(access, timing, origin, self.outbox, tails)
        self._timing = timing
        self._process = os.getpid()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="jammi-jetstream", daemon=True)
        self._thread.start()
        _links.add(self)

    def call(self, function: Callable[..., None], *arguments: object) -> None:
        """Have it called on the loop. Never blocks; after the end it does nothing."""
        with suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(function, *arguments)

    def ask(self, work: Coroutine[Any, Any, _T], timeout: float) -> _T:
        """Its result, after at most ``timeout`` seconds. Raises what it raises, ``DriverError`` where none comes."""
        try:
            future = asyncio.run_coroutine_threadsafe(work, self._loop)
        except RuntimeError:
            work.close()
            raise DriverError("the broker is closed") from None
        try:
            return future.result(timeout)
        except (TimeoutError, CancelledError):
            future.cancel()
            raise DriverError("the NATS server did not answer in time", hint="check the server") from None

    def check_process(self) -> None:
        """``DriverError`` in a child made by ``os.fork``: the thread stayed behind."""
        if os.getpid() != self._process:
            raise DriverError(
                "the broker belongs to the process that forked this one",
                hint="open an engine in the child, or spawn it",
            )

    def stop(self, *, wait: bool = True) -> None:
        """End it, after what waits was sent or the time for that is over. May be called twice."""
        if os.getpid() != self._process:
            return
        self.call(self.session.stop)
        if wait and threading.current_thread() is not self._thread:
            self._thread.join(self._timing.close_timeout * 2 + 1)

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self.session.main())
        except BaseException:
            _logger.exception("the thread that talks to NATS ended; events reach other processes through the log")
        finally:
            self.session.connected.clear()
            self.session.unwell_since = 0.0
            with suppress(Exception):
                self._loop.run_until_complete(end_tasks(*asyncio.all_tasks(self._loop)))
            self._loop.close()


@atexit.register
def _stop_all() -> None:
    """Let those that nobody closed send what they have."""
    links = list(_links)
    for link in links:
        link.stop(wait=False)
    for link in links:
        link.stop()
