"""A live result on the screen: rows scroll as they come, above a footer."""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Callable

import pyarrow as pa

from ..dbapi import Connection, Cursor
from ..errors import Error
from . import terminal
from .layout import Layout, rows_of
from .terminal import StatusLine

__all__ = ["LiveView"]

_TICK = 0.25  # seconds between footers while nothing comes
_WINDOW = 5.0  # seconds over which the rate is taken
_LAG_EVERY = 1.0
_LAG = """
    SELECT max(lag) FROM jammi.system.subscriptions
    WHERE session IN (SELECT id FROM jammi.system.sessions WHERE is_own)
"""  # a server has those of its other clients too


class LiveView:
    """Shows a result that may never end, until it ends or Ctrl-C does it: then ``KeyboardInterrupt`` passes through."""

    def __init__(self, connection: Connection, schema: pa.Schema) -> None:
        self._connection = connection
        self._schema = schema
        self._layout: Layout | None = None
        self._footer = StatusLine()
        self._rows = 0
        self._arrivals: deque[tuple[float, int]] = deque()  # when, and how many rows had come by then
        self._lag: int | None = None
        self._asked = 0.0  # when the lag was asked for

    def follow(self, cursor: Cursor, keep: Callable[[pa.RecordBatch], object]) -> None:
        """Read to the end; every batch is handed to ``keep``."""
        try:
            while True:
                self._tell()
                try:
                    batch = cursor.next_batch(_TICK)
                except TimeoutError:
                    continue
                if batch is None:
                    return
                if batch.num_rows:
                    keep(batch)
                    self._show(batch)
        finally:
            self._footer.clear()

    def _show(self, batch: pa.RecordBatch) -> None:
        rows = rows_of(batch)
        lines: list[str] = []
        if self._layout is None:
            self._layout = Layout.of(self._schema, rows, terminal.width(), colour=terminal.colours())
            lines += self._layout.header()
        lines += self._layout.lines(rows, self._rows + 1)
        self._footer.clear()
        sys.stdout.write("".join(line + "\n" for line in lines))
        sys.stdout.flush()
        self._rows += len(rows)

    def _tell(self) -> None:
        now = time.monotonic()
        if now - self._asked >= _LAG_EVERY:
            self._lag, self._asked = self.behind(), now
        self._arrivals.append((now, self._rows))
        while now - self._arrivals[0][0] > _WINDOW:
            self._arrivals.popleft()
        since, before = self._arrivals[0]
        rate = (self._rows - before) / max(now - since, 1.0)
        lag = "" if self._lag is None else f", lag {self._lag:,} batch{'' if self._lag == 1 else 'es'}"
        self._footer.show(
            f"{self._rows:,} event{'' if self._rows == 1 else 's'}, {rate:,.0f} rows/s{lag}; Ctrl-C stops"
        )

    def behind(self) -> int | None:
        """Batches that were published and not delivered yet to this session, where it can tell."""
        try:
            with self._connection.execute(_LAG) as cursor:
                found = cursor.fetchone()
        except Error:
            return None  # a footer without a lag is better than none: a transaction that failed answers no queries
        return None if found is None else found[0]
