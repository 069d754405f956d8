"""Gauges that several engines of a process feed."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from .port import Observe

__all__ = ["Observers"]

_logger = logging.getLogger("jammi_sql.metrics")


class Observers:
    """Those of one gauge. Asked from whatever thread collects."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._observers: dict[int, Observe] = {}
        self._number = 0

    def add(self, observe: Observe) -> Callable[[], None]:
        """Ask ``observe`` too, until what is returned is called."""
        with self._lock:
            self._number += 1
            number = self._number
            self._observers[number] = observe

        def remove() -> None:
            with self._lock:
                self._observers.pop(number, None)

        return remove

    def values(self) -> dict[tuple[str, ...], float]:
        """The largest value for each combination of labels."""
        with self._lock:
            observers = list(self._observers.values())
        found: dict[tuple[str, ...], float] = {}
        for observe in observers:
            try:
                observed = observe()
            except Exception:  # who collects wants the other metrics all the same
                _logger.exception("a gauge has no value")
                continue
            for labels, value in observed.items():
                found[labels] = max(value, found.get(labels, value))
        return found
