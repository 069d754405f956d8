"""A line for each call that is over, written by a thread: thousands that end at once would hold up the event loop."""

from __future__ import annotations

import asyncio
import logging
import time
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from ..dialect.fingerprint import fingerprint
from ..logs import gathered
from .identity import Identity

if TYPE_CHECKING:
    from .calls import Call

__all__ = ["AccessLog"]

_logger = logging.getLogger("jammi_sql.flight.access")
_LATER: Final = 0.25  # seconds in which lines are gathered
_KNOWN: Final = 256
_SHORT: Final = 2_000  # characters of a statement whose fingerprint is remembered
_remembered = lru_cache(_KNOWN)(fingerprint)


class _Line(NamedTuple):
    at: float
    method: str
    status: str
    seconds: float
    identity: Identity | None
    text: str | None
    rows: int


class AccessLog:
    """Belongs to an event loop, which hands it the calls that are over."""

    def __init__(self) -> None:
        self._lines: list[_Line] = []
        self._writing: asyncio.Future[None] | None = None

    def add(self, method: str, status: str, seconds: float, call: Call | None) -> None:
        """A call is over; ``call`` is ``None`` for one that was not let in."""
        if not _logger.isEnabledFor(logging.INFO):
            return
        who = (None, None, 0) if call is None else (call.identity, call.text, call.rows)
        self._lines.append(_Line(time.time(), method, status, seconds, *who))
        if self._writing is None:
            self._writing = asyncio.ensure_future(self._write_later())

    async def _write_later(self) -> None:
        await asyncio.sleep(_LATER)
        while self._lines:
            lines, self._lines = self._lines, []
            await asyncio.to_thread(_write, lines)
        self._writing = None

    async def close(self) -> None:
        """Write what is left."""
        if self._writing is not None:
            await self._writing


def _write(lines: list[_Line]) -> None:
    with gathered():
        for line in lines:
            fields = _fields(line)
            text = f"{line.method} {' '.join(f'{name}={value}' for name, value in fields.items())}"
            record = logging.LogRecord(_logger.name, logging.INFO, __file__, 0, text, None, None, "call")
            record.created = line.at
            record.msecs = line.at % 1 * 1000
            vars(record).update(fields, method=line.method)
            _logger.handle(record)


def _fields(line: _Line) -> dict[str, Any]:
    fields: dict[str, Any] = {"status": line.status, "milliseconds": round(line.seconds * 1000, 3)}
    if line.identity is not None:
        fields["identity"] = line.identity.name
        if line.identity.tenant is not None:
            fields["tenant"] = str(line.identity.tenant)
    if line.text is not None:
        known = _remembered if len(line.text) <= _SHORT else fingerprint
        fields["statement"], fields["fingerprint"] = known(line.text)
    if line.rows:
        fields["rows"] = line.rows
    return fields
