"""What the statements that change rows are made of: aliases, expressions, relations, RETURNING."""

from __future__ import annotations

from collections.abc import Sequence

from .brackets import CLOSING, OPENING
from .cursor import Cursor
from .keywords import AFTER_FROM, NOT_AN_ALIAS
from .statements import Fragment
from .tokens import Token, ends_operand

__all__ = [
    "begins_returning",
    "is_complete",
    "read_alias",
    "read_condition",
    "read_default",
    "read_expression",
    "read_relations",
    "read_returning",
    "read_value",
]

# After an operand and outside of brackets none of these goes on with an expression, so it ends there whatever follows.
# VALUES is a name where it may be an alias.
_ENDS = (AFTER_FROM - {"VALUES"}) | {"FROM", "ON", "THEN", "USING", "WHEN"}
_RELATION_ENDS = AFTER_FROM - {"VALUES"}
# With one of these behind it, the word CASE is a column.
_AFTER_COLUMN = frozenset({"AND", "BETWEEN", "ILIKE", "IN", "IS", "LIKE", "OR", "THEN"})
_OPERANDS = frozenset({"NOT", "NULL"})
_BEGINS_OPERAND = OPENING | {"+", "-"}


def read_alias(cursor: Cursor) -> str | None:
    """``[AS] alias``; without AS a word that begins a clause is none."""
    if cursor.accept("AS"):
        return cursor.identifier("an alias")
    token = cursor.peek()
    if token is None or token.kind not in {"word", "quoted"} or token.keyword in NOT_AN_ALIAS:
        return None
    return cursor.identifier("an alias")


def read_expression(cursor: Cursor, what: str) -> Fragment:
    """The expression that comes next, up to a comma, a closing bracket or the word of a clause."""
    return _read(cursor, what, _ENDS, commas=False)


def read_default(cursor: Cursor, ends: frozenset[str]) -> Fragment:
    """The expression after DEFAULT in a column's definition, which the words ``ends`` end."""
    if cursor.at("NOT", "NULL"):
        raise cursor.error("a default value")
    return _read(cursor, "a default value", ends, commas=False)


def read_value(cursor: Cursor) -> Fragment | None:
    """The same, ``None`` for the word DEFAULT alone."""
    first = cursor.index
    value = read_expression(cursor, "a value")
    return None if cursor.index == first + 1 and cursor.tokens[first].keyword == "DEFAULT" else value


def read_condition(cursor: Cursor, word: str) -> Fragment | None:
    """``word condition`` where it comes next."""
    return read_expression(cursor, "a condition") if cursor.accept(word) else None


def read_relations(cursor: Cursor) -> Fragment:
    """What stands after FROM: relations with commas and joins between them."""
    return _read(cursor, "a relation", _RELATION_ENDS, commas=True)


def read_returning(cursor: Cursor, before: str = "") -> Fragment | None:
    """``[RETURNING columns]`` at the statement's end; ``before`` says which clauses could have come here instead."""
    if cursor.accept("RETURNING"):
        return cursor.rest("columns after RETURNING")
    if cursor.peek() is not None:
        raise cursor.error(f"{before}RETURNING or the end of the statement")
    return None


def is_complete(tokens: Sequence[Token], index: int) -> bool:
    """Whether what stands before ``index`` is complete; after a dot or AS a word is a name, whatever it means elsewhere."""
    return ends_operand(tokens[index - 1]) or (index > 1 and tokens[index - 2].text.upper() in {".", "AS"})


def begins_returning(tokens: Sequence[Token], index: int) -> bool:
    """Whether the word RETURNING at ``index``, which stands outside brackets, begins the clause.

    It comes after something complete and before a select list: a column of that name does not.
    """
    if not is_complete(tokens, index):
        return False
    following = tokens[index + 1] if index + 1 < len(tokens) else None
    return following is None or following.kind != "operator" or following.text in _BEGINS_OPERAND | {"*"}


def _read(cursor: Cursor, what: str, ends: frozenset[str], *, commas: bool) -> Fragment:
    tokens, first = cursor.tokens, cursor.index
    following = cursor.symbol(1)
    if cursor.keyword() in ends - _OPERANDS and (not following or following in OPENING):
        raise cursor.error(what)  # and not a column of that name
    opened: list[str] = []
    while cursor.peek() is not None and not _ends(tokens, first, cursor.index, opened, ends, commas=commas):
        _step(tokens, cursor.index, opened)
        cursor.index += 1
    if cursor.index == first:
        raise cursor.error(what)
    if opened:
        raise cursor.error("END" if opened[-1] == "CASE" else ")")
    return cursor.rewriting.fragment(tokens[first].start, tokens[cursor.index - 1].end)


def _ends(
    tokens: Sequence[Token], first: int, index: int, opened: Sequence[str], ends: frozenset[str], *, commas: bool
) -> bool:
    """Whether the token at ``index`` is not a part any more of what began at ``first``."""
    token = tokens[index]
    if token.kind == "operator" and token.text in CLOSING:
        return not any(each in OPENING for each in opened)
    if opened:
        return False
    if token.kind == "rows" or (token.kind == "operator" and token.text == ","):
        return not commas
    if index == first or token.keyword not in ends or not is_complete(tokens, index):
        return False
    if token.keyword == "NOT":  # and not NOT IN, NOT LIKE, NOT BETWEEN
        return index + 1 < len(tokens) and tokens[index + 1].keyword == "NULL"
    return token.keyword != "RETURNING" or begins_returning(tokens, index)


def _step(tokens: Sequence[Token], index: int, opened: list[str]) -> None:
    """Keep account of the brackets and the CASEs that are open after the token at ``index``."""
    token = tokens[index]
    if token.kind == "operator":
        if token.text in OPENING:
            opened.append(token.text)
        elif token.text in CLOSING:
            while opened and opened.pop() == "CASE":
                pass  # without an END
    elif token.keyword == "CASE":
        if _begins_case(tokens, index):
            opened.append("CASE")
    elif token.keyword == "END" and opened[-1:] == ["CASE"] and is_complete(tokens, index):
        opened.pop()


def _begins_case(tokens: Sequence[Token], index: int) -> bool:
    """Whether the word CASE at ``index`` is no column of that name."""
    following = tokens[index + 1] if index + 1 < len(tokens) else None
    if following is None or tokens[index - 1].text in {".", "AS"} or following.keyword in _AFTER_COLUMN:
        return False
    return following.kind != "operator" or following.text in _BEGINS_OPERAND
