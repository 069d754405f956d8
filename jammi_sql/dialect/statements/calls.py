"""What the engine is told to do: a procedure, or to end a query."""

from __future__ import annotations

from dataclasses import dataclass

from .fragment import Fragment, Name

__all__ = ["Call", "Kill"]


@dataclass(frozen=True, slots=True)
class Call:
    """``CALL procedure(arguments)``."""

    procedure: Name
    arguments: tuple[Fragment, ...]


@dataclass(frozen=True, slots=True)
class Kill:
    """``KILL 'query id'``; ``query`` is an expression."""

    query: Fragment
