"""The arguments of ``subscribe``: from where, until where, and for how long."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import pyarrow as pa
import pyarrow.compute as pc

from ..errors import InvalidParameter

__all__ = ["EARLIEST", "LATEST", "Bound", "Moment", "idle_seconds", "read_bound"]

EARLIEST = "earliest"
LATEST = "latest"


@dataclass(frozen=True, slots=True)
class Moment:
    """A point in time, in microseconds since 1970, UTC."""

    microseconds: int


Bound = int | str | Moment
"""An offset, ``'earliest'``, ``'latest'`` or a time."""


def read_bound(value: pa.Scalar, option: str, position: int) -> Bound:
    """The bound that an argument's value means. ``InvalidParameter`` (22023) for anything else."""
    data_type = value.type
    if value.is_valid:
        if pa.types.is_integer(data_type):
            offset: int = value.as_py()
            if offset < 0:
                raise InvalidParameter(f"{option} cannot be negative", position=position, hint="offsets begin at 0")
            return offset
        if pa.types.is_timestamp(data_type) or pa.types.is_date(data_type):
            return Moment(_microseconds(value))
        if pa.types.is_string(data_type) or pa.types.is_large_string(data_type) or pa.types.is_string_view(data_type):
            word = value.as_py().lower()
            if word == LATEST or (word == EARLIEST and option == "from"):
                return str(word)
    raise InvalidParameter(
        f"{option} cannot be {value.as_py()!r}",
        position=position,
        hint="it takes an offset, "
        + ("'earliest', " if option == "from" else "")
        + "'latest' or TIMESTAMP '2030-01-31 12:00:00'",
    )


def _microseconds(value: pa.Scalar) -> int:
    # A time without a zone is UTC; what is finer than a microsecond is cut off.
    unit = pa.timestamp("us", value.type.tz if pa.types.is_timestamp(value.type) else None)
    whole: int = pc.cast(pc.cast(value, unit, safe=False), pa.int64()).as_py()
    return whole


def idle_seconds(value: pa.Scalar, position: int) -> float:
    """Seconds of an interval, a duration or a number. ``InvalidParameter`` (22023) for anything else."""
    data_type = value.type
    seconds: float | None = None
    if value.is_valid:
        if pa.types.is_integer(data_type) or pa.types.is_floating(data_type):
            seconds = float(value.as_py())
        elif pa.types.is_duration(data_type):
            span = pc.cast(value, pa.duration("us"), safe=False).as_py()
            assert isinstance(span, timedelta)
            seconds = span.total_seconds()
        elif pa.types.is_interval(data_type):
            months, days, nanoseconds = value.as_py()
            if not months:
                seconds = days * 86400 + nanoseconds / 1e9
    if seconds is None or not seconds > 0 or seconds > 1e9:
        raise InvalidParameter(
            f"idle_timeout cannot be {value.as_py()!r}", position=position, hint="write INTERVAL '5 seconds'"
        )
    return seconds
