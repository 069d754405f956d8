"""The parts of an engine whose metrics are wanted, in the place of the plain ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..metrics.broker import MeteredBroker
from ..metrics.choice import chosen_metrics
from ..metrics.publisher import MeteredPublisher
from ..metrics.recorder import Recorder
from ..metrics.store import MeteredStore
from ..metrics.subscription import lags, metered_subscription
from ..ports import Broker, Clock, Store
from ..topics.catalog import TopicCatalog
from ..topics.log import Log
from ..topics.subscriber import Subscriber
from ..topics.watch import HeadWatch

if TYPE_CHECKING:
    from .session import Session

__all__ = ["Metering"]


class Metering:
    """Makes them. An engine without metrics has no such object, and nothing of this package in its way."""

    def __init__(self, metrics: object, store: Store, broker: Broker) -> None:
        """``metrics`` is what ``connect`` takes; raises as ``chosen_metrics`` does."""
        self.recorder = Recorder(chosen_metrics(metrics), store.kind, broker.driver_kind)
        self.store: Store = MeteredStore(store, self.recorder)

    def publisher(
        self, catalog: TopicCatalog, log: Log, broker: Broker, watch: HeadWatch, clock: Clock
    ) -> MeteredPublisher:
        """In place of ``Publisher``."""
        metered = MeteredBroker(broker, self.recorder)
        return MeteredPublisher(self.store, catalog, log, metered, watch, clock, self.recorder)

    def subscriber(self, catalog: TopicCatalog, log: Log, broker: Broker, watch: HeadWatch) -> Subscriber:
        """A ``Subscriber`` of subscriptions that are measured."""
        return Subscriber(self.store, catalog, log, broker, watch, metered_subscription(self.recorder))

    def observe(self, subscriber: Subscriber) -> None:
        """Let whoever collects see its live subscriptions, until ``close``."""
        self.recorder.observe_subscriptions(lambda: lags(subscriber.live))

    @property
    def session(self) -> type[Session]:
        """In place of ``Session``."""
        from .metered_session import metered_session  # noqa: PLC0415 - a session refers to its engine

        return metered_session(self.recorder)

    def close(self) -> None:
        """Observe nothing more."""
        self.recorder.close()
