"""A broker whose failures are counted."""

from __future__ import annotations

from ..brokers import optional
from ..ports import Broker
from ..topics.definition import TopicDefinition, TopicId
from ..topics.delivery import BrokerSubscription, ConsumerOffsetSnapshot, DeliveredBatch
from ..topics.offset import Offset
from ..topics.predicate import Predicate
from .recorder import Recorder

__all__ = ["MeteredBroker"]


class MeteredBroker:
    """The ``Broker`` around another one, for the publisher: everything else reaches that one itself."""

    def __init__(self, broker: Broker, recorder: Recorder) -> None:
        self.driver_kind = broker.driver_kind
        self.heal_interval = optional.heal_interval(broker)
        self._broker = broker
        self._recorder = recorder

    def register_topic(self, topic: TopicDefinition) -> None:
        """As ``Broker.register_topic``."""
        self._broker.register_topic(topic)

    def drop_topic(self, topic_id: TopicId) -> None:
        """As ``Broker.drop_topic``."""
        self._broker.drop_topic(topic_id)

    def publish(self, topic: TopicDefinition, delivered: DeliveredBatch) -> None:
        """As ``Broker.publish``; whatever it raises is counted."""
        try:
            self._broker.publish(topic, delivered)
        except Exception:
            self._recorder.fan_out_failed(topic.name)
            raise

    def subscribe(self, topic_id: TopicId, predicate: Predicate, from_offset: Offset | None) -> BrokerSubscription:
        """As ``Broker.subscribe``."""
        return self._broker.subscribe(topic_id, predicate, from_offset)

    def list_consumers(self, topic_id: TopicId) -> list[ConsumerOffsetSnapshot]:
        """As ``Broker.list_consumers``."""
        return self._broker.list_consumers(topic_id)

    def close(self) -> None:
        """As ``Broker.close``."""
        optional.close(self._broker)
