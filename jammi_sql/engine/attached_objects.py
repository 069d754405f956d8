"""What attached sources hold, as rows of the catalogue."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..plan.columns import sql_type
from .attached_listing import attached_relations, attached_schemas
from .name_pattern import name_pattern

if TYPE_CHECKING:
    from .session import Session

__all__ = ["attached_objects"]

Row = dict[str, object]


def attached_objects(
    session: Session, depth: int, catalog: str | None, schema: str | None, table: str | None
) -> list[Row]:
    """A row per column of each attached relation (or per table, schema, source at depth 3, 2, 1), of what the patterns match.

    A source that cannot be asked is there with nothing in it, and a line in the log says why.
    """
    rows: list[Row] = []
    for name in sorted(filter(name_pattern(catalog), session.relations.source_names())):
        found = [] if depth == 1 else _inside(session, name, depth, schema, table)
        rows += found or [{"catalog": name}]
    return rows


def _inside(session: Session, catalog: str, depth: int, schema: str | None, table: str | None) -> list[Row]:
    wanted = name_pattern(schema)
    below: dict[str, list[Row]] = {name: [] for _, name in attached_schemas(session, catalog) if wanted(name)}
    if depth > 2:
        for _, namespace, name, kind, columns in attached_relations(session, catalog, wanted, name_pattern(table)):
            base: Row = {"catalog": catalog, "schema": namespace, "table": name, "table_type": kind}
            below.setdefault(namespace, []).extend(
                [base]
                if depth == 3
                else [
                    {
                        **base, "column": field.name, "ordinal": place,
                        "type": sql_type(field.type), "nullable": field.nullable,
                    }
                    for place, field in enumerate(columns, 1)
                ]
            )  # fmt: skip
    return [row for name in below for row in below[name] or [{"catalog": catalog, "schema": name}]]
