"""Events of the file system: where a thread sleeps until somebody writes to a file."""

from __future__ import annotations

import logging
import os
import select
import sys
import threading
from pathlib import Path
from typing import Any, Protocol

from ..logs import about, reason

__all__ = ["FileEvents", "InotifyEvents", "NoFileEvents", "file_events"]

_logger = logging.getLogger("jammi_sql.stores")


class FileEvents(Protocol):
    """One thread waits; ``wake`` may come from any."""

    audible: bool
    """Whether writes are heard at all; may become false, never true again."""

    def wait(self, timeout: float, *, listening: bool = True) -> bool:
        """Sleep for ``timeout`` seconds, until ``wake``, or, while ``listening``, until somebody writes.

        Whether somebody wrote since that was last said. Without ``listening`` always false: what happens meanwhile is
        said the next time.
        """
        ...

    def wake(self) -> None:
        """End the running wait, or the next one."""
        ...

    def close(self) -> None:
        """Release what it holds. MAY be called twice; no call may follow."""
        ...


def file_events(path: Path) -> FileEvents:
    """What tells of writes to the file ``path``, which need not exist; ``NoFileEvents`` where nothing does."""
    if sys.platform != "linux":
        return NoFileEvents()
    try:
        return InotifyEvents(path)
    except Exception as error:  # no more watches to be had (EMFILE, ENOSPC), an unreadable folder, no libc found, ...
        _logger.info(
            "no events of the file system for %s, it is polled: %s",
            path,
            reason(error),
            extra=about(error, path=str(path)),
        )
        return NoFileEvents()


class NoFileEvents:
    """Nothing is ever heard."""

    audible = False

    def __init__(self) -> None:
        self._woken = threading.Event()

    def wait(self, timeout: float, *, listening: bool = True) -> bool:
        """As ``FileEvents.wait``."""
        self._woken.wait(timeout)
        self._woken.clear()
        return False

    def wake(self) -> None:
        """As ``FileEvents.wake``."""
        self._woken.set()

    def close(self) -> None:
        """Nothing to release."""


class InotifyEvents:
    """Linux's inotify on the folder of the file, so that the file may be removed and made anew.

    Raises ``OSError`` when there are no more watches, or the folder cannot be read.
    """

    def __init__(self, path: Path) -> None:
        import inotify_simple  # noqa: PLC0415 - 3 ms, and not there on other systems

        self.audible = True
        self._name = path.name
        self._mask = inotify_simple.flags.MODIFY
        self._overflow = inotify_simple.flags.Q_OVERFLOW
        self._gone = inotify_simple.flags.IGNORED
        self._waking = select.poll()
        self._listening = select.poll()
        self._wake: int | None = None
        self._inotify: Any = inotify_simple.INotify()
        try:
            self._inotify.add_watch(path.parent, self._mask | inotify_simple.flags.ONLYDIR)
            self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        except BaseException:
            self.close()
            raise
        for poll in (self._waking, self._listening):
            poll.register(self._wake, select.POLLIN)
        self._listening.register(self._inotify.fileno(), select.POLLIN)

    def wait(self, timeout: float, *, listening: bool = True) -> bool:
        """As ``FileEvents.wait``."""
        assert self._wake is not None
        listening = listening and self.audible
        ready = (self._listening if listening else self._waking).poll(max(0.0, timeout) * 1000)
        written = False
        for handle, _ in ready:
            if handle == self._wake:
                os.eventfd_read(handle)
            else:
                written = self._read()
        return written

    def _read(self) -> bool:
        written = False
        for event in self._inotify.read(timeout=0):
            if event.mask & self._overflow:
                written = True
            elif event.mask & self._gone:  # the folder was removed, or its file system unmounted
                self._listening.unregister(self._inotify.fileno())
                self._inotify.close()
                self.audible = False
            elif event.name == self._name:
                written = True
        return written

    def wake(self) -> None:
        """As ``FileEvents.wake``."""
        assert self._wake is not None
        os.eventfd_write(self._wake, 1)

    def close(self) -> None:
        """As ``FileEvents.close``."""
        self.audible = False
        self._inotify.close()
        wake, self._wake = self._wake, None
        if wake is not None:
            os.close(wake)
