"""Topics: definition, log, publisher, subscriber, predicate."""

from .definition import TopicDefinition, TopicId
from .delivery import BrokerSubscription, ConsumerOffsetSnapshot, DeliveredBatch
from .offset import Offset
from .predicate import Predicate
from .publisher import Publisher
from .repo import TopicRepo
from .subscriber import Subscriber
from .subscription import Subscription

__all__ = [
    "BrokerSubscription",
    "ConsumerOffsetSnapshot",
    "DeliveredBatch",
    "Offset",
    "Predicate",
    "Publisher",
    "Subscriber",
    "Subscription",
    "TopicDefinition",
    "TopicId",
    "TopicRepo",
]
