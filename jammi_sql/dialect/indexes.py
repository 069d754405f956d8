"""CREATE INDEX and DROP INDEX."""

from __future__ import annotations

from ..errors import FeatureNotSupported
from .cursor import Cursor
from .names import refuse_twice
from .statements import CreateIndex, DropIndex, Statement

__all__ = ["create_index", "drop_index"]

_INDEX = "the index's name"
_GRAMMAR = "CREATE [UNIQUE] INDEX [IF NOT EXISTS] name ON table (columns)"


def create_index(cursor: Cursor, *, unique: bool) -> Statement:
    """After ``CREATE [UNIQUE] INDEX``."""
    cursor.grammar = _GRAMMAR
    if_not_exists = cursor.accept("IF", "NOT", "EXISTS")
    name = cursor.name(_INDEX)
    cursor.expect("ON")
    table = cursor.name("the table's name")
    _refuse(cursor, "USING")
    cursor.expect_symbol("(")
    names: list[str] = []
    positions: list[int] = []
    while True:
        positions.append(cursor.position)
        names.append(_column(cursor))
        if not cursor.accept_symbol(","):
            break
    if cursor.symbol() != ")":
        raise cursor.error("a comma or )")
    cursor.expect_symbol(")")
    refuse_twice(names, positions)
    _refuse(cursor, "WHERE", "USING", "INCLUDE", "NULLS", "WITH")
    cursor.finish()
    return CreateIndex(name, table, tuple(names), unique, if_not_exists, positions[0])


def drop_index(cursor: Cursor) -> Statement:
    """After ``DROP INDEX``."""
    cursor.grammar = "DROP INDEX [IF EXISTS] name"
    if_exists = cursor.accept("IF", "EXISTS")
    name = cursor.name(_INDEX)
    cursor.finish()
    return DropIndex(name, if_exists)


def _column(cursor: Cursor) -> str:
    """``column [ASC]``; ascending is how an index is sorted anyway."""
    token, following = cursor.peek(), cursor.peek(1)
    is_name = token is not None and token.kind in {"word", "quoted"}
    is_alone = following is None or following.kind == "word" or following.text in {",", ")"}
    if token is not None and token.text not in {",", ")"} and not (is_name and is_alone):
        raise _unsupported("expression", cursor.position)
    column = cursor.identifier("a column's name")
    _refuse(cursor, "DESC", "COLLATE", "NULLS")
    cursor.accept("ASC")
    _refuse(cursor, "NULLS")
    return column


def _refuse(cursor: Cursor, *words: str) -> None:
    if cursor.keyword() in words:
        raise _unsupported(cursor.keyword(), cursor.position)


def _unsupported(what: str, position: int) -> FeatureNotSupported:
    return FeatureNotSupported(f"an index takes no {what}", position=position, hint=f"write {_GRAMMAR}")
