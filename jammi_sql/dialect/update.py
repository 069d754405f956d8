"""UPDATE."""

from __future__ import annotations

from .assignments import read_assignments
from .clauses import read_alias, read_condition, read_relations, read_returning
from .cursor import Cursor
from .query import read_change
from .statements import Statement, Update

__all__ = ["read_update"]


def read_update(cursor: Cursor) -> Statement:
    """``UPDATE name [[AS] alias] SET column = value, ... [FROM ...] [WHERE ...] [RETURNING ...]``."""
    cursor.grammar = (
        "UPDATE name [[AS] alias] SET column = value | DEFAULT, ... [FROM relations] [WHERE condition] "
        "[RETURNING columns]"
    )
    body = read_change(cursor)
    cursor.expect("UPDATE")
    target = cursor.name("the target's name")
    alias = read_alias(cursor)
    cursor.expect("SET")
    assignments = read_assignments(cursor, target, alias)
    source = read_relations(cursor) if cursor.accept("FROM") else None
    condition = read_condition(cursor, "WHERE")
    before = "" if condition else "WHERE, " if source else "a comma, FROM, WHERE, "
    returning = read_returning(cursor, before)
    return Update(target, alias, assignments, source, condition, returning, body)
