"""A batch's place in its topic."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

__all__ = ["Offset", "datetime_of", "microseconds_of"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Offset:
    """The number of a batch within its topic, from 0 without gaps, and when it was produced (aware, UTC).

    Where an offset is only a place to start, ``produced_at`` may be left out.
    """

    value: int
    produced_at: datetime = _EPOCH


def datetime_of(microseconds: int) -> datetime:
    """The aware UTC time that is so many microseconds after 1970."""
    return _EPOCH + timedelta(0, 0, microseconds)


def microseconds_of(moment: datetime) -> int:
    """Microseconds since 1970; a naive time counts as UTC."""
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - _EPOCH) // _MICROSECOND
