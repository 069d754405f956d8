"""What subscribers get, and the bounded mailbox through which a broker hands it over."""

from __future__ import annotations

import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa

from ..tenancy import TenantId
from .definition import TopicId
from .offset import Offset
from .predicate import Predicate

__all__ = ["BrokerSubscription", "ConsumerOffsetSnapshot", "DeliveredBatch"]


@dataclass(frozen=True, slots=True)
class DeliveredBatch:
    """One batch of a topic as a subscriber sees it.

    ``batch`` has the topic's user columns and only the rows that match the predicate. ``produced_at`` is aware, UTC.
    ``tenant`` is the publisher's, ``None`` for a global row.
    """

    offset: Offset
    produced_at: datetime
    batch: pa.RecordBatch
    tenant: TenantId | None


@dataclass(frozen=True, slots=True)
class ConsumerOffsetSnapshot:
    """How far a live subscription has come. Sequences are engine offsets, -1 before the first delivery."""

    consumer_name: str
    topic_id: TopicId
    last_delivered_stream_sequence: int
    last_ack_stream_sequence: int


class BrokerSubscription:
    """The batches that a broker hands over from now on, in a queue bounded by count and bytes.

    When a reader is slow the queue is emptied and ``notice`` remembers how far the topic has come: the reader finds
    the batches in the log. Used directly (as the reference does) it is an iterator of ``DeliveredBatch``, on which a
    lagging reader skips; the engine's ``Subscription`` heals that.
    """

    def __init__(
        self,
        topic_id: TopicId,
        predicate: Predicate,
        from_offset: Offset | None,
        *,
        capacity: int,
        byte_capacity: int = 64 << 20,
        on_close: Callable[[], None] = lambda: None,
    ) -> None:
        self.id = uuid.uuid4()
        self.topic_id = topic_id
        self.last_delivered = -1
        self._predicate = predicate
        self._from = from_offset.value if from_offset is not None else 0
        self._capacity = capacity
        self._byte_capacity = byte_capacity
        self._bytes = 0
        self._items: deque[DeliveredBatch] = deque()
        self._notice = 0
        self._woken = False
        self._ready = threading.Condition(threading.Lock())
        self._on_close = on_close
        self._listener: Callable[[], None] | None = None
        self.closed = False
        self.dropped = False

    # --- the broker's side ---

    def put(self, delivered: DeliveredBatch) -> None:
        """Hand a batch over. Never blocks: a full queue is dropped, and its reader goes to the log."""
        with self._ready:
            if self.closed:
                return
            if len(self._items) >= self._capacity or self._bytes >= self._byte_capacity:
                self._items.clear()
                self._bytes = 0
                self._notice = max(self._notice, delivered.offset.value + 1)
            else:
                self._items.append(delivered)
                self._bytes += delivered.batch.nbytes
            self._wake()

    def notify(self, head: int) -> None:
        """Say that offsets below ``head`` are in the log."""
        with self._ready:
            if head > self._notice:
                self._notice = head
                self._wake()

    def _wake(self) -> None:
        self._ready.notify()
        if self._listener is not None:
            self._listener()

    def drop(self) -> None:
        """Say that the topic seems to be gone; the reader looks."""
        with self._ready:
            self.dropped = self._woken = True
            self._wake()

    def close(self) -> None:
        """Leave the broker. May be called twice and from any thread."""
        with self._ready:
            if self.closed:
                return
            self.closed = True
            self._items.clear()
            self._ready.notify_all()
            if self._listener is not None:
                self._listener()
        self._on_close()

    # --- the reader's side ---

    def listen(self, listener: Callable[[], None] | None) -> None:
        """Call ``listener`` (quick, any thread) whenever ``take`` may have something."""
        with self._ready:
            self._listener = listener

    def take(self, timeout: float | None, known_head: int) -> tuple[list[DeliveredBatch], int]:
        """All batches waiting, and the head known from notices.

        Waits up to ``timeout`` seconds for a batch or for a notice past ``known_head``. Returns with nothing new on a
        timeout, on ``drop`` and on ``close``.
        """
        with self._ready:
            _wait_for(
                self._ready, lambda: self._items or self.closed or self._woken or self._notice > known_head, timeout
            )
            self._woken = False
            items = list(self._items)
            self._items.clear()
            self._bytes = 0
            return items, self._notice

    def next(self, timeout: float | None = None) -> DeliveredBatch:
        """The next batch with a matching row. Raises ``TimeoutError``, and ``StopIteration`` once closed."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            with self._ready:
                remaining = None if deadline is None else max(0.0, deadline - time.monotonic())
                _wait_for(self._ready, lambda: self._items or self.closed, remaining)
                if self.closed:
                    raise StopIteration
                if not self._items:
                    raise TimeoutError(f"nothing arrived within {timeout:.3g} s")
                delivered = self._items.popleft()
                self._bytes -= delivered.batch.nbytes
            self.last_delivered = delivered.offset.value
            if delivered.offset.value < self._from:
                continue
            batch = self._predicate.select([delivered.batch])[0]
            if batch is not None:
                return DeliveredBatch(delivered.offset, delivered.produced_at, batch, delivered.tenant)

    def snapshot(self) -> ConsumerOffsetSnapshot:
        """Where this subscription is."""
        return ConsumerOffsetSnapshot(str(self.id), self.topic_id, self.last_delivered, self.last_delivered)

    def __iter__(self) -> Iterator[DeliveredBatch]:
        return self

    def __next__(self) -> DeliveredBatch:
        return self.next()

    def __enter__(self) -> BrokerSubscription:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


# Ctrl-C must get through: some libraries install signal handlers under which a wait on a lock is not interrupted.
_STRETCH = 0.2


def _wait_for(condition: threading.Condition, predicate: Callable[[], object], timeout: float | None) -> None:
    """Wait on ``condition``, which is held, until ``predicate`` or for ``timeout`` seconds."""
    deadline = None if timeout is None else time.monotonic() + timeout
    while not predicate():
        left = _STRETCH if deadline is None else min(_STRETCH, deadline - time.monotonic())
        if left <= 0:
            return
        condition.wait(left)
