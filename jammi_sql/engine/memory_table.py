"""Rows in memory as a table of DataFusion's own, whose size it knows."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
from datafusion import SessionContext

__all__ = ["memory_table"]

_NAME = "rows"


def memory_table(rows: pa.Table) -> Any:
    """``rows`` for a catalogue. DataFusion-python makes such tables only under a name in a context, here one of its own."""
    batches = rows.combine_chunks().to_batches() or [pa.RecordBatch.from_pylist([], schema=rows.schema)]
    scratch = SessionContext()
    scratch.register_record_batches(_NAME, [batches])
    return scratch.catalog("datafusion").schema("public").table(_NAME)
