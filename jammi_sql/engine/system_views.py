"""The relations of ``jammi.system``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from ..errors import UndefinedTable
from ..topics.catalog import tenant_text
from ..topics.offset import datetime_of
from . import activity
from .segment_shares import SegmentShare, segment_shares
from .settings import SETTINGS

if TYPE_CHECKING:
    from .planning import Planning
    from .session import Session

__all__ = ["SYSTEM_VIEWS", "SystemView"]


class SystemView:
    """A system view: its columns and how its rows are found for a session."""

    def __init__(self, schema: pa.Schema, rows: Callable[[Session, Planning], list[dict[str, Any]]]) -> None:
        self.schema = schema
        self._rows = rows

    def table(self, session: Session, planning: Planning) -> pa.Table:
        """The rows that a statement of ``session`` may see."""
        return pa.Table.from_pylist(self._rows(session, planning), schema=self.schema)


def _schema(**columns: pa.DataType) -> pa.Schema:
    return pa.schema([pa.field(name, data_type) for name, data_type in columns.items()])


_TEXT, _NUMBER, _TIME = pa.string(), pa.int64(), pa.timestamp("us", "UTC")

_TOPICS = _schema(
    schema=_TEXT, name=_TEXT, tenant=_TEXT, columns=_NUMBER, first_offset=_NUMBER, next_offset=_NUMBER,
    rows=_NUMBER, bytes=_NUMBER, retention=_TEXT,
)  # fmt: skip
_SUBSCRIPTIONS = _schema(
    id=_TEXT, session=_TEXT, topic=_TEXT, predicate=_TEXT, last_delivered_offset=_NUMBER, lag=_NUMBER, since=_TIME,
    delivered=_NUMBER, rows=_NUMBER,
)  # fmt: skip
_SETTINGS = _schema(name=_TEXT, value=_TEXT, default=_TEXT, description=_TEXT)
_TABLES = _schema(
    schema=_TEXT, name=_TEXT, tenant=_TEXT, kind=_TEXT, columns=_NUMBER, rows=_NUMBER, bytes=_NUMBER, refreshed_at=_TIME,
    age=pa.duration("us"), last_error=_TEXT,
)  # fmt: skip
_SOURCES = _schema(name=_TEXT, type=_TEXT, uri=_TEXT, tenant=_TEXT, attached_at=_TIME)
_SEGMENTS = _schema(
    schema=_TEXT, topic=_TEXT, path=_TEXT, first_offset=_NUMBER, last_offset=_NUMBER, rows=_NUMBER, bytes=_NUMBER,
    produced_from=_TIME, produced_until=_TIME,
)  # fmt: skip
_SESSIONS = _schema(
    id=_TEXT, tenant=_TEXT, since=_TIME, interface=_TEXT, address=_TEXT, user_agent=_TEXT, in_transaction=pa.bool_(),
    queries=_NUMBER, is_own=pa.bool_(),
)  # fmt: skip
_QUERIES = _schema(
    id=_TEXT, session=_TEXT, tenant=_TEXT, statement=_TEXT, fingerprint=_TEXT, started=_TIME, elapsed=pa.duration("us"),
    state=_TEXT, rows=_NUMBER,
)  # fmt: skip


def _topics(session: Session, planning: Planning) -> list[dict[str, Any]]:
    reader, tenant = planning.reader, planning.tenant
    services = session.engine.services
    hot = services.log.totals(reader, tenant)
    topics = services.catalog.visible(reader, tenant)
    segments: dict[int, list[SegmentShare]] = {}
    for share in segment_shares(services, reader, tenant, topics):
        segments.setdefault(share.topic.number, []).append(share)
    rows: list[dict[str, Any]] = []
    for topic in topics:
        own = segments.get(topic.number, [])
        hot_rows, hot_bytes = hot.get(topic.number, (0, 0))
        rows.append(
            {
                "schema": topic.namespace,
                "name": topic.local_name,
                "tenant": None if topic.definition.tenant is None else str(topic.definition.tenant),
                "columns": len(topic.codec.schema),
                "first_offset": topic.first_offset,
                "next_offset": topic.next_offset,
                "rows": hot_rows + sum(share.rows for share in own),
                "bytes": hot_bytes + sum(share.size for share in own),
                "retention": topic.definition.broker_metadata.get("retention", "forever"),
            }
        )
    return rows


def _segments(session: Session, planning: Planning) -> list[dict[str, Any]]:
    services = session.engine.services
    visible = ("", tenant_text(planning.tenant))
    rows: list[dict[str, Any]] = []
    topics = services.catalog.visible(planning.reader, planning.tenant)
    for share in segment_shares(services, planning.reader, planning.tenant, topics):
        segment = share.segment
        times = (segment.first_us, segment.last_us)
        if not segment.is_open_to(visible):  # when others published is nobody's business
            batches = services.segments.files.batches(planning.reader, segment)
            found = [] if batches is None else list(batches.between(share.first, segment.end))
            own = [produced for _, _, produced, owner in found if owner in visible]
            if not own:
                continue
            times = (own[0], own[-1])
        rows.append(
            {
                "schema": share.topic.namespace,
                "topic": share.topic.local_name,
                "path": services.segments.storage.display(segment.path),
                "first_offset": share.first,
                "last_offset": segment.end - 1,
                "rows": share.rows,
                "bytes": share.size,
                "produced_from": datetime_of(times[0]),
                "produced_until": datetime_of(times[1]),
            }
        )
    return rows


def _settings(session: Session, planning: Planning) -> list[dict[str, Any]]:
    return [
        {
            "name": f"jammi.{setting.name}",
            "value": session.settings.show(setting.name),
            "default": setting.default,
            "description": setting.summary,
        }
        for setting in SETTINGS.values()
    ]


def _tables(session: Session, planning: Planning) -> list[dict[str, Any]]:
    services = session.engine.services
    companions: list[dict[str, Any]] = []
    for table in services.tables.visible(planning.reader, planning.tenant):
        try:
            rows = services.rows.count(planning.reader, table, planning.tenant)
        except UndefinedTable:
            if not planning.reader.committed:
                raise
            continue  # dropped since it was listed
        tenant = table.definition.tenant
        companions.append(
            {
                "schema": table.namespace,
                "name": table.local_name,
                "tenant": None if tenant is None else str(tenant),
                "kind": "table",
                "columns": len(table.columns),
                "rows": rows,
            }
        )
    return companions + _cached_tables(session, planning) + _own_tables(session)


def _cached_tables(session: Session, planning: Planning) -> list[dict[str, Any]]:
    now = session.engine.clock.now_us()
    return [
        {
            "schema": table.namespace,
            "name": table.local_name,
            "tenant": None if table.tenant is None else str(table.tenant),
            "kind": "cached",
            "columns": len(table.copy.schema),
            "rows": table.copy.rows,
            "bytes": table.copy.size,
            "refreshed_at": datetime_of(table.refreshed_us),
            "age": max(0, now - table.refreshed_us),
            "last_error": table.failure or None,
        }
        for table in session.engine.services.caches.catalog.visible(planning.reader, planning.tenant)
    ]


def _own_tables(session: Session) -> list[dict[str, Any]]:
    return [
        {"schema": namespace, "name": name, "kind": "temporary", "columns": None, "rows": None}
        for namespace, names in session.world.catalog.own_relations().items()
        for name in names
    ]


def _sources(session: Session, planning: Planning) -> list[dict[str, Any]]:
    return [
        {
            "name": each.definition.name,
            "type": each.definition.kind,
            "uri": each.definition.uri,
            "tenant": None if each.definition.tenant is None else str(each.definition.tenant),
            "attached_at": each.attached_at.astimezone(UTC),
        }
        for each in session.engine.attachments.visible(planning.reader, planning.tenant)
    ]


SYSTEM_VIEWS: Mapping[str, SystemView] = MappingProxyType(
    {
        "topics": SystemView(_TOPICS, _topics),
        "tables": SystemView(_TABLES, _tables),
        "sources": SystemView(_SOURCES, _sources),
        "subscriptions": SystemView(_SUBSCRIPTIONS, activity.subscriptions),
        "segments": SystemView(_SEGMENTS, _segments),
        "settings": SystemView(_SETTINGS, _settings),
        "sessions": SystemView(_SESSIONS, activity.sessions),
        "queries": SystemView(_QUERIES, activity.queries),
    }
)
