"""What is kept to save work, within bounds."""

from __future__ import annotations

import threading
from typing import Generic, TypeVar

__all__ = ["Remembered"]

_K = TypeVar("_K")
_V = TypeVar("_V")


class Remembered(Generic[_K, _V]):
    """At most ``limit`` values; the one that was set the longest ago gives way. Safe for threads."""

    __slots__ = ("_limit", "_lock", "_values")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._values: dict[_K, _V] = {}
        self._lock = threading.Lock()

    def get(self, key: _K) -> _V | None:
        """The value, ``None`` where there is none."""
        return self._values.get(key)

    def __setitem__(self, key: _K, value: _V) -> None:
        with self._lock:
            self._values.pop(key, None)
            self._values[key] = value
            if len(self._values) > self._limit:
                del self._values[next(iter(self._values))]

    def __len__(self) -> int:
        return len(self._values)
