"""CALL: procedures of the engine; KILL, which ends a statement."""

from __future__ import annotations

from .brackets import read_items
from .cursor import Cursor
from .statements import Call, Kill, Statement

__all__ = ["read_call", "read_kill"]


def read_call(cursor: Cursor) -> Statement:
    """``CALL jammi.procedure([argument, ...])``; which procedures there are is the engine's business."""
    cursor.grammar = "CALL jammi.compact('topic')"
    cursor.expect("CALL")
    procedure = cursor.name("the procedure's name")
    if cursor.symbol() == "(" and cursor.symbol(1) == ")":
        cursor.index += 2
        cursor.finish()
        return Call(procedure, ())
    items = read_items(cursor, "an argument")
    cursor.finish()
    return Call(procedure, tuple(cursor.rewriting.fragment(item[0].start, item[-1].end) for item in items))


def read_kill(cursor: Cursor) -> Statement:
    """``KILL 'query id'``."""
    cursor.grammar = "KILL 'query id'"
    cursor.expect("KILL")
    return Kill(cursor.rest("the query's id as '...'"))
