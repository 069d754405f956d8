"""Rows into a DuckDB table."""

from __future__ import annotations

from typing import Any, Final

import pyarrow as pa

from ..link import Link
from ..outgoing import Outgoing, unsupported
from ..source import IngestMode

__all__ = ["write"]

_CHANGED: Final = (pa.types.is_duration, pa.types.is_union, pa.types.is_float16, pa.types.is_decimal256)


def write(link: Link, schema: str, name: str, rows: pa.RecordBatchReader, mode: IngestMode) -> int:
    """Write all rows, within the transaction that is open. Returns how many."""
    outgoing = Outgoing(rows, [_sent(field) for field in rows.schema], [None] * len(rows.schema))
    options = {
        "adbc.ingest.target_table": name,
        "adbc.ingest.target_db_schema": schema,
        "adbc.ingest.mode": f"adbc.ingest.mode.{mode}",
    }
    try:
        link.ingest(outgoing.reader(), f"writing to {schema}.{name}", options)
    except Exception:
        outgoing.raise_failure()
        raise
    return outgoing.count


def _sent(field: pa.Field[Any]) -> pa.DataType:
    kind: pa.DataType = field.type
    if isinstance(kind, pa.DictionaryType):
        kind = kind.value_type
    if any(test(kind) for test in _CHANGED):
        raise unsupported(field, "DuckDB", "write it as text")
    if isinstance(kind, pa.TimestampType) and kind.tz is not None:
        return pa.timestamp("us", tz="UTC")
    if pa.types.is_time(kind):
        return pa.time64("us")
    if pa.types.is_null(kind):
        return pa.int32()
    return kind
