"""How values are written: by one function per kind, from digits that are made here, or quoted."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pyarrow as pa

from ..said import NotSaid

__all__ = ["bytes_of", "date_text", "decimal_text", "integer", "number_text", "quoted", "timestamp_text"]

_EPOCH = dt.datetime(1970, 1, 1)
_FIRST, _LAST = dt.datetime(1, 1, 1), dt.datetime(9999, 12, 31, 23, 59, 59, 999_999)


def quoted(text: str) -> str:
    """A text between quotes, for sources in which only a quote means anything inside."""
    if "\0" in text:
        raise NotSaid("a text with U+0000 is compared here")
    return "'" + text.replace("'", "''") + "'"


def integer(value: pa.Scalar) -> str:
    """Digits, in parentheses when negative."""
    number = int(value.as_py())
    return str(number) if number >= 0 else f"({number})"


def decimal_text(value: pa.Scalar) -> str:
    """Digits with a point."""
    number: Decimal = value.as_py()
    text = format(number, "f")
    return text if number >= 0 else f"({text})"


def number_text(value: pa.Scalar) -> str:
    """The shortest text that reads as the same double; ``nan``, ``inf``, ``-inf``."""
    return repr(float(value.as_py()))


def bytes_of(value: pa.Scalar) -> bytes:
    """The bytes."""
    found: bytes = value.as_py()
    return found


def date_text(value: pa.Scalar) -> str:
    """``2024-01-31``."""
    days = int(value.cast(pa.int32()).as_py())
    moment = _moment(days * 86_400_000_000)
    return moment.strftime("%Y-%m-%d").rjust(10, "0")


def timestamp_text(value: pa.Scalar) -> str:
    """``2024-01-31 23:59:59.999999``, of a timestamp in microseconds."""
    moment = _moment(int(value.cast(pa.int64()).as_py()))
    return f"{moment.year:04d}-{moment:%m-%d %H:%M:%S.%f}"


def _moment(microseconds: int) -> dt.datetime:
    try:
        moment = _EPOCH + dt.timedelta(microseconds=microseconds)
    except OverflowError:
        raise NotSaid("a time outside of the years 1 to 9999 is compared here") from None
    if not _FIRST <= moment <= _LAST:
        raise NotSaid("a time outside of the years 1 to 9999 is compared here")
    return moment
