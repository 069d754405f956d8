"""Scripts run statement by statement, their results written as they come."""

from __future__ import annotations

import sys
import time
from typing import BinaryIO

import pyarrow as pa

from ..ctrl_c import CtrlCHeld
from ..dbapi import Connection, Cursor
from ..dialect import Parsed, parse
from ..errors import Error
from .complaint import complaint
from .formats import Format
from .narration import say
from .progress import ProgressLine
from .script import Script
from .typed_rows import reads_rows, rows_given

__all__ = ["Runner"]

_PATIENCE = 0.2  # seconds that the first rows of a table wait for more, to share their column widths


class Runner:
    """Runs scripts on a connection; results go to ``output``, everything else to standard error."""

    def __init__(
        self, connection: Connection, output: Format, stdin: BinaryIO | None = None, *, to_file: bool = False
    ) -> None:
        """``stdin`` is what COPY ... FROM stdin reads; ``None`` where the statements themselves come from there.

        ``to_file``: ``output`` is no terminal, whatever standard output is.
        """
        self._connection = connection
        self._stdin = None if stdin is None else rows_given(stdin)
        self.to_file = to_file
        self.output = output

    @property
    def on_terminal(self) -> bool:
        """Whether results are written to a terminal."""
        return not self.to_file and sys.stdout.isatty()

    def run(self, script: Script) -> bool:
        """Run a script up to its first error, which is shown; ``False`` when there was one.

        A script with a syntax error anywhere is not begun. ``KeyboardInterrupt`` ends the running statement first.
        """
        try:
            statements = parse(script.text)
        except Error as error:
            say(complaint(error, script.text, script.text, 0, script.name))
            return False
        for statement in statements:
            try:
                self._run_one(statement)
            except pa.ArrowException as error:
                say(f"error 0A000: the result cannot be written: {error}")
                return False
            except Error as error:
                say(complaint(error, statement.text, script.text, statement.position, script.name))
                return False
        return True

    def _run_one(self, parsed: Parsed) -> None:
        with ProgressLine(self._connection.progress) as progress:
            if reads_rows(parsed):
                progress.stop()  # somebody may be typing them
            with self._connection.execute(parsed.text, stdin=self._stdin) as cursor:
                if cursor.schema is not None:
                    self._write(cursor, cursor.schema, progress)
                elif cursor.rowcount >= 0:
                    progress.stop()
                    say(f"{cursor.rowcount} row{'' if cursor.rowcount == 1 else 's'}")

    def _write(self, cursor: Cursor, schema: pa.Schema, progress: ProgressLine) -> None:
        mixed = self.on_terminal  # a line that is written over would take rows with it
        if not cursor.bounded or (mixed and not self.output.first_rows):
            progress.stop()
        with CtrlCHeld() as ctrl_c:
            self.output.begin(schema)
            try:
                first = self.output.first_rows
                batch = ctrl_c.wait(lambda: _at_hand(cursor, first) if first else cursor.next_batch())
                while batch is not None:
                    progress.rows += batch.num_rows
                    if mixed:
                        progress.stop()
                    self.output.write(batch)
                    batch = ctrl_c.wait(cursor.next_batch)
            finally:
                if mixed:
                    progress.stop()
                self.output.end()


def _at_hand(cursor: Cursor, rows: int) -> pa.RecordBatch | None:
    """The first batch, together with those that come right after it; about ``rows`` rows at most."""
    batch = cursor.next_batch()
    if batch is None:
        return None
    batches = [batch]
    end = time.monotonic() + _PATIENCE
    try:
        while sum(batch.num_rows for batch in batches) < rows:
            batch = cursor.next_batch(max(end - time.monotonic(), 0))
            if batch is None:
                break
            batches.append(batch)
    except TimeoutError:
        pass
    return pa.Table.from_batches(batches).combine_chunks().to_batches()[0]
