"""What one engine records."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from .instruments import (
    DELIVERED_BATCHES,
    DELIVERED_ROWS,
    DELIVERY_SECONDS,
    FAN_OUT_FAILURES,
    LAG,
    PUBLISH_SECONDS,
    PUBLISHED_BATCHES,
    PUBLISHED_BYTES,
    PUBLISHED_ROWS,
    SEGMENT_ROWS,
    SEGMENTS,
    STATEMENT_ERRORS,
    STATEMENT_SECONDS,
    STATEMENTS,
    STORE_RETRIES,
    STORE_SECONDS,
    SUBSCRIPTIONS,
)
from .port import Instrument, Metrics, Observe, Record

__all__ = ["OTHER", "TOPICS", "Recorder"]

TOPICS: Final = 200
"""Topics of an engine that have series of their own: what a server of metrics keeps is paid for by the series."""
OTHER: Final = "(other)"
"""What all others have for a topic."""


class _Published(NamedTuple):
    batches: Record
    rows: Record
    size: Record
    seconds: Record


class _Delivered(NamedTuple):
    batches: Record
    rows: Record
    seconds: Record


class Recorder:
    """Takes down what happens, from any thread. It never raises, and holds nothing of what it is told but names."""

    def __init__(self, metrics: Metrics, store: str, broker: str) -> None:
        """``store`` and ``broker`` are their kinds."""
        self._metrics = metrics
        self._store = store
        self._broker = broker
        self._lock = threading.Lock()
        self._names: set[str] = set()
        self._published: dict[str, _Published] = {}
        self._delivered: dict[str, _Delivered] = {}
        self._kept: dict[tuple[str, tuple[str, ...]], Record] = {}
        self._removals: list[Callable[[], None]] = []

    # --- topics ---

    def published(self, topic: str, batches: int, rows: int, size: int) -> None:
        """So much was committed; ``size`` in bytes."""
        found = self._published.get(topic) or self._begin_published(topic)
        found.batches(batches)
        found.rows(rows)
        found.size(size)

    def published_in(self, topic: str, seconds: float) -> None:
        """A publish took so long."""
        (self._published.get(topic) or self._begin_published(topic)).seconds(seconds)

    def delivered(self, topic: str, batches: int, rows: int) -> None:
        """A subscription handed so much out."""
        found = self._delivered.get(topic) or self._begin_delivered(topic)
        found.batches(batches)
        found.rows(rows)

    def delivered_after(self, topic: str, seconds: float) -> None:
        """A batch was handed out so long after it was produced."""
        (self._delivered.get(topic) or self._begin_delivered(topic)).seconds(max(0.0, seconds))

    def fan_out_failed(self, topic: str) -> None:
        """The broker did not take a batch."""
        self._counter(FAN_OUT_FAILURES, (self._name(topic), self._broker))(1)

    def moved(self, topic: str, rows: int) -> None:
        """A compaction made a segment of so many rows."""
        labels = (self._name(topic),)
        self._counter(SEGMENTS, labels)(1)
        self._counter(SEGMENT_ROWS, labels)(rows)

    def observe_subscriptions(self, observe: Callable[[], Mapping[str, tuple[int, int]]]) -> None:
        """Ask, when metrics are collected, for the live subscriptions by topic: how many, and the lag of the slowest."""

        def counted(index: int) -> Observe:
            def values() -> dict[tuple[str, ...], float]:
                found: dict[tuple[str, ...], float] = {}
                for topic, both in observe().items():
                    labels = (self._name(topic),)
                    found[labels] = max(float(both[index]), found.get(labels, 0.0))
                return found

            return values

        for index, instrument in enumerate((SUBSCRIPTIONS, LAG)):
            self._removals.append(self._metrics.gauge(instrument, counted(index)))

    # --- store ---

    def store(self, operation: str) -> Record:
        """What takes the seconds of an operation of the store."""
        return self._metrics.histogram(STORE_SECONDS, (self._store, operation))

    def retried(self, kind: str) -> None:
        """The store tries something again."""
        self._counter(STORE_RETRIES, (self._store, kind))(1)

    # --- statements ---

    def began(self, statement: str) -> None:
        """A statement of this kind begins."""
        self._counter(STATEMENTS, (statement,))(1)

    def ended(self, statement: str, seconds: float) -> None:
        """It is over, and kept its caller waiting so long."""
        self._histogram(STATEMENT_SECONDS, (statement,))(seconds)

    def failed(self, statement: str, sqlstate: str) -> None:
        """It failed."""
        self._counter(STATEMENT_ERRORS, (statement, sqlstate[:2]))(1)

    def close(self) -> None:
        """Observe nothing more; what was counted stays."""
        removals, self._removals = self._removals, []
        for remove in removals:
            remove()

    # --- instruments ---

    def _begin_published(self, topic: str) -> _Published:
        name = self._name(topic)
        known = self._published.get(name)
        if known is not None:
            return known
        labels, counter = (name,), self._metrics.counter
        found = self._published[name] = _Published(
            counter(PUBLISHED_BATCHES, labels),
            counter(PUBLISHED_ROWS, labels),
            counter(PUBLISHED_BYTES, labels),
            self._metrics.histogram(PUBLISH_SECONDS, labels),
        )
        return found

    def _begin_delivered(self, topic: str) -> _Delivered:
        name = self._name(topic)
        known = self._delivered.get(name)
        if known is not None:
            return known
        labels, counter = (name,), self._metrics.counter
        found = self._delivered[name] = _Delivered(
            counter(DELIVERED_BATCHES, labels),
            counter(DELIVERED_ROWS, labels),
            self._metrics.histogram(DELIVERY_SECONDS, labels),
        )
        return found

    def _counter(self, instrument: Instrument, labels: tuple[str, ...]) -> Record:
        found = self._kept.get((instrument.name, labels))
        if found is None:
            found = self._kept[instrument.name, labels] = self._metrics.counter(instrument, labels)
        return found

    def _histogram(self, instrument: Instrument, labels: tuple[str, ...]) -> Record:
        found = self._kept.get((instrument.name, labels))
        if found is None:
            found = self._kept[instrument.name, labels] = self._metrics.histogram(instrument, labels)
        return found

    def _name(self, topic: str) -> str:
        """The topic's name as a label."""
        if topic in self._names:
            return topic
        with self._lock:
            if len(self._names) >= TOPICS:
                return OTHER
            self._names.add(topic)
        return topic
