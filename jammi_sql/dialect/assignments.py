"""The list after SET: ``column = value, (a, b) = (1, 2), ...``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..errors import FeatureNotSupported, StatementSyntaxError, UndefinedColumn
from .brackets import opens_query, read_items
from .clauses import read_value
from .cursor import Cursor
from .names import read_names, refuse_twice
from .statements import Assignment, Fragment, Name
from .tokens import Token

__all__ = ["read_assignments", "read_values"]

_VALUE = "a value"


def read_assignments(cursor: Cursor, target: Name, alias: str | None) -> tuple[Assignment, ...]:
    """The assignments after SET, at least one; a column may have the table's name or ``alias`` before it.

    Raises ``ProgrammingError`` (42701) for a column that is set twice, ``UndefinedColumn`` (42703) for one of another
    table, and ``FeatureNotSupported`` (0A000) for columns that take the row of a sub-query.
    """
    assignments: list[Assignment] = []
    while True:
        if cursor.symbol() == "(":
            assignments.extend(_several(cursor))
        else:
            assignments.append(_single(cursor, target, alias))
        if not cursor.accept_symbol(","):
            break
    refuse_twice([each.column for each in assignments], [each.position for each in assignments])
    return tuple(assignments)


def read_values(cursor: Cursor) -> tuple[Fragment | None, ...]:
    """``(value, ...)``, ``None`` for the word DEFAULT."""
    return tuple(_value(cursor, item) for item in read_items(cursor, _VALUE))


def _single(cursor: Cursor, target: Name, alias: str | None) -> Assignment:
    name = cursor.name("a column's name")
    qualifier = name.parts[:-1]
    known = target.parts[-len(qualifier) :] if alias is None else (alias,)
    if qualifier and qualifier != known:
        raise UndefinedColumn(
            f"{'.'.join(name.parts)} is no column of {alias or '.'.join(target.parts)}",
            position=name.position,
            hint="set columns of the table that is changed, each by its name",
        )
    cursor.expect_symbol("=")
    return Assignment(name.parts[-1], read_value(cursor), name.position)


def _several(cursor: Cursor) -> Iterator[Assignment]:
    """``(a, b) = (1, 2)`` or ``(a, b) = ROW(1, 2)``."""
    columns, positions = read_names(cursor)
    cursor.expect_symbol("=")
    if cursor.keyword() == "ROW" and cursor.symbol(1) == "(":
        cursor.index += 1
    position = cursor.position
    if opens_query(cursor):
        raise FeatureNotSupported(
            "several columns cannot be set to the row of a sub-query",
            position=position,
            hint="give each column a sub-query of its own, or take the values from FROM",
        )
    values = read_values(cursor)
    if len(values) != len(columns):
        raise StatementSyntaxError(
            f"{len(columns)} columns, but {len(values)} values",
            position=position,
            hint="write one value for each column",
        )
    return map(Assignment, columns, values, positions)


def _value(cursor: Cursor, tokens: Sequence[Token]) -> Fragment | None:
    if len(tokens) == 1 and tokens[0].keyword == "DEFAULT":
        return None
    return cursor.rewriting.fragment(tokens[0].start, tokens[-1].end)
