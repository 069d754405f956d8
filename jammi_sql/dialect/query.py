"""Statements that DataFusion plans: their text, the names in it, and the calls that are taken out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .asof import find_asofs
from .cursor import Cursor
from .identifier import fold, unquote_identifier
from .keywords import QUERY_STARTS
from .rewriting import Edit, Rendered
from .statements import AsofJoin, Fragment, Query
from .table_calls import TABLE_FUNCTIONS, TableCalls, find_table_calls
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
    """The whole statement; the fragments that the cursor gives from now on have the relations of its calls and joins."""
    taken = take_relations(cursor, 0)
    body = cursor.rewriting.fragment(cursor.start, cursor.end)
    return taken.query(cursor.tokens[0].keyword, body)


@dataclass(frozen=True, slots=True)
class Taken:
    """What stands in a text for which the engine gives relations, and the identifiers there."""

    calls: TableCalls
    asofs: tuple[AsofJoin, ...]
    edits: tuple[Edit, ...]
    words: frozenset[str]

    def query(self, keyword: str, body: Fragment) -> Query:
        """``body`` as a query with all of it."""
        return Query(keyword, body, tuple(self.calls.subscribes), self.words, tuple(self.calls.remotes), self.asofs)


def take_relations(cursor: Cursor, first: int) -> Taken:
    """The table functions and the as-of joins from the token ``first`` on, taken out of all fragments to come."""
    tokens = cursor.tokens[first:]
    taken = _relations(cursor, tokens)
    if taken.edits:
        cursor.rewriting = cursor.rewriting.with_edits(taken.edits)
    return taken


def _relations(cursor: Cursor, tokens: Sequence[Token]) -> Taken:
    words = _words(tokens)
    calls = find_table_calls(tokens, cursor.rewriting, words) if words & TABLE_FUNCTIONS else TableCalls()
    asofs, edits = find_asofs(tokens, cursor.rewriting, calls.edits, words) if "asof" in words else ((), calls.edits)
    return Taken(calls, asofs, tuple(edits), words)


def render_query(cursor: Cursor, first: int, last: int, edits: Sequence[Edit] = ()) -> tuple[Query, Rendered]:
    """The tokens ``first`` up to ``last`` as a query, and its text with the places of the parameters.

    A query at the statement's beginning takes the comments before it along, one at its end those after it.
    """
    tokens = cursor.tokens[first:last] if (first, last) != (0, len(cursor.tokens)) else cursor.tokens
    start = tokens[0].start if first else cursor.start
    end = cursor.tokens[last].start if last < len(cursor.tokens) else cursor.end
    taken = _relations(cursor, tokens)
    rendered = cursor.rewriting.render(start, end, [*edits, *taken.edits])
    keyword = next((token.keyword for token in tokens if token.kind == "word"), "")
    return taken.query(keyword, rendered.fragment), rendered


def _words(tokens: Sequence[Token]) -> frozenset[str]:
    # The texts first: a long statement repeats few of them.
    plain = {token.text for token in tokens if token.kind == "word"}
    quoted = {token.text for token in tokens if token.kind == "quoted"}
    return frozenset(map(fold, plain)) | frozenset(map(unquote_identifier, quoted))
