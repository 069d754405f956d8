"""CREATE CACHED TABLE and REFRESH TABLE."""

from __future__ import annotations

from ..errors import FeatureNotSupported
from .cursor import Cursor
from .keywords import QUERY_STARTS
from .options import read_options
from .query import render_query
from .statements import CreateCachedTable, RefreshTable, Statement

__all__ = ["create_cached_table", "refresh_table"]

_NAME = "the cached table's name"


def create_cached_table(cursor: Cursor) -> Statement:
    """After ``CREATE CACHED TABLE``. The options may stand before AS too, as in CREATE TABLE."""
    cursor.grammar = (
        "CREATE CACHED TABLE [IF NOT EXISTS] name AS query "
        "[WITH (refresh = INTERVAL '...' | 'manual', on_change = 'topic')]"
    )
    if_not_exists = cursor.accept("IF", "NOT", "EXISTS")
    name = cursor.name(_NAME)
    position = cursor.position
    options = read_options(cursor) if cursor.accept("WITH") else {}
    cursor.expect("AS")
    if cursor.symbol() != "(" and cursor.keyword() not in QUERY_STARTS:
        raise cursor.error("a query")
    first = cursor.index
    last = len(cursor.tokens) if options else _end_of_query(cursor)
    for token in cursor.tokens[first:last]:
        if token.kind == "parameter":
            raise FeatureNotSupported(
                "the query of a cached table takes no parameters: it is run again later",
                position=token.start,
                hint="write the value into the query",
            )
    query, _ = render_query(cursor, first, last)
    start, end = cursor.tokens[first].start, cursor.tokens[last - 1].end
    if last < len(cursor.tokens):
        cursor.index = last
        position = cursor.position
        cursor.expect("WITH")
        options = read_options(cursor)
        cursor.finish()
    text = cursor.rewriting.source[start:end]
    return CreateCachedTable(name, if_not_exists, text, start, query.words, options, position)


def _end_of_query(cursor: Cursor) -> int:
    """Where ``WITH (...)`` begins that ends the statement; a WITH that begins a query has a name behind it."""
    tokens, depth = cursor.tokens, 0
    if tokens[-1].text != ")":
        return len(tokens)
    for index in range(len(tokens) - 1, cursor.index, -1):
        token = tokens[index]
        if token.kind != "operator" or token.text not in "()":
            continue
        depth += 1 if token.text == ")" else -1
        if not depth:
            is_options = index - 1 > cursor.index and tokens[index - 1].keyword == "WITH"
            return index - 1 if is_options else len(tokens)
    return len(tokens)


def refresh_table(cursor: Cursor) -> Statement:
    """After ``REFRESH TABLE``."""
    cursor.grammar = "REFRESH TABLE name"
    name = cursor.name(_NAME)
    cursor.finish()
    return RefreshTable(name)
