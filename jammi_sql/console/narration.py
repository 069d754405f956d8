"""What is said to the person, beside the data."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap

from .escapes import harmless

__all__ = ["folded", "room", "say"]


def say(text: str) -> None:
    """A line for the person, not for the pipe. What it quotes, such as values in an error, does nothing to a terminal."""
    print(harmless(text), file=sys.stderr, flush=True)


def room() -> int | None:
    """The columns of the terminal that standard error is; ``None`` where it is none."""
    if not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        return None
    return max(shutil.get_terminal_size().columns, 20)


def folded(text: str, width: int | None, indent: int = 0) -> str:
    """The lines of a text broken at spaces, to fit. What goes on of an indented line is indented by ``indent`` more."""
    if width is None:
        return text
    lines: list[str] = []
    for line in text.split("\n"):
        margin = " " * (len(line) - len(line.lstrip()) + indent) if line[:1] == " " else ""
        lines += textwrap.wrap(
            line, width, subsequent_indent=margin[: width // 2], break_on_hyphens=False, drop_whitespace=True
        ) or [""]
    return "\n".join(lines)
