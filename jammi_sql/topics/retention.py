"""Retention: what a topic may forget, and the thread that forgets it."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Self

from ..errors import InvalidParameter
from ..logs import about, reason
from ..ports import Broker, Clock, Store
from .catalog import CatalogTopic, TopicCatalog
from .log import Log

__all__ = ["Retention", "RetentionKeeper", "check_options", "parse_age"]

_logger = logging.getLogger("jammi_sql.topics")

AGE = "retention"
BYTES = "retention_bytes"
FOREVER = "forever"
RETENTION_OPTIONS = frozenset((AGE, BYTES))

_SECOND = 1_000_000
_UNITS = {
    "microsecond": 1,
    "millisecond": 1000,
    "ms": 1000,
    "second": _SECOND,
    "sec": _SECOND,
    "s": _SECOND,
    "minute": 60 * _SECOND,
    "min": 60 * _SECOND,
    "m": 60 * _SECOND,
    "hour": 3600 * _SECOND,
    "h": 3600 * _SECOND,
    "day": 86400 * _SECOND,
    "d": 86400 * _SECOND,
    "week": 7 * 86400 * _SECOND,
    "w": 7 * 86400 * _SECOND,
    "month": 30 * 86400 * _SECOND,
    "year": 365 * 86400 * _SECOND,
    "y": 365 * 86400 * _SECOND,
}
_PART = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*,?", re.IGNORECASE)
_PATIENCE = 60.0
_STEP = 1024
"""Batches removed in one transaction, so that publishers do not wait for long."""


@dataclass(frozen=True, slots=True)
class Retention:
    """How long and how much a topic keeps: microseconds and bytes of payload, ``None`` for no limit."""

    age_us: int | None
    size: int | None

    @classmethod
    def of(cls, options: Mapping[str, str]) -> Self:
        """What the options ``retention`` and ``retention_bytes`` say. ``InvalidParameter`` (22023) for what is neither."""
        age, size = options.get(AGE), options.get(BYTES)
        if size is not None and not (size.isascii() and size.isdigit() and int(size) > 0):
            raise InvalidParameter(f"retention_bytes cannot be {size!r}", hint="write a number of bytes")
        return cls(None if age is None else parse_age(age, AGE), None if size is None else int(size))


def parse_age(text: str, option: str) -> int | None:
    """Microseconds, ``None`` for ``'forever'``. ``InvalidParameter`` (22023) for what is no interval names ``option``."""
    if text.strip().lower() == FOREVER:
        return None
    total, place, unit = 0.0, 0, ""
    while place < len(text) and (part := _PART.match(text, place)):
        unit = part[2].lower()
        micros = _UNITS.get(unit or "second") or _UNITS.get(unit.removesuffix("s"))
        if micros is None:
            break
        total += float(part[1]) * micros
        place = part.end()
    if place != len(text) or total < 1:
        raise InvalidParameter(f"{option} cannot be {text!r}", hint="write INTERVAL '7 days' or 'forever'")
    return int(total)


def check_options(options: Mapping[str, str], broker: Broker) -> dict[str, str]:
    """The options, ``InvalidParameter`` (22023) for a retention that is none, and for what ``broker`` cannot take."""
    Retention.of(options)
    check = getattr(broker, "check_options", None)  # no part of the contract: a broker without options has none
    if check is not None:
        check(options)
    return dict(options)


class RetentionKeeper:
    """One thread per engine that removes, once a second, what its topics may forget.

    The newest batch of a topic is always kept, and so is what a subscription of this process needs next that read on within
    the last minute: it is slow, not stuck. One that is behind what was removed gets ``OffsetEvicted``.

    ``needed`` tells, of a topic's number and so many seconds, the least offset that such subscriptions need.
    """

    def __init__(
        self,
        store: Store,
        catalog: TopicCatalog,
        log: Log,
        clock: Clock,
        needed: Callable[[int, float], int | None] = lambda topic, within: None,
        interval: float = 1.0,
    ) -> None:
        self._store = store
        self._catalog = catalog
        self._log = log
        self._clock = clock
        self._needed = needed
        self._interval = interval
        self._closed = threading.Event()
        # Where topics ended, and what they were to keep, when their sizes were looked at.
        self._measured: dict[int, tuple[int, int]] = {}
        self._thread: threading.Thread | None = None
        if not store.read_only:
            self._thread = threading.Thread(target=self._run, name="jammi-retention", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        failing = False
        while not self._closed.wait(self._interval):
            try:
                self.enforce()
                failing = False
            except Exception as error:  # a keeper that died would let the store grow without a word
                if not failing and not self._closed.is_set():
                    _logger.warning(
                        "cannot remove what retention allows: %s",
                        reason(error),
                        extra=about(error, store=self._store.location),
                    )
                failing = True

    def enforce(self) -> None:
        """Remove what may go now."""
        topics = self._catalog.with_retention(self._store)
        numbers = {topic.number for topic in topics}
        self._measured = {number: measured for number, measured in self._measured.items() if number in numbers}
        for topic in topics:
            self._trim(topic)

    def _trim(self, topic: CatalogTopic) -> None:
        try:
            retention = Retention.of(topic.definition.broker_metadata)
        except InvalidParameter:
            return  # written by another version: rather keep too much
        keep_from = topic.first_offset
        if retention.age_us is not None:
            keep_from = self._log.offset_since(self._store, topic, self._clock.now_us() - retention.age_us)
        if retention.size is not None and self._measured.get(topic.number) != (topic.next_offset, retention.size):
            keep_from = max(keep_from, self._log.offset_of_newest(self._store, topic, retention.size))
            self._measured[topic.number] = topic.next_offset, retention.size
        keep_from = min(keep_from, topic.next_offset - 1)
        keep_from = self._still_needed(topic, keep_from)
        first = topic.first_offset
        while first < keep_from and not self._closed.is_set():
            with self._store.begin() as transaction:
                # Asked again under the write lock, for which it may have waited: who began to read meanwhile is not cut off.
                keep_from = self._still_needed(topic, keep_from)
                if first < keep_from:
                    # Of segments all at once: that is a few rows of the catalogue.
                    step = min(keep_from, max(first + _STEP, topic.hot_offset))
                    first = self._log.truncate(transaction, topic, step, self._clock.now_us())

    def _still_needed(self, topic: CatalogTopic, keep_from: int) -> int:
        """``keep_from``, or before it what a subscription needs."""
        needed = self._needed(topic.number, _PATIENCE)
        if needed is None:
            return keep_from
        self._measured.pop(topic.number, None)  # there may be more to remove without anything new
        return min(keep_from, needed)

    def close(self) -> None:
        """End the thread."""
        self._closed.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout=10)
