"""INSERT."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from ..errors import FeatureNotSupported
from .brackets import CLOSING, OPENING, closing, commas, opens_query
from .clauses import begins_returning, read_returning
from .conflict import begins_conflict, read_conflict
from .cursor import Cursor
from .keywords import QUERY_STARTS
from .names import read_names
from .query import take_relations
from .rewriting import Rendered, places
from .statements import Insert, InsertRow, Query, Statement
from .tokens import Token, single_tokens

__all__ = ["read_insert", "read_replace"]

_GRAMMAR = (
    "INSERT INTO name [AS alias] [(columns)] VALUES (...), ... [ON CONFLICT [(columns)] DO NOTHING | DO UPDATE SET ...] "
    "[RETURNING columns], or a query or DEFAULT VALUES in place of VALUES"
)
_SOURCE = "VALUES or a query"

_CONFLICT_HINT = "write INSERT INTO ... ON CONFLICT (key) DO UPDATE SET column = excluded.column, or DO NOTHING"


def read_replace(cursor: Cursor) -> Statement:
    """``REPLACE INTO``, which other databases have for ON CONFLICT."""
    raise FeatureNotSupported("there is no REPLACE", position=cursor.position, hint=_CONFLICT_HINT)


def read_insert(cursor: Cursor) -> Statement | None:
    """``INSERT [INTO] [TABLE] target ...``; ``None`` for INSERT OVERWRITE, which is DataFusion's."""
    cursor.grammar = _GRAMMAR
    position = cursor.position
    cursor.expect("INSERT")
    if cursor.keyword() == "OVERWRITE":
        return None
    if cursor.keyword() in {"OR", "IGNORE"}:
        raise FeatureNotSupported(f"there is no INSERT {cursor.keyword()}", position=position, hint=_CONFLICT_HINT)
    cursor.accept("INTO")
    if cursor.keyword() == "TABLE" and cursor.symbol(1) not in {".", "("}:
        cursor.index += 1
    target = cursor.name("the target's name")
    alias = cursor.identifier("an alias") if cursor.accept("AS") else None
    first = cursor.index
    taken = take_relations(cursor, first)
    columns, positions = (None, ()) if cursor.symbol() != "(" or opens_query(cursor) else read_names(cursor)
    begin = cursor.index
    default_values = columns is None and cursor.at("DEFAULT", "VALUES")
    if not default_values and cursor.keyword() not in QUERY_STARTS | {"TABLE"} and cursor.symbol() != "(":
        raise cursor.error(_SOURCE)
    end = begin + 2 if default_values else _end_of_source(cursor.tokens, begin)

    def query(start: int) -> tuple[Query, Rendered]:
        after = cursor.tokens[end].start if end < len(cursor.tokens) else cursor.end
        rendered = cursor.rewriting.render(cursor.tokens[start].start, after)
        keyword = next((token.keyword for token in cursor.tokens[start:end] if token.kind == "word"), "")
        return taken.query(keyword, rendered.fragment), rendered

    body, rendered = query(first)
    source, rendered_source = (body, rendered) if begin == first else query(begin)
    row = None if taken.edits else _single_row(cursor, first, begin, end)
    defaults = _defaults(cursor.tokens, begin, end, source) if "default" in taken.words and not default_values else ()
    cursor.index = end
    if cursor.at("ON", "DUPLICATE"):
        raise FeatureNotSupported("there is no ON DUPLICATE KEY UPDATE", position=cursor.position, hint=_CONFLICT_HINT)
    on_conflict = read_conflict(cursor, target, alias) if cursor.at("ON") else None
    returning = read_returning(cursor, "" if on_conflict else "ON CONFLICT, ")
    return Insert(
        target,
        body,
        rendered.placeholders,
        row,
        returning,
        alias,
        columns,
        positions,
        None if default_values else source,
        () if default_values else rendered_source.placeholders,
        defaults,
        default_values,
        on_conflict,
    )


def _end_of_source(tokens: Sequence[Token], first: int) -> int:
    """The index of the word of ON CONFLICT or RETURNING, or the number of tokens."""
    has_joins = tokens[first].keyword != "VALUES"
    depth = 0
    for index in range(first, len(tokens)):
        token = tokens[index]
        if token.kind == "operator":
            depth += (token.text in OPENING) - (token.text in CLOSING)
        elif depth or token.kind != "word":
            continue
        elif token.keyword == "RETURNING":
            if begins_returning(tokens, index):
                return index
        elif token.keyword == "ON" and begins_conflict(tokens, index, has_joins=has_joins):
            return index
    return len(tokens)


def _single_row(cursor: Cursor, first: int, begin: int, end: int) -> InsertRow | None:
    """The row of ``[(columns)] VALUES (...)``, whose columns begin at ``first``; ``None`` for any other source."""
    tokens = cursor.tokens
    if not (begin + 1 < end and tokens[begin].keyword == "VALUES" and tokens[begin + 1].text == "("):
        return None
    close = closing(tokens, begin + 1, end)
    if close != end - 1:
        return None
    if any(token.kind == "rows" for token in tokens[begin + 1 : close]):
        return None  # `, (1), (2)` as one token hides commas
    edges = [begin + 1, *commas(tokens, begin + 2, close), close]
    values = (cursor.rewriting.render(tokens[left].end, tokens[right].start) for left, right in pairwise(edges))
    head = cursor.rewriting.fragment(tokens[first].start, tokens[begin].start)
    return InsertRow(head, tuple((value.fragment, value.placeholders) for value in values))


def _defaults(tokens: Sequence[Token], first: int, end: int, source: Query) -> tuple[tuple[int, int, int], ...]:
    """The words DEFAULT that are whole values of VALUES rows, by their places in ``source`` and in the row."""
    found = list(_default_values(tokens, first, end)) if tokens[first].keyword == "VALUES" else []
    starts = places(source.body, [token.start for token, _ in found])
    return tuple((start, start + len(token.text), column) for start, (token, column) in zip(starts, found, strict=True))


def _default_values(tokens: Sequence[Token], first: int, end: int) -> Iterator[tuple[Token, int]]:
    depth = column = 0
    for index in range(first + 1, end):
        token = tokens[index]
        if token.kind == "operator":
            depth += (token.text in OPENING) - (token.text in CLOSING)
            if depth == 1 and token.text == "(":
                column = 0
            elif depth == 1 and token.text == ",":
                column += 1
        elif not depth and token.kind != "rows" and token.keyword != "ROW":
            return  # UNION, ORDER BY: what follows is no row
        elif depth == 1 and token.kind == "rows":
            values = single_tokens([token])
            column += len(list(commas(values, 0, len(values))))
        elif depth == 1 and token.keyword == "DEFAULT" and tokens[index - 1].text in {"(", ","}:
            following = tokens[index + 1] if index + 1 < end else token
            if following.text in {",", ")"} or following.kind == "rows":
                yield token, column
