"""A lock that is given in the order in which it was asked for."""

from __future__ import annotations

import threading
from collections import deque

__all__ = ["FairLock"]


class FairLock:
    """First come, first served, with a time limit; any thread may release it.

    ``threading.Lock`` gives itself to whoever runs first, so a thread that commits in a loop can starve the others.
    Here ``release`` hands the lock to the longest waiting thread.
    """

    __slots__ = ("_held", "_mutex", "_owner", "_waiting")

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._waiting: deque[threading.Lock] = deque()
        self._held = False
        self._owner: int | None = None

    @property
    def owner(self) -> int | None:
        """``threading.get_ident()`` of the thread that took the lock, ``None`` while it is free."""
        return self._owner

    def acquire(self, timeout: float) -> bool:
        """Take the lock within ``timeout`` seconds (0: only if it is free now); whether it was taken."""
        with self._mutex:
            if not self._held:
                self._held = True
                self._owner = threading.get_ident()
                return True
            if timeout <= 0:
                return False
            gate = threading.Lock()
            gate.acquire()
            self._waiting.append(gate)
        try:
            given = gate.acquire(timeout=min(timeout, threading.TIMEOUT_MAX))
        except BaseException:  # KeyboardInterrupt
            if self._withdraw(gate):
                self.release()
            raise
        if not given:
            given = self._withdraw(gate)
        if given:
            self._owner = threading.get_ident()
        return given

    def release(self) -> None:
        """Hand the lock to the next thread, or free it."""
        with self._mutex:
            self._owner = None
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._held = False

    def _withdraw(self, gate: threading.Lock) -> bool:
        """Leave the queue; whether the lock was handed over at the last moment, which counts as taken."""
        with self._mutex:
            try:
                self._waiting.remove(gate)
            except ValueError:
                return True
            return False
