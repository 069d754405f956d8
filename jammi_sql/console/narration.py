"""What is said to the person, beside the data."""

from __future__ import annotations

import sys

__all__ = ["say"]


def say(text: str) -> None:
    """A line for the person, not for the pipe."""
    print(text, file=sys.stderr, flush=True)
