"""The relations of a session: live subscriptions, topics and system views, by name."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ..arrow.dataset import LazyDataset
from ..topics.catalog import CatalogTopic
from .catalog_provider import SYSTEM
from .planning import Planning
from .system_views import SYSTEM_VIEWS, SystemView
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
        found: Any = self.inserted.get(name)
        if found is None and namespace == SYSTEM:
            view = SYSTEM_VIEWS.get(name)
            found = None if view is None else _system_view(session, view)
        elif found is None:
            planning = Planning.current() or session.new_planning(frozenset({name}))
            topic = planning.topic(namespace, name)
            found = None if topic is None else self.topic_provider(topic, planning)
        if isinstance(found, LazyDataset) and not self.takes_filters:
            return session.context.read_table(found).limit(_ALL_ROWS).into_view()
        return found

    def topic_provider(
        self,
        topic: CatalogTopic,
        planning: Planning,
        bounds: tuple[int, int] | None = None,
        *,
        partitions: int | None = None,
    ) -> TopicProvider:
        """A topic as a relation; ``bounds`` fix its offsets, else they are those of the statement's beginning."""
        session = self._session
        return TopicProvider(
            session.engine.services.log,
            topic,
            planning,
            bounds,
            partitions=partitions or os.cpu_count() or 1,
            prune=lambda: session.settings.pushdown,
        )


def _system_view(session: Session, view: SystemView) -> TableProvider:
    planned_by = Planning.current() or session.new_planning(frozenset())
    return TableProvider(view.schema, lambda: view.table(session, Planning.current() or planned_by))


@contextmanager
def inserted_relations(relations: SessionRelations, datasets: Mapping[str, Any]) -> Iterator[None]:
    """Let the names of ``datasets`` lead to them while a statement is planned."""
    outer = relations.inserted
    relations.inserted = {**outer, **datasets}
    try:
        yield
    finally:
        relations.inserted = outer
