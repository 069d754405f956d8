"""The write-ahead log, and how commits of other processes are heard of."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Final

from ...stores.file_events import file_events
from ..finding import Finding, ok, warning
from ..sizes import shown_bytes
from .subject import Folder

__all__ = ["events", "log_size"]

_LARGE: Final = 256 << 20  # SQLite moves what is in the log into the file every 4 MB, unless somebody reads meanwhile


def log_size(folder: Folder) -> Iterator[Finding]:
    """A log that grows is one that somebody reads from all the time."""
    size = folder.log.stat().st_size if folder.log.exists() else 0
    said = f"the write-ahead log has {shown_bytes(size)}"
    if size > _LARGE:
        yield warning(
            said,
            "end results and transactions that are open for long: what they see cannot be moved into the file; the log "
            "shrinks when the last process closes the store",
        )
    else:
        yield ok(said)


def events(folder: Folder) -> Iterator[Finding]:
    """Whether the file system tells of commits."""
    watch = file_events(folder.log)
    audible = watch.audible
    watch.close()
    if audible:
        yield ok("the file system tells of commits of other processes")
    elif sys.platform == "linux":
        yield warning(
            "no events of the file system are to be had: a waiting subscriber asks every 10 ms",
            "raise fs.inotify.max_user_instances and fs.inotify.max_user_watches with sysctl",
        )
    else:
        yield ok(f"there are no events of the file system on {sys.platform}: a waiting subscriber asks every 10 ms")
