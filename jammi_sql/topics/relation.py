"""A topic's batches as rows of a relation: the engine's columns, then the user's."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .entries import LogEntry

__all__ = ["ENGINE_COLUMNS", "RowRun", "coalesced", "relation_batch", "relation_schema"]

OFFSET = "_offset"
ROW_INDEX = "_row_idx"
PRODUCED_AT = "_produced_at"
TENANT = "_tenant_id"

_ENGINE_FIELDS = (
    pa.field(OFFSET, pa.int64(), nullable=False),
    pa.field(ROW_INDEX, pa.int64(), nullable=False),
    pa.field(PRODUCED_AT, pa.timestamp("us", "UTC"), nullable=False),
    pa.field(TENANT, pa.string()),
)
ENGINE_COLUMNS = frozenset(field.name for field in _ENGINE_FIELDS)

TARGET_ROWS = 8192
_MANY = 256
"""Runs from which on it is cheaper to compute row numbers than to cut and join slices."""


def relation_schema(schema: pa.Schema) -> pa.Schema:
    """``_offset``, ``_row_idx``, ``_produced_at``, ``_tenant_id`` and the columns of ``schema``."""
    return pa.schema([*_ENGINE_FIELDS, *schema], metadata=schema.metadata)  # type: ignore[arg-type] # invariant in the stubs


class RowRun(NamedTuple):
    """The rows of one batch: which batch, and how many. ``tenant`` is '' for none."""

    offset: int
    produced_us: int
    tenant: str
    row_count: int
    first_row: int = 0


def coalesced(entries: Iterable[LogEntry], rows: int = TARGET_ROWS) -> Iterator[list[LogEntry]]:
    """Groups of consecutive entries with about ``rows`` rows each: small batches cost more to pass on than to join."""
    group: list[LogEntry] = []
    count = 0
    for entry in entries:
        group.append(entry)
        count += entry.batch.num_rows
        if count >= rows:
            yield group
            group, count = [], 0
    if group:
        yield group


def runs_of(entries: Sequence[LogEntry]) -> list[RowRun]:
    """The rows of some entries."""
    return [RowRun(entry.offset, entry.produced_us, entry.tenant, entry.batch.num_rows) for entry in entries]


def relation_batch(
    runs: Sequence[RowRun], rows: pa.RecordBatch | None, schema: pa.Schema, columns: Sequence[str] | None
) -> pa.RecordBatch:
    """One batch of the relation with ``columns`` (``None``: all of ``schema``).

    ``rows`` are the user's columns of all runs together, ``None`` where only the engine's are asked for.
    """
    names = schema.names if columns is None else columns
    total = sum(run.row_count for run in runs)
    if not names:
        return _rows_without_columns(total)
    arrays: list[pa.Array] = []
    for name in names:
        if name not in ENGINE_COLUMNS:
            if rows is None:
                raise KeyError(name)
            arrays.append(rows.column(name))
        elif name == ROW_INDEX:
            arrays.append(_row_indices(runs))
        else:
            arrays.append(_expand(_values(name, runs), runs, total))
    return pa.RecordBatch.from_arrays(arrays, schema=pa.schema([schema.field(name) for name in names]))


def _rows_without_columns(count: int) -> pa.RecordBatch:
    # A batch made of no arrays has no rows; one whose columns were all left out keeps its count.
    return pa.RecordBatch.from_arrays([pa.nulls(count)], names=["none"]).select([])


def _values(name: str, runs: Sequence[RowRun]) -> pa.Array:
    if name == OFFSET:
        return pa.array([run.offset for run in runs], pa.int64())
    if name == PRODUCED_AT:
        return pa.array([run.produced_us for run in runs], pa.int64()).cast(pa.timestamp("us", "UTC"))
    return pa.array([run.tenant or None for run in runs], pa.string())


def _expand(values: pa.Array, runs: Sequence[RowRun], total: int) -> pa.Array:
    if len(runs) == 1:
        repeated: pa.Array = pa.repeat(values[0], total)
        return repeated
    ends: list[int] = []
    end = 0
    for run in runs:
        end += run.row_count
        ends.append(end)
    encoded: pa.RunEndEncodedArray = pa.RunEndEncodedArray.from_arrays(pa.array(ends, pa.int32()), values)
    expanded: pa.Array = pc.run_end_decode(encoded)  # type: ignore[attr-defined] # the stubs lack it
    return expanded


_ramp = pa.array(range(TARGET_ROWS), pa.int64())
_ramp_lock = threading.Lock()


def _row_indices(runs: Sequence[RowRun]) -> pa.Array:
    global _ramp  # noqa: PLW0603 - one growing 0, 1, 2, ... from which every batch takes a slice
    longest = max(run.first_row + run.row_count for run in runs)
    if longest > len(_ramp):
        with _ramp_lock:
            _ramp = pa.array(range(longest), pa.int64())
    ramp = _ramp
    if len(runs) > _MANY:
        counts = np.fromiter((run.row_count for run in runs), np.int64, len(runs))
        firsts = np.fromiter((run.first_row for run in runs), np.int64, len(runs))
        starts = np.cumsum(counts) - counts
        numbered: pa.Array = pa.array(np.arange(counts.sum()) + np.repeat(firsts - starts, counts))
        return numbered
    slices = [ramp.slice(run.first_row, run.row_count) for run in runs]
    return slices[0] if len(slices) == 1 else pa.concat_arrays(slices)
