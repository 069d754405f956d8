"""COPY."""

from __future__ import annotations

from .cursor import Cursor
from .names import read_names
from .options import read_word_options
from .statements import CopyFrom, Fragment, Statement

__all__ = ["read_copy"]


def read_copy(cursor: Cursor) -> Statement | None:
    """``COPY name [(columns)] FROM 'file' | stdin [(option value, ...)]``; ``None`` for COPY ... TO, DataFusion's."""
    if not _is_from(cursor):
        return None
    cursor.grammar = (
        "COPY name [(columns)] FROM 'file' | stdin (FORMAT csv | json | arrow | parquet [, option value ...])"
    )
    cursor.expect("COPY")
    target = cursor.name("the name of a topic or table")
    columns, positions = read_names(cursor) if cursor.symbol() == "(" else (None, ())
    cursor.expect("FROM")
    position = cursor.position
    source = _source(cursor)
    cursor.accept("WITH")
    options = read_word_options(cursor, bare=True) if cursor.symbol() == "(" else {}
    cursor.finish()
    return CopyFrom(target, columns, positions, source, position, options)


def _is_from(cursor: Cursor) -> bool:
    """Whether the first of the words TO and FROM outside of brackets is FROM."""
    depth = 0
    for token in cursor.tokens[1:]:
        if token.kind == "operator" and token.text in "()":
            depth += 1 if token.text == "(" else -1
        elif not depth and token.keyword in {"TO", "FROM"}:
            return token.keyword == "FROM"
    return False


def _source(cursor: Cursor) -> Fragment | None:
    if cursor.accept("STDIN"):
        return None
    token = cursor.peek()
    if token is None or token.kind not in {"string", "parameter"}:
        raise cursor.error("a file as '...', or stdin")
    cursor.index += 1
    return cursor.rewriting.fragment(token.start, token.end)
