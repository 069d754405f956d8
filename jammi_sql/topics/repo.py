"""Topics by definition: the catalogue as a Python interface."""

from __future__ import annotations

import logging
from collections.abc import Callable

from ..errors import TopicNotFound
from ..logs import about, reason
from ..ports import Broker, Store
from ..tenancy import TenantId
from .catalog import TopicCatalog
from .definition import TopicDefinition, TopicId, split_name

__all__ = ["TopicRepo"]

_logger = logging.getLogger("jammi_sql.topics")


class TopicRepo:
    """Registers, finds, lists and drops topics, each call in a transaction of its own."""

    def __init__(self, store: Store, catalog: TopicCatalog, broker: Broker) -> None:
        self._store = store
        self._catalog = catalog
        self._broker = broker

    def register_topic(self, topic: TopicDefinition) -> TopicDefinition:
        """Make the topic and return its definition. The same schema again is a no-op: the first definition stays, and is
        returned. Another schema is ``SchemaConflict``."""
        with self._store.begin() as transaction:
            registered, _ = self._catalog.register(transaction, topic)
        self._tell("register", registered.definition.name, lambda: self._broker.register_topic(registered.definition))
        return registered.definition

    def lookup_by_name(self, name: str, tenant: TenantId | str | None = None) -> TopicDefinition | None:
        """What ``tenant`` sees under that name: its own topic before a global one."""
        found = self._catalog.lookup(self._store, TenantId.optional(tenant), *split_name(name))
        return None if found is None else found.definition

    def list_topics(self, tenant: TenantId | str | None = None) -> list[TopicDefinition]:
        """What ``tenant`` sees, by name: its own topics and the global ones."""
        return [topic.definition for topic in self._catalog.visible(self._store, TenantId.optional(tenant))]

    def drop_topic(self, topic_id: TopicId, tenant: TenantId | str | None = None) -> None:
        """Remove a topic and its batches. ``TopicNotFound`` for one that ``tenant`` does not see, ``PermissionDenied``
        for a global one under a tenant."""
        scope = TenantId.optional(tenant)
        with self._store.begin() as transaction:
            topic = self._catalog.by_id(transaction, topic_id)
            if topic is None or topic.definition.tenant not in (None, scope):
                raise TopicNotFound(f"there is no topic {topic_id}", hint="list_topics shows what is there")
            self._catalog.check_owner(topic, scope)
            self._catalog.drop(transaction, topic)
        self._tell("forget", topic.name, lambda: self._broker.drop_topic(topic.definition.id))

    @staticmethod
    def _tell(what: str, topic: str, call: Callable[[], None]) -> None:
        """A broker is a hint: what is committed stays so, whatever it raises."""
        try:
            call()
        except Exception as error:
            _logger.warning(
                "the broker did not %s topic %s: %s", what, topic, reason(error), extra=about(error, topic=topic)
            )
