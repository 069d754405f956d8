"""What publishers hand over to the thread that talks to the server."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from ...topics.definition import TopicDefinition
from ...topics.delivered import DeliveredBatch

__all__ = ["Outbox", "Parcel"]


class Parcel:
    """A batch on its way to the server."""

    __slots__ = ("attempts", "deadline", "delivered", "size", "topic")

    def __init__(self, topic: TopicDefinition, delivered: DeliveredBatch, size: int) -> None:
        self.topic = topic
        self.delivered = delivered
        self.size = size
        self.attempts = 0
        self.deadline = 0.0
        """When its acknowledgement is overdue, in seconds of the event loop."""


class Outbox:
    """A queue of at most ``capacity`` batches and ``byte_capacity`` bytes; when it is full, the oldest one is dropped.

    The oldest, because the subscribers of other processes have most likely found it in the log by then. ``wake`` is
    called in the publisher's thread when something comes into an empty queue that was looked at.
    """

    def __init__(self, capacity: int, byte_capacity: int, wake: Callable[[], None]) -> None:
        self.capacity = capacity
        self.byte_capacity = byte_capacity
        self.dropped = 0
        """How many were dropped so far."""
        self._wake = wake
        self._parcels: deque[Parcel] = deque()
        self._bytes = 0
        self._idle = True
        self._mutex = threading.Lock()

    def put(self, topic: TopicDefinition, delivered: DeliveredBatch) -> None:
        """Queue a batch. Never blocks."""
        parcel = Parcel(topic, delivered, delivered.batch.nbytes)
        with self._mutex:
            self._parcels.append(parcel)
            self._bytes += parcel.size
            while len(self._parcels) > self.capacity or (self._bytes > self.byte_capacity and len(self._parcels) > 1):
                self._bytes -= self._parcels.popleft().size
                self.dropped += 1
            idle, self._idle = self._idle, False
        if idle:
            self._wake()

    def take(self) -> Parcel | None:
        """The oldest one; after ``None`` the next ``put`` wakes."""
        with self._mutex:
            if not self._parcels:
                self._idle = True
                return None
            parcel = self._parcels.popleft()
            self._bytes -= parcel.size
            return parcel

    def __len__(self) -> int:
        return len(self._parcels)
