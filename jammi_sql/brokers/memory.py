"""The broker inside one process."""

from __future__ import annotations

import threading
import weakref

from ..errors import DriverError, InvalidParameter
from ..topics.definition import TopicDefinition, TopicId
from ..topics.delivery import BrokerSubscription, ConsumerOffsetSnapshot, DeliveredBatch
from ..topics.offset import Offset
from ..topics.predicate import Predicate

__all__ = ["InMemoryBroker", "PollingBroker"]


class InMemoryBroker:
    """Hands batches to the subscriptions of this process.

    Each subscription has a queue of at most ``capacity`` batches. When it is full the queue is dropped: its reader goes
    to the log, the publisher never waits.
    """

    driver_kind = "memory"
    heal_interval = 0.25

    def __init__(self, capacity: int = 1024) -> None:
        if capacity < 1:
            raise InvalidParameter("the capacity of a broker is at least 1")
        self._capacity = capacity
        # Of each topic its subscriptions, in a tuple that is replaced as a whole: a publish reads it without a lock.
        self._topics: dict[TopicId, tuple[weakref.ref[BrokerSubscription], ...]] = {}
        self._lock = threading.Lock()
        self._failure: str | None = None

    def register_topic(self, topic: TopicDefinition) -> None:
        """Make ready for a topic; again is a no-op."""
        with self._lock:
            self._topics.setdefault(topic.id, ())

    def drop_topic(self, topic_id: TopicId) -> None:
        """Forget a topic and wake its readers; an unknown one is a no-op."""
        with self._lock:
            references = self._topics.pop(topic_id, ())
        for subscription in _alive(references):
            subscription.drop()

    def publish(self, topic: TopicDefinition, delivered: DeliveredBatch) -> None:
        """Hand a committed batch to every subscription. Raises ``DriverError`` once after it was armed."""
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise DriverError(failure, hint="subscribers read the batch from the log")
        for subscription in _alive(self._topics.get(topic.id, ())):
            subscription.put(delivered)

    def subscribe(self, topic_id: TopicId, predicate: Predicate, from_offset: Offset | None) -> BrokerSubscription:
        """The batches handed over from now on. Letting go of it, or ``close``, ends it."""
        subscription = BrokerSubscription(topic_id, predicate, from_offset, capacity=self._capacity)
        with self._lock:
            others = _alive(self._topics.get(topic_id, ()))
            self._topics[topic_id] = tuple(weakref.ref(one) for one in (*others, subscription) if not one.closed)
        return subscription

    def list_consumers(self, topic_id: TopicId) -> list[ConsumerOffsetSnapshot]:
        """One snapshot per live subscription. There is no acknowledgement here: it equals the delivery."""
        subscriptions = _alive(self._topics.get(topic_id, ()))
        return [subscription.snapshot() for subscription in subscriptions if not subscription.closed]

    def trigger_failure_for_next_publish(self, message: str) -> None:
        """Let the next ``publish`` raise ``DriverError(message)``, once. For tests."""
        self._failure = message

    def close(self) -> None:
        """End all subscriptions."""
        with self._lock:
            subscriptions = [
                subscription for references in self._topics.values() for subscription in _alive(references)
            ]
            self._topics.clear()
        for subscription in subscriptions:
            subscription.close()


def _alive(references: tuple[weakref.ref[BrokerSubscription], ...]) -> list[BrokerSubscription]:
    """The subscriptions that nobody has let go of."""
    return [subscription for reference in references if (subscription := reference()) is not None]


class PollingBroker(InMemoryBroker):
    """The broker when none is named: hand-over within the process, and a look at the log for other processes.

    ``heal_interval`` is in how many seconds the engine is to find a publish of another process; only where the store
    cannot tell of commits by itself it asks as often as that.
    """

    driver_kind = "polling"
    heal_interval = 0.01
