"""Statements that are not built yet."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Unsupported"]


@dataclass(frozen=True, slots=True)
class Unsupported:
    """A statement of the language that is not built yet; ``what`` names it, ``hint`` says what to do instead."""

    what: str
    hint: str
    position: int
