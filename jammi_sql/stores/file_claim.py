"""A claim that is a lock on a file."""

from __future__ import annotations

import fcntl
from pathlib import Path
from typing import IO

from ..errors import StoreIOError

__all__ = ["claim_file"]


def claim_file(path: Path) -> IO[bytes] | None:
    """The file, locked; ``None`` where somebody has it. Whoever lets go of it gives the lock back, also Ctrl-C between any
    two lines: ``flock`` is of what was opened, and each call opens the file anew."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = open(path, "ab")  # noqa: SIM115 - closed by who claimed it
    except OSError as error:
        raise StoreIOError(f"the lock {path} cannot be opened: {error.strerror}") from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    except OSError as error:  # a file system that has no locks
        file.close()
        raise StoreIOError(f"the lock {path} cannot be taken: {error.strerror}") from error
    return file
