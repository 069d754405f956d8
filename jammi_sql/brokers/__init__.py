"""Brokers: transport of committed batches to live subscriptions. They persist nothing."""

from ..ports import Broker
from ..topics.delivery import BrokerSubscription, ConsumerOffsetSnapshot
from .jetstream import JetStreamBroker
from .memory import InMemoryBroker, PollingBroker

__all__ = [
    "Broker",
    "BrokerSubscription",
    "ConsumerOffsetSnapshot",
    "InMemoryBroker",
    "JetStreamBroker",
    "PollingBroker",
]
