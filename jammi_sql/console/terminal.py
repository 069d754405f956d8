"""The terminal: how large it is, whether it shows colours, and one line of it that changes."""

from __future__ import annotations

import os
import shutil
import sys
from typing import TextIO

from rich.cells import cell_len, set_cell_size

__all__ = ["StatusLine", "colours", "room", "width"]

_PROMPT = 10  # lines
_CLEAR = "\r\x1b[K"


def width() -> int:
    """The columns of the terminal."""
    return max(shutil.get_terminal_size().columns, 20)


def room() -> int:
    """The lines of the terminal that stay in sight above the next prompt, which keeps some for its suggestions."""
    return max(shutil.get_terminal_size().lines - _PROMPT, 10)


def colours() -> bool:
    """Whether standard output is a terminal that shows colours, and nobody said no (no-color.org)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


class StatusLine:
    """A line at the bottom that is written over; nothing where standard error is no terminal.

    Whoever writes elsewhere on the terminal calls ``clear`` before.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = sys.stderr if stream is None else stream
        self.on = self._stream.isatty() and os.environ.get("TERM") != "dumb"
        """Whether anybody sees it."""
        self._shown = False

    def show(self, text: str) -> None:
        """Write the line anew."""
        if self.on:
            room = width() - 1
            self._stream.write(_CLEAR + (text if cell_len(text) <= room else set_cell_size(text, room)))
            self._stream.flush()
            self._shown = True

    def clear(self) -> None:
        """Take the line away."""
        if self._shown:
            self._stream.write(_CLEAR)
            self._stream.flush()
            self._shown = False
