"""DuckDB's types, and how their values are read exactly."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

import pyarrow as pa

from ..relation import RemoteColumn

__all__ = ["column"]

_NATIVE: Final[Mapping[str, pa.DataType]] = {
    "BOOLEAN": pa.bool_(),
    "TINYINT": pa.int8(),
    "SMALLINT": pa.int16(),
    "INTEGER": pa.int32(),
    "BIGINT": pa.int64(),
    "UTINYINT": pa.uint8(),
    "USMALLINT": pa.uint16(),
    "UINTEGER": pa.uint32(),
    "UBIGINT": pa.uint64(),
    "FLOAT": pa.float32(),
    "DOUBLE": pa.float64(),
    "VARCHAR": pa.utf8(),
    "BLOB": pa.binary(),
    "DATE": pa.date32(),
    "TIMESTAMP": pa.timestamp("us"),
    "TIMESTAMP_S": pa.timestamp("s"),
    "TIMESTAMP_MS": pa.timestamp("ms"),
    "TIMESTAMP_NS": pa.timestamp("ns"),
    "TIMESTAMP WITH TIME ZONE": pa.timestamp("us", tz="UTC"),
    "TIME": pa.time64("us"),
}
_DECIMAL: Final = re.compile(r"DECIMAL\((\d+),\s*(\d+)\)")
_HUGE: Final = ("HUGEINT", "UHUGEINT")
_INEXACT: Final = re.compile(
    r"\b(U?HUGEINT|BIGNUM|VARINT|UUID|ENUM|BIT|TIMETZ|TIME WITH TIME ZONE|INTERVAL|UNION|GEOMETRY|VARIANT|JSON)\b"
)
"""What Arrow has otherwise, also within lists and structs: as a whole they are read as text."""
_TEXT: Final = "{}::VARCHAR"


def column(name: str, declared: str, arrow: pa.DataType, *, nullable: bool, plain_text: bool) -> RemoteColumn:
    """The column. ``arrow`` is what DuckDB's own export has for it; ``plain_text``: whether texts are compared by bytes."""

    def made(
        kind: pa.DataType, read: str | None = None, *, comparable: bool = True, compared: str | None = None
    ) -> RemoteColumn:
        return RemoteColumn(name, kind, nullable, declared, read, comparable, compared if comparable else None)

    native = _NATIVE.get(declared)
    if native is not None:
        return made(native, comparable=plain_text or not pa.types.is_string(native))
    if (found := _DECIMAL.fullmatch(declared)) is not None:
        return made(pa.decimal128(int(found[1]), int(found[2])))
    if declared in _HUGE:
        return made(pa.decimal256(39, 0), _TEXT)
    if declared == "INTERVAL":
        return made(pa.month_day_nano_interval(), comparable=False)  # a month is 30 days there
    nested = declared.endswith("]") or declared.startswith(("STRUCT(", "MAP("))
    if nested and not _INEXACT.search(declared):
        return made(arrow, comparable=False)
    return made(pa.utf8(), _TEXT, compared=_TEXT)
