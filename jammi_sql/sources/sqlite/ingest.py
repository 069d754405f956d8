"""Rows into a SQLite table."""

from __future__ import annotations

from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from ...errors import DataError
from ..link import Link
from ..names import quoted
from ..outgoing import Convert, Outgoing, unsupported

__all__ = ["write"]

_MOST_DIGITS: Final = 15


def write(link: Link, name: str, rows: pa.RecordBatchReader, *, create: bool) -> int:
    """Write all rows, within the transaction that is open. Returns how many."""
    sent = [_sent(field) for field in rows.schema]
    names = [quoted(field.name) for field in rows.schema]
    table = quoted(name)
    if create:
        declared = ", ".join(
            f"{column} {kind}{'' if field.nullable else ' NOT NULL'}"
            for column, field, (kind, _, _) in zip(names, rows.schema, sent, strict=True)
        )
        link.update(f"CREATE TABLE {table} ({declared})", f"making {name}")
    outgoing = Outgoing(rows, [kind for _, kind, _ in sent], [convert for _, _, convert in sent])
    marks = ", ".join("?" * len(names))
    try:
        link.ingest(
            outgoing.reader(), f"writing to {name}", text=f"INSERT INTO {table} ({', '.join(names)}) VALUES ({marks})"
        )
    except Exception:
        outgoing.raise_failure()
        raise
    return outgoing.count


def _sent(field: pa.Field[Any]) -> tuple[str, pa.DataType, Convert | None]:
    """The declared type, the type in which the driver gets it, and how it is converted."""
    kind = field.type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_boolean(kind):
        return "BOOLEAN", pa.int64(), None
    if pa.types.is_integer(kind):
        return "INTEGER", pa.int64(), None
    if pa.types.is_floating(kind):
        return "REAL", pa.float64(), lambda column: _without_nan(column, field)
    if (
        pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_string_view(kind)
        or pa.types.is_null(kind)
    ):
        return "TEXT", pa.utf8(), None
    if (
        pa.types.is_binary(kind)
        or pa.types.is_large_binary(kind)
        or pa.types.is_binary_view(kind)
        or pa.types.is_fixed_size_binary(kind)
    ):
        return "BLOB", pa.binary(), None
    if pa.types.is_date(kind):
        return "DATE", pa.utf8(), lambda column: column.cast(pa.date32()).cast(pa.utf8())
    if pa.types.is_timestamp(kind) and kind.tz is None:
        return "TIMESTAMP", pa.utf8(), lambda column: column.cast(pa.timestamp("us")).cast(pa.utf8())
    if pa.types.is_time(kind):
        return "TIME", pa.utf8(), lambda column: column.cast(pa.time64("us")).cast(pa.utf8())
    if pa.types.is_decimal(kind) and kind.precision <= _MOST_DIGITS and kind.scale >= 0:
        # By way of text, which gives the nearest double.
        declared = f"DECIMAL({kind.precision}, {kind.scale})"
        return declared, pa.float64(), lambda column: column.cast(pa.utf8()).cast(pa.float64())
    raise unsupported(field, "SQLite", "write it as text; a time with a zone as one in UTC without")


def _without_nan(column: Any, field: pa.Field[Any]) -> Any:
    if pc.any(pc.is_nan(column)).as_py():
        raise DataError(f"column {field.name} has NaN, which SQLite makes NULL", sqlstate="22003")
    return column.cast(pa.float64())
