"""Subscribing to topics."""

from __future__ import annotations

import threading
import weakref

from ..errors import InvalidParameter, OffsetEvicted
from ..ports import Broker, Reader, Store
from ..tenancy import TenantId
from .catalog import CatalogTopic, TopicCatalog, not_registered
from .definition import TopicDefinition
from .delivery import DeliveredBatch
from .log import Log
from .offset import Offset
from .predicate import Predicate
from .shared_reads import SharedReads
from .subscription import Subscription
from .watch import HeadWatch

__all__ = ["Subscriber"]


class Subscriber:
    """Opens subscriptions and replays."""

    def __init__(
        self,
        store: Store,
        catalog: TopicCatalog,
        log: Log,
        broker: Broker,
        watch: HeadWatch,
        subscription: type[Subscription] = Subscription,
    ) -> None:
        """``subscription`` is what it opens."""
        self._subscription = subscription
        self._store = store
        self._catalog = catalog
        self._log = log
        self._broker = broker
        self._watch = watch
        self._shared = SharedReads(log, store)
        self._live: weakref.WeakSet[Subscription] = weakref.WeakSet()
        self._replays: weakref.WeakSet[Subscription] = weakref.WeakSet()
        self._changing = threading.Lock()

    def subscribe(
        self, topic: TopicDefinition, predicate: Predicate | None = None, from_offset: Offset | int | None = None
    ) -> Subscription:
        """The global rows of ``topic`` from ``from_offset`` on; ``None`` means those to come."""
        return self.subscribe_scoped(topic, None, predicate, from_offset)

    def subscribe_scoped(
        self,
        topic: TopicDefinition,
        tenant: TenantId | str | None,
        predicate: Predicate | None = None,
        from_offset: Offset | int | None = None,
    ) -> Subscription:
        """The rows of ``tenant`` and the global ones.

        Raises ``OffsetEvicted`` for an offset that is gone, ``TopicNotFound`` for a topic of another tenant.
        """
        scope = TenantId.optional(tenant)
        return self.open(self._readable(topic, scope), scope, _predicate(predicate), _offset_value(from_offset))

    def open(
        self,
        topic: CatalogTopic,
        tenant: TenantId | None,
        predicate: Predicate,
        start: int | None,
        *,
        until: int | None = None,
        idle_timeout: float | None = None,
        reader: Reader | None = None,
        earliest: bool = False,
    ) -> Subscription:
        """A subscription on a resolved topic; ``until`` is inclusive, ``idle_timeout`` in seconds.

        With ``earliest``, ``start`` is where the topic began, and goes on with that until something was read.
        """
        subscription = self._subscription.open(
            reader or self._store, self._log, self._broker, self._watch, topic, tenant, predicate, start,
            until=until, idle_timeout=idle_timeout, shared=None if reader else self._shared, earliest=earliest,
        )  # fmt: skip
        with self._changing:
            self._live.add(subscription)
        return subscription

    def replay_only(
        self, topic: TopicDefinition, predicate: Predicate | None = None, from_offset: Offset | int | None = None
    ) -> list[DeliveredBatch]:
        """The global rows that are in the log now, from ``from_offset`` on; none without one."""
        return self.replay_only_scoped(topic, None, predicate, from_offset)

    def replay_only_scoped(
        self,
        topic: TopicDefinition,
        tenant: TenantId | str | None,
        predicate: Predicate | None = None,
        from_offset: Offset | int | None = None,
    ) -> list[DeliveredBatch]:
        """The rows of ``tenant`` and the global ones that are in the log now; none without ``from_offset``.

        Raises as ``subscribe_scoped``.
        """
        scope = TenantId.optional(tenant)
        registered = self._readable(topic, scope)
        predicate = _predicate(predicate)
        start = _offset_value(from_offset)
        if start is None:
            return []
        head = self._log.head(self._store, registered)
        if start < head.first:
            raise OffsetEvicted(registered.name, start, head.first)
        replay = self._subscription(
            self._store, self._log, registered, scope, predicate, start,
            until=head.next - 1, head=head.next,
        )  # fmt: skip
        with self._changing:
            self._replays.add(replay)
        return list(replay)

    def _readable(self, topic: TopicDefinition, tenant: TenantId | None) -> CatalogTopic:
        """The registered topic. To a tenant the topics of the others are not there, even with a definition in hand.

        Without a tenant one reads the global rows of whatever topic, of which another's own has none.
        """
        registered = self._catalog.resolve(self._store, topic)
        if tenant is not None and registered.definition.tenant not in (None, tenant):
            raise not_registered(topic)
        return registered

    def needed(self, topic: int, within: float) -> int | None:
        """The least offset of a topic, by its number, that somebody reads next who read on within so many seconds."""
        with self._changing:
            readers = [one for one in (*self._live, *self._replays) if one.topic.number == topic]
        return min((offset for one in readers if (offset := one.needs(within)) is not None), default=None)

    @property
    def live(self) -> list[Subscription]:
        """The subscriptions that are open."""
        with self._changing:
            return [subscription for subscription in self._live if not subscription.closed]

    def close(self) -> None:
        """End all subscriptions."""
        for subscription in self.live:
            subscription.close()


def _offset_value(offset: Offset | int | None) -> int | None:
    value: object = offset.value if isinstance(offset, Offset) else offset
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool):
        raise InvalidParameter(
            f"from_offset is an Offset, an int or None, not {type(value).__name__}", hint="0 is where a topic begins"
        )
    return value


def _predicate(predicate: Predicate | None) -> Predicate:
    if predicate is None:
        return Predicate.match_all()
    if not isinstance(predicate, Predicate):
        raise InvalidParameter(
            f"a predicate is a Predicate, not {type(predicate).__name__}",
            hint="make it with Predicate.from_sql(topic.schema, \"kind = 'X'\")",
        )
    return predicate
