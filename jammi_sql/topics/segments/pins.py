"""Which segment files statements of this process read."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

__all__ = ["SegmentPins"]


class SegmentPins:
    """Counts the readers of each file: one that is read is not deleted."""

    def __init__(self) -> None:
        self._readers: Counter[str] = Counter()
        self._lock = threading.Lock()

    def pin(self, paths: Iterable[str]) -> Callable[[], None]:
        """Keep the files until what this returns is called, once."""
        kept = list(paths)
        with self._lock:
            self._readers.update(kept)

        def release() -> None:
            with self._lock:
                self._readers.subtract(kept)
                for path in kept:
                    if self._readers[path] <= 0:
                        del self._readers[path]

        return release

    @contextmanager
    def pinned(self, paths: Iterable[str]) -> Iterator[None]:
        """Keep the files inside the ``with`` block."""
        release = self.pin(paths)
        try:
            yield
        finally:
            release()

    def holds(self, path: str) -> bool:
        """Whether somebody reads it."""
        return path in self._readers
