"""A line that says how far a statement is."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from ..results import Progress
from .terminal import StatusLine

__all__ = ["ProgressLine"]

_AFTER = 0.5  # seconds; what is quicker needs no words
_EVERY = 0.25


class ProgressLine:
    """Says, from half a second on, for how long a statement has been running, what it read, and the rows it gave so far.

    A context manager. A thread of its own writes the line, because the statement keeps the main one. Nothing at all
    where standard error is no terminal.
    """

    def __init__(self, ask: Callable[[], Progress]) -> None:
        """``ask`` tells how far the statement is, from any thread."""
        self.rows = 0
        self.started = time.monotonic()
        self._ask = ask
        self._line = StatusLine()
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def stop(self) -> None:
        """Take the line away, for good."""
        self._over.set()
        if self._thread is not None:
            self._thread.join()
        self._line.clear()

    def __enter__(self) -> ProgressLine:
        if self._line.on:
            self._thread = threading.Thread(target=self._tell, name="jammi-sql progress", daemon=True)
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _tell(self) -> None:
        wait = _AFTER
        while not self._over.wait(wait):
            wait = _EVERY
            self._line.show(told(time.monotonic() - self.started, self._ask(), self.rows))


def told(seconds: float, progress: Progress, given: int) -> str:
    """The line: ``given`` rows of the result were handed over."""
    parts = [f"running: {seconds:.1f} s"]
    if progress.rows:
        parts.append(f"{progress.rows:,} rows{_size(progress.bytes)} read")
    if progress.most > max(progress.rows, given):
        parts.append(f"{progress.most:,} made of them")
    if given:
        parts.append(f"{given:,} rows so far")
    return ", ".join(parts) + "; Ctrl-C cancels"


def _size(count: int) -> str:
    if not count:
        return ""
    amount, unit = float(count), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if amount < 1024:
            break
        amount, unit = amount / 1024, larger
    return f" ({amount:.0f} {unit})" if amount >= 100 or unit == "B" else f" ({amount:.1f} {unit})"
