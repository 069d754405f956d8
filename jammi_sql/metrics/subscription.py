"""Subscriptions that are measured."""

from __future__ import annotations

import time

from ..topics.delivery import DeliveredBatch
from ..topics.entries import LogEntry
from ..topics.subscription import Subscription
from .recorder import Recorder

__all__ = ["lags", "metered_subscription"]


def metered_subscription(recorder: Recorder) -> type[Subscription]:
    """A ``Subscription`` that takes down what it hands out, and how long after it was produced.

    History says nothing of that: what was produced before the subscription began has no such time.
    """

    class MeteredSubscription(Subscription):
        """As ``Subscription``."""

        __slots__ = ()

        def take(self, timeout: float | None = None) -> list[LogEntry]:
            """As ``Subscription.take``."""
            return self._counted(super().take(timeout))

        def take_ready(self) -> list[LogEntry]:
            """As ``Subscription.take_ready``."""
            return self._counted(super().take_ready())

        def next(self, timeout: float | None = None) -> DeliveredBatch:
            """As ``Subscription.next``."""
            return self._counted_one(super().next(timeout))

        async def __anext__(self) -> DeliveredBatch:
            return self._counted_one(await super().__anext__())

        def _counted(self, entries: list[LogEntry]) -> list[LogEntry]:
            if entries:
                name, since, now = self.topic.name, self.since.timestamp(), time.time()
                recorder.delivered(name, len(entries), sum(entry.batch.num_rows for entry in entries))
                for entry in entries:
                    if entry.produced_us >= since * 1e6:
                        recorder.delivered_after(name, now - entry.produced_us / 1e6)
            return entries

        def _counted_one(self, delivered: DeliveredBatch) -> DeliveredBatch:
            recorder.delivered(self.topic.name, 1, delivered.batch.num_rows)
            if delivered.produced_at >= self.since:
                recorder.delivered_after(self.topic.name, time.time() - delivered.produced_at.timestamp())
            return delivered

    return MeteredSubscription


def lags(live: list[Subscription]) -> dict[str, tuple[int, int]]:
    """By topic: how many live subscriptions there are, and how many batches the slowest one lacks.

    As far as they know themselves: a scrape asks the store nothing, which might not answer.
    """
    found: dict[str, tuple[int, int]] = {}
    for subscription in live:
        lag = max(0, subscription.head - subscription.position)
        count, most = found.get(subscription.topic.name, (0, 0))
        found[subscription.topic.name] = (count + 1, max(lag, most))
    return found
