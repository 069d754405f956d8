"""DELETE."""

from __future__ import annotations

from .clauses import read_alias, read_condition, read_relations, read_returning
from .cursor import Cursor
from .query import read_change
from .statements import Delete, Statement

__all__ = ["read_delete"]


def read_delete(cursor: Cursor) -> Statement:
    """``DELETE [FROM] name [[AS] alias] [USING ...] [WHERE ...] [RETURNING ...]``."""
    cursor.grammar = "DELETE FROM name [[AS] alias] [USING relations] [WHERE condition] [RETURNING columns]"
    body = read_change(cursor)
    cursor.expect("DELETE")
    cursor.accept("FROM")
    target = cursor.name("the target's name")
    alias = read_alias(cursor)
    source = read_relations(cursor) if cursor.accept("USING") else None
    condition = read_condition(cursor, "WHERE")
    before = "" if condition else "WHERE, " if source else "USING, WHERE, "
    return Delete(target, alias, source, condition, read_returning(cursor, before), body)
