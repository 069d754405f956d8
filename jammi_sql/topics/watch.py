"""Watches how far the log has come, so that nothing that a broker did not hand over stays unseen."""

from __future__ import annotations

import logging
import threading
import weakref
from collections.abc import Callable

from ..logs import about, reason
from ..ports import CommitWatch, Store
from .delivery import BrokerSubscription
from .feeder import CrowdFeeder
from .log import Log
from .tail import Tail
from .wake import closed_gate, wait

__all__ = ["HeadWatch"]

_logger = logging.getLogger("jammi_sql.topics")

_ROUND = 2.0
"""Seconds after which it sees whether its subscriptions are still there."""


_GRACE = 0.01
"""Seconds that a commit has to be handed over, where a crowd would otherwise read the log because of this process's own
publish: its commit is seen here before its thread has come to hand it over."""


class HeadWatch:
    """One thread per engine which tells live subscriptions of new offsets in the log.

    While there is a live subscription it waits for the store to say that somebody committed, which is to take no more
    than ``interval`` seconds (it may change from time to time), and only then reads the heads of the subscribed topics.
    Without subscriptions it sleeps and holds nothing of the store. It finds the publishes of other processes, and those
    whose hand-over failed. A crowd gets them from ``feeder``; a few readers find them in the log.
    """

    def __init__(
        self, store: Store, log: Log, interval: float | Callable[[], float], feeder: CrowdFeeder | None = None
    ) -> None:
        self._store = store
        self._feeder = feeder
        self._log = log
        self._interval: Callable[[], float] = interval if callable(interval) else lambda: interval
        self._heard_within = 0.0  # the interval of the watch over commits that there is
        self._watched: dict[int, weakref.WeakSet[Tail]] = {}
        self._changed = threading.Lock()
        self._asleep: threading.Lock | None = None  # the gate at which the thread waits to be roused
        self._nudged = False
        self._closed = False
        self._thread: threading.Thread | None = None
        self._commits: CommitWatch | None = None  # while somebody subscribes

    def add(self, topic: int, subscription: BrokerSubscription) -> None:
        """Tell ``subscription`` of the topic with this number from now on; it is forgotten when it is closed or gone."""
        with self._changed:
            self._watched.setdefault(topic, weakref.WeakSet()).add(subscription.tail)
            self._nudged = True
            alive = self._thread is not None and self._thread.is_alive()
            if not alive and not self._closed:
                self._thread = threading.Thread(target=self._run, name="jammi-head-watch", daemon=True)
                self._thread.start()
            self._rouse()

    def nudge(self) -> None:
        """Look at the log at once: a hand-over failed."""
        with self._changed:
            self._nudged = True
            self._rouse()

    def close(self) -> None:
        """End the thread."""
        with self._changed:
            self._closed = True
            self._rouse()
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout=10)

    def _rouse(self) -> None:
        gate, self._asleep = self._asleep, None
        if gate is not None:
            gate.release()
        if self._commits is not None:
            self._commits.wake()

    def _run(self) -> None:
        untold = failing = False
        try:
            while self._somebody_subscribes():
                try:
                    interval = self._interval()
                    if self._commits is not None and interval != self._heard_within:
                        with self._changed:
                            self._let_go()
                    if self._commits is None:
                        untold = True  # what was committed before is nothing that it would tell of
                        commits = self._store.watch(interval)
                        with self._changed:
                            self._commits, self._heard_within = commits, interval
                    untold = self._take_nudge() or untold
                    untold = self._commits.wait(0 if untold else _ROUND) or untold
                    if self._take_nudge() or untold:
                        untold = True  # until it is told
                        self._tell()
                    untold = failing = False
                except Exception as error:
                    # The store may be locked, full or closing: subscriptions that read it get the error themselves.
                    # Whatever else it was: nothing would reach them any more without this thread.
                    if not failing:
                        _logger.warning(
                            "cannot look for new batches: %s",
                            reason(error),
                            extra=about(error, store=self._store.location),
                        )
                    untold = failing = True
                    self._sleep(min(self._interval(), _ROUND))
        finally:
            with self._changed:
                self._let_go()

    def _somebody_subscribes(self) -> bool:
        """Wait until it is so; false when the watch is closed."""
        while not self._closed:
            with self._changed:
                self._prune()
                if self._watched:
                    return True
                self._let_go()
                self._nudged = False
            self._sleep(None)
        return False

    def _sleep(self, timeout: float | None) -> None:
        """Until it is roused, at most ``timeout`` seconds."""
        gate = closed_gate()
        with self._changed:
            if self._closed or (timeout is None and self._watched):
                return
            self._asleep = gate
        wait(gate, timeout)

    def _take_nudge(self) -> bool:
        with self._changed:
            nudged, self._nudged = self._nudged, False
            return nudged

    def _let_go(self) -> None:
        commits, self._commits = self._commits, None
        if commits is not None:
            commits.close()

    def _prune(self) -> None:
        for topic in list(self._watched):
            tails = self._watched[topic]
            for tail in [tail for tail in tails if tail.deserted]:
                tails.discard(tail)
            if not tails:
                del self._watched[topic]

    def _tell(self) -> None:
        with self._changed:
            watched = {topic: list(tails) for topic, tails in self._watched.items()}
        if not watched:
            return
        heads = self._log.heads(self._store, list(watched))
        awaited: list[tuple[int, Tail, int]] = []
        for topic, tails in watched.items():
            for tail in tails:
                if topic not in heads:
                    tail.drop()
                elif tail.head < heads[topic].next and tail.is_fed:
                    awaited.append((topic, tail, heads[topic].next))
                else:
                    self._notify(topic, tail, heads[topic].next)
        if awaited:
            self._sleep(_GRACE)
            for topic, tail, head in awaited:
                self._notify(topic, tail, head)

    def _notify(self, topic: int, tail: Tail, head: int) -> None:
        if self._feeder is None or tail.is_small or tail.head >= head:
            tail.notify(head)
        else:
            self._feeder.feed(topic, tail, head)
