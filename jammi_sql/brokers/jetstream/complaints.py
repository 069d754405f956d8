"""Warnings that a broken network would otherwise repeat a thousand times a second."""

from __future__ import annotations

import logging
import time

__all__ = ["Complaints"]

_logger = logging.getLogger("jammi_sql.brokers")

_PAUSE = 30.0
"""Seconds between two warnings about the same thing."""
_KEYS = 1024


class Complaints:
    """Logs the first warning of a kind at once, then at most one in thirty seconds, which counts the others."""

    def __init__(self) -> None:
        self._said: dict[object, tuple[float, int]] = {}

    def say(self, key: object, message: str) -> None:
        """Log ``message``, unless something was logged for ``key`` just now."""
        now = time.monotonic()
        at, silent = self._said.pop(key, (0.0, 0))
        if at and now - at < _PAUSE:
            self._said[key] = (at, silent + 1)
            return
        self._said[key] = (now, 0)
        if len(self._said) > _KEYS:
            del self._said[next(iter(self._said))]
        _logger.warning("%s%s", message, f" (and {silent} times more meanwhile)" if silent else "")

    def settle(self, key: object) -> None:
        """It is well again: the next warning of the kind comes at once."""
        self._said.pop(key, None)
