"""SQLite's declared types, and how what is stored is read exactly.

SQLite keeps a storage class with each value, whatever the column is declared as. Here a column has one type, by its
declaration: a value of another class is refused when it is read, and is never made into something else.
"""

from __future__ import annotations

import re
from typing import Final

import pyarrow as pa

from ..names import refusal
from ..relation import RemoteColumn

__all__ = ["declared_column", "sample", "sampled"]

_DECIMAL: Final = re.compile(r"\b(?:DECIMAL|NUMERIC)\s*\(\s*(\d+)\s*(?:,\s*(\d+)\s*)?\)")
_MOST_DIGITS: Final = 15
"""Digits of which a double is sure; SQLite keeps decimal numbers as doubles."""
_WHOLE: Final = 1 << 53
_SAMPLES: Final = {pa.int64(): "0", pa.float64(): "0.0", pa.utf8(): "''", pa.binary(): "x''"}


def declared_column(name: str, declared: str, *, nullable: bool, strict: bool, unicode: bool) -> RemoteColumn:
    """The column, by SQLite's rules of affinity and the names in common use.

    ``strict``: the table's values have their columns' classes. ``unicode``: the file's texts are UTF-8, whose order is
    that of the characters.
    """

    def made(
        kind: pa.DataType, read: str | None = None, *, comparable: bool = True, compared: str | None = None
    ) -> RemoteColumn:
        return RemoteColumn(name, kind, nullable, declared, read, comparable, compared if comparable else None)

    def refusing(condition: str, value: str = "{}") -> str:
        literal = refusal(name, "has a value of the storage class")
        return f"CASE WHEN {condition} THEN json_extract('[]', {literal} || typeof({{}})) ELSE {value} END"

    upper = declared.upper()
    if "INT" in upper:
        return made(pa.int64())
    if "CHAR" in upper or "CLOB" in upper or "TEXT" in upper:
        read = None if strict else refusing("typeof({}) = 'blob'")
        return made(pa.utf8(), read, comparable=unicode, compared="({} COLLATE BINARY)")
    if "BLOB" in upper:
        return made(pa.binary(), None if strict else refusing("typeof({}) NOT IN ('blob', 'null')"))
    if "REAL" in upper or "FLOA" in upper or "DOUB" in upper:
        return made(pa.float64())
    if "BOOL" in upper:
        return made(pa.bool_())
    # Texts there, of which several mean the same moment.
    if "DATETIME" in upper or "TIMESTAMP" in upper:
        return made(pa.timestamp("us"), comparable=False)
    if "DATE" in upper:
        return made(pa.date32(), comparable=False)
    if "TIME" in upper:
        return made(pa.time64("us"), comparable=False)
    if (found := _DECIMAL.search(upper)) is not None:
        precision, scale = int(found[1]), int(found[2] or 0)
        if 0 < precision <= _MOST_DIGITS and scale <= precision:
            return made(pa.decimal128(precision, scale), comparable=False)
    if "DEC" in upper or "NUM" in upper:
        wide = f"typeof({{}}) = 'integer' AND NOT {{}} BETWEEN {-_WHOLE} AND {_WHOLE}"
        return made(pa.float64(), refusing(wide), compared="CAST({} AS REAL)")
    text = "CAST({} AS TEXT)"
    return made(
        pa.utf8(), refusing("typeof({}) = 'blob'", text), comparable=unicode, compared=f"({text} COLLATE BINARY)"
    )


def sampled(kind: pa.DataType) -> pa.DataType:
    """As what the driver is to give a column of that type."""
    if pa.types.is_boolean(kind) or pa.types.is_integer(kind):
        return pa.int64()
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return pa.float64()
    return pa.binary() if pa.types.is_binary(kind) else pa.utf8()


def sample(kind: pa.DataType) -> str:
    """A value by which the driver, which guesses a column's type from its first rows, gives that type."""
    return _SAMPLES[sampled(kind)]
