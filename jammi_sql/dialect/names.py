"""Lists of column names in parentheses."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import ProgrammingError
from .cursor import Cursor

__all__ = ["column_twice", "read_names", "refuse_twice"]


def read_names(cursor: Cursor, what: str = "a column's name") -> tuple[tuple[str, ...], tuple[int, ...]]:
    """``(a, b, ...)`` as names and their places. Raises ``ProgrammingError`` (42701) for a name that comes twice."""
    names: list[str] = []
    positions: list[int] = []
    cursor.expect_symbol("(")
    while True:
        positions.append(cursor.position)
        names.append(cursor.identifier(what))
        if not cursor.accept_symbol(","):
            break
    if cursor.symbol() != ")":
        raise cursor.error("a comma or )")
    cursor.expect_symbol(")")
    refuse_twice(names, positions)
    return tuple(names), tuple(positions)


def refuse_twice(names: Sequence[str], positions: Sequence[int]) -> None:
    """Raise ``ProgrammingError`` (42701), with the second place, for a name that comes twice."""
    seen: set[str] = set()
    for name, position in zip(names, positions, strict=True):
        if name in seen:
            raise column_twice(name, position)
        seen.add(name)


def column_twice(name: str, position: int) -> ProgrammingError:
    """The error for a column that is named twice where once is enough."""
    return ProgrammingError(
        f"the column {name} is there twice", sqlstate="42701", position=position, hint="name each column once"
    )
