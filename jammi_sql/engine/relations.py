"""The relations of a session: live subscriptions, topics and system views, by name."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ..arrow.dataset import LazyDataset
from ..errors import UndefinedTable
from ..tenancy import TenantId
from ..topics.catalog import CatalogTopic
from .catalog_provider import SYSTEM
from .planning import Planning
from .system_views import SYSTEM_VIEWS
from .table_provider import TableProvider
from .topic_provider import TopicProvider

if TYPE_CHECKING:
    from .session import Session

__all__ = ["SessionRelations", "inserted_relations"]

_ALL_ROWS = 2**62


class SessionRelations:
    """Answers DataFusion's questions about names, for one session at one moment."""

    def __init__(self, session: Session) -> None:
        self._session = session
        # What the statement being planned put in place of subscribe(...), of an INSERT's target, of executemany's rows.
        self.inserted: dict[str, Any] = {}
        # Behind a LIMIT that never cuts, DataFusion keeps its filters to itself.
        self.takes_filters = True

    def namespaces(self) -> set[str]:
        """The schemas that the session sees."""
        session = self._session
        return {SYSTEM, *session.engine.services.catalog.namespaces(session.reader, session.tenant)}

    def create_namespace(self, name: str) -> None:
        """CREATE SCHEMA."""
        session = self._session
        with session.scope.writing() as transaction:
            session.engine.services.catalog.create_namespace(transaction, session.tenant, name)

    def relation_names(self, namespace: str) -> list[str]:
        """The topics or system views of a schema."""
        if namespace == SYSTEM:
            return sorted(SYSTEM_VIEWS)
        session = self._session
        visible = session.engine.services.catalog.visible(session.reader, session.tenant)
        return [topic.local_name for topic in visible if topic.namespace == namespace]

    def relation(self, namespace: str, name: str) -> Any:
        """The relation of that name, ``None`` where there is none."""
        session = self._session
        planning = session.planning
        found: Any = self.inserted.get(name)
        if found is None and namespace == SYSTEM:
            view = SYSTEM_VIEWS.get(name)
            found = None if view is None else TableProvider(view.schema, lambda: view.table(session))
        elif found is None:
            topic = (
                session.engine.services.catalog.lookup(session.reader, session.tenant, namespace, name)
                if planning is None
                else planning.topic(namespace, name)
            )
            found = None if topic is None else self.topic_provider(topic, planning)
        if isinstance(found, LazyDataset):
            if planning is not None:
                planning.datasets.append(found)
            if not self.takes_filters:
                return session.context.read_table(found).limit(_ALL_ROWS).into_view()
        return found

    def topic_provider(
        self,
        topic: CatalogTopic,
        planning: Planning | None,
        bounds: tuple[int, int] | None = None,
        *,
        partitions: int | None = None,
    ) -> TopicProvider:
        """A topic as a relation; ``bounds`` fix its offsets, else they are those of the statement's beginning."""
        session = self._session
        log = session.engine.services.log

        def current_bounds() -> tuple[int, int]:
            if bounds is not None:
                return bounds
            if planning is not None and planning.active:
                return topic.first_offset, topic.next_offset
            if topic.definition.tenant not in (None, session.tenant):
                raise UndefinedTable(f"topic {topic.name} does not exist")
            head = log.head(session.reader, topic)
            return head.first, head.next

        def current_tenant() -> TenantId | None:
            # A statement's rows are those of the tenant at its beginning; a view's, those of whoever reads it.
            return planning.tenant if planning is not None and planning.active else session.tenant

        return TopicProvider(
            log,
            topic,
            current_tenant,
            current_bounds,
            lambda: session.reader,
            partitions=partitions or os.cpu_count() or 1,
            prune=lambda: session.settings.pushdown,
        )


@contextmanager
def inserted_relations(relations: SessionRelations, datasets: Mapping[str, Any]) -> Iterator[None]:
    """Let the names of ``datasets`` lead to them while a statement is planned."""
    outer = relations.inserted
    relations.inserted = {**outer, **datasets}
    try:
        yield
    finally:
        relations.inserted = outer
