"""Rows into a PostgreSQL table, by COPY."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pyarrow as pa

from ...errors import UndefinedColumn, UndefinedTable
from ..assigning import assignable
from ..link import Link
from ..names import quoted
from ..outgoing import Outgoing, unsupported
from ..relation import RemoteRelation

__all__ = ["write"]

_DIRECT: Final = {"adbc.postgresql.use_copy": "false"}
_STAGE: Final = "jammi_ingested"
_INTERVAL: Final = np.dtype([("months", "<i4"), ("days", "<i4"), ("nanos", "<i8")])


def write(link: Link, schema: str, name: str, rows: pa.RecordBatchReader, target: RemoteRelation | None) -> int:
    """Write all rows, within the transaction that is open: into ``target``, or into a table that is made. Returns how many."""
    sent = [_sent(field) for field in rows.schema]
    types = [kind for kind, _ in sent]
    if target is None:
        return _create(link, schema, name, rows, sent)
    for field in rows.schema:
        if field.name not in {column.name for column in target.columns}:
            raise UndefinedColumn(f"{schema}.{name} has no column {field.name}")
    columns = [target.column(field.name) for field in rows.schema]
    if all(column.read is None or pa.types.is_decimal(column.type) for column in columns):
        # COPY's binary form wants each column's very type.
        kinds = [column.type if column.read is None else kind for column, kind in zip(columns, types, strict=True)]
        return _copied(link, rows, kinds, {"adbc.ingest.target_table": name, "adbc.ingest.target_db_schema": schema})
    # Through a table of the session's own: enums, domains, uuid and the like are cast from it by the server.
    declared = ", ".join(f"{quoted(field.name)} {kind}" for field, (_, kind) in zip(rows.schema, sent, strict=True))
    link.update(f"CREATE TEMPORARY TABLE {_STAGE} ({declared}) ON COMMIT DROP", "preparing a write", _DIRECT)
    count = _copied(link, rows, types, {"adbc.ingest.target_table": _STAGE, "adbc.ingest.target_db_schema": "pg_temp"})
    names = ", ".join(quoted(column.name) for column in columns)
    casts = ", ".join(assignable(quoted(column.name), column) for column in columns)
    link.update(
        f"INSERT INTO {quoted(schema)}.{quoted(name)} ({names}) SELECT {casts} FROM pg_temp.{_STAGE}",
        f"writing to {schema}.{name}",
        _DIRECT,
    )
    return count


def _create(link: Link, schema: str, name: str, rows: pa.RecordBatchReader, sent: list[tuple[pa.DataType, str]]) -> int:
    declared = ", ".join(
        f"{quoted(field.name)} {kind}{'' if field.nullable else ' NOT NULL'}"
        for field, (_, kind) in zip(rows.schema, sent, strict=True)
    )
    link.update(f"CREATE TABLE {quoted(schema)}.{quoted(name)} ({declared})", f"making {schema}.{name}", _DIRECT)
    options = {"adbc.ingest.target_table": name, "adbc.ingest.target_db_schema": schema}
    return _copied(link, rows, [kind for kind, _ in sent], options)


def _copied(link: Link, rows: pa.RecordBatchReader, types: list[pa.DataType], options: dict[str, str]) -> int:
    convert = [_whole_micros if pa.types.is_interval(kind) else None for kind in types]
    outgoing = Outgoing(rows, types, convert)
    try:
        link.ingest(
            outgoing.reader(),
            f"writing to {options['adbc.ingest.target_table']}",
            {**options, "adbc.ingest.mode": "adbc.ingest.mode.append"},
        )
    except UndefinedTable:
        raise
    except Exception:
        outgoing.raise_failure()
        raise
    return outgoing.count


def _sent(field: pa.Field[Any]) -> tuple[pa.DataType, str]:
    """The type in which a column is sent, and the name of PostgreSQL's."""
    kind = field.type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        if pa.types.is_nested(kind.value_type):
            raise unsupported(field, "PostgreSQL", "write it as text")
        item, name = _sent(pa.field(field.name, kind.value_type))
        return pa.list_(item), f"{name}[]"
    simple = _SIMPLE.get(kind)
    if simple is not None:
        return simple
    if pa.types.is_decimal(kind):
        return kind, f"numeric({kind.precision},{kind.scale})" if kind.scale >= 0 else "numeric"
    if pa.types.is_timestamp(kind):
        zoned = kind.tz is not None
        return pa.timestamp("us", tz="UTC" if zoned else None), "timestamptz" if zoned else "timestamp"
    if pa.types.is_time(kind):
        return pa.time64("us"), "time"
    if pa.types.is_fixed_size_binary(kind):
        return pa.binary(), "bytea"
    raise unsupported(field, "PostgreSQL", "write it as text, or in columns of its own")


_SIMPLE: Final[dict[pa.DataType, tuple[pa.DataType, str]]] = {
    pa.null(): (pa.utf8(), "text"),
    pa.bool_(): (pa.bool_(), "boolean"),
    pa.int8(): (pa.int16(), "smallint"),
    pa.int16(): (pa.int16(), "smallint"),
    pa.int32(): (pa.int32(), "integer"),
    pa.int64(): (pa.int64(), "bigint"),
    pa.uint8(): (pa.int16(), "smallint"),
    pa.uint16(): (pa.int32(), "integer"),
    pa.uint32(): (pa.int64(), "bigint"),
    pa.uint64(): (pa.decimal128(20, 0), "numeric(20,0)"),
    pa.float16(): (pa.float32(), "real"),
    pa.float32(): (pa.float32(), "real"),
    pa.float64(): (pa.float64(), "double precision"),
    pa.utf8(): (pa.utf8(), "text"),
    pa.large_utf8(): (pa.utf8(), "text"),
    pa.string_view(): (pa.utf8(), "text"),
    pa.binary(): (pa.binary(), "bytea"),
    pa.large_binary(): (pa.binary(), "bytea"),
    pa.binary_view(): (pa.binary(), "bytea"),
    pa.date32(): (pa.date32(), "date"),
    pa.date64(): (pa.date32(), "date"),
    pa.month_day_nano_interval(): (pa.month_day_nano_interval(), "interval"),
}


def _whole_micros(column: Any) -> Any:
    """Intervals, refused where they have nanoseconds that PostgreSQL would drop."""
    buffer = column.buffers()[1]
    if buffer is not None and len(column):
        values: Any = np.frombuffer(memoryview(buffer), _INTERVAL, len(column), column.offset * _INTERVAL.itemsize)
        known = column.is_valid().to_numpy(zero_copy_only=False)
        if np.any(values["nanos"][known] % 1000):
            raise pa.ArrowInvalid("nanoseconds")
    return column
