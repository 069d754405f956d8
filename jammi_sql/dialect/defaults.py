"""Arguments that a call leaves out at its end, written into the text.

A Python function of DataFusion takes exactly the arguments that it declares, so ``json_array_length(j)`` becomes
``json_array_length(j, '$')`` before DataFusion sees it, and ``uuid7()`` becomes ``uuid7(random())``: without an
argument it would not learn for how many rows it is called.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .identifier import fold, unquote_identifier
from .rewriting import Edit
from .tokens import Token

__all__ = ["DefaultArguments", "default_edits"]

# After these a name with parentheses is a relation and its columns, not a call.
_BEFORE_RELATION = frozenset({"AS", "EXISTS", "INTO", "RECURSIVE", "TABLE", "TOPIC", "UPDATE", "VIEW", "WITH"})
_OPENING = frozenset("([{")
_CLOSING = frozenset(")]}")


@dataclass(frozen=True, slots=True)
class DefaultArguments:
    """A function that takes ``inputs`` arguments, the last of which have the SQL expressions ``texts`` as defaults."""

    inputs: int
    texts: tuple[str, ...]

    def missing(self, given: int) -> str:
        """What to write before the closing parenthesis of a call with ``given`` arguments."""
        absent = self.inputs - given
        if not 0 < absent <= len(self.texts):
            return ""
        return (", " if given else "") + ", ".join(self.texts[-absent:])


@dataclass(slots=True)
class _Bracket:
    function: DefaultArguments | None
    commas: int = 0
    is_empty: bool = True


def default_edits(tokens: Sequence[Token], defaults: Mapping[str, DefaultArguments]) -> list[Edit]:
    """An edit for each call in ``tokens`` that leaves arguments out, in the order of the text.

    ``defaults`` has the functions by name. A call that leaves out too many is left for DataFusion to refuse.
    """
    edits: list[Edit] = []
    if not any(_name(token) in defaults for token in tokens):
        return edits
    brackets: list[_Bracket] = []
    before_name: Token | None = None
    previous: Token | None = None
    for token in tokens:
        is_operator = token.kind == "operator"
        if is_operator and token.text in _CLOSING:
            closed = brackets.pop() if brackets else None
            if closed is not None and closed.function is not None:
                text = closed.function.missing(0 if closed.is_empty else closed.commas + 1)
                if text:
                    edits.append(Edit(token.start, token.start, text))
        elif brackets:
            brackets[-1].is_empty = False
            brackets[-1].commas += is_operator and token.text == ","
            if token.kind == "rows":
                # any number of arguments in one token, all of them literals in parentheses: nobody writes that
                brackets[-1].function = None
        if is_operator and token.text in _OPENING:
            is_call = token.text == "(" and _may_be_called(before_name)
            brackets.append(_Bracket(defaults.get(_name(previous)) if is_call else None))
        before_name, previous = previous, token
    return edits


def _may_be_called(before: Token | None) -> bool:
    return before is None or not (before.keyword in _BEFORE_RELATION or (before.kind, before.text) == ("operator", "."))


def _name(token: Token | None) -> str:
    if token is None or token.kind not in {"word", "quoted"}:
        return ""
    return fold(token.text) if token.kind == "word" else unquote_identifier(token.text)
