"""Finds calls of the dialect's own table functions where a table stands, and puts a relation's name in their place."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from .arguments import CallTokens
from .keywords import AFTER_FROM, NOT_AN_ALIAS, QUERY_STARTS
from .remote_call import read_remote_call
from .rewriting import Edit, Rewriting
from .statements import RemoteCall, SubscribeCall
from .subscribe import read_subscribe
from .tokens import Token

__all__ = ["TABLE_FUNCTIONS", "TableCalls", "find_table_calls"]

_Reader = Callable[[str, CallTokens, Rewriting], SubscribeCall | RemoteCall]
_READERS: Mapping[str, _Reader] = MappingProxyType({"SUBSCRIBE": read_subscribe, "REMOTE_QUERY": read_remote_call})
TABLE_FUNCTIONS = frozenset(name.lower() for name in _READERS)
"""Their names, folded: a statement without one of these words need not be searched."""
_OPENING = frozenset({"(", "[", "{"})
_CLOSING = frozenset({")", "]", "}"})


@dataclass(slots=True)
class _Level:
    """What is known of one pair of brackets: whether it holds a query, and whether a FROM list is under way."""

    is_query: bool
    in_from: bool = False


@dataclass(slots=True)
class TableCalls:
    """The calls of a statement, and the edits that take them out of its text."""

    subscribes: list[SubscribeCall] = field(default_factory=list)
    remotes: list[RemoteCall] = field(default_factory=list)
    edits: list[Edit] = field(default_factory=list)


def find_table_calls(tokens: Sequence[Token], rewriting: Rewriting, taken: frozenset[str]) -> TableCalls:
    """The calls among ``tokens`` and the edits that put a relation's name in the place of each.

    ``taken`` are the identifiers of the statement, which the new names must differ from. A call without an alias gets the
    function's name for one, so that its columns can be qualified. A column, an alias or a scalar function of that name is
    none of ours.
    """
    found = TableCalls()
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
            if expects_table and word in _READERS and _is_open(tokens, index + 1):
                index = _take(tokens, index, rewriting, taken, found)
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
    return found


def _is_open(tokens: Sequence[Token], index: int) -> bool:
    return index < len(tokens) and tokens[index].kind == "operator" and tokens[index].text == "("


def _opens_bracket(tokens: Sequence[Token], index: int) -> bool:
    """Whether the token is the first one inside a parenthesis: ``(FROM t SELECT a)``."""
    return index > 0 and _is_open(tokens, index - 1)


def _is_distinct_from(tokens: Sequence[Token], index: int) -> bool:
    """Whether the FROM at ``index`` belongs to ``IS [NOT] DISTINCT FROM``."""
    words = [token.keyword for token in tokens[max(index - 3, 0) : index]]
    return words[-2:] == ["IS", "DISTINCT"] or words == ["IS", "NOT", "DISTINCT"]


def _take(tokens: Sequence[Token], index: int, rewriting: Rewriting, taken: frozenset[str], found: TableCalls) -> int:
    """Read the call whose word is at ``index``; returns the index after its parenthesis."""
    call = CallTokens.read(tokens, index)
    name = call.word.text.lower()
    mine = found.subscribes if name == "subscribe" else found.remotes
    number = len(mine) + 1
    while f"__{name}_{number}" in taken:
        number += 1000
    relation = f"__{name}_{number}"
    read = _READERS[call.word.keyword](relation, call, rewriting)
    if isinstance(read, SubscribeCall):
        found.subscribes.append(read)
    else:
        found.remotes.append(read)
    start = tokens[index - 1].start if tokens[index - 1].keyword == "LATERAL" else call.word.start
    end = tokens[call.close].end
    found.edits.append(Edit(start, end, f'"{relation}"'))
    if not _has_alias(tokens, call.close + 1):
        found.edits.append(Edit(end, end, f" AS {name}"))
    return call.close + 1


def _has_alias(tokens: Sequence[Token], index: int) -> bool:
    if index >= len(tokens):
        return False
    token = tokens[index]
    if token.kind == "word":
        return token.keyword == "AS" or token.keyword not in NOT_AN_ALIAS
    return token.kind == "quoted"
