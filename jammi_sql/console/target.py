"""The argument that says which store is meant."""

from __future__ import annotations

import argparse

__all__ = ["DEFAULT_TARGET", "target"]

DEFAULT_TARGET = "./.jammi"


def target(text: str) -> str:
    """An argument that is a target; ``ArgumentTypeError`` for an empty one, which ``connect`` takes for a store in memory."""
    if not text:
        raise argparse.ArgumentTypeError("it is empty, as a variable of the shell is that was not set")
    return text
