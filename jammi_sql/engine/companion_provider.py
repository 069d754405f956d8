"""A companion table as a relation that DataFusion scans."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from ..arrow.dataset import LazyDataset
from ..arrow.filter import Filter, compile_filter
from ..tables.cache import TableCache
from ..tables.catalog import CatalogTable
from ..tables.condition import Condition, condition_of
from ..tables.rows import ROW_ID, TableRows, Whose
from .planning import Planning, TableView

__all__ = ["CompanionProvider", "changed_schema"]

_COUNTED = 1 << 20
_SMALL = 2  # batches


@dataclass(frozen=True, slots=True)
class _Scan:
    """What one statement reads of a table."""

    view: TableView
    planning: Planning
    """Held for a scan that is planned outside of any statement."""
    wanted: Filter | None
    needed: tuple[str, ...]
    condition: Condition | None
    batches: list[list[pa.Array]] | None
    """From the cache, where all of it is there."""
    partitions: int


def changed_schema(table: CatalogTable) -> pa.Schema:
    """The columns that a statement which changes rows sees: the row's identity, then the table's."""
    return pa.schema([pa.field(ROW_ID, pa.int64(), nullable=False), *table.schema])


class CompanionProvider(LazyDataset):
    """A table as the statement that reads it may see it; ``planning`` is the one that found it.

    With ``changing`` it has the rows that a statement may change, and their identities; with ``every`` those of all
    tenants, for a change of the table itself.
    """

    def __init__(
        self,
        rows: TableRows,
        cache: TableCache,
        table: CatalogTable,
        planning: Planning,
        *,
        changing: bool = False,
        every: bool = False,
        pushes: Callable[[], bool] = lambda: True,
    ) -> None:
        super().__init__(changed_schema(table) if changing else table.schema)
        self.table = table
        self._rows = rows
        self._cache = cache
        self._planning = planning
        self._changing = changing
        self._whose: Whose = "every" if every else "own" if changing else "visible"
        self._pushes = pushes

    def plan(self, columns: Sequence[str] | None, filter: pc.Expression | None) -> _Scan:  # noqa: A002
        planning = Planning.current() or self._planning.renewed()
        wanted = None if filter is None else compile_filter(filter, self._schema)
        names = self._schema.names if columns is None else columns
        needed = tuple(
            name for name in self._schema.names if name in names or (wanted is not None and name in wanted.columns)
        )
        view = planning.view(self.table, self._planning, [name for name in needed if name != ROW_ID])
        self._rows.hold(view.reader, view.table)
        condition = condition_of(wanted.node, view.table) if wanted is not None and self._pushes() else None
        batches = None
        if self._cached(view) and needed and (condition is None or not condition.indexed):
            key = self._key(view)
            batches = self._cache.get(key, view.table.data_version, needed)
            if batches is None and condition is not None and self._cache.repeats(key, view.table.data_version):
                condition = None  # read all of it once, and keep it
        partitions = 1 if batches is None or len(batches) <= _SMALL else min(os.cpu_count() or 1, len(batches))
        return _Scan(view, planning, wanted, needed, condition, batches, partitions)

    def partitions(self, scan: _Scan) -> int:
        return scan.partitions

    def produce(
        self,
        scan: _Scan,
        partition: int,
        columns: Sequence[str] | None,
        filter: pc.Expression | None,  # noqa: A002
    ) -> Iterator[pa.RecordBatch]:
        names = self._schema.names if columns is None else list(columns)
        if not scan.needed:
            batches = self._counted(scan)  # the filter may be a constant, NULL or false
        else:
            batches = self._cached_batches(scan, partition) if scan.batches is not None else self._read(scan)
        for batch in batches:
            kept = batch if scan.wanted is None else scan.wanted.apply(batch)
            if kept.num_rows:
                yield kept if list(scan.needed) == names else kept.select(names)

    def _counted(self, scan: _Scan) -> Iterator[pa.RecordBatch]:
        left = self._rows.count(scan.view.reader, scan.view.table, scan.view.tenant, whose=self._whose)
        while left:
            rows = min(left, _COUNTED)
            yield pa.RecordBatch.from_arrays([pa.nulls(rows)], names=["none"]).select([])
            left -= rows

    def _cached_batches(self, scan: _Scan, partition: int) -> Iterator[pa.RecordBatch]:
        assert scan.batches is not None
        schema = pa.schema([self._schema.field(name) for name in scan.needed])
        size = len(scan.batches)
        for arrays in scan.batches[size * partition // scan.partitions : size * (partition + 1) // scan.partitions]:
            yield pa.RecordBatch.from_arrays(arrays, schema=schema)

    def _read(self, scan: _Scan) -> Iterator[pa.RecordBatch]:
        view = scan.view
        batches = self._rows.scan(view.reader, view.table, view.tenant, scan.needed, scan.condition, whose=self._whose)
        if view.table.schema_version != self.table.schema_version:  # altered since: the columns are still these
            schema = pa.schema([self._schema.field(name) for name in scan.needed])
            batches = (pa.RecordBatch.from_arrays(batch.columns, schema=schema) for batch in batches)
        if scan.condition is not None or not self._cached(view):
            yield from batches
            return
        kept: list[pa.RecordBatch] = []
        size = 0
        for batch in batches:
            size += batch.nbytes
            if size <= self._cache.budget:
                kept.append(batch)
            else:
                kept.clear()
            yield batch
        if kept:
            columns = {name: [batch.column(name) for batch in kept] for name in scan.needed}
            self._cache.put(self._key(view), view.table.data_version, columns)

    def _cached(self, view: TableView) -> bool:
        return view.reader.committed and not self._changing

    @staticmethod
    def _key(view: TableView) -> tuple[int, str]:
        return view.table.number, "" if view.tenant is None else str(view.tenant)
