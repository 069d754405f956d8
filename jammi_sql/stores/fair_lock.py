"""A lock that is given in the order in which it was asked for."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Final

__all__ = ["STRETCH", "FairLock"]

STRETCH: Final = 0.2
"""Seconds that a wait lasts at most before it looks around: some libraries install signal handlers under which Ctrl-C
does not end a wait on a lock, and whoever waits may have been cancelled."""


class FairLock:
    """First come, first served, with a time limit; any thread may release it.

    ``threading.Lock`` gives itself to whoever runs first, so a thread that commits in a loop can starve the others.
    Here ``release`` hands the lock to the longest waiting thread.

    What a holder is known by is its ticket, any object that it brings. ``withdraw`` with it is right whether the lock
    was asked for, got, or given back already: so Ctrl-C between two steps of the holder cannot leave the lock taken.
    """

    __slots__ = ("_mutex", "_owner", "_ticket", "_waiting")

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._waiting: deque[tuple[object, threading.Lock, int]] = deque()
        self._ticket: object | None = None
        self._owner: int | None = None

    @property
    def owner(self) -> int | None:
        """``threading.get_ident()`` of the thread that took the lock, ``None`` while it is free."""
        return self._owner

    def holds(self, ticket: object) -> bool:
        """Whether ``ticket`` has the lock."""
        return self._ticket is ticket

    def acquire(self, timeout: float, *, ticket: object | None = None, check: Callable[[], None] | None = None) -> bool:
        """Take the lock within ``timeout`` seconds (0: only if it is free now); whether it was taken.

        ``check`` is called every ``STRETCH`` seconds of the wait; what it raises ends it.
        """
        thread = threading.get_ident()
        if ticket is None:
            ticket = object()
        try:
            with self._mutex:
                if self._ticket is None:
                    self._ticket, self._owner = ticket, thread
                    return True
                if timeout <= 0:
                    return False
                gate = threading.Lock()
                gate.acquire()
                self._waiting.append((ticket, gate, thread))
            deadline = time.monotonic() + timeout
            while (left := deadline - time.monotonic()) > 0:
                if gate.acquire(timeout=min(left, STRETCH)) or self._ticket is ticket:
                    return True
                if check is not None:
                    check()
        except BaseException:  # KeyboardInterrupt
            self.withdraw(ticket)
            raise
        with self._mutex:
            if self._ticket is ticket:  # handed over at the last moment, which counts as taken
                return True
            self._leave(ticket)
            return False

    def release(self) -> None:
        """Hand the lock to the next thread, or free it."""
        with self._mutex:
            self._hand_over()

    def withdraw(self, ticket: object) -> None:
        """Give the lock back if ``ticket`` has it, and wait for it no more; nothing where neither is so."""
        with self._mutex:
            if self._ticket is ticket:
                self._hand_over()
            else:
                self._leave(ticket)

    def _hand_over(self) -> None:
        if not self._waiting:
            self._ticket, self._owner = None, None
            return
        # In one assignment: between two calls there may be Ctrl-C. Then the gate, without which it is found out later.
        rest = deque(self._waiting)
        ticket, gate, thread = rest.popleft()
        self._waiting, self._ticket, self._owner = rest, ticket, thread
        gate.release()

    def _leave(self, ticket: object) -> None:
        for place, (other, _, _) in enumerate(self._waiting):
            if other is ticket:
                del self._waiting[place]
                return
