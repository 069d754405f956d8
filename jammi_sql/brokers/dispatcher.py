"""The thread that wakes crowds, so that publishers need not."""

from __future__ import annotations

import logging
import threading

from ..topics.tail import Tail
from ..topics.wake import closed_gate

__all__ = ["Dispatcher"]

_logger = logging.getLogger("jammi_sql.brokers")

_IDLE = 5.0
"""Seconds without work after which the thread ends; it comes back when it is needed."""


class Dispatcher:
    """Calls ``Tail.tell``, in a thread of its own and once for all that was handed over meanwhile."""

    def __init__(self) -> None:
        self._pending: dict[Tail, None] = {}
        self._gate: threading.Lock | None = None
        self._thread: threading.Thread | None = None
        self._mutex = threading.Lock()

    def dispatch(self, tail: Tail) -> None:
        """Let its readers be told soon. Never blocks."""
        with self._mutex:
            self._pending[tail] = None
            gate, self._gate = self._gate, None
            if gate is not None:
                gate.release()
            elif self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="jammi-dispatcher", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while True:
            gate = closed_gate()
            with self._mutex:
                tails, self._pending = self._pending, {}
                if not tails:
                    self._gate = gate
            for tail in tails:
                try:
                    tail.tell()
                except Exception:  # without this thread nobody would be woken: they look for themselves
                    _logger.exception("cannot look at what was handed over")
                    tail.wake_all()
            tails.clear()
            if gate is self._gate and not gate.acquire(timeout=_IDLE):
                with self._mutex:
                    if not self._pending:
                        self._gate = self._thread = None
                        return
