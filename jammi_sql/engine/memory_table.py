"""Rows in memory as a table of DataFusion's own, whose size it knows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa
from datafusion import SessionContext

__all__ = ["memory_tables"]


def memory_tables(rows: Mapping[str, pa.Table]) -> dict[str, Any]:
    """``rows`` for a catalogue. DataFusion-python makes such tables only by name in a context, here one of their own."""
    if not rows:
        return {}
    scratch = SessionContext()
    for name, table in rows.items():
        batches = table.combine_chunks().to_batches() or [pa.RecordBatch.from_pylist([], schema=table.schema)]
        scratch.register_record_batches(name, [batches])
    made = scratch.catalog("datafusion").schema("public")
    return {name: made.table(name) for name in rows}
