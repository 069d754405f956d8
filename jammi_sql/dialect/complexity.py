"""Statements that DataFusion would plan for minutes or crash on.

Its parser refuses nesting deeper than 50. But a chain, ``1 + 1 + 1 ...``, becomes a tree as deep as the chain is long
without any nesting in the text, and planning it recurses: at some length the stack ends, and with it the process. On a
thread with a stack of 8 MB the first crashes were seen at 3,000 operators, 10,000 UNIONs and 500 EXCEPTs; 1,000
operators take about a second. 300 joins take 15 seconds, 1,000 do not end.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from ..errors import StatementTooComplex
from .tokens import Token

__all__ = ["LIMITS", "check_complexity"]

LIMITS = {"AND and OR": 1_000, "operators": 1_000, "UNION": 1_000, "EXCEPT and INTERSECT": 200, "joins": 200}
"""How many of each may stand in one chain: within one pair of brackets, and for operators within one expression."""

_HINTS = {
    "AND and OR": "use IN (...) or join a VALUES list, or put parts of the chain in parentheses",
    "operators": "put parts of the chain in parentheses, or use sum or concat of a list",
    "UNION": "put parts of the chain in parentheses, or use one VALUES list",
    "EXCEPT and INTERSECT": "use NOT IN or IN with one sub-query",
    "joins": "join parts of it in sub-queries stored with CREATE TEMP TABLE",
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
_BOUNDARIES = frozenset(
    "SELECT FROM WHERE GROUP HAVING ORDER LIMIT OFFSET ON USING WHEN THEN ELSE VALUES SET QUALIFY WINDOW".split()
)
_NO_OPERATOR = frozenset({".", ":", "{", "}", "(", ")", "[", "]", ",", ";", "=>"})


@dataclass(slots=True)
class _Level:
    """What was counted within one pair of brackets, or one CASE ... END."""

    opened_by: str
    between: int = 0  # how many ANDs to come belong to BETWEEN
    counts: dict[str, int] = field(default_factory=dict)

    def add(self, kind: str, token: Token) -> None:
        count = self.counts.get(kind, 0) + 1
        self.counts[kind] = count
        limit = LIMITS[kind]
        if count > limit:
            raise StatementTooComplex(f"more than {limit} {kind} in one chain", position=token.start, hint=_HINTS[kind])

    def reset(self, *kinds: str) -> None:
        for kind in kinds:
            self.counts.pop(kind, None)

    def expression_ends(self) -> None:
        self.between = 0
        self.reset("AND and OR", "operators")


def check_complexity(tokens: Sequence[Token]) -> None:
    """Raise ``StatementTooComplex`` (54001), with the place where the limit is passed, for a chain that is too long."""
    if len(tokens) > min(LIMITS.values()):
        _check(tokens)


def _check(tokens: Iterable[Token]) -> None:
    levels = [_Level("")]
    for token in tokens:
        level = levels[-1]
        if token.kind == "operator":
            text = token.text
            if text in "([{":
                if text == "[":
                    level.add("operators", token)  # a subscript, perhaps one of a chain
                levels.append(_Level(text))
            elif text in ")]}":
                while len(levels) > 1 and levels.pop().opened_by == "CASE":
                    pass  # a CASE without END
            elif text == ",":
                level.expression_ends()
            elif text not in _NO_OPERATOR:
                level.add("operators", token)
        elif token.kind == "word":
            _check_word(token, token.keyword, levels)


def _check_word(token: Token, word: str, levels: list[_Level]) -> None:
    level = levels[-1]
    if word in _LOGICAL:
        if word == "AND" and level.between:
            level.between -= 1
        else:
            level.reset("operators")
            level.add("AND and OR", token)
    elif word == "BETWEEN":
        level.between += 1
        level.add("operators", token)
    elif word in _OPERATOR_WORDS:
        level.add("operators", token)
    elif word in _BOUNDARIES:
        level.expression_ends()
    elif word in _KINDS:
        level.expression_ends()
        level.add(_KINDS[word], token)
    elif word == "CASE":
        levels.append(_Level(word))
    elif word == "END" and level.opened_by == "CASE":
        levels.pop()
