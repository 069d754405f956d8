"""Sides of joins that are read first: small ones, whose size is known then, and by whose keys alone a source may be asked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from datafusion import SessionContext

from ..arrow.dataset import LazyDataset
from ..dialect.statements import Fragment
from ..federation.cut import Cut, LocalSide, Pushed, SmallSide
from ..federation.expression import Column, Expression, InList, Literal
from ..federation.said import NotSaid
from ..federation.substrait_types import names_of, substrait_type
from .memory_table import memory_tables
from .planning import Planning
from .relations import inserted_relations
from .remote_provider import PushedProvider, provider_of
from .substrait import plan_of

if TYPE_CHECKING:
    from .session import Session

__all__ = ["SmallSides"]

_EXPECTED = 30_000
"""Rows to be expected of a side that is read first."""
_MOST_ROWS = 50_000
_MOST_BYTES = 32 << 20
"""Of a side that was taken for small: beyond, it is read where it stands."""
_MOST_KEYS = 5_000


class SmallSides:
    """Reads the small sides of a cut plan, each once and those of sources at once: what was read stands in their place, so that
    nothing is read at two moments, and DataFusion knows how large it is. Where a statement is only looked at, they are left
    where they are."""

    def __init__(self, session: Session, planning: Planning, context: SessionContext, cut: Cut) -> None:
        self._session = session
        self._planning = planning
        self._context = context
        self._cut = cut
        self.providers = {each.name: provider_of(planning, each) for each in cut.pushed}
        """What reads of a source, by the names that the plan has for it."""
        self._read: dict[str, pa.Table] = {}

    @property
    def relations(self) -> dict[str, Any]:
        """What the names of the plan mean."""
        return {**self.providers, **memory_tables(self._read)}

    def read(self) -> Cut:
        """The plan in which they were read."""
        pushed = {each.name: each for each in self._cut.pushed}
        if not self._planning.once or self._planning.looked_at:
            for side in self._cut.small:
                side.leave()
            return self._cut
        asked = {side.pushed for side in self._cut.small}
        self._read_at_once(each for name, each in pushed.items() if name not in asked and _is_small(each))
        for number, local in enumerate(self._cut.local, 1):
            self._read_local(local, f"__local_{number}")
        for number, side in enumerate(self._cut.small, 1):
            table = self._table_of(side, f"__small_{number}")
            if table is None:
                side.leave()
                continue
            found = pushed[side.pushed] = _asking(pushed[side.pushed], side.key, table.column(side.column))
            self.providers[side.pushed] = provider_of(self._planning, found)
        return replace(self._cut, pushed=tuple(pushed.values()))

    def _check(self) -> None:
        self._planning.check()
        self._session.running.check()

    def _read_at_once(self, parts: Iterable[Pushed]) -> None:
        begun: list[tuple[PushedProvider, str, Iterator[pa.RecordBatch]]] = []
        for each in parts:
            provider = self.providers[each.name]
            begun.append((provider, each.name, provider.begin(self._check)))
        for provider, name, batches in begun:
            table = _collected(batches, provider.schema)
            if table is None:
                self.providers[name] = provider.anew()
            else:
                self._read[name] = table

    def _read_local(self, side: LocalSide, name: str) -> None:
        """A companion table."""
        if side.rows > _EXPECTED:
            return
        found = self._session.relations.at(side.names)
        if not isinstance(found, LazyDataset):
            return
        scan = found.plan(None, None)
        parts = (found.produce(scan, part, None, None) for part in range(found.partitions(scan)))
        table = _collected((batch for part in parts for batch in part), found.schema)
        if table is not None:
            self._read[name] = table
            side.read["namedTable"] = {"names": [name]}

    def _table_of(self, side: SmallSide, name: str) -> pa.Table | None:
        """What a side has, in whose place ``name`` stands then, or the part of a source that it is."""
        scan = side.rel.get("read", {})
        names = scan.get("namedTable", {}).get("names", ())
        if len(names) == 1 and names[0] in self._read and "projection" not in scan:
            side.leave()
            return self._read[names[0]]
        root = {"root": {"input": side.rel, "names": [f"s{name}c{place}" for place in range(side.width)]}}
        plan = {**self._cut.plan, "relations": [root]}
        session, planning = self._session, self._planning
        with inserted_relations(session.relations, self.relations):
            try:
                frame = plan_of(plan, session.worlds.in_given_order(self._context))
            except NotSaid:
                return None
            result = session.queries.run(frame, planning, Fragment("", ((0, 0),)))
        try:
            table = _collected(iter(result.next_batch, None), result.schema)
        finally:
            result.close()
        if table is None:
            return None
        try:
            types = [substrait_type(field.type) for field in table.schema]
        except NotSaid:
            return None
        inner = [inner for field in table.schema for inner in names_of(field)]
        struct = {"types": types, "nullability": "NULLABILITY_REQUIRED"}
        side.put({"read": {"baseSchema": {"names": inner, "struct": struct}, "namedTable": {"names": [name]}}})
        self._read[name] = table
        return table


def _is_small(pushed: Pushed) -> bool:
    columns = (said.column for said in pushed.select.columns)
    return (
        pushed.beside
        and bool(pushed.schema.names)  # a table in memory without columns would have no rows either
        and pushed.select.rows is not None
        and pushed.select.rows <= _EXPECTED
        and all(column is None or column.unreadable is None for column in columns)  # it may be one that nobody wants
    )


def _collected(batches: Iterator[pa.RecordBatch], schema: pa.Schema) -> pa.Table | None:
    """All rows; ``None`` where they are too many."""
    kept: list[pa.RecordBatch] = []
    rows = size = 0
    for batch in batches:
        kept.append(batch)
        rows += batch.num_rows
        size += batch.nbytes
        if rows > _MOST_ROWS or size > _MOST_BYTES:
            return None
    return pa.Table.from_batches(kept, schema=schema)


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
