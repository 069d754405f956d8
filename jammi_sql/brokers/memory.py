"""The broker inside one process."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable

from ..errors import DriverError, InvalidParameter
from ..topics.definition import TopicDefinition, TopicId
from ..topics.delivery import BrokerSubscription, ConsumerOffsetSnapshot, DeliveredBatch
from ..topics.offset import Offset
from ..topics.predicate import Predicate
from ..topics.tail import Tail
from .dispatcher import Dispatcher

__all__ = ["InMemoryBroker", "PollingBroker"]


class InMemoryBroker:
    """Hands batches to the subscriptions of this process.

    The subscriptions of a topic share its last ``capacity`` batches. Who is slower goes to the log; the publisher never
    waits.
    """

    driver_kind = "memory"
    heal_interval = 0.25

    def __init__(self, capacity: int = 1024) -> None:
        if capacity < 1:
            raise InvalidParameter("the capacity of a broker is at least 1")
        self._capacity = capacity
        # A tail lives as long as its subscriptions. A publish looks for it without a lock.
        self._tails: weakref.WeakValueDictionary[TopicId, Tail] = weakref.WeakValueDictionary()
        self._dispatcher = Dispatcher()
        self._lock = threading.Lock()
        self._failure: str | None = None
        self._on_close: Callable[[], None] | None = None  # whenever a subscription was closed

    def register_topic(self, topic: TopicDefinition) -> None:
        """Nothing to make ready."""

    def drop_topic(self, topic_id: TopicId) -> None:
        """Forget a topic and wake its readers; an unknown one is a no-op."""
        with self._lock:
            tail = self._tails.pop(topic_id, None)
        if tail is not None:
            tail.drop()

    def publish(self, topic: TopicDefinition, delivered: DeliveredBatch) -> None:
        """Hand a committed batch to every subscription. Raises ``DriverError`` once after it was armed."""
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise DriverError(failure, hint="subscribers read the batch from the log")
        tail = self._tails.get(topic.id)
        if tail is not None:
            tail.append(delivered)

    def subscribe(self, topic_id: TopicId, predicate: Predicate, from_offset: Offset | None) -> BrokerSubscription:
        """The batches handed over from now on. Letting go of it, or ``close``, ends it."""
        with self._lock:
            tail = self._tails.get(topic_id)
            if tail is None:
                tail = self._tails[topic_id] = Tail(self._capacity, dispatch=self._dispatcher.dispatch)
        return BrokerSubscription(topic_id, predicate, from_offset, tail=tail, on_close=self._on_close)

    def list_consumers(self, topic_id: TopicId) -> list[ConsumerOffsetSnapshot]:
        """One snapshot per live subscription. There is no acknowledgement here: it equals the delivery."""
        tail = self._tails.get(topic_id)
        return [] if tail is None else [member.snapshot() for member in tail.members]

    def trigger_failure_for_next_publish(self, message: str) -> None:
        """Let the next ``publish`` raise ``DriverError(message)``, once. For tests."""
        self._failure = message

    def close(self) -> None:
        """End all subscriptions."""
        with self._lock:
            tails = list(self._tails.values())
            self._tails.clear()
        for tail in tails:
            for member in tail.members:
                member.close()


class PollingBroker(InMemoryBroker):
    """The broker when none is named: hand-over within the process, and a look at the log for other processes.

    ``heal_interval`` is in how many seconds the engine is to find a publish of another process; only where the store
    cannot tell of commits by itself it asks as often as that.
    """

    driver_kind = "polling"
    heal_interval = 0.01
