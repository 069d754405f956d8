"""A topic (or a stretch of one) as a relation that DataFusion scans."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

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
from .planning import Planning

__all__ = ["TopicProvider"]

_SMALL = 64
_HEADERS = 8192


@dataclass(frozen=True, slots=True)
class _Scan:
    """What one statement reads of a topic."""

    start: int
    end: int
    tenant: TenantId | None
    reader: Reader
    partitions: int


class TopicProvider(LazyDataset):
    """A topic, or a stretch of it, as the statement that reads it may see it.

    ``planning`` is the statement that found the topic; without ``bounds`` the stretch is that statement's.
    """

    def __init__(
        self,
        log: Log,
        topic: CatalogTopic,
        planning: Planning,
        bounds: tuple[int, int] | None = None,
        *,
        partitions: int,
        prune: Callable[[], bool] = lambda: True,
    ) -> None:
        super().__init__(relation_schema(topic.codec.schema))
        self.topic = topic
        self._log = log
        self._planning = planning
        self._bounds = bounds
        self._most_partitions = partitions
        self._prune = prune

    def plan(self, columns: Sequence[str] | None, filter: pc.Expression | None) -> _Scan:  # noqa: A002
        planning = Planning.current() or self._planning
        start, end = self._bounds or planning.bounds(self.topic, self._planning)
        if start < self.topic.hot_offset:
            planning.segments(self.topic, start, end)
        partitions = self._most_partitions if end - start > _SMALL else 1
        return _Scan(start, end, planning.tenant, planning.moment, partitions)

    def partitions(self, scan: _Scan) -> int:
        return scan.partitions

    def produce(
        self,
        scan: _Scan,
        partition: int,
        columns: Sequence[str] | None,
        filter: pc.Expression | None,  # noqa: A002
    ) -> Iterator[pa.RecordBatch]:
        wanted = None if filter is None else compile_filter(filter, self._schema)
        part = _share(scan, partition, wanted)
        names = self._schema.names if columns is None else list(columns)
        needed = [name for name in self._schema.names if name in names or (wanted and name in wanted.columns)]
        produce = self._from_headers if ENGINE_COLUMNS.issuperset(needed) else self._from_batches
        for batch in produce(part, needed, wanted):
            kept = batch if wanted is None else wanted.apply(batch)
            if kept.num_rows:
                yield kept if needed == names else kept.select(names)

    def _from_headers(self, scan: _Scan, columns: Sequence[str], wanted: Filter | None) -> Iterator[pa.RecordBatch]:
        """Rows counted, not decoded: only the engine's own columns are asked for."""
        start, end = scan.start, scan.end
        while start < end:
            counts, start = self._log.counts(scan.reader, self.topic, scan.tenant, start, end, _HEADERS)
            runs = [RowRun(offset, produced, tenant, rows) for offset, rows, produced, tenant in counts]
            if runs:
                yield relation_batch(runs, None, self._schema, columns)

    def _from_batches(self, scan: _Scan, columns: Sequence[str], wanted: Filter | None) -> Iterator[pa.RecordBatch]:
        start, end = scan.start, scan.end
        node: Node | None = wanted.node if wanted is not None and self._prune() else None
        own = [name for name in columns if name not in ENGINE_COLUMNS]
        while start < end:
            chunk = self._log.read(scan.reader, self.topic, scan.tenant, start, end, node=node, columns=own)
            start = chunk.end
            for group in coalesced(chunk.entries):
                rows = join_columns([entry.batch for entry in group], own)
                yield relation_batch(runs_of(group), rows, self._schema, columns)


def _share(scan: _Scan, partition: int, wanted: Filter | None) -> _Scan:
    """A partition's stretch of the offsets, cut to those that the filter allows."""
    start, end = scan.start, scan.end
    if wanted is not None:
        low, high = offset_bounds(wanted.node, OFFSET)
        start = start if low is None else max(start, low)
        end = end if high is None else min(end, high + 1)
    size = max(0, end - start)
    return replace(
        scan,
        start=start + size * partition // scan.partitions,
        end=start + size * (partition + 1) // scan.partitions,
    )
