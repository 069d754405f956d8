"""PostgreSQL's types, and how their values are read exactly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from ...errors import DataError
from ..moments import FIRST_DAY, one_nan, refuse_beyond
from ..names import refusal
from ..relation import RemoteColumn

__all__ = ["Declared", "adjusted", "remote_column"]

_UTC: Final = pa.timestamp("us", tz="UTC")
_NATIVE: Final[Mapping[str, pa.DataType]] = {
    "bool": pa.bool_(),
    "int2": pa.int16(),
    "int4": pa.int32(),
    "int8": pa.int64(),
    "float4": pa.float32(),
    "float8": pa.float64(),
    "text": pa.utf8(),
    "varchar": pa.utf8(),
    "bytea": pa.binary(),
    "date": pa.date32(),
    "time": pa.time64("us"),
    "timestamp": pa.timestamp("us"),
    "timestamptz": _UTC,
}
"""What the driver gives as it is. The infinities of dates and times overflow in it: ``adjusted`` refuses them."""

_MOST_DIGITS: Final = 76
_NARROW_DIGITS: Final = 38
_HEADER: Final = 4  # of a type modifier
_BARE_NUMERIC: Final[Mapping[str, tuple[pa.DataType, str]]] = {
    "decimal(38,9)": (pa.decimal128(38, 9), "{}::text"),
    "text": (pa.utf8(), "{}::text"),
    "double": (pa.float64(), "{}::float8"),
}
_AS_TEXT: Final = "{}::text"
_PSEUDO_READABLE: Final = frozenset({"record", "unknown"})


@dataclass(frozen=True, slots=True)
class Declared:
    """A column as the catalogue has it: domains followed to their base types."""

    name: str
    declared: str
    required: bool
    type: str
    system: bool
    """Whether the type is PostgreSQL's own."""
    kind: str
    """``b`` base, ``c`` composite, ``e`` enum, ``p`` pseudo, ``r`` range, ``m`` multirange."""
    category: str
    modifier: int
    element: str
    element_system: bool
    element_kind: str
    deterministic: bool
    """Whether texts are equal only where their characters are."""


def remote_column(column: Declared, numeric: str) -> RemoteColumn:
    """The column as it is here; ``numeric`` is what becomes of numbers without precision."""

    def made(
        type_: pa.DataType, read: str | None = None, *, comparable: bool = True, compared: str | None = None
    ) -> RemoteColumn:
        return RemoteColumn(
            column.name, type_, not column.required, column.declared, read, comparable, compared if comparable else None
        )

    if column.kind == "p" and column.type not in _PSEUDO_READABLE:
        return RemoteColumn(
            column.name,
            pa.utf8(),
            not column.required,
            column.declared,
            comparable=False,
            unreadable=f"PostgreSQL gives no values of the pseudo-type {column.declared}",
        )
    if column.category == "A":
        return _array(column, made_type=_element_type(column))
    if not column.system:  # citext, hstore, geometry, enums, composites
        return made(pa.utf8(), _AS_TEXT, compared=_AS_TEXT)
    native = _NATIVE.get(column.type)
    if native is not None:
        return made(native, comparable=column.deterministic)
    match column.type:
        case "numeric":
            return _numeric(column, numeric)
        case "oid":
            return made(pa.int64(), "{}::int8", compared="{}::int8")
        case "interval":
            # One month equals 30 days there.
            return made(pa.month_day_nano_interval(), comparable=False)
        case "bpchar":
            # Trailing blanks do not count there, and go with the cast.
            return made(pa.utf8(), _AS_TEXT, comparable=column.deterministic, compared=_AS_TEXT)
    return made(pa.utf8(), _AS_TEXT, compared=_AS_TEXT)


def _numeric(column: Declared, bare: str) -> RemoteColumn:
    type_, read = _BARE_NUMERIC[bare]
    comparable, compared = True, None
    if column.modifier >= _HEADER:
        modifier = column.modifier - _HEADER
        precision, scale = (modifier >> 16) & 0xFFFF, ((modifier & 0x7FF) ^ 1024) - 1024
        # numeric(3, 5) has values below 0.01, numeric(3, -2) whole hundreds: Arrow wants 0 <= scale <= precision.
        precision, scale = max(precision, scale) + max(-scale, 0), max(scale, 0)
        if precision <= _NARROW_DIGITS:
            type_, read = pa.decimal128(precision, scale), _AS_TEXT
        elif precision <= _MOST_DIGITS:
            type_, read = pa.decimal256(precision, scale), _AS_TEXT
        else:
            type_, read = pa.utf8(), _AS_TEXT
    if pa.types.is_string(type_):
        compared = _AS_TEXT
    elif pa.types.is_floating(type_):
        compared = "{}::float8"
    return RemoteColumn(column.name, type_, not column.required, column.declared, read, comparable, compared)


def _element_type(column: Declared) -> pa.DataType:
    if column.element_system and column.element_kind == "b" and column.element in _NATIVE:
        return _NATIVE[column.element]
    return pa.utf8()


def _array(column: Declared, made_type: pa.DataType) -> RemoteColumn:
    """A list. What the driver gives of several dimensions is one flat list, so they are refused there."""
    own = made_type != pa.utf8() or column.element in ("text", "varchar")
    target = f"{column.element}[]" if own and column.element_system else "text[]"
    # Sliced, since the driver takes only arrays that begin at 1.
    value = "({})[:]" if target != "text[]" or column.element == "text" else "({}::text[])[:]"
    literal = refusal(column.name, "has an array of several dimensions")
    # With a text of the column's, or the planner would compute the cast beforehand, and fail.
    refused = f"({literal} || pg_catalog.left({{}}::text, 0))::{target}"
    read = f"CASE WHEN pg_catalog.array_ndims({{}}) > 1 THEN {refused} ELSE {value} END"
    return RemoteColumn(column.name, pa.list_(made_type), not column.required, column.declared, read, comparable=False)


# --- values that the driver gives wrongly ---

_DAY_MICROS: Final = 86_400_000_000
_DAY: Final = pa.scalar(_DAY_MICROS, pa.int64())


def adjusted(column: Any, field: Any) -> Any:
    """``column``, whose dates and times are what they were there, with one kind of NaN.

    The driver adds 30 years to each, so the infinities, and what is after the year 294246, come out before the first day
    that PostgreSQL has. ``DataError`` 22008 for those, and for the time 24:00.
    """
    kind = column.type
    if pa.types.is_list(kind):
        adjusted(column.flatten(), field)
        return column
    if pa.types.is_floating(kind):
        return one_nan(column)
    if pa.types.is_date32(kind):
        refuse_beyond(column.view(pa.int32()), FIRST_DAY, None, field)
    elif pa.types.is_timestamp(kind):
        refuse_beyond(column.view(pa.int64()), FIRST_DAY * _DAY_MICROS, None, field)
    elif pa.types.is_time(kind) and pc.any(pc.greater_equal(column.view(pa.int64()), _DAY)).as_py():
        raise DataError(
            f"column {field.name} has the time 24:00:00, which {kind} cannot hold",
            sqlstate="22008",
            hint="leave the column out, or read it as text with remote_query",
        )
    return column
