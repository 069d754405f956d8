"""CREATE TEMP TABLE ... AS: an in-memory table of the session, filled by a query that can be cancelled."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

import pyarrow as pa

from ..dialect.statements import Fragment, Query
from ..results import CommandResult, Result
from .live import bounded_relations
from .relations import inserted_relations
from .table_provider import TableProvider

if TYPE_CHECKING:
    from .session import Session

__all__ = ["create_own_table"]

_FILLED = "__filled"
_PLAIN = re.compile(r"[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)*")


def create_own_table(session: Session, query: Query, parameters: Mapping[str, pa.Scalar]) -> Result | None:
    """Run CREATE TABLE ... AS; ``None`` for any other CREATE, which is DataFusion's.

    DataFusion runs DDL while it plans it, out of reach of ``cancel`` and without its parameters. So the query is taken
    out of the plan that EXPLAIN shows, run as any other, and its rows are given to a CREATE TABLE that takes no time.
    """
    if "table" not in query.words or "external" in query.words:
        return None
    prefix = "EXPLAIN "
    text = Fragment(
        prefix + query.body.text, tuple((start + len(prefix), source) for start, source in query.body.origins)
    )
    with session.queries.planned(query.words) as planning:
        with inserted_relations(session.relations, bounded_relations(session, planning, query, parameters)):
            plan = session.queries.frame(planning, text, parameters).logical_plan().inputs()[0]
            created = plan.to_variant()
            if type(created).__name__ != "CreateMemoryTable":
                return None
            name = created.name()
            source = plan.inputs()[0]
            # The plan has the name without its quotes: one that needs them is left to DataFusion.
            left = type(source.to_variant()).__name__ == "EmptyRelation" or not _PLAIN.fullmatch(name)
            if left or f'"{name}"' in query.body.text:
                if not planning.keeps_joins:
                    return None
                keeping = session.queries.context_for(planning, session.world.context)
                session.queries.frame(planning, query.body, parameters, keeping)
                return CommandResult()
            frame = session.queries.frame_of(planning, source, session.world.context)
        rows = session.queries.collect(frame, planning, query.body)
    words = ("OR REPLACE TABLE" if created.or_replace() else "TABLE") + (
        " IF NOT EXISTS" if created.if_not_exists() else ""
    )
    filled = Fragment(f'CREATE {words} {name} AS SELECT * FROM "{_FILLED}"', ((0, query.body.origin(0)),))
    with session.queries.planned(frozenset()) as planning:
        with inserted_relations(session.relations, {_FILLED: TableProvider(rows.schema, lambda: rows)}):
            session.queries.frame(planning, filled, {})
    return CommandResult()
