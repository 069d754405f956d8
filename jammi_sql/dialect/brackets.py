"""Pairs of brackets among tokens, and the lists inside them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from .cursor import Cursor
from .keywords import QUERY_STARTS
from .tokens import Token, single_tokens

__all__ = ["CLOSING", "OPENING", "closing", "commas", "opens_query", "read_items", "skip_brackets"]

OPENING = frozenset("([{")
CLOSING = frozenset(")]}")


def closing(tokens: Sequence[Token], index: int, end: int) -> int:
    """The index of the bracket that closes the one at ``index``; ``end`` where none does."""
    depth = 0
    for place in range(index, end):
        if tokens[place].kind == "operator":
            if tokens[place].text in OPENING:
                depth += 1
            elif tokens[place].text in CLOSING:
                depth -= 1
                if not depth:
                    return place
    return end


def commas(tokens: Sequence[Token], first: int, end: int) -> Iterator[int]:
    """The indices of the commas among the tokens from ``first`` up to ``end``, those inside of brackets left out."""
    depth = 0
    for index in range(first, end):
        token = tokens[index]
        if token.kind == "operator":
            depth += (token.text in OPENING) - (token.text in CLOSING)
            if token.text == "," and not depth:
                yield index


def opens_query(cursor: Cursor) -> bool:
    """Whether a parenthesis with a query in it comes next, and not one with a list of names."""
    ahead = 0
    while cursor.symbol(ahead) == "(":
        ahead += 1
    return bool(ahead) and cursor.keyword(ahead) in QUERY_STARTS and cursor.symbol(ahead + 1) not in {",", ")", "."}


def skip_brackets(cursor: Cursor) -> None:
    """Step over the brackets that come next and all that is in them."""
    end = closing(cursor.tokens, cursor.index, len(cursor.tokens))
    if end == len(cursor.tokens):
        cursor.index = end
        raise cursor.error(")")
    cursor.index = end + 1


def read_items(cursor: Cursor, what: str) -> list[Sequence[Token]]:
    """Step over the parenthesis that comes next and return the tokens of each item in it, of which none is empty."""
    opening = cursor.index
    if cursor.symbol() != "(":
        raise cursor.error("(")
    skip_brackets(cursor)
    inside = single_tokens(cursor.tokens[opening + 1 : cursor.index])
    items: list[Sequence[Token]] = []
    first = 0
    for end in [*commas(inside, 0, len(inside) - 1), len(inside) - 1]:
        if end == first:
            raise cursor.error(what, inside[end])
        items.append(inside[first:end])
        first = end + 1
    return items
