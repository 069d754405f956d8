"""INSERT, UPDATE, DELETE, MERGE and TRUNCATE TABLE."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from .cursor import Cursor
from .query import read_query, render_query
from .statements import Insert, InsertRow, Modify, Statement
from .tokens import Token, ends_operand
from .topics import truncate_topic

__all__ = ["read_insert", "read_modify", "read_truncate"]

_TARGET = "the target's name"
_INSERT_GRAMMAR = "INSERT INTO name [(columns)] VALUES (...), ... [RETURNING columns], or a query in place of VALUES"
_GRAMMARS = {
    "DELETE": "DELETE FROM name [USING ...] [WHERE ...]",
    "MERGE": "MERGE INTO name USING source ON ... WHEN [NOT] MATCHED THEN ...",
    "UPDATE": "UPDATE name SET column = value, ... [FROM ...] [WHERE ...]",
}
_BEFORE_TARGET = {"DELETE": "FROM", "MERGE": "INTO", "UPDATE": ""}


def read_insert(cursor: Cursor) -> Statement | None:
    """``INSERT [INTO] [TABLE] target ...``; ``None`` for INSERT OVERWRITE, OR and IGNORE, which are DataFusion's."""
    cursor.grammar = _INSERT_GRAMMAR
    cursor.expect("INSERT")
    if cursor.keyword() in {"OVERWRITE", "OR", "IGNORE"}:
        return None
    cursor.accept("INTO")
    if cursor.keyword() == "TABLE" and cursor.symbol(1) not in {".", "("}:
        cursor.index += 1
    target = cursor.name(_TARGET)
    first = cursor.index
    split = _returning(cursor.tokens, first)
    if split == first:
        raise cursor.error("VALUES or a query")
    body, rendered = render_query(cursor, first, split)
    row = _single_row(cursor, first, split)
    returning = None
    if split < len(cursor.tokens):
        cursor.index = split + 1
        returning = cursor.rest("columns after RETURNING")
    return Insert(target, body, rendered.placeholders, row, returning)


def read_modify(cursor: Cursor) -> Statement:
    """UPDATE, DELETE or MERGE."""
    keyword = cursor.accept_any("UPDATE", "DELETE", "MERGE")
    cursor.grammar = _GRAMMARS[keyword]
    if before := _BEFORE_TARGET[keyword]:
        cursor.accept(before)
    return Modify(keyword, cursor.name(_TARGET), read_query(cursor))


def read_truncate(cursor: Cursor) -> Statement:
    """``TRUNCATE TOPIC name BEFORE ...`` and ``TRUNCATE [TABLE] name``."""
    cursor.expect("TRUNCATE")
    if cursor.at("TOPIC") and cursor.peek(1) is not None and cursor.symbol(1) != ".":
        cursor.expect("TOPIC")
        return truncate_topic(cursor)
    cursor.grammar = "TRUNCATE TABLE name, or TRUNCATE TOPIC name BEFORE offset"
    if cursor.keyword() == "TABLE" and cursor.symbol(1) != ".":
        cursor.index += 1
    cursor.accept("IF", "EXISTS")
    return Modify("TRUNCATE", cursor.name(_TARGET), read_query(cursor))


def _single_row(cursor: Cursor, first: int, end: int) -> InsertRow | None:
    """The row of ``[(columns)] VALUES (...)`` in the tokens ``[first, end)``; ``None`` for any other source."""
    tokens = cursor.tokens
    index = first
    if tokens[index].kind == "operator" and tokens[index].text == "(":
        index = _closing(tokens, index, end) + 1
    if not (index + 1 < end and tokens[index].keyword == "VALUES" and tokens[index + 1].text == "("):
        return None
    close = _closing(tokens, index + 1, end)
    if close != end - 1:
        return None
    if any(token.kind == "rows" for token in tokens[index + 1 : close]):
        return None  # `, (1), (2)` as one token hides commas
    edges = [index + 1, *_commas(tokens, index + 1, close), close]
    values = (cursor.rewriting.render(tokens[start].end, tokens[end].start) for start, end in pairwise(edges))
    head = cursor.rewriting.fragment(tokens[first].start, tokens[index].start)
    return InsertRow(head, tuple((value.fragment, value.placeholders) for value in values))


def _commas(tokens: Sequence[Token], opening: int, closing: int) -> Iterator[int]:
    """The indices of the commas right inside of the brackets at ``opening`` and ``closing``."""
    depth = 0
    for index in range(opening + 1, closing):
        token = tokens[index]
        if token.kind == "operator":
            depth += (token.text in "([{") - (token.text in ")]}")
            if token.text == "," and not depth:
                yield index


def _closing(tokens: Sequence[Token], index: int, end: int) -> int:
    """The index of the bracket that closes the one at ``index``; ``end`` where none does."""
    depth = 0
    for place in range(index, end):
        if tokens[place].kind == "operator":
            if tokens[place].text in "([{":
                depth += 1
            elif tokens[place].text in ")]}":
                depth -= 1
                if not depth:
                    return place
    return end


def _returning(tokens: Sequence[Token], first: int) -> int:
    """The index of the RETURNING clause's word from ``first`` on, or the number of tokens.

    It stands outside brackets, after something complete and before a select list: a column of that name does not.
    """
    depth = 0
    for index in range(first, len(tokens)):
        token = tokens[index]
        if token.kind == "operator":
            if token.text in {"(", "[", "{"}:
                depth += 1
            elif token.text in {")", "]", "}"}:
                depth -= 1
        elif not depth and token.keyword == "RETURNING" and ends_operand(tokens[index - 1]):
            following = tokens[index + 1] if index + 1 < len(tokens) else None
            if following is None or following.kind != "operator" or following.text in {"*", "(", "-", "+", "["}:
                return index
    return len(tokens)
