"""Parameters: which tokens are some, their keys, and how DataFusion is to see them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from ..errors import StatementSyntaxError
from .rewriting import Edit
from .tokens import WORD_CHARACTER, Token, ends_operand

__all__ = ["PARAMETER_HINT", "parameter_edits", "parameter_keys", "settle_colons"]

PARAMETER_HINT = "write ?, or $1 $2 ..., or :name, and one of the three throughout a statement"
_NAMED = re.compile(r"[^\W\d]\w*")
_NUMBERED = re.compile(r"[1-9][0-9]*")
_LONGEST_NUMBER = 5
_GLUED = re.compile(WORD_CHARACTER)


def settle_colons(tokens: list[Token]) -> list[Token]:
    """Turn each ``:name`` that is a slice bound, a struct's value or a field into a colon and a word.

    After a complete operand a colon is an operator (``a[x:y]``, ``{'k':v}``), and in a subscript it may stand first
    (``a[:y]``); everywhere else it begins a parameter.
    """
    if not any(token.kind == "parameter" and token.text[0] == ":" for token in tokens):
        return tokens
    settled: list[Token] = []
    brackets: list[str] = []
    previous: Token | None = None
    for token in tokens:
        if token.kind == "operator":
            if token.text == "[":
                brackets.append("subscript" if ends_operand(previous) else "[")
            elif token.text in {"(", "{"}:
                brackets.append(token.text)
            elif token.text in {")", "]", "}"} and brackets:
                brackets.pop()
        if token.kind == "parameter" and token.text[0] == ":" and _is_colon(token, previous, brackets):
            settled.append(Token("operator", token.start, token.start + 1, ":"))
            token = Token("word", token.start + 1, token.end, token.text[1:])  # noqa: PLW2901
        settled.append(token)
        previous = token
    return settled


def _is_colon(token: Token, previous: Token | None, brackets: Sequence[str]) -> bool:
    if previous is None:
        return False
    if previous.text == "[" and previous.kind == "operator":
        return brackets[-1:] == ["subscript"]
    if not ends_operand(previous):
        return False
    if previous.kind == "word" and brackets[-1:] in ([], ["("]):
        # No slice here, so a word before a blank is a keyword that BEFORE_OPERAND does not know.
        return previous.end == token.start
    return True


def parameter_edits(source: str, tokens: Iterable[Token]) -> list[Edit]:
    """One edit per parameter, in the order of the text, ``?`` numbered from 1.

    Raises ``StatementSyntaxError`` for a malformed parameter and for mixed styles.
    """
    edits: list[Edit] = []
    style = ""
    for token in tokens:
        if token.kind != "parameter":
            continue
        own_style, key = _style_and_key(token)
        if style and own_style != style:
            raise StatementSyntaxError(
                f"{style} and {own_style} parameters in one statement", position=token.start, hint=PARAMETER_HINT
            )
        style = own_style
        if token.text[0] == "$":
            edits.append(Edit(token.start, token.end, token.text, key))
            continue
        key = key or str(len(edits) + 1)
        before = source[token.start - 1 : token.start] if token.start else ""
        after = source[token.end : token.end + 1]
        edits.append(
            Edit(
                token.start,
                token.end,
                f"${key}",
                key,
                before=" " if before == "?" or _GLUED.match(before) else "",
                after=" " if _GLUED.match(after) else "",
            )
        )
    return edits


def parameter_keys(edits: Sequence[Edit]) -> tuple[str, ...]:
    """The distinct keys: numbers in rising order, names in the order of the text."""
    keys = dict.fromkeys(edit.key for edit in edits if edit.key is not None)
    if all(key.isascii() and key.isdigit() for key in keys):
        return tuple(sorted(keys, key=int))
    return tuple(keys)


def _style_and_key(token: Token) -> tuple[str, str]:
    name = token.text[1:]
    if token.text == "?":
        return "?", ""
    if token.text[0] == "$" and _NUMBERED.fullmatch(name) and len(name) <= _LONGEST_NUMBER:
        return "numbered", name
    if token.text[0] in "$:" and _NAMED.fullmatch(name):
        return "named", name
    raise StatementSyntaxError(f"{token.text} is not a parameter", position=token.start, hint=PARAMETER_HINT)
