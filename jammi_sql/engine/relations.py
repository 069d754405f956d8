"""The relations of a session: live subscriptions, topics and system views, by name."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from datafusion import DataFrame, col

from ..arrow.dataset import LazyDataset
from ..dialect import quote_identifier
from ..errors import DataCorrupted
from ..sources.catalog import AttachedSource
from ..tables.cached import CachedTable
from ..tables.catalog import CatalogTable
from ..topics.catalog import CatalogTopic, tenant_text
from ..topics.definition import CATALOG
from ..topics.relation import relation_schema
from ..topics.segments.segment import Segment
from .cached_provider import CachedProvider, scanned_copy
from .catalog_provider import SYSTEM
from .companion_provider import CompanionProvider
from .file_access import named_file
from .planning import Planning, RemoteTable
from .remote_provider import RemoteProvider, dialect_of
from .source_kinds import FILES
from .staging import RowsRelation
from .system_views import SYSTEM_VIEWS, SystemView
from .table_provider import TableProvider
from .topic_provider import TopicProvider

if TYPE_CHECKING:
    from .session import Session

__all__ = ["SessionRelations", "inserted_relations"]

_ALL_ROWS = 2**62
_SCAN_OF_FILES = re.compile(r"(.+)#([0-9a-f]{16})", re.DOTALL)


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
        """The topics and tables, or system views, of a schema."""
        if namespace == SYSTEM:
            return sorted(SYSTEM_VIEWS)
        session = self._session
        services, reader, tenant = session.engine.services, session.reader, session.tenant
        visible: list[CatalogTopic | CatalogTable] = [
            *services.catalog.visible(reader, tenant),
            *services.tables.visible(reader, tenant),
        ]
        copies = services.caches.catalog.visible(reader, tenant)
        return sorted({relation.local_name for relation in (*visible, *copies) if relation.namespace == namespace})

    def listed(self) -> dict[str, dict[str, pa.Schema]]:
        """The columns of all topics, tables and system views that the session sees, by schema and name.

        A statement of the store for each kind of them, however many there are.
        """
        session = self._session
        services, reader, tenant = session.engine.services, session.reader, session.tenant
        found: dict[str, dict[str, pa.Schema]] = {SYSTEM: {name: view.schema for name, view in SYSTEM_VIEWS.items()}}
        for topic in services.catalog.visible(reader, tenant):
            found.setdefault(topic.namespace, {})[topic.local_name] = relation_schema(topic.codec.schema)
        for table in services.tables.visible(reader, tenant):
            within = found.setdefault(table.namespace, {})
            if table.local_name not in within or table.definition.tenant is not None:
                within[table.local_name] = table.schema
        for cached in services.caches.catalog.visible(reader, tenant):
            found.setdefault(cached.namespace, {}).setdefault(cached.local_name, cached.copy.schema)
        return found

    def relation(self, namespace: str, name: str) -> Any:
        """The relation of that name, ``None`` where there is none."""
        session = self._session
        found: Any = self.inserted.get(name)
        if found is None and namespace == SYSTEM:
            view = SYSTEM_VIEWS.get(name)
            found = None if view is None else _system_view(session, view)
        elif found is None:
            planning = Planning.current() or session.queries.new_planning(frozenset({name}))
            found = self._found(planning, namespace, name)
            if found is None and session.access is not None:
                return named_file(session, name)
        if isinstance(found, LazyDataset) and not self.takes_filters:
            return session.world.context.read_table(found).limit(_ALL_ROWS).into_view()
        return found

    def _found(self, planning: Planning, namespace: str, name: str) -> Any:
        """The topic or table: a tenant's own comes before a global one."""
        topic, table = planning.topic(namespace, name), planning.table(namespace, name)
        if topic is None and table is None:
            cached = planning.cached(namespace, name)
            return None if cached is None else self._cached_relation(cached, planning)
        if table is None or (topic is not None and topic.definition.tenant is not None):
            return None if topic is None else self.topic_relation(topic, planning)
        return self.table_provider(table, planning)

    def _cached_relation(self, table: CachedTable, planning: Planning) -> Any:
        """DataFusion scans the copy itself where the plan is run once."""
        services = self._session.engine.services
        if planning.once and not planning.named and self.takes_filters:
            return scanned_copy(self._session.world.context, services.caches, table, services.scans.reach)
        return CachedProvider(services.caches, table, planning)

    # --- attached sources ---

    def source_names(self) -> list[str]:
        """The attached names that the session sees."""
        return [each.definition.name for each in self._attached_sources()]

    def _attached_sources(self) -> Sequence[AttachedSource]:
        """What is attached. A statement asks the store once."""
        session = self._session
        planning = Planning.current()
        if planning is None:
            return session.engine.attachments.visible(session.reader, session.tenant)
        if planning.attached is None:
            planning.attached = session.engine.attachments.visible(session.reader, session.tenant)
        return planning.attached

    def source(self, name: str) -> Any:
        """The attached source of that name, ``None`` where there is none."""
        found = (each.definition for each in self._attached_sources() if each.definition.name == name)
        definition = next(found, None)
        return None if definition is None else self._session.engine.attachments.opened(definition)

    def attached(self, name: str, source: Any, schema: str, relation: str) -> Any:
        """A relation of an attached source, ``None`` where there is none."""
        session = self._session
        planning = Planning.current() or session.queries.new_planning(frozenset())
        path = (name, schema, relation)
        if source.kind == FILES:
            return self._file(planning, path, source)
        found = source.relation(schema, relation)
        if found is None:
            return None
        planning.remote[path] = RemoteTable(source, found)
        provider = RemoteProvider(source, found, dialect_of(source), planning, pushes=lambda: session.settings.pushdown)
        planning.providers.append((name, provider))
        if not self.takes_filters:
            return session.world.context.read_table(provider).limit(_ALL_ROWS).into_view()
        return provider

    def _file(self, planning: Planning, path: tuple[str, str, str], source: Any) -> Any:
        """A relation of attached files, which a statement looks at once: the catalogue is asked several times."""
        found = self._files_of(planning, path, source)
        if found is None:
            return None
        if planning.named:
            return RowsRelation(found.schema)
        if path not in planning.file_tables:
            planning.files.append(found)
            # What is kept, as a view is, may have to be said with names later.
            planning.file_tables[path] = found.table(self._session.world.context, None if planning.once else path)
        return planning.file_tables[path]

    def _files_of(self, planning: Planning, path: tuple[str, str, str], source: Any) -> Any:
        if path not in planning.file_relations:
            scan = _SCAN_OF_FILES.fullmatch(path[2])
            whole = None if scan is None else self._files_of(planning, (path[0], path[1], scan[1]), source)
            part = None if whole is None or scan is None else whole.part(scan[2])
            planning.file_relations[path] = source.relation(path[1], path[2]) if part is None else part
        return planning.file_relations[path]

    def at(self, path: Sequence[str]) -> Any:
        """The relation that a path of a plan leads to, ``None`` where that is none in Python."""
        session = self._session
        if len(path) == 3 and path[0] != CATALOG:
            source = self.source(path[0])
            return None if source is None else self.attached(path[0], source, path[1], path[2])
        namespace = path[-2] if len(path) > 1 else session.current_schema
        own = session.world.catalog.own(namespace, path[-1])
        return self.relation(namespace, path[-1]) if own is None else None

    def rows_of(self, planning: Planning, names: Sequence[str]) -> float | None:
        """How many rows a relation that is not attached has, as far as that is told at once."""
        if len(names) == 3 and names[0] != CATALOG:
            files = planning.file_relations.get((names[0], names[1], names[2]))
            return None if files is None or files.rows is None else float(files.rows)
        namespace = names[-2] if len(names) > 1 else self._session.current_schema
        table = planning.table(namespace, names[-1])
        if table is not None:
            return float(self._session.engine.services.rows.count(planning.moment, table, planning.tenant))
        topic = planning.topic(namespace, names[-1])
        return None if topic is None else float(topic.next_offset - topic.first_offset)

    # --- the engine's own ---

    def table_provider(
        self, table: CatalogTable, planning: Planning, *, changing: bool = False, every: bool = False
    ) -> CompanionProvider:
        """A companion table as a relation; the rest is as for ``CompanionProvider``."""
        session = self._session
        services = session.engine.services
        return CompanionProvider(
            services.rows,
            services.cache,
            table,
            planning,
            changing=changing,
            every=every,
            pushes=lambda: session.settings.pushdown,
        )

    def topic_relation(self, topic: CatalogTopic, planning: Planning, bounds: tuple[int, int] | None = None) -> Any:
        """A topic for a query: DataFusion scans the files of its segments itself where the plan is run once.

        A plan that is kept (a view's, a live statement's) sees the log as it is when it is run, so it names no files.
        Where a file is damaged, has columns that DataFusion cannot read, or rows of other tenants, the relation in Python
        reads what it needs.
        """
        provider = self.topic_provider(topic, planning, bounds)
        session = self._session
        if (
            not (planning.once and not planning.named and self.takes_filters and session.settings.pushdown)
            or topic.hot_offset <= topic.first_offset
        ):
            return provider
        start, end = bounds or (topic.first_offset, topic.next_offset)
        segments = planning.segments(topic, start, end)
        visible = ("", tenant_text(planning.tenant))
        scanned = [segment for segment in segments if segment.is_open_to(visible) and not segment.encoded]
        if not scanned:
            return provider
        context = session.world.context
        frame = session.engine.services.scans.frame(context, topic, scanned, start, end, views=planning.views)
        if frame is None:
            return provider
        try:
            planning.scans(topic, scanned)
        except DataCorrupted:
            return provider
        for stretch in _between(scanned, start, end):
            rest = context.read_table(self.topic_provider(topic, planning, stretch))
            frame = frame.union(_as(frame.schema(), rest) if planning.views else rest)
        return frame.into_view()

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


def _as(schema: pa.Schema, frame: DataFrame) -> DataFrame:
    """The columns of ``frame``, each cast to its type in ``schema``."""
    mine = frame.schema()
    quoted = {field.name: col(quote_identifier(field.name)) for field in schema}
    columns = [
        quoted[field.name] if field.type.equals(mine.field(field.name).type)
        else quoted[field.name].cast(field.type).alias(field.name)
        for field in schema
    ]  # fmt: skip
    return frame.select(*columns)


def _between(segments: Sequence[Segment], start: int, end: int) -> Iterator[tuple[int, int]]:
    """The stretches of the offsets ``[start, end)`` that are in none of ``segments``."""
    for segment in segments:
        if start < segment.first:
            yield start, segment.first
        start = max(start, segment.end)
    if start < end:
        yield start, end


def _system_view(session: Session, view: SystemView) -> TableProvider:
    planned_by = Planning.current() or session.queries.new_planning(frozenset())
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
