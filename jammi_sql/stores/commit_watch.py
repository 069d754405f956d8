"""When to ask a store whether somebody committed: told by events of its file, or else from time to time."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from typing import Final

from .file_events import FileEvents

__all__ = ["CommitWatch", "Trust"]

_logger = logging.getLogger("jammi_sql.stores")

_HEARTBEAT: Final = 1.0
"""Seconds between two looks without an event: what a lost event costs."""
_SETTLING: Final = 1.0
"""Seconds for which a write is followed: it comes before its commit can be seen, by as long as the disk's sync lasts."""
_SHORTEST: Final = 0.001
"""Seconds from the look at a write to the next look; the more time goes by, the longer the pauses."""
_SILENCE: Final = 0.05
"""Seconds without a write after which the next one is looked at at once, whatever came before."""
_MISSES: Final = 3


class Trust:
    """Whether a file's events can be relied on, kept from one watch to the next: not after three commits without one.

    A commit whose sync lasted longer than its write is followed looks like one without an event. A few are nothing; on
    a disk where it is the rule, to poll is right as well.
    """

    def __init__(self) -> None:
        self.misses = 0

    @property
    def lost(self) -> bool:
        """Whether it is over."""
        return self.misses >= _MISSES


class CommitWatch:
    """``ports.CommitWatch`` for a store in a file that says by a number whether somebody committed.

    ``changes`` is ``Store.changes``, ``events`` the writes to the file that a commit writes first; it is closed with
    the watch. Without events the number is asked for every ``interval`` seconds. With them it is asked for

    - at once when somebody writes, then after 1 ms and ever longer pauses up to ``interval``, until the commit is seen
      or a second is over;
    - every ``interval`` while writes follow each other closely, such as those of this process's own publishers, which
      events could wake a thousand times a second;
    - once a second otherwise. Should that find commits of which no event had told, events cannot be relied on here (a
      network or shared file system), and from the third one on it is as without events.
    """

    def __init__(
        self,
        changes: Callable[[], int],
        events: FileEvents,
        interval: float,
        *,
        heartbeat: float = _HEARTBEAT,
        trust: Trust | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._changes = changes
        self._events = events
        self._interval = interval
        self._heartbeat = max(interval, heartbeat)
        self._trust = trust or Trust()
        self._clock = clock
        self._polling = not events.audible
        self._woken = False
        self._written_at = self._written_since = self._looked_at = -math.inf
        self._following = False
        self._fresh = False  # a write was heard since the last look
        self._hear()  # somebody may be about to commit what was written before
        try:
            self._last = changes()
        except BaseException:
            events.close()
            raise
        self._looked_at = clock()
        self._due = self._looked_at + self._pause()

    def wait(self, timeout: float | None = None) -> bool:
        """As ``ports.CommitWatch.wait``."""
        deadline = math.inf if timeout is None else self._clock() + timeout
        while not self._woken:
            now = self._clock()
            if now >= self._due:
                if self._look(now):
                    return True
            elif now >= deadline:
                return False
            elif now < self._listen_from:
                self._events.wait(min(self._due, deadline, self._listen_from) - now, listening=False)
            elif self._events.wait(min(self._due, deadline) - now):
                self._hear()
                self._due = self._written_at
        self._woken = False
        return False

    def wake(self) -> None:
        """As ``ports.CommitWatch.wake``."""
        self._woken = True
        self._events.wake()

    def close(self) -> None:
        """As ``ports.CommitWatch.close``."""
        self._events.close()

    @property
    def _listen_from(self) -> float:
        """When a write may end the sleep. Until then they are gathered, and heard by the look that is due."""
        if self._polling:
            return math.inf
        return self._written_at + _SILENCE if self._following else self._looked_at + self._pace

    @property
    def _pace(self) -> float:
        """Seconds between two looks while there is something to see: a quarter of the time that writes go on already.

        So a commit is seen with little delay however long its sync lasts, and writes without an end cost one look per
        interval.
        """
        return min(self._interval, max(_SHORTEST, (self._looked_at - self._written_since) / 4))

    def _hear(self) -> None:
        now = self._clock()
        if now - self._written_at >= _SILENCE:
            self._written_since = now
        self._written_at = now
        self._following = self._fresh = True

    def _listen(self) -> bool:
        """Whether somebody wrote since that was last said."""
        heard = not self._polling and self._events.wait(0)
        if heard:
            self._hear()
        return heard

    def _look(self, now: float) -> bool:
        """Whether somebody committed since the last look that found it."""
        self._due = now + self._interval  # should the question fail
        self._listen()
        current = self._changes()
        changed, self._last = current != self._last, current
        if changed:
            if not (self._polling or self._following or self._listen()):
                self._trust.misses += 1  # a write comes before its commit can be seen: it would be there by now
            if not self._fresh:
                # Nobody wrote since the look before. Writers take turns, so all that had been written then is what is
                # seen now: had another commit begun by then, this one would have been seen then.
                self._following = False
        self._fresh = False
        if not self._polling and (self._trust.lost or not self._events.audible):
            _logger.info("the file system does not tell of all writes to the store: it is polled")
            self._polling, self._following = True, False
        self._looked_at = self._clock()
        if self._looked_at - self._written_at >= _SETTLING:
            self._following = False
        self._due = self._looked_at + self._pause()
        return changed

    def _pause(self) -> float:
        """Seconds to the next look."""
        if self._polling:
            return self._interval
        return self._pace if self._following else self._heartbeat
