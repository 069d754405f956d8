"""Rows that a person types for ``COPY ... FROM stdin``."""

from __future__ import annotations

import io
import sys
from typing import BinaryIO, Protocol

from ..dialect import Parsed, statements
from .narration import say

__all__ = ["Rows", "reads_rows", "rows_given", "rows_typed"]

_END = b"\\."


class Rows(Protocol):
    """What COPY ... FROM stdin reads."""

    def read(self, size: int = -1, /) -> bytes:
        """Some bytes, at most ``size``; none at the end."""
        ...


def reads_rows(parsed: Parsed) -> bool:
    """Whether the statement reads standard input."""
    return isinstance(parsed.statement, statements.CopyFrom) and parsed.statement.source is None


def rows_given(stdin: BinaryIO) -> Rows:
    """Standard input of a script; a person at a terminal is told that rows are wanted, and ends them with one Ctrl-D."""
    return _Given(stdin)


class _Given:
    def __init__(self, stdin: BinaryIO) -> None:
        self._stdin = stdin
        self._told = not stdin.isatty()

    def read(self, size: int = -1, /) -> bytes:
        if not self._told:
            self._told = True
            say("type or paste the rows; Ctrl-D at the start of a line ends them")
        # A plain read asks again after the end, so that it takes a second Ctrl-D.
        return self._stdin.read1(size) if isinstance(self._stdin, io.BufferedReader) else self._stdin.read(size)


def rows_typed() -> Rows:
    """The lines that are typed now, up to Ctrl-D or ``\\.``, all of them; Ctrl-C is ``KeyboardInterrupt``.

    On the main thread, and before the statement begins: a thread that waits at the terminal cannot be called off, and
    would take what is typed at the next prompt.
    """
    say("type or paste the rows; \\. on a line of its own, or Ctrl-D, ends them")
    lines: list[bytes] = []
    while (line := sys.stdin.buffer.readline()) and line.rstrip() != _END:
        lines.append(line)
    return io.BytesIO(b"".join(lines))
