"""Rows into a DuckDB table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import pyarrow as pa

from ..link import Link
from ..names import quoted
from ..outgoing import Outgoing, unsupported
from ..source import IngestMode

__all__ = ["write"]

_STAGED: Final = "jammi_staged"
_CHANGED: Final = (pa.types.is_duration, pa.types.is_union, pa.types.is_float16, pa.types.is_decimal256)


def write(
    link: Link, schema: str, name: str, rows: pa.RecordBatchReader, mode: IngestMode, columns: Sequence[str] = ()
) -> int:
    """Write all rows, within the transaction that is open. Returns how many. ``columns`` are those of a table that is there."""
    outgoing = Outgoing(rows, [_sent(field) for field in rows.schema], [None] * len(rows.schema))
    doing = f"writing to {schema}.{name}"
    # The driver's own way takes all columns, in their order, whatever they are called.
    staged = bool(columns) and list(columns) != rows.schema.names
    target = {"adbc.ingest.target_table": _STAGED, "adbc.ingest.temporary": "true"} if staged else {
        "adbc.ingest.target_table": name, "adbc.ingest.target_db_schema": schema
    }  # fmt: skip
    options = {**target, "adbc.ingest.mode": f"adbc.ingest.mode.{'create' if staged else mode}"}
    try:
        link.ingest(outgoing.reader(), doing, options)
        if staged:
            listed = ", ".join(map(quoted, rows.schema.names))
            source = f"SELECT {listed} FROM temp.{_STAGED}"
            link.update(f"INSERT INTO {quoted(schema)}.{quoted(name)} ({listed}) {source}", doing)
            link.update(f"DROP TABLE temp.{_STAGED}", doing)
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
