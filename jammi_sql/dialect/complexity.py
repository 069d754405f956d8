"""Statements that DataFusion would plan for minutes or crash on.

Its parser refuses nesting deeper than 50. But a chain, ``1 + 1 + 1 ...``, becomes a tree as deep as the chain is long
without any nesting in the text, and planning it recurses: at some length the stack ends, and with it the process. On a
thread with a stack of 8 MB the first crashes were seen at 3,000 operators, 10,000 UNIONs and 500 EXCEPTs; 1,000
operators take about a second. 300 joins take 15 seconds, 1,000 do not end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ..errors import StatementTooComplex
from .keywords import words
from .tokens import Token

__all__ = ["LIMITS", "check_complexity"]

LIMITS = {"operators": 1_000, "UNION": 1_000, "EXCEPT and INTERSECT": 200, "joins": 200}
"""How many there may be: operators from the top of an expression to its deepest operand, at the worst, AND and OR
included; the others in one query, sub-queries not counted."""

_HINTS = {
    "operators": "use IN (...), or put parts of the chain in parentheses: a + b + c + d is deeper than (a + b) + (c + d)",
    "UNION": "use one VALUES list, or collect the rows in a topic or a temporary table",
    "EXCEPT and INTERSECT": "use NOT IN or IN with one sub-query",
    "joins": "keep the join of some of them with CREATE TEMP TABLE",
}
_LOGICAL = frozenset({"AND", "OR", "XOR"})
_KINDS = {
    "UNION": "UNION",
    "EXCEPT": "EXCEPT and INTERSECT",
    "MINUS": "EXCEPT and INTERSECT",
    "INTERSECT": "EXCEPT and INTERSECT",
    "JOIN": "joins",
}
_OPERATOR_WORDS = frozenset({"IS", "LIKE", "ILIKE", "SIMILAR", "RLIKE", "REGEXP", "DIV", "COLLATE", "AT", "NOT"})
# After these another expression begins, or the select list of another query.
_BOUNDARIES = words(
    "SELECT FROM WHERE GROUP HAVING ORDER LIMIT OFFSET ON USING WHEN THEN ELSE VALUES SET QUALIFY WINDOW"
)
_NO_OPERATOR = frozenset({".", ":", ";", "=>"})


@dataclass(slots=True)
class _Level:
    """What was counted within one pair of brackets, or one CASE ... END."""

    opened_by: str
    between: int = 0  # how many ANDs to come belong to BETWEEN
    logical: int = 0  # ANDs and ORs of the expression begun
    operators: int = 0  # since the last of these
    most_operators: int = 0  # between two of them
    nested: int = 0  # the depth of the deepest level within the expression
    deepest: int = 0  # of the expressions before it
    queries: dict[str, int] = field(default_factory=dict)  # set operations and joins, by kind

    def operator(self, token: Token) -> None:
        self.operators += 1
        self.most_operators = max(self.most_operators, self.operators)
        self.check(token)

    def check(self, token: Token) -> None:
        if self.logical + self.most_operators + self.nested > LIMITS["operators"]:
            raise _too_many("operators", token)

    def count(self, kind: str, token: Token) -> None:
        self.queries[kind] = self.queries.get(kind, 0) + 1
        if self.queries[kind] > LIMITS[kind]:
            raise _too_many(kind, token)

    def expression_ends(self) -> None:
        self.deepest = max(self.deepest, self.logical + self.most_operators + self.nested)
        self.between = self.logical = self.operators = self.most_operators = self.nested = 0


def check_complexity(tokens: Sequence[Token]) -> None:
    """Raise ``StatementTooComplex`` (54001), with the place where a limit is passed, for a statement beyond them."""
    if len(tokens) <= min(LIMITS.values()):
        return
    levels = [_Level("")]
    before: Token | None = None
    for token in tokens:
        if token.kind == "word":
            _word(token, token.keyword, levels)
        elif token.kind == "operator" and not (before and before.text[-1] in "<>=!|-&" and before.end == token.start):
            _operator(token, levels)  # the first character, where it is one of several
        before = token if token.kind == "operator" else None


def _operator(token: Token, levels: list[_Level]) -> None:
    text = token.text
    if text in "([{":
        if text == "[":
            levels[-1].operator(token)  # a subscript, perhaps one of a chain
        levels.append(_Level(text))
    elif text in ")]}":
        while len(levels) > 1 and _close(levels, token) == "CASE":
            pass  # without an END
    elif text == ",":
        levels[-1].expression_ends()
    elif text not in _NO_OPERATOR:
        levels[-1].operator(token)


def _close(levels: list[_Level], token: Token) -> str:
    """Leave the innermost level, whose depth adds to that of the expression which it is a part of."""
    inner = levels.pop()
    inner.expression_ends()
    levels[-1].nested = max(levels[-1].nested, inner.deepest)
    levels[-1].check(token)
    return inner.opened_by


def _word(token: Token, word: str, levels: list[_Level]) -> None:
    level = levels[-1]
    if word in _LOGICAL:
        if word == "AND" and level.between:
            level.between -= 1
        else:
            level.logical += 1
            level.operators = 0
            level.check(token)
    elif word == "BETWEEN":
        level.between += 1
        level.operator(token)
    elif word in _OPERATOR_WORDS:
        level.operator(token)
    elif word in _BOUNDARIES:
        level.expression_ends()
    elif word in _KINDS:
        level.expression_ends()
        level.count(_KINDS[word], token)
    elif word == "CASE":
        levels.append(_Level(word))
    elif word == "END" and level.opened_by == "CASE":
        _close(levels, token)


def _too_many(kind: str, token: Token) -> StatementTooComplex:
    return StatementTooComplex(f"more than {LIMITS[kind]} {kind} in one chain", position=token.start, hint=_HINTS[kind])
