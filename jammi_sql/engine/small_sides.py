"""Sides of joins that are read first, so that a source is asked for the rows with their keys alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from datafusion import SessionContext

from ..dialect.statements import Fragment
from ..federation.cut import Cut, Pushed, SmallSide
from ..federation.expression import Column, Expression, InList, Literal
from ..federation.said import NotSaid
from ..federation.substrait_types import names_of, substrait_type
from .planning import Planning
from .relations import inserted_relations
from .remote_provider import providers_of
from .substrait import plan_of
from .table_provider import TableProvider

if TYPE_CHECKING:
    from .session import Session

__all__ = ["SmallSides"]

_MOST_ROWS = 50_000
"""Of a side that was taken for small: beyond, it is read where it stands."""
_MOST_KEYS = 5_000


class SmallSides:
    """Reads the small sides of a cut plan, each once: what was read stands in their place, so that nothing is read at two
    moments. Where a statement is only looked at, they are left where they are."""

    def __init__(self, session: Session, planning: Planning, context: SessionContext, cut: Cut) -> None:
        self._session = session
        self._planning = planning
        self._context = context
        self._cut = cut
        self.relations: dict[str, Any] = {}
        """What was read, by the names that the plan has for it."""

    def read(self) -> Cut:
        """The plan in which they were read."""
        pushed = {each.name: each for each in self._cut.pushed}
        for number, side in enumerate(self._cut.small, 1):
            table = self._read(side, number, pushed) if self._planning.once and not self._planning.looked_at else None
            if table is None:
                side.leave()
                continue
            pushed[side.pushed] = _asking(pushed[side.pushed], side.key, table.column(side.column))
        return replace(self._cut, pushed=tuple(pushed.values()))

    def _read(self, side: SmallSide, number: int, pushed: Mapping[str, Pushed]) -> pa.Table | None:
        name = f"__small_{number}"
        root = {"root": {"input": side.rel, "names": [f"s{number}c{place}" for place in range(side.width)]}}
        plan = {**self._cut.plan, "relations": [root]}
        session, planning = self._session, self._planning
        relations = {**self.relations, **providers_of(planning, pushed.values())}
        with inserted_relations(session.relations, relations):
            try:
                frame = plan_of(plan, self._context)
            except NotSaid:
                return None
            result = session.run(frame, planning, Fragment("", ((0, 0),)))
        batches, rows = [], 0
        try:
            while (batch := result.next_batch()) is not None:
                batches.append(batch)
                rows += batch.num_rows
                if rows > _MOST_ROWS:
                    return None
        finally:
            result.close()
        table = pa.Table.from_batches(batches, schema=result.schema)
        try:
            types = [substrait_type(field.type) for field in table.schema]
        except NotSaid:
            return None
        names = [inner for field in table.schema for inner in names_of(field)]
        struct = {"types": types, "nullability": "NULLABILITY_REQUIRED"}
        side.put({"read": {"baseSchema": {"names": names, "struct": struct}, "namedTable": {"names": [name]}}})
        self.relations[name] = TableProvider(table.schema, lambda: table)
        return table


def _asking(pushed: Pushed, key: int, values: pa.ChunkedArray) -> Pushed:
    """``pushed``, of which only the rows with one of ``values`` are asked for, if there are not too many."""
    found = values.unique().drop_null()
    column = pushed.select.columns[key]
    if len(found) > _MOST_KEYS:
        return pushed
    wanted: Expression = InList(Column(key, column.type), tuple(Literal(value) for value in found))
    if not len(found):
        wanted = Literal(pa.scalar(False))
    try:
        return replace(pushed, select=pushed.select.filter(wanted))
    except NotSaid:
        return pushed
