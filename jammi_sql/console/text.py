"""Values as people read them."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import orjson
import pyarrow as pa

from .escapes import escaped

__all__ = ["cell", "json_value", "plain"]


def plain(value: Any) -> str:
    """A value as one text without loss: ISO 8601 dates and times, ``\\x`` and hex for bytes, JSON for nested ones."""
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case bytes():
            return f"\\x{value.hex()}"
        case datetime():
            return value.isoformat(sep=" ")
        case date() | time():
            return value.isoformat()
        case Decimal():
            return format(value, "f")
        case timedelta():
            return _interval(0, value.days, Decimal(value.seconds) + Decimal(value.microseconds).scaleb(-6))
        case pa.MonthDayNano():
            return _interval(value.months, value.days, Decimal(value.nanoseconds).scaleb(-9))
        case dict() | list() | tuple():
            return orjson.dumps(json_value(value)).decode()
        case _:
            return str(value)


def cell(value: Any) -> str:
    """``plain`` for a line on a terminal: NULL is spelt, and control characters are shown, not sent."""
    if value is None:
        return "NULL"
    return escaped(plain(value))


def json_value(value: Any) -> Any:
    """What ``orjson`` writes without loss: decimals as numbers with all their digits, times as text."""
    match value:
        case None | bool() | int() | float() | str():
            return value
        case Decimal():
            return orjson.Fragment(format(value, "f"))
        case datetime():
            return value.isoformat()
        case pa.MonthDayNano():
            return plain(value)
        case dict():
            return {name: json_value(item) for name, item in value.items()}
        case list() | tuple():
            return [json_value(item) for item in value]
        case _:
            return plain(value)


def _interval(months: int, days: int, seconds: Decimal) -> str:
    parts = [f"{months} months"] * bool(months) + [f"{days} days"] * bool(days)
    if seconds or not parts:
        parts.append(f"{seconds.normalize():f} seconds")
    return " ".join(parts)
