"""What attached sources hold, for metadata calls."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ..errors import Error
from ..logs import about, reason
from ..plan.columns import sql_type
from ..sources.relation import RemoteRelation
from .name_pattern import name_pattern

if TYPE_CHECKING:
    from .session import Session

__all__ = ["attached_objects"]

_logger = logging.getLogger("jammi_sql.sources")
Row = dict[str, object]


def attached_objects(
    session: Session, depth: int, catalog: str | None, schema: str | None, table: str | None
) -> list[Row]:
    """A row per column of each attached relation (or per table, schema, source at depth 3, 2, 1), of what the patterns match.

    A source that cannot be asked is there with nothing in it, and a line in the log says why.
    """
    wanted = name_pattern(catalog)
    rows: list[Row] = []
    for each in session.engine.attachments.visible(session.reader, session.tenant):
        name = each.definition.name
        if not wanted(name):
            continue
        found: list[Row] = []
        if depth > 1:
            try:
                source = session.engine.attachments.opened(each.definition)
                found = list(_inside(source, name, depth, schema, table))
            except Error as error:
                _logger.warning("source %s cannot be listed: %s", name, reason(error), extra=about(error, source=name))
        rows += found or [{"catalog": name}]
    return rows


def _inside(source: Any, catalog: str, depth: int, schema: str | None, table: str | None) -> Iterator[Row]:
    wanted_schema, wanted_table = name_pattern(schema), name_pattern(table)
    for namespace in filter(wanted_schema, source.schemas()):
        base: Row = {"catalog": catalog, "schema": namespace}
        names = [] if depth == 2 else list(filter(wanted_table, source.relation_names(namespace)))
        if not names:
            yield base
        for name in names:
            relation = source.relation(namespace, name)
            if relation is None:
                continue  # gone since it was listed
            kind = relation.kind if isinstance(relation, RemoteRelation) else "table"
            if depth == 3:
                yield {**base, "table": name, "table_type": kind}
                continue
            columns = relation.arrow_schema if isinstance(relation, RemoteRelation) else relation.schema
            for place, field in enumerate(columns, 1):
                yield {
                    **base, "table": name, "table_type": kind, "column": field.name, "ordinal": place,
                    "type": sql_type(field.type), "nullable": field.nullable,
                }  # fmt: skip
