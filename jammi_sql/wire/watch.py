"""How far a statement of the server's is, asked beside the call that runs it."""

from __future__ import annotations

import threading
import time
from typing import Final

import grpc

from ..flight.protocol import session
from ..results import Progress
from .caller import Asked
from .link import Link

__all__ = ["Watch"]

_EVERY: Final = 0.5  # seconds; each is a call, of which a server may allow so many a second
_PATIENCE: Final = 5.0


class Watch:
    """Asks now and then, and never waits for an answer: what is not known yet, the next question will find."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._lock = threading.Lock()
        self._known = Progress()
        self._asked: Asked | None = None
        self._at = 0.0

    def forget(self) -> None:
        """Another statement begins."""
        with self._lock:
            self._known, self._asked = Progress(), None

    def progress(self) -> Progress:
        """What the server said last, from any thread."""
        with self._lock:
            if self._asked is not None and self._asked.is_over:
                self._known, self._asked = _told(self._asked) or self._known, None
            if self._asked is None and time.monotonic() - self._at >= _EVERY:
                self._at = time.monotonic()
                self._asked = self._link.glance(session.Request(watch=session.Watch()), _PATIENCE)
            return self._known


def _told(asked: Asked) -> Progress | None:
    """The answer of a call that is over; ``None`` where it failed: the statement itself will say why."""
    if asked.future is None:
        return None
    try:
        found = session.Reply.FromString(asked.future.result().body).progress
    except (grpc.RpcError, grpc.FutureCancelledError):
        return None
    return Progress(found.rows, found.bytes, found.most)
