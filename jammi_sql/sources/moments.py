"""Values at the ends of their types: infinite dates and times, which have no place here, and NaN."""

from __future__ import annotations

from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from ..errors import DataError

__all__ = ["FIRST_DAY", "one_nan", "refuse_beyond", "within_range"]

FIRST_DAY: Final = -2_440_588
"""4714-11-24 BC, the first day that PostgreSQL has."""
_INFINITE_DAYS: Final = 2_147_483_647
_INFINITE_TICKS: Final = 9_223_372_036_854_775_807


def within_range(column: Any, field: Any) -> Any:
    """``column`` without infinities, which are the ends of the range of their numbers. ``DataError`` 22008 for those."""
    kind = column.type
    if pa.types.is_floating(kind):
        return one_nan(column)
    if pa.types.is_list(kind):
        within_range(column.flatten(), field)
    elif pa.types.is_date32(kind):
        refuse_beyond(column.view(pa.int32()), -_INFINITE_DAYS + 1, _INFINITE_DAYS - 1, field)
    elif pa.types.is_timestamp(kind):
        refuse_beyond(column.view(pa.int64()), -_INFINITE_TICKS + 1, _INFINITE_TICKS - 1, field)
    return column


def refuse_beyond(values: Any, least: int, most: int | None, field: Any) -> None:
    """``DataError`` 22008 that names the column for numbers of days or ticks outside of the range."""
    if values.null_count == len(values):
        return
    ends = pc.min_max(values)
    if ends["min"].as_py() < least or (most is not None and ends["max"].as_py() > most):
        raise DataError(
            f"column {field.name} has an infinite date or time, or one beyond the range of {field.type}",
            sqlstate="22008",
            hint="leave the column out, or read it as text with remote_query",
        )


def one_nan(column: Any) -> Any:
    """Floats with one kind of NaN: in PostgreSQL and DuckDB all are equal, and greater than numbers; here one with its sign
    bit set would be less than all."""
    nans = pc.is_nan(column)
    return pc.if_else(nans, pa.scalar(float("nan"), column.type), column) if pc.any(nans).as_py() else column
