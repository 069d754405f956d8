"""Watches how far the log has come, so that nothing that a broker did not hand over stays unseen."""

from __future__ import annotations

import logging
import threading
import weakref

from ..errors import Error
from ..ports import Store
from .delivery import BrokerSubscription
from .log import Log

__all__ = ["HeadWatch"]

_logger = logging.getLogger("jammi_sql.topics")


class HeadWatch:
    """One thread per engine which tells live subscriptions of new offsets in the log.

    It asks the store whether anybody committed (5 µs) every ``interval`` seconds while there is a live subscription,
    and reads the heads of the subscribed topics only if so. Without subscriptions it sleeps. It finds the publishes of
    other processes, and those whose hand-over failed.
    """

    def __init__(self, store: Store, log: Log, interval: float) -> None:
        self._store = store
        self._log = log
        self._interval = interval
        self._watched: dict[int, weakref.WeakSet[BrokerSubscription]] = {}
        self._changed = threading.Condition(threading.Lock())
        self._nudged = False
        self._closed = False
        self._thread: threading.Thread | None = None

    def add(self, topic: int, subscription: BrokerSubscription) -> None:
        """Tell ``subscription`` of the topic with this number from now on; it is forgotten when it is closed or gone."""
        with self._changed:
            self._watched.setdefault(topic, weakref.WeakSet()).add(subscription)
            self._nudged = True
            alive = self._thread is not None and self._thread.is_alive()
            if not alive and not self._closed:
                self._thread = threading.Thread(target=self._run, name="jammi-head-watch", daemon=True)
                self._thread.start()
            self._changed.notify()

    def nudge(self) -> None:
        """Look at the log at once: a hand-over failed."""
        with self._changed:
            self._nudged = True
            self._changed.notify()

    def close(self) -> None:
        """End the thread."""
        with self._changed:
            self._closed = True
            self._changed.notify()
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout=10)

    def _run(self) -> None:
        last = -1
        failing = False
        while True:
            with self._changed:
                self._prune()
                if not self._nudged and not self._closed:
                    self._changed.wait(self._interval if self._watched else None)
                if self._closed:
                    return
                nudged, self._nudged = self._nudged, False
            try:
                current = self._store.changes()
                if current != last or nudged:
                    self._tell()
                last = current
                failing = False
            except Exception as error:
                # The store may be locked, full or closing: subscriptions that read it get the error themselves. Whatever
                # else it was: nothing would reach them any more without this thread.
                if not failing:
                    _logger.warning(
                        "cannot look for new batches: %s", error if isinstance(error, Error) else repr(error)
                    )
                last = -1  # what was to be told is not, so look again
                failing = True

    def _prune(self) -> None:
        for topic in list(self._watched):
            live = self._watched[topic]
            for subscription in [subscription for subscription in live if subscription.closed]:
                live.discard(subscription)
            if not live:
                del self._watched[topic]

    def _tell(self) -> None:
        with self._changed:
            watched = {topic: list(subscriptions) for topic, subscriptions in self._watched.items()}
        if not watched:
            return
        heads = self._log.heads(self._store, list(watched))
        for topic, subscriptions in watched.items():
            for subscription in subscriptions:
                if topic in heads:
                    subscription.notify(heads[topic].next)
                else:
                    subscription.drop()
