"""The terminal: how large it is, whether it shows colours, and one line of it that changes."""

from __future__ import annotations

import os
import shutil
import sys
import threading
from collections.abc import Callable
from typing import TextIO

from rich.cells import cell_len, set_cell_size

__all__ = ["Progress", "StatusLine", "colours", "room", "width"]

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
        self._on = self._stream.isatty() and os.environ.get("TERM") != "dumb"
        self._shown = False

    def show(self, text: str) -> None:
        """Write the line anew."""
        if self._on:
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


class Progress:
    """Says, from half a second on, how long a statement has been running and how many rows it gave so far.

    A context manager. A thread of its own writes the line, because the statement keeps the main one.
    """

    AFTER = 0.5  # seconds; what is quicker needs no words
    EVERY = 0.25

    def __init__(self, started: float, now: Callable[[], float]) -> None:
        self.rows = 0
        self._started, self._now = started, now
        self._line = StatusLine()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._tell, name="jammi-sql progress", daemon=True)

    def stop(self) -> None:
        """Take the line away, for good."""
        self._over.set()
        self._thread.join()
        self._line.clear()

    def __enter__(self) -> Progress:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _tell(self) -> None:
        wait = self.AFTER
        while not self._over.wait(wait):
            wait = self.EVERY
            rows = f", {self.rows:,} rows so far" if self.rows else ""
            self._line.show(f"running: {self._now() - self._started:.1f} s{rows}; Ctrl-C cancels")
