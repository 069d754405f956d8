"""A topic (or a stretch of one) as a relation that DataFusion scans."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from ..arrow.batches import join_columns
from ..arrow.dataset import LazyDataset
from ..arrow.expression import Node
from ..arrow.filter import Filter, compile_filter
from ..arrow.ranges import offset_bounds
from ..ports import Reader
from ..tenancy import TenantId
from ..topics.catalog import CatalogTopic
from ..topics.log import Log
from ..topics.relation import ENGINE_COLUMNS, OFFSET, RowRun, coalesced, relation_batch, relation_schema, runs_of

__all__ = ["TopicProvider"]

_SMALL = 64
_HEADERS = 8192


class TopicProvider(LazyDataset):
    """The batches ``[start, end)`` of a topic that ``tenant`` may read.

    ``tenant`` and ``bounds`` are asked when a statement is planned, ``reader`` also while it runs: a view that was made
    earlier, and a live statement that is planned again for each batch, see the log as it is then.
    """

    def __init__(
        self,
        log: Log,
        topic: CatalogTopic,
        tenant: Callable[[], TenantId | None],
        bounds: Callable[[], tuple[int, int]],
        reader: Callable[[], Reader],
        *,
        partitions: int,
        prune: Callable[[], bool] = lambda: True,
    ) -> None:
        super().__init__(relation_schema(topic.codec.schema))
        self.topic = topic
        self._log = log
        self._tenant = tenant
        self._bounds = bounds
        self._reader = reader
        self._most_partitions = partitions
        self._prune = prune
        self._start = self._end = 0
        self._reading_tenant: TenantId | None = None

    def plan(self, columns: Sequence[str] | None, filter: pc.Expression | None) -> None:  # noqa: A002
        self._start, self._end = self._bounds()
        self._reading_tenant = self._tenant()

    def partitions(self) -> int:
        return self._most_partitions if self._end - self._start > _SMALL else 1

    def produce(
        self,
        partition: int,
        columns: Sequence[str] | None,
        filter: pc.Expression | None,  # noqa: A002
    ) -> Iterator[pa.RecordBatch]:
        wanted = None if filter is None else compile_filter(filter, self._schema)
        start, end = self._share(partition, wanted)
        names = self._schema.names if columns is None else list(columns)
        needed = [name for name in self._schema.names if name in names or (wanted and name in wanted.columns)]
        produce = self._from_headers if ENGINE_COLUMNS.issuperset(needed) else self._from_batches
        for batch in produce(start, end, needed, wanted):
            kept = batch if wanted is None else wanted.apply(batch)
            if kept.num_rows:
                yield kept if needed == names else kept.select(names)

    def _share(self, partition: int, wanted: Filter | None) -> tuple[int, int]:
        """This partition's stretch of the offsets, cut to those that the filter allows."""
        start, end = self._start, self._end
        if wanted is not None:
            low, high = offset_bounds(wanted.node, OFFSET)
            start = start if low is None else max(start, low)
            end = end if high is None else min(end, high + 1)
        count = self.partitions()
        size = max(0, end - start)
        return start + size * partition // count, start + size * (partition + 1) // count

    def _from_headers(
        self, start: int, end: int, columns: Sequence[str], wanted: Filter | None
    ) -> Iterator[pa.RecordBatch]:
        """Rows counted, not decoded: only the engine's own columns are asked for."""
        while start < end:
            counts = self._log.counts(self._reader(), self.topic, self._reading_tenant, start, end, _HEADERS)
            runs = [RowRun(offset, produced, tenant, rows) for offset, rows, produced, tenant in counts]
            if runs:
                yield relation_batch(runs, None, self._schema, columns)
            start = runs[-1].offset + 1 if len(runs) == _HEADERS else end

    def _from_batches(
        self, start: int, end: int, columns: Sequence[str], wanted: Filter | None
    ) -> Iterator[pa.RecordBatch]:
        node: Node | None = wanted.node if wanted is not None and self._prune() else None
        own = [name for name in columns if name not in ENGINE_COLUMNS]
        while start < end:
            chunk = self._log.read(self._reader(), self.topic, self._reading_tenant, start, end, node=node)
            start = chunk.end
            for group in coalesced(chunk.entries):
                rows = join_columns([entry.batch for entry in group], own)
                yield relation_batch(runs_of(group), rows, self._schema, columns)
