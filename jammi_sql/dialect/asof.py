"""Finds as-of joins, ``left ASOF [LEFT] JOIN right ON left.k = right.k AND left.t >= right.t``, and takes them apart.

What is put into the text is an ordinary join: the word ASOF goes, a relation of the engine's stands for the right side
under the right side's name, and a marker for the condition. So the rest of the statement, ``l.x``, ``r.*``, ``SELECT *``,
means what it meant, whatever it is. The left side stays where it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from ..errors import FeatureNotSupported, StatementSyntaxError
from .brackets import CLOSING, OPENING, closing
from .composing import compose
from .identifier import fold, quote_identifier, unquote_identifier
from .keywords import AFTER_FROM, NOT_AN_ALIAS, QUERY_STARTS
from .rewriting import Edit, Rewriting
from .statements import AsofComparison, AsofJoin, Fragment
from .tokens import Token, ends_operand

__all__ = ["find_asofs"]

GRAMMAR = "left ASOF [LEFT] JOIN right ON left.k = right.k [AND ...] AND left.t >= right.t (or >, <=, <)"
_ELSEWHERE = "an as-of join compares keys with = and one time with >=, >, <= or <; write other conditions in WHERE"
_JOINS = frozenset({"JOIN", "INNER", "LEFT", "RIGHT", "FULL", "CROSS", "NATURAL", "SEMI", "ANTI", "ASOF"})
_LOGIC = frozenset({"OR", "XOR", "NOT", "IS", "BETWEEN", "LIKE", "ILIKE", "IN", "SIMILAR", "RLIKE", "REGEXP"})
_COMPARISON = re.compile(r"(<=>|>=|<=|<>|!=|==|=|<|>)[-+~]*")
_OPERATORS = {"=": "=", "==": "=", ">=": ">=", ">": ">", "<=": "<=", "<": "<"}


@dataclass(frozen=True, slots=True)
class _Found:
    """One as-of join as indices of tokens; ``source`` and ``condition`` are from the first up to the second."""

    word: int
    left: int
    keeps_left: bool
    source: tuple[int, int]
    alias: str | None
    on: int
    condition: tuple[int, int]
    subscribe: tuple[int, str] | None
    """The index of the word ``subscribe`` and the alias, where the left side begins with one."""


def find_asofs(
    tokens: Sequence[Token], rewriting: Rewriting, edits: Sequence[Edit], taken: frozenset[str]
) -> tuple[tuple[AsofJoin, ...], tuple[Edit, ...]]:
    """The as-of joins among ``tokens``, each after those that it reads, and the edits of the whole text.

    ``edits`` are those of the text so far; those within what is replaced are left out of the result. ``taken`` are the
    identifiers of the statement, which the new names must differ from.

    Raises ``StatementSyntaxError`` (42601) and ``FeatureNotSupported`` (0A000), with place and hint, for another form.
    """
    found = [_read(tokens, index) for index in range(len(tokens)) if _is_asof(tokens, index)]
    if not found:
        return (), tuple(edits)
    first = 1
    while any(f"__asof_{first + number}" in taken for number in range(len(found))):
        first += 1000
    own = [_edits(tokens, join, f"__asof_{first + number}") for number, join in enumerate(found)]
    every = [*edits, *(edit for pair in own for edit in pair)]
    joins: list[AsofJoin] = []
    for number, join in enumerate(found):
        others = [edit for place, pair in enumerate(own) if place != number for edit in pair]
        joins.append(_join(tokens, rewriting, [*edits, *others], others, join, f"__asof_{first + number}"))
    return tuple(joins[number] for number in _in_order(tokens, found)), tuple(
        _outermost(every, [edit for pair in own for edit in pair])
    )


def _is_asof(tokens: Sequence[Token], index: int) -> bool:
    if tokens[index].keyword != "ASOF" or not index or not ends_operand(tokens[index - 1]):
        return False
    words = [token.keyword for token in tokens[index + 1 : index + 4]]
    if words[:1] == ["JOIN"]:
        return True
    if words[:1] and words[0] in {"LEFT", "RIGHT", "FULL", "INNER", "OUTER"}:
        return "JOIN" in words[1:]
    return False


# --- taking one apart ---


def _read(tokens: Sequence[Token], word: int) -> _Found:
    index = word + 1
    kind = tokens[index].keyword
    if kind in {"RIGHT", "FULL", "OUTER"}:
        raise FeatureNotSupported(
            f"ASOF {kind} JOIN: an as-of join is over the rows of its left side",
            position=tokens[word].start,
            hint=f"write {GRAMMAR}",
        )
    while tokens[index].keyword != "JOIN":
        index += 1
    source, alias = _source(tokens, index + 1)
    on = source[1]
    keyword = tokens[on].keyword if on < len(tokens) else ""
    if keyword == "USING":
        raise FeatureNotSupported(
            "ASOF JOIN with USING", position=tokens[on].start, hint=f"write the columns out: {GRAMMAR}"
        )
    if keyword != "ON":
        raise _syntax("ON after the right side of an as-of join", tokens, on)
    end = _end_of_condition(tokens, on + 1)
    if end == on + 1:
        raise _syntax("a condition after ON", tokens, end)
    left = _start_of_left(tokens, word)
    return _Found(word, left, kind == "LEFT", source, alias, on, (on + 1, end), _subscribed(tokens, left, word))


def _source(tokens: Sequence[Token], first: int) -> tuple[tuple[int, int], str | None]:
    """The right side with its alias, and the name that its columns have; ``None`` for a sub-query without one."""
    index, name = first, None
    token = tokens[first] if first < len(tokens) else None
    if token is None or token.keyword == "LATERAL":
        raise _syntax("a table, or a query in parentheses, on the right side of an as-of join", tokens, first)
    if _symbol(tokens, first) == "(":
        inside = first
        while _symbol(tokens, inside) == "(":
            inside += 1
        if inside >= len(tokens) or tokens[inside].keyword not in QUERY_STARTS:
            raise FeatureNotSupported(
                "an as-of join with a join in parentheses",
                position=token.start,
                hint="make it a query: (SELECT * FROM ...) AS r",
            )
        index = _after_brackets(tokens, first)
    elif token.kind == "string":
        index = first + 1
    elif token.kind in {"word", "quoted"}:
        while True:
            name = _identifier(tokens, index)
            index += 1
            if _symbol(tokens, index) != ".":
                break
            index += 1
        if _symbol(tokens, index) == "(":
            index = _after_brackets(tokens, index)
    else:
        raise _syntax("a table, or a query in parentheses, on the right side of an as-of join", tokens, first)
    if index < len(tokens) and tokens[index].keyword == "AS":
        index += 1
        name = _identifier(tokens, index)
        index += 1
    elif index < len(tokens) and _may_be_alias(tokens[index]):
        name = _identifier(tokens, index)
        index += 1
    if name is not None and _symbol(tokens, index) == "(":
        index = _after_brackets(tokens, index)
    return (first, index), name


def _may_be_alias(token: Token) -> bool:
    return token.kind == "quoted" or (token.kind == "word" and token.keyword not in NOT_AN_ALIAS)


def _identifier(tokens: Sequence[Token], index: int) -> str:
    token = tokens[index] if index < len(tokens) else None
    if token is None or token.kind not in {"word", "quoted"}:
        raise _syntax("a name", tokens, index)
    return fold(token.text) if token.kind == "word" else unquote_identifier(token.text)


def _after_brackets(tokens: Sequence[Token], index: int) -> int:
    end = closing(tokens, index, len(tokens))
    if end == len(tokens):
        raise _syntax(")", tokens, end)
    return end + 1


def _symbol(tokens: Sequence[Token], index: int) -> str:
    return tokens[index].text if index < len(tokens) and tokens[index].kind == "operator" else ""


def _end_of_condition(tokens: Sequence[Token], first: int) -> int:
    cases = 0
    index = first
    while index < len(tokens):
        token = tokens[index]
        if token.kind == "operator":
            if token.text in OPENING:
                index = _after_brackets(tokens, index)
                continue
            if token.text in CLOSING or token.text == ",":
                return index
        elif token.kind == "word" and _symbol(tokens, index - 1) != ".":
            word = token.keyword
            cases += (word == "CASE") - (word == "END")
            called = word in {"LEFT", "RIGHT"} and _symbol(tokens, index + 1) == "("  # left(x, 1) is a function
            if not cases and ((word in _JOINS and not called) or word in AFTER_FROM or word in {"WHEN", "ON"}):
                return index
        index += 1
    return index


def _start_of_left(tokens: Sequence[Token], word: int) -> int:
    """The index at which the table reference begins that ``word`` stands in."""
    depth = 0
    index = word
    while index:
        token = tokens[index - 1]
        if token.kind == "operator" and token.text in CLOSING:
            depth += 1
        elif token.kind == "operator" and token.text in OPENING:
            if not depth:
                return index
            depth -= 1
        elif not depth and _symbol(tokens, index - 2) != ".":
            if token.kind == "operator" and token.text == ",":
                return index
            before = tokens[index - 2].keyword if index > 1 else ""
            if token.keyword == "FROM" and before != "DISTINCT":
                return index
            if token.keyword == "USING" and _symbol(tokens, index) != "(":
                return index
        index -= 1
    return index


def _subscribed(tokens: Sequence[Token], left: int, word: int) -> tuple[int, str] | None:
    if tokens[left].keyword != "SUBSCRIBE" or _symbol(tokens, left + 1) != "(":
        return None
    index = _after_brackets(tokens, left + 1)
    if tokens[index].keyword == "AS":
        index += 1
    elif index == word or not _may_be_alias(tokens[index]):
        return left, "subscribe"
    return left, _identifier(tokens, index)


# --- the condition ---


def _comparisons(tokens: Sequence[Token], first: int, end: int) -> Iterator[tuple[int, int, str, int, int]]:
    """Each ``a op b`` of a conjunction: where a begins and ends, op, where b begins and ends."""
    while _symbol(tokens, first) == "(" and closing(tokens, first, end) == end - 1:
        first, end = first + 1, end - 1
    ands = [index for index in _level(tokens, first, end) if tokens[index].keyword == "AND"]
    if ands:
        for start, stop in zip([first, *(index + 1 for index in ands)], [*ands, end], strict=True):
            yield from _comparisons(tokens, start, stop)
        return
    if first >= end:
        raise _syntax("a condition", tokens, first)
    yield _comparison(tokens, first, end)


def _level(tokens: Sequence[Token], first: int, end: int) -> Iterator[int]:
    """The indices from ``first`` up to ``end`` that are in no brackets and in no CASE."""
    index, cases = first, 0
    while index < end:
        token = tokens[index]
        if token.kind == "operator" and token.text in OPENING:
            index = closing(tokens, index, end) + 1
            continue
        if _symbol(tokens, index - 1) != ".":
            cases += token.keyword == "CASE"
            if not cases:
                yield index
            cases -= token.keyword == "END"
        index += 1


def _comparison(tokens: Sequence[Token], first: int, end: int) -> tuple[int, int, str, int, int]:
    places: list[tuple[int, int, str]] = []
    done = first
    for index in _level(tokens, first, end):
        token = tokens[index]
        if token.keyword in _LOGIC:
            raise FeatureNotSupported(
                f"{token.keyword} in the condition of an as-of join", position=tokens[first].start, hint=_ELSEWHERE
            )
        if token.kind != "operator" or index < done or token.text == ".":
            continue
        done = index + 1
        while done < end and _continues(tokens[done - 1], tokens[done]):
            done += 1
        match = _COMPARISON.fullmatch("".join(token.text for token in tokens[index:done]))
        if match is not None:
            length, after = 0, index
            while length < len(match[1]):
                length += len(tokens[after].text)
                after += 1
            places.append((index, after, match[1]))
    if len(places) != 1 or places[0][2] not in _OPERATORS:
        raise FeatureNotSupported(
            "a condition of an as-of join that does not compare its two sides",
            position=tokens[places[0][0] if len(places) == 1 else first].start,
            hint=_ELSEWHERE,
        )
    operator, after, text = places[0]
    if operator == first or after == end:
        raise _syntax("an expression on both sides of the comparison", tokens, operator)
    return first, operator, _OPERATORS[text], after, end


def _continues(token: Token, following: Token) -> bool:
    """Whether two tokens are one operator."""
    return (
        following.kind == "operator"
        and token.end == following.start
        and following.text not in OPENING
        and following.text not in CLOSING
        and following.text not in {",", ".", "::"}
    )


# --- the text ---


def _edits(tokens: Sequence[Token], join: _Found, relation: str) -> tuple[Edit, Edit, Edit]:
    word, name = tokens[join.word], quote_identifier(relation)
    source = name if join.alias is None else f"{name} AS {quote_identifier(join.alias)}"
    return (
        Edit(word.start, word.end, ""),
        Edit(tokens[join.source[0]].start, tokens[join.source[1] - 1].end, source),
        Edit(tokens[join.on].start, tokens[join.condition[1] - 1].end, f"ON {quote_identifier(relation + '_on')}"),
    )


def _outermost(edits: Sequence[Edit], replaced: Sequence[Edit]) -> list[Edit]:
    """``edits`` but for those within one of ``replaced``, what is written right behind it included."""
    return [
        edit
        for edit in edits
        if not any(
            other is not edit
            and other.start <= edit.start
            and edit.end <= other.end
            and not edit.start == edit.end == other.start
            for other in replaced
        )
    ]


def _join(
    tokens: Sequence[Token],
    rewriting: Rewriting,
    edits: Sequence[Edit],
    replaced: Sequence[Edit],
    found: _Found,
    relation: str,
) -> AsofJoin:
    """``edits`` are those of the rest of the text, ``replaced`` those among them that are of other as-of joins."""

    def fragment(first: int, end: int) -> Fragment:
        start, stop = tokens[first].start, tokens[end - 1].end

        def inside(some: Sequence[Edit]) -> list[Edit]:
            return [edit for edit in some if start <= edit.start and edit.end <= stop]

        return rewriting.render(start, stop, _outermost(inside(edits), inside(replaced))).fragment

    comparisons = [
        AsofComparison(
            fragment(first, operator), sign, fragment(after, end), tokens[first].start, tokens[operator].start
        )
        for first, operator, sign, after, end in _comparisons(tokens, *found.condition)
    ]
    times = [comparison for comparison in comparisons if comparison.operator != "="]
    if len(times) != 1:
        raise StatementSyntaxError(
            "an as-of join has one condition on time, with >=, >, <= or <"
            + (", and here is none" if not times else ", and here is a second one"),
            position=times[1].position if times else tokens[found.on].start,
            hint=f"write {GRAMMAR}" if not times else _ELSEWHERE,
        )
    return AsofJoin(
        relation=relation,
        keeps_left=found.keeps_left,
        context=_context(tokens, found.word, fragment),
        left=fragment(found.left, found.word),
        right=fragment(*found.source),
        alias=found.alias,
        comparisons=tuple(comparisons),
        subscribe=None if found.subscribe is None else (tokens[found.subscribe[0]].start, found.subscribe[1]),
        position=tokens[found.word].start,
    )


# --- what WITH has defined there ---


def _context(tokens: Sequence[Token], word: int, fragment: Callable[[int, int], Fragment]) -> Fragment:
    """``WITH ...`` with the queries that the token ``word`` may read, and nothing where there are none."""
    found: dict[str, Fragment] = {}
    recursive = False
    for name, first, end, is_recursive in _definitions(tokens, word):
        recursive = recursive or is_recursive
        found.pop(name, None)  # an inner one hides an outer one
        found[name] = fragment(first, end)
    if not found:
        return Fragment("", ((0, tokens[word].start),))
    pieces: list[str | Fragment] = ["WITH RECURSIVE " if recursive else "WITH "]
    for definition in found.values():
        pieces += [definition, ", "]
    return compose(*pieces[:-1], "\n")


def _definitions(tokens: Sequence[Token], word: int) -> Iterator[tuple[str, int, int, bool]]:
    """Those that end before ``word`` and are in force there: name, first index, index after the last, RECURSIVE."""
    opened: list[list[tuple[str, int, int, bool]]] = [[]]
    index = 0
    while index < word:
        token = tokens[index]
        if token.kind == "operator" and token.text in OPENING:
            opened.append([])
        elif token.kind == "operator" and token.text in CLOSING and len(opened) > 1:
            opened.pop()
        elif token.keyword == "WITH":
            place = index + 1
            recursive = tokens[place].keyword == "RECURSIVE" if place < len(tokens) else False
            place += recursive
            while (end := _definition(tokens, place)) is not None:
                if end > word:
                    index = _opening(tokens, place, word)
                    break
                opened[-1].append((_identifier(tokens, place), place, end, recursive))
                index = end - 1
                if _symbol(tokens, end) != ",":
                    break
                place = end + 1
        index += 1
    for level in opened:
        yield from level


def _definition(tokens: Sequence[Token], first: int) -> int | None:
    """The index after ``name [(columns)] AS [[NOT] MATERIALIZED] (query)``; ``None`` where there is none."""
    index = first
    if index >= len(tokens) or tokens[index].kind not in {"word", "quoted"}:
        return None
    index += 1
    if _symbol(tokens, index) == "(":
        index = closing(tokens, index, len(tokens)) + 1
    if index >= len(tokens) or tokens[index].keyword != "AS":
        return None
    index += 1
    while index < len(tokens) and tokens[index].keyword in {"NOT", "MATERIALIZED"}:
        index += 1
    if _symbol(tokens, index) != "(":
        return None
    return closing(tokens, index, len(tokens)) + 1


def _opening(tokens: Sequence[Token], first: int, word: int) -> int:
    """The index before the parenthesis of the definition at ``first`` that ``word`` is in."""
    index = first
    while index < word:
        if _symbol(tokens, index) == "(":
            end = closing(tokens, index, len(tokens))
            if end > word:
                return index - 1
            index = end
        index += 1
    return index


def _in_order(tokens: Sequence[Token], found: Sequence[_Found]) -> list[int]:
    """Numbers of the joins, each after those that stand in its two sides or before it."""
    order: list[int] = []

    def visit(number: int) -> None:
        if number in order:
            return
        first, end = found[number].source
        for other, join in enumerate(found):
            if other != number and first <= join.word < end:
                visit(other)
        order.append(number)

    for number in range(len(found)):
        visit(number)
    return order


def _syntax(expected: str, tokens: Sequence[Token], index: int) -> StatementSyntaxError:
    token = tokens[index] if index < len(tokens) else None
    return StatementSyntaxError(
        f"expected {expected}, found {'the end of the statement' if token is None else token.text}",
        position=tokens[-1].end if token is None else token.start,
        hint=f"write {GRAMMAR}",
    )
