"""Arrow values on their way out: rows of Python objects.

Everything is what pyarrow makes of it (``int``, ``float``, ``str``, ``bytes``, ``Decimal``, ``date``, ``time``,
``list``, ``dict``, a map as a list of pairs, an interval as ``pyarrow.MonthDayNano``), with these differences:

- a timestamp is a ``datetime``, of the zone ``datetime.timezone.utc`` when its zone is UTC, and never a
  ``pandas.Timestamp``, whether pandas is installed or not;
- nanoseconds are cut to the microseconds that ``datetime``, ``time`` and ``timedelta`` have, so that a column always
  has one class (``now()`` has nanoseconds); Arrow results keep them;
- a year after 9999, which ``datetime`` cannot hold, is an ISO 8601 text in UTC, a duration too long for ``timedelta``
  one such as ``"9300000000000000 seconds"``;
- a struct with two fields of one name is a list of pairs.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..errors import DataError

__all__ = ["column_values", "rows"]

_UTC_NAMES = frozenset({"UTC", "utc", "Etc/UTC", "Z", "+00:00", "GMT"})
_PER_SECOND = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
_UNIT_NAMES = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}
_DAY = 86_400
_FIRST_SECOND = int(datetime.min.replace(tzinfo=UTC).timestamp())
_END_SECOND = int(datetime.max.replace(microsecond=0, tzinfo=UTC).timestamp()) + 1
_LONGEST = timedelta.max.days * _DAY


def rows(batch: pa.RecordBatch) -> list[tuple[Any, ...]]:
    """The rows of a batch as tuples."""
    if batch.num_columns == 0:
        return [()] * batch.num_rows
    return list(zip(*(column_values(column) for column in batch.columns), strict=True))


def column_values(array: pa.Array[Any]) -> list[Any]:
    """The values of an array as Python objects, ``None`` for null."""
    converter = _converter(array.type)
    return array.to_pylist() if converter is None else converter(array)


Converter = Callable[[Any], list[Any]]


@lru_cache(maxsize=1024)
def _converter(kind: pa.DataType) -> Converter | None:
    """How to convert arrays of a type, or ``None`` where ``to_pylist`` does it right and fast."""
    simple: tuple[tuple[Callable[[pa.DataType], bool], Converter], ...] = (
        (pa.types.is_timestamp, _timestamps),
        (pa.types.is_duration, _durations),
        (pa.types.is_date, _dates),
        (lambda t: t == pa.time64("ns"), _nanosecond_times),
    )
    for test, converter in simple:
        if test(kind):
            return converter
    if pa.types.is_dictionary(kind) and _converter(kind.value_type) is not None:
        return lambda array: column_values(array.dictionary_decode())
    if pa.types.is_run_end_encoded(kind) and _converter(kind.value_type) is not None:
        return lambda array: column_values(pc.call_function("run_end_decode", [array]))
    if pa.types.is_struct(kind):
        names = [kind.field(index).name for index in range(kind.num_fields)]
        if len(set(names)) < len(names) or any(_converter(field.type) is not None for field in kind):
            return _structs
        return None
    nested = pa.types.is_nested(kind) and not pa.types.is_union(kind)
    if nested and any(_converter(kind.field(index).type) is not None for index in range(kind.num_fields)):
        return _maps if pa.types.is_map(kind) else _lists
    return None


def _timestamps(array: pa.TimestampArray[Any]) -> list[Any]:
    unit, zone = array.type.unit, _zone(array.type.tz)
    ticks, per_second = _ticks(array), _PER_SECOND[unit]
    instants = ticks.view(f"datetime64[{unit}]")
    # Nanoseconds reach from 1677 to 2262 only.
    exact = (unit == "ns") | ((ticks >= _FIRST_SECOND * per_second) & (ticks < _END_SECOND * per_second))
    values: list[Any] = instants.astype("datetime64[us]").tolist()
    for index in np.flatnonzero(~exact).tolist():
        values[index] = f"{instants[index]}{'' if zone is None else '+00:00'}"
    if zone is not None:
        values = [v if isinstance(v, str) else v.replace(tzinfo=UTC) for v in values]
        if zone is not UTC:
            values = [_in_zone(v, zone) for v in values]
    return _with_nulls(values, array)


def _in_zone(value: Any, zone: tzinfo) -> Any:
    try:
        return value if isinstance(value, str) else value.astimezone(zone)
    except OverflowError:  # the last or first hours of years 1 to 9999: the same instant in UTC
        return value


def _durations(array: pa.DurationArray[Any]) -> list[Any]:
    unit = array.type.unit
    ticks = _ticks(array)
    exact = abs(ticks // _PER_SECOND[unit]) < _LONGEST
    values: list[Any] = ticks.view(f"timedelta64[{unit}]").astype("timedelta64[us]").tolist()
    for index in np.flatnonzero(~exact).tolist():
        values[index] = f"{ticks[index]} {_UNIT_NAMES[unit]}"
    return _with_nulls(values, array)


def _dates(array: Any) -> list[Any]:
    try:
        return array.to_pylist()  # type: ignore[no-any-return]
    except (OverflowError, ValueError):
        raw = array.view(pa.int64() if array.type == pa.date64() else pa.int32()).fill_null(0).to_numpy()
        days = raw.astype("datetime64[ms]" if array.type == pa.date64() else "datetime64[D]").astype("datetime64[D]")
        texts = [value if isinstance(value, date) else str(day) for value, day in zip(days.tolist(), days, strict=True)]
        return _with_nulls(texts, array)


def _nanosecond_times(array: Any) -> list[Any]:
    return array.cast(pa.time64("us"), safe=False).to_pylist()  # type: ignore[no-any-return]


def _lists(array: Any) -> list[Any]:
    return [column_values(item.values) if item.is_valid else None for item in array]


def _maps(array: Any) -> list[Any]:
    return [
        list(zip(*(column_values(part) for part in item.values.flatten()), strict=True)) if item.is_valid else None
        for item in array
    ]


def _structs(array: Any) -> list[Any]:
    names = [array.type.field(index).name for index in range(array.type.num_fields)]
    columns = [column_values(part) for part in array.flatten()]
    make: Callable[[Any], Any] = dict if len(set(names)) == len(names) else list
    return _with_nulls([make(zip(names, row, strict=True)) for row in zip(*columns, strict=True)], array)


def _ticks(array: pa.Array[Any]) -> np.ndarray[Any, Any]:
    return array.view(pa.int64()).fill_null(0).to_numpy()


def _with_nulls(values: list[Any], array: pa.Array[Any]) -> list[Any]:
    if array.null_count:
        for index in np.flatnonzero(array.is_null().to_numpy(zero_copy_only=False)).tolist():
            values[index] = None
    return values


def _zone(name: str | None) -> tzinfo | None:
    if name is None:
        return None
    try:
        return UTC if name in _UTC_NAMES else pa.lib.string_to_tzinfo(name)
    except (pa.ArrowException, ValueError, KeyError) as error:
        raise DataError(
            f"there is no time zone {name!r}", hint="read the rows with fetch_arrow_table(), or cast the column"
        ) from error
