"""SQL to run, and where it came from."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Script"]


@dataclass(frozen=True, slots=True)
class Script:
    """SQL to run; ``name`` is the file it came from, empty for the command line."""

    text: str
    name: str = ""
