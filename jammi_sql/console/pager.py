"""Long results go through the pager of the user's choice."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterable
from types import FrameType

__all__ = ["command", "page", "takes_colours"]

_USUAL = "less -S"  # wide lines are cut, and can be moved along
# -R shows colours, -F leaves at once when all fits, -X leaves the text on the screen; the user's own $LESS comes before.
_LESS = "FRSX"


def command() -> list[str]:
    """``$PAGER``, else ``less -S``; empty where neither is there, or ``$PAGER`` is set to nothing, or to what is no command."""
    chosen = os.environ.get("PAGER")
    try:
        parts = shlex.split(_USUAL if chosen is None else chosen)
    except ValueError:  # a quote is open
        return []
    return parts if parts and shutil.which(parts[0]) else []


def takes_colours() -> bool:
    """Whether the pager is known to show them."""
    parts = command()
    return bool(parts) and os.path.basename(parts[0]) == "less" and "R" in os.environ.get("LESS", _LESS)


def page(lines: Iterable[str | None]) -> None:
    """Show lines through the pager, until the user leaves it; ``None`` among them is a wait, at which that is noticed."""
    sys.stdout.flush()
    # Ctrl-C belongs to the pager. A handler, and not SIG_IGN, which the pager would inherit.
    before = signal.signal(signal.SIGINT, _leave_to_pager)
    try:
        with subprocess.Popen(command(), stdin=subprocess.PIPE, env={"LESS": _LESS, **os.environ}) as pager:
            assert pager.stdin is not None
            try:
                for line in lines:
                    if line is not None:
                        pager.stdin.write(line.encode() + b"\n")
                        continue
                    pager.stdin.flush()
                    if pager.poll() is not None:
                        break
                pager.stdin.close()
            except BrokenPipeError:
                pass  # the user has seen enough
    finally:
        signal.signal(signal.SIGINT, before)


def _leave_to_pager(number: int, frame: FrameType | None) -> None:
    """Nothing."""
