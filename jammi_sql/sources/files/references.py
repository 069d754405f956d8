"""Credentials that an attachment names and does not hold."""

from __future__ import annotations

from ..credentials import resolved
from ..definition import SourceDefinition

__all__ = ["follow"]


def follow(name: str, reference: str | None) -> str | None:
    """What ``env:NAME`` or ``file:path`` leads to; ``OperationalError`` (28000), without the value, where that is nothing."""
    if reference is None:
        return None
    return resolved(SourceDefinition("files", "files", "", {name: reference}))[name]
