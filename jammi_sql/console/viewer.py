"""Statements run for a person at a terminal: results that can be read, progress, live results with a footer."""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import chain
from typing import BinaryIO

import pyarrow as pa

from ..ctrl_c import CtrlCHeld
from ..dbapi import Connection, Cursor
from ..dbapi.values import rows
from ..dialect import Parsed
from . import pager, terminal
from .formats import FORMATS, on_terminal
from .interrupting import Statements
from .layout import Layout, Row, rows_of
from .live import LiveView
from .narration import say
from .progress import ProgressLine
from .runner import Runner
from .text import cell
from .typed_rows import reads_rows, rows_typed

__all__ = ["Viewer"]

ROWS_SHOWN = 1_000
"""Rows of a result that are shown, unless the user says otherwise."""

_PLAN_COLUMNS = ["plan_type", "plan"]
_ROWS_KEPT = 100_000  # of the last result, for charts, and to find out how many there are
_BYTES_KEPT = 64 << 20
_GLANCE = 0.25  # seconds between looks whether the pager is still there
_COUNTING = 2.0  # seconds that the rows which are not shown are counted


class Viewer(Runner):
    """A runner for a person.

    ``timing``, ``paged`` and ``limit`` (rows shown, ``None``: all) are the person's to set. ``last`` is the last
    result as far as it was kept, ``None`` before the first.
    """

    def __init__(self, connection: Connection, out: BinaryIO, form: str = "table", *, to_file: bool = False) -> None:
        """Results go to ``out`` in the format ``form``; ``to_file``: it is no terminal, whatever standard output is."""
        super().__init__(connection, FORMATS[form](out), to_file=to_file)
        self._out = out
        self.write_as(form)
        self.statements = Statements(connection)
        self.timing = False
        self.paged = True
        self.limit: int | None = ROWS_SHOWN
        self.last: pa.Table | None = None
        self.statement = ""  # the last one that was run, for \watch
        self._opened: BinaryIO | None = None

    @property
    def connection(self) -> Connection:
        """Where statements are run."""
        return self._connection

    @property
    def format_name(self) -> str:
        """One of ``FORMATS``."""
        return self._format

    def write_as(self, name: str) -> None:
        """Write results in a format of ``FORMATS`` from now on."""
        self._format = name
        self.output = on_terminal(name, self._out) if self.on_terminal else FORMATS[name](self._out)

    def write_to(self, path: str | None) -> None:
        """Write results to a file from now on, or to standard output again. ``OSError`` when it cannot be opened."""
        opened = None if path is None else open(path, "wb")  # noqa: SIM115 - closed by the next call, or at the end
        if self._opened is not None:
            self._opened.close()
        self._opened = opened
        self._out = sys.stdout.buffer if opened is None else opened
        self.to_file = opened is not None
        self.write_as(self._format)

    def close(self) -> None:
        """Close the file that results were written to."""
        if self._opened is not None:
            self._opened.close()
            self._opened = None

    def drop_file(self) -> None:
        """Write results to standard output again, whatever becomes of the file."""
        opened, self._opened = self._opened, None
        self.write_to(None)
        if opened is not None:
            with suppress(OSError):  # what it still holds has no place, as was said
                opened.close()

    @property
    def _on_screen(self) -> bool:
        return self._format == "table" and self.on_terminal

    @contextmanager
    def unpaged(self) -> Iterator[None]:
        """Without a pager for a while: nobody could leave it."""
        before, self.paged = self.paged, False
        try:
            yield
        finally:
            self.paged = before

    def _run_one(self, parsed: Parsed) -> None:
        self.statement = parsed.text
        typed = rows_typed() if reads_rows(parsed) else None
        with ProgressLine(self._connection.progress) as progress:
            with self.statements.execute(parsed.text, typed) as cursor:
                if cursor.schema is None:
                    progress.stop()
                    if cursor.rowcount >= 0:
                        say(f"{cursor.rowcount:,} row{'' if cursor.rowcount == 1 else 's'}")
                elif not cursor.bounded:
                    progress.stop()
                    self._follow(cursor, cursor.schema)
                elif self._on_screen:
                    self._show(cursor, cursor.schema, progress)
                else:
                    self._stream(cursor, cursor.schema, progress)
        if self.timing:
            say(f"time: {(time.monotonic() - progress.started) * 1000:,.1f} ms")

    def _follow(self, cursor: Cursor, schema: pa.Schema) -> None:
        if not self._on_screen:
            self._stream(cursor, schema, None)
            return
        kept: deque[pa.RecordBatch] = deque(maxlen=1_000)
        try:
            LiveView(self._connection, schema).follow(cursor, kept.append)
        finally:
            self.last = pa.Table.from_batches(kept, schema=schema)

    def _stream(self, cursor: Cursor, schema: pa.Schema, progress: ProgressLine | None) -> None:
        """Write a result as a script would, and keep its beginning."""
        kept = _Kept(schema)
        if progress is not None and self.on_terminal:
            progress.stop()
        with CtrlCHeld() as ctrl_c:
            self.output.begin(schema)
            try:
                while (batch := ctrl_c.wait(cursor.next_batch)) is not None:
                    if progress is not None:
                        progress.rows += batch.num_rows
                    kept.add(batch)
                    self.output.write(batch)
            finally:
                self.output.end()
                self.last = kept.table()

    def _show(self, cursor: Cursor, schema: pa.Schema, progress: ProgressLine) -> None:
        kept = _Kept(schema)
        limit, whole, counting = self.limit, False, None
        while True:
            batch = _next(cursor, counting)
            if batch is None:
                whole = counting is None or time.monotonic() < counting
                break
            kept.add(batch)
            progress.rows = kept.rows
            if kept.full and (limit is None or kept.rows < limit):
                progress.stop()
                self.last = kept.table()
                self._show_on(cursor, schema, kept.batches)
                return
            if limit is not None and kept.rows >= limit:
                counting = counting or time.monotonic() + _COUNTING
                if kept.rows >= _ROWS_KEPT or time.monotonic() >= counting:
                    break
        progress.stop()
        self.last = kept.table()
        if schema.names == _PLAN_COLUMNS:
            self._print_plans(kept.batches)
            return
        shown = [row for batch in self._first(kept.batches) for row in rows_of(batch)]
        self._print(schema, shown, _count(len(shown), kept.rows, whole=whole))

    def _show_on(self, cursor: Cursor, schema: pa.Schema, begun: list[pa.RecordBatch]) -> None:
        """Show more than is kept, the rest as it comes: columns are as wide as what is kept needs them."""
        first = [row for batch in begun for row in rows_of(batch)]
        paged = self.pages(len(first))
        if paged:
            layout = Layout.of(schema, first, None, colour=terminal.colours() and pager.takes_colours())
        else:
            layout = Layout.of(schema, first, terminal.width(), colour=terminal.colours())
        count = ""

        def lines() -> Iterator[str | None]:
            nonlocal count
            yield from layout.header()
            shown = rows = 0
            for batch in chain(begun, _coming(cursor)):
                if batch is None:
                    yield None
                    continue
                rows += batch.num_rows
                for part in self._first([batch], shown):
                    yield from layout.lines(rows_of(part), shown + 1)
                    shown += part.num_rows
                if rows > shown:
                    break
            count = _count(shown, rows, whole=rows == shown)

        def lines_and_count() -> Iterator[str | None]:
            yield from lines()
            yield count

        if paged:
            pager.page(lines_and_count())
            return
        for line in lines():
            if line is not None:
                sys.stdout.write(line + "\n")
        sys.stdout.flush()
        say(count)

    def _first(self, batches: list[pa.RecordBatch], before: int = 0) -> Iterator[pa.RecordBatch]:
        """As much of the batches as is to be shown; ``before`` rows were."""
        left = None if self.limit is None else self.limit - before
        for batch in batches:
            if left is None:
                yield batch
            elif left > 0:
                yield batch.slice(0, left)
                left -= batch.num_rows

    def pages(self, lines: int) -> bool:
        """Whether so many lines are to go through the pager."""
        return self.paged and sys.stdout.isatty() and lines > terminal.room() and bool(pager.command())

    def _print(self, schema: pa.Schema, shown: list[Row], count: str) -> None:
        layout = Layout.of(schema, shown, terminal.width(), colour=terminal.colours())
        lines = [*layout.header(), *layout.lines(shown)]
        if self.pages(len(lines) + 2):
            wide = Layout.of(schema, shown, None, colour=terminal.colours() and pager.takes_colours())
            pager.page([*wide.header(), *wide.lines(shown), count])
            return
        sys.stdout.write("".join(line + "\n" for line in lines))
        sys.stdout.flush()
        say(count)

    def _print_plans(self, batches: list[pa.RecordBatch]) -> None:
        """What EXPLAIN gives: texts of many lines, which a table would show as one."""
        lines: list[str] = []
        for kind, text in (row for batch in batches for row in rows(batch)):
            lines += [f"-- {cell(kind)} --", *map(cell, str(text).rstrip("\n").split("\n"))]
        if self.pages(len(lines) + 1):
            pager.page(lines)
            return
        sys.stdout.write("".join(line + "\n" for line in lines))
        sys.stdout.flush()


class _Kept:
    """The beginning of a result; the rows of the rest are counted."""

    def __init__(self, schema: pa.Schema) -> None:
        self._schema = schema
        self._bytes = 0
        self.batches: list[pa.RecordBatch] = []
        self.rows = 0

    def add(self, batch: pa.RecordBatch) -> None:
        if not self.full:
            self._bytes += batch.nbytes
            self.batches.append(batch)
        self.rows += batch.num_rows

    @property
    def full(self) -> bool:
        """Whether what comes now is not kept."""
        return self._bytes >= _BYTES_KEPT or self.rows >= _ROWS_KEPT

    def table(self) -> pa.Table:
        return pa.Table.from_batches(self.batches, schema=self._schema)


def _next(cursor: Cursor, until: float | None) -> pa.RecordBatch | None:
    """The next batch, or ``None`` at the end, and when the time is over."""
    if until is None:
        return cursor.next_batch()
    try:
        return cursor.next_batch(max(until - time.monotonic(), 0))
    except TimeoutError:
        return None


def _coming(cursor: Cursor) -> Iterator[pa.RecordBatch | None]:
    """The batches that are left; ``None`` now and then while none comes."""
    while True:
        try:
            batch = cursor.next_batch(_GLANCE)
        except TimeoutError:
            yield None
            continue
        if batch is None:
            return
        yield batch


def _count(shown: int, rows: int, *, whole: bool) -> str:
    if whole and shown == rows:
        return f"({rows:,} row{'' if rows == 1 else 's'})"
    if whole:
        return f"({shown:,} of {rows:,} rows shown; \\limit shows more)"
    return f"(the first {shown:,} rows shown, there are more; \\limit shows more)"
