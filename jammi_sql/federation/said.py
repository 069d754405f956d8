"""Parts of a statement for a source, and why something cannot be said there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..sources.relation import RemoteColumn

__all__ = ["NotSaid", "Said"]


class NotSaid(Exception):
    """Something of a query is computed here; the text says why, for EXPLAIN."""


@dataclass(frozen=True, slots=True)
class Said:
    """An expression in the source's dialect, and the type of its value here.

    ``column`` is there for one that is nothing but a column of a table: it may have a form of its own to be read in, and
    may be one that means something else there than here.
    """

    text: str
    type: Any
    """A ``pyarrow.DataType``; the stubs know too little of the attributes of each."""
    column: RemoteColumn | None = None
    constant: bool = False
    """Whether it is nothing but a value: GROUP BY and ORDER BY take a number for a column's place."""
