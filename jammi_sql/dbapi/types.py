"""PEP 249's type objects and constructors.

``cursor.description`` gives a column's Arrow type as its type code, as ADBC does; the type objects compare equal to the
Arrow types of their kind: ``cursor.description[0][1] == jammi_sql.NUMBER``.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import date as Date
from datetime import datetime as Timestamp
from datetime import time as Time

import pyarrow as pa
import pyarrow.types as kind

__all__ = [
    "BINARY",
    "DATETIME",
    "NUMBER",
    "ROWID",
    "STRING",
    "Binary",
    "Date",
    "DateFromTicks",
    "Time",
    "TimeFromTicks",
    "Timestamp",
    "TimestampFromTicks",
    "TypeObject",
]


class TypeObject:
    """A kind of column; equal to every Arrow type of that kind."""

    __slots__ = ("_name", "_tests")

    def __init__(self, name: str, *tests: Callable[[pa.DataType], bool]) -> None:
        self._name = name
        self._tests = tests

    def __eq__(self, other: object) -> bool:
        if isinstance(other, pa.DataType):
            return any(test(other) for test in self._tests)
        return self is other

    def __hash__(self) -> int:
        return hash(self._name)

    def __repr__(self) -> str:
        return self._name


STRING = TypeObject("STRING", kind.is_string, kind.is_large_string, kind.is_string_view)
BINARY = TypeObject("BINARY", kind.is_binary, kind.is_large_binary, kind.is_binary_view, kind.is_fixed_size_binary)
NUMBER = TypeObject("NUMBER", kind.is_integer, kind.is_floating, kind.is_decimal)
DATETIME = TypeObject("DATETIME", kind.is_temporal)
ROWID = TypeObject("ROWID", kind.is_int64)
"""Any 64-bit integer, as in ADBC: a topic's rows are named by ``_offset`` and ``_row_idx``, both of that type."""

Binary = bytes
"""The type of a binary value."""


def DateFromTicks(ticks: float) -> Date:
    """The local date at ``ticks`` seconds since the epoch."""
    return Date(*time.localtime(ticks)[:3])


def TimeFromTicks(ticks: float) -> Time:
    """The local time of day at ``ticks`` seconds since the epoch."""
    return Time(*time.localtime(ticks)[3:6])


def TimestampFromTicks(ticks: float) -> Timestamp:
    """The local time, without a zone, at ``ticks`` seconds since the epoch."""
    return Timestamp(*time.localtime(ticks)[:6])
