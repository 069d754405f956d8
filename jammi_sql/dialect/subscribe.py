"""Finds ``subscribe(...)`` where a table stands, and reads its arguments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ..errors import StatementSyntaxError
from .keywords import AFTER_FROM, NOT_AN_ALIAS, QUERY_STARTS
from .rewriting import Edit, Rewriting
from .statements import Fragment, SubscribeCall
from .tokens import Token

__all__ = ["find_subscribes"]

_FUNCTION = "SUBSCRIBE"
_OPTIONS = ("from", "until", "idle_timeout")
_HINT = (
    "write subscribe('topic', from => offset | 'earliest' | 'latest' | TIMESTAMP '...', until => offset | 'latest' | "
    "TIMESTAMP '...', idle_timeout => INTERVAL '...'), each option at most once and in any order"
)
_OPENING = frozenset({"(", "[", "{"})
_CLOSING = frozenset({")", "]", "}"})


@dataclass(slots=True)
class _Level:
    """What is known of one pair of brackets: whether it holds a query, and whether a FROM list is under way."""

    is_query: bool
    in_from: bool = False


@dataclass(slots=True)
class _Scan:
    """The calls found so far and the edits that take them out of the text."""

    calls: list[SubscribeCall] = field(default_factory=list)
    edits: list[Edit] = field(default_factory=list)


def find_subscribes(
    tokens: Sequence[Token], rewriting: Rewriting, taken: frozenset[str]
) -> tuple[tuple[SubscribeCall, ...], tuple[Edit, ...]]:
    """The calls among ``tokens`` and the edits that put a relation's name in the place of each.

    ``taken`` are the identifiers of the statement, which the new names must differ from. A call without
    an alias gets ``AS subscribe``, so that its columns can be qualified. A column, an alias or a scalar
    function of that name is none of ours.
    """
    scan = _Scan()
    levels = [_Level(is_query=True)]
    table_next = False
    index = 0
    while index < len(tokens):
        token = tokens[index]
        level = levels[-1]
        expects_table, table_next = table_next, False
        if token.kind == "operator":
            if token.text in _OPENING:
                levels.append(_Level(is_query=False, in_from=expects_table))
                table_next = expects_table
            elif token.text in _CLOSING:
                if len(levels) > 1:
                    levels.pop()
            elif token.text == ",":
                table_next = level.in_from
        elif token.kind == "word":
            word = token.keyword
            if expects_table and word == _FUNCTION and _is_open(tokens, index + 1):
                index = _read_call(tokens, index, rewriting, taken, scan)
                continue
            if word in QUERY_STARTS and word != "FROM":
                level.is_query, level.in_from = True, False
            elif word == "FROM":
                level.is_query = level.is_query or _opens_bracket(tokens, index)
                if level.is_query and not _is_distinct_from(tokens, index):
                    level.in_from = table_next = True
            elif word == "JOIN":
                table_next = level.in_from
            elif word == "USING":
                table_next = level.is_query
            elif word == "LATERAL":
                table_next = expects_table
            elif word in AFTER_FROM:
                level.in_from = False
        index += 1
    return tuple(scan.calls), tuple(scan.edits)


def _is_open(tokens: Sequence[Token], index: int) -> bool:
    return index < len(tokens) and tokens[index].kind == "operator" and tokens[index].text == "("


def _opens_bracket(tokens: Sequence[Token], index: int) -> bool:
    """Whether the token is the first one inside a parenthesis: ``(FROM t SELECT a)``."""
    return index > 0 and _is_open(tokens, index - 1)


def _is_distinct_from(tokens: Sequence[Token], index: int) -> bool:
    """Whether the FROM at ``index`` belongs to ``IS [NOT] DISTINCT FROM``."""
    words = [token.keyword for token in tokens[max(index - 3, 0) : index]]
    return words[-2:] == ["IS", "DISTINCT"] or words == ["IS", "NOT", "DISTINCT"]


def _read_call(tokens: Sequence[Token], index: int, rewriting: Rewriting, taken: frozenset[str], scan: _Scan) -> int:
    """Read the call whose word is at ``index``; returns the index after its parenthesis."""
    word = tokens[index]
    close, arguments = _arguments(tokens, index + 1)
    topic: Fragment | None = None
    options: dict[str, Fragment] = {}
    for argument in arguments:
        first = argument[0]
        if len(argument) > 1 and argument[1].text == "=>" and first.kind == "word":
            option = first.text.lower()
            if option not in _OPTIONS:
                raise _error(f"subscribe has no option {first.text}", first)
            if option in options:
                raise _error(f"subscribe has the option {option} twice", first)
            if not argument[2:]:
                raise _error(f"the option {option} of subscribe has no value", argument[1])
            options[option] = rewriting.fragment(argument[2].start, argument[-1].end)
        elif topic is not None or options:
            raise _error("subscribe takes one topic, and options by name after it", first)
        else:
            topic = rewriting.fragment(first.start, argument[-1].end)
    if topic is None:
        raise _error("subscribe needs a topic as its first argument", word)
    number = len(scan.calls) + 1
    while f"__subscribe_{number}" in taken:
        number += 1000
    relation = f"__subscribe_{number}"
    scan.calls.append(SubscribeCall(relation, topic, options, word.start))
    start = tokens[index - 1].start if tokens[index - 1].keyword == "LATERAL" else word.start
    end = tokens[close].end
    scan.edits.append(Edit(start, end, f'"{relation}"'))
    if not _has_alias(tokens, close + 1):
        scan.edits.append(Edit(end, end, " AS subscribe"))
    return close + 1


def _arguments(tokens: Sequence[Token], opening: int) -> tuple[int, list[Sequence[Token]]]:
    """The index of the closing parenthesis and the tokens of each argument, none of which is empty."""
    depth = 0
    first = opening + 1
    arguments: list[Sequence[Token]] = []
    for index in range(opening, len(tokens)):
        token = tokens[index]
        if token.kind == "rows" and depth == 1:
            raise _error("subscribe takes one topic, and options by name after it", token)
        if token.kind != "operator":
            continue
        if token.text in _OPENING:
            depth += 1
        elif token.text in _CLOSING:
            depth -= 1
        if (token.text == "," and depth == 1) or not depth:
            if index > first:
                arguments.append(tokens[first:index])
            elif arguments or token.text == ",":
                raise _error("an argument of subscribe is missing", token)
            first = index + 1
        if not depth:
            return index, arguments
    raise _error("the parenthesis of subscribe is not closed", tokens[opening])


def _has_alias(tokens: Sequence[Token], index: int) -> bool:
    if index >= len(tokens):
        return False
    token = tokens[index]
    if token.kind == "word":
        return token.keyword == "AS" or token.keyword not in NOT_AN_ALIAS
    return token.kind == "quoted"


def _error(message: str, token: Token) -> StatementSyntaxError:
    return StatementSyntaxError(message, position=token.start, hint=_HINT)
