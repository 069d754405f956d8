"""Statements that DataFusion plans: their text, the names in it, and the calls that are taken out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from .asof import find_asofs
from .cursor import Cursor
from .identifier import fold, unquote_identifier
from .keywords import QUERY_STARTS
from .rewriting import Edit, Rendered
from .statements import AsofJoin, Query, SubscribeCall
from .subscribe import find_subscribes
from .tokens import Token

__all__ = ["read_change", "read_query", "render_query", "rest_query", "take_relations"]


def read_query(cursor: Cursor, edits: Sequence[Edit] = ()) -> Query:
    """The whole statement as a query, with ``edits`` made."""
    return render_query(cursor, 0, len(cursor.tokens), edits)[0]


def rest_query(cursor: Cursor) -> Query:
    """What is left of the statement as a query; raises unless it begins like one."""
    if cursor.symbol() != "(" and cursor.keyword() not in QUERY_STARTS:
        raise cursor.error("a query")
    query = render_query(cursor, cursor.index, len(cursor.tokens))[0]
    cursor.index = len(cursor.tokens)
    return query


def read_change(cursor: Cursor) -> Query:
    """The whole statement; the fragments that the cursor gives from now on have the relations of its subscribes."""
    taken = take_relations(cursor, 0)
    body = cursor.rewriting.fragment(cursor.start, cursor.end)
    return Query(cursor.tokens[0].keyword, body, taken.subscribes, taken.words, taken.asofs)


class Taken(NamedTuple):
    """What stands in a text for which the engine gives relations, and the identifiers there."""

    subscribes: tuple[SubscribeCall, ...]
    asofs: tuple[AsofJoin, ...]
    words: frozenset[str]


def take_relations(cursor: Cursor, first: int) -> Taken:
    """The calls of ``subscribe`` and the as-of joins from the token ``first`` on, taken out of all fragments to come."""
    tokens = cursor.tokens[first:]
    taken, spans = _relations(cursor, tokens)
    if spans:
        cursor.rewriting = cursor.rewriting.with_edits(spans)
    return taken


def _relations(cursor: Cursor, tokens: Sequence[Token]) -> tuple[Taken, tuple[Edit, ...]]:
    words = _words(tokens)
    subscribes, spans = find_subscribes(tokens, cursor.rewriting, words) if "subscribe" in words else ((), ())
    asofs, spans = find_asofs(tokens, cursor.rewriting, spans, words) if "asof" in words else ((), spans)
    return Taken(subscribes, asofs, words), spans


def render_query(cursor: Cursor, first: int, last: int, edits: Sequence[Edit] = ()) -> tuple[Query, Rendered]:
    """The tokens ``first`` up to ``last`` as a query, and its text with the places of the parameters.

    A query at the statement's beginning takes the comments before it along, one at its end those after it.
    """
    tokens = cursor.tokens[first:last] if (first, last) != (0, len(cursor.tokens)) else cursor.tokens
    start = tokens[0].start if first else cursor.start
    end = cursor.tokens[last].start if last < len(cursor.tokens) else cursor.end
    taken, spans = _relations(cursor, tokens)
    rendered = cursor.rewriting.render(start, end, [*edits, *spans])
    keyword = next((token.keyword for token in tokens if token.kind == "word"), "")
    return Query(keyword, rendered.fragment, taken.subscribes, taken.words, taken.asofs), rendered


def _words(tokens: Sequence[Token]) -> frozenset[str]:
    # The texts first: a long statement repeats few of them.
    plain = {token.text for token in tokens if token.kind == "word"}
    quoted = {token.text for token in tokens if token.kind == "quoted"}
    return frozenset(map(fold, plain)) | frozenset(map(unquote_identifier, quoted))
