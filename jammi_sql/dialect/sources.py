"""ATTACH, DETACH and REFRESH: databases and files that others keep."""

from __future__ import annotations

from .cached import refresh_table
from .cursor import Cursor
from .options import read_word_options
from .statements import Attach, Detach, Fragment, RefreshSource, Statement

__all__ = ["read_attach", "read_detach", "read_refresh"]

_NAME = "the name of the source"


def read_attach(cursor: Cursor) -> Statement:
    """``ATTACH [IF NOT EXISTS] 'uri' AS name [(TYPE type, option value, ...)]``."""
    cursor.grammar = "ATTACH [IF NOT EXISTS] 'uri' AS name [(TYPE type, option value, ...)]"
    cursor.expect("ATTACH")
    if_not_exists = cursor.accept("IF", "NOT", "EXISTS")
    position = cursor.position
    uri = _uri(cursor)
    cursor.expect("AS")
    name_position = cursor.position
    name = cursor.identifier(_NAME)
    options = read_word_options(cursor) if cursor.symbol() == "(" else {}
    cursor.finish()
    kind = options.pop("type", None)
    return Attach(uri, name, name_position, if_not_exists, kind, options, position)


def _uri(cursor: Cursor) -> Fragment:
    token = cursor.peek()
    if token is None or token.kind not in {"string", "parameter"}:
        raise cursor.error("the address as '...' or a parameter")
    cursor.index += 1
    return cursor.rewriting.fragment(token.start, token.end)


def read_detach(cursor: Cursor) -> Statement:
    """``DETACH [IF EXISTS] name``."""
    cursor.grammar = "DETACH [IF EXISTS] name"
    cursor.expect("DETACH")
    if_exists = cursor.accept("IF", "EXISTS")
    position = cursor.position
    name = cursor.identifier(_NAME)
    cursor.finish()
    return Detach(name, if_exists, position)


def read_refresh(cursor: Cursor) -> Statement:
    """``REFRESH SOURCE name`` and ``REFRESH TABLE name``."""
    cursor.grammar = "REFRESH SOURCE name or REFRESH TABLE name"
    cursor.expect("REFRESH")
    kind = cursor.accept_any("SOURCE", "TABLE")
    if not kind:
        raise cursor.error("SOURCE or TABLE")
    if kind == "TABLE":
        return refresh_table(cursor)
    position = cursor.position
    name = cursor.identifier(_NAME)
    cursor.finish()
    return RefreshSource(name, position)
