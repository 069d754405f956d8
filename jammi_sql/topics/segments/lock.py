"""One compaction at a time on a store, in whichever process."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from ...errors import LockNotAvailable, StoreIOError

__all__ = ["CompactionLock"]

_PAUSE = 0.05


class CompactionLock:
    """A lock on a file of the store's folder, which the system gives back when its holder dies.

    Two engines of one process exclude each other too: each opens the file anew, and ``flock`` is of what was opened.
    """

    def __init__(self, path: Path, timeout: float = 600.0) -> None:
        self._path = path
        self._timeout = timeout

    @contextmanager
    def held(self, check: Callable[[], None]) -> Iterator[None]:
        """Wait for it; ``check`` is called meanwhile. ``LockNotAvailable`` (55P03) after the timeout."""
        deadline = time.monotonic() + self._timeout
        while True:
            with self.tried() as held:
                if held:
                    yield
                    return
            check()
            if time.monotonic() >= deadline:
                raise LockNotAvailable(
                    f"another compaction of the store still ran after {self._timeout:g} s", hint="try again later"
                )
            time.sleep(_PAUSE)

    @contextmanager
    def tried(self) -> Iterator[bool]:
        """Take it if it is free; whether it was."""
        file = self._take()
        try:
            yield file is not None
        finally:
            if file is not None:
                file.close()

    def _take(self) -> IO[bytes] | None:
        """The file, locked. Whoever lets go of it gives the lock back, also Ctrl-C between any two lines."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            file = open(self._path, "ab")  # noqa: SIM115 - closed by who took it
        except OSError as error:
            raise StoreIOError(f"the lock {self._path} cannot be opened: {error.strerror}") from error
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            return None
        except OSError as error:  # a file system that has no locks
            file.close()
            raise StoreIOError(f"the lock {self._path} cannot be taken: {error.strerror}") from error
        return file
