"""When to try again what failed."""

from __future__ import annotations

from collections.abc import Hashable

__all__ = ["Retries"]


class Retries:
    """For each key the time of its next attempt: ever later, from ``first`` to ``last`` seconds after a failure."""

    def __init__(self, first: float, last: float) -> None:
        self._first = first
        self._last = last
        self._next: dict[Hashable, tuple[float, float]] = {}

    def due(self, key: Hashable, now: float) -> bool:
        """Whether its time has come."""
        return self._next.get(key, (0.0, 0.0))[0] <= now

    def failed(self, key: Hashable, now: float) -> None:
        """It failed (again)."""
        pause = min(self._next.get(key, (0.0, self._first / 2))[1] * 2, self._last)
        self._next[key] = (now + pause, pause)

    def settle(self, key: Hashable) -> None:
        """It need not be tried again, or may be at once."""
        self._next.pop(key, None)

    def clear(self) -> None:
        """All may be tried at once."""
        self._next.clear()

    def pause(self, now: float, longest: float) -> float:
        """Seconds until something is due, at most ``longest``."""
        return max(0.0, min([longest, *(at - now for at, _ in self._next.values())]))
