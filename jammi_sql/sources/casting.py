"""What a driver gives, as the types that a scan is to have: exactly, or not at all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..errors import DataError, Error, NumericValueOutOfRange

__all__ = ["Adjust", "exactly", "plain"]

# The stubs know an array only with its type, which is not known here.
_Column = Any
_Field = Any
Adjust = Callable[[_Column, _Field], _Column]
"""What a source does to a column besides: refuse values that its driver gives wrongly."""

_NEAR: Final = 4
"""Units in the last place."""
_MOST_DIGITS: Final = 15
"""Digits of a decimal number that the nearest double tells from all others."""


def exactly(batch: pa.RecordBatch, schema: pa.Schema, adjust: Adjust | None = None) -> pa.RecordBatch:
    """``batch`` with the columns of ``schema``, in order.

    Raises ``DataError`` that names the column for a value that its type cannot hold: 22003 for numbers, 22007 for times.
    """
    if batch.num_columns != len(schema):
        raise DataError(f"the source gave {batch.num_columns} columns where {len(schema)} were asked for")
    columns = [_column(batch.column(index), field, adjust) for index, field in enumerate(schema)]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _column(column: _Column, field: _Field, adjust: Adjust | None) -> _Column:
    try:
        column = _cast(plain(column), field.type)
        if adjust is not None:
            column = adjust(column, field)
        _valid_text(column)
        return column
    except Error:
        raise
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OverflowError) as error:
        # Arrow's own message has the value, which is not for messages.
        kind: Callable[..., Error] = DataError
        state = "22000"
        if pa.types.is_decimal(field.type) or pa.types.is_integer(field.type) or pa.types.is_floating(field.type):
            kind, state = NumericValueOutOfRange, "22003"
        elif pa.types.is_temporal(field.type):
            state = "22007"
        elif pa.types.is_string(field.type):
            state = "22021"
        raise kind(
            f"column {field.name} has a value that {field.type} cannot hold",
            sqlstate=state,
            hint="leave the column out, or read it as text with remote_query",
        ) from error


def _cast(column: _Column, wanted: Any) -> _Column:
    have = column.type
    if have == wanted:
        return column
    if column.null_count == len(column):
        return pa.nulls(len(column), wanted)
    if pa.types.is_dictionary(have):
        return _cast(column.dictionary_decode(), wanted)
    if _is_text(have):
        return _from_text(column, wanted)
    if pa.types.is_boolean(wanted) and pa.types.is_integer(have):
        known = column.drop_null()
        if pc.min(known).as_py() < 0 or pc.max(known).as_py() > 1:
            raise pa.ArrowInvalid("neither 0 nor 1")
        return column.cast(wanted)
    if pa.types.is_decimal(wanted):
        if pa.types.is_floating(have):
            return _decimal(column, wanted)
        if pa.types.is_integer(have):
            return column.cast(pa.decimal128(38, 0)).cast(wanted)
    if _same_kind(have, wanted):
        return column.cast(wanted)
    raise pa.ArrowInvalid(f"it holds {have}")


def _same_kind(have: pa.DataType, wanted: Any) -> bool:
    """Whether Arrow's safe cast gives the same value or none."""
    kinds: tuple[Callable[[pa.DataType], bool], ...] = (
        pa.types.is_integer,
        pa.types.is_floating,
        pa.types.is_decimal,
        _is_bytes,
        pa.types.is_date,
        pa.types.is_time,
        pa.types.is_duration,
        pa.types.is_nested,
    )
    if pa.types.is_timestamp(have) and pa.types.is_timestamp(wanted):
        return (have.tz is None) == (wanted.tz is None)
    return any(kind(have) and kind(wanted) for kind in kinds)


def _is_text(kind: pa.DataType) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)


def _is_bytes(kind: pa.DataType) -> bool:
    return (
        pa.types.is_binary(kind)
        or pa.types.is_large_binary(kind)
        or pa.types.is_binary_view(kind)
        or pa.types.is_fixed_size_binary(kind)
    )


def _from_text(column: _Column, wanted: Any) -> _Column:
    if pa.types.is_time(wanted):
        moments = pc.binary_join_element_wise("1970-01-01 ", column.cast(pa.utf8()), "").cast(pa.timestamp("us"))
        return moments.cast(pa.time64("us")).cast(wanted)
    if _is_text(wanted) or pa.types.is_decimal(wanted) or pa.types.is_date(wanted) or pa.types.is_timestamp(wanted):
        return column.cast(wanted)
    raise pa.ArrowInvalid(f"it holds {column.type}")


def _decimal(column: _Column, wanted: Any) -> _Column:
    """Doubles as the decimals that they are the nearest doubles of; refused where they are none's.

    By a few units in the last place they may miss: programs compute 577.58 as 57758 * 0.01.
    """
    precision, scale = wanted.precision, wanted.scale
    if precision > _MOST_DIGITS:
        raise pa.ArrowInvalid("a double has 15 digits")
    values = column.cast(pa.float64()).fill_null(0.0).to_numpy(zero_copy_only=False)
    factor = 10.0**scale
    scaled = np.rint(values * factor)
    if (
        not np.all(np.isfinite(scaled))
        or np.any(np.abs(scaled) >= 10.0**precision)
        or np.any(np.abs(scaled / factor - values) > _NEAR * np.spacing(np.abs(values)))
    ):
        raise pa.ArrowInvalid("it is no decimal of so many digits")
    whole = pa.array(scaled.astype(np.int64), mask=column.is_null().to_numpy(zero_copy_only=False))
    wide = whole.cast(pa.decimal128(38, 0))
    return pa.Array.from_buffers(pa.decimal128(38, scale), len(wide), wide.buffers()).cast(wanted)


def _valid_text(column: _Column) -> None:
    """Arrow takes any bytes for text; what reads them later may not."""
    if pa.types.is_string(column.type) or pa.types.is_nested(column.type):
        column.validate(full=True)


def plain(column: _Column) -> _Column:
    """The storage of an extension type."""
    return column.storage if isinstance(column, pa.ExtensionArray) else column
