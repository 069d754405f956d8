"""Relations of a plan that become a part of the statement which their inputs are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from .expression import Column, Expression
from .null_aware import NULL_AWARE
from .remote import Remote, emitted_columns
from .said import NotSaid
from .select import JoinKind, Select
from .substrait_expressions import read_measure, read_sort_key
from .substrait_types import Json, emitted, literal
from .words import Words

__all__ = ["grown"]

_JOIN_KINDS: Mapping[str, JoinKind] = {
    "JOIN_TYPE_INNER": "inner",
    "JOIN_TYPE_LEFT": "left",
    "JOIN_TYPE_RIGHT": "right",
    "JOIN_TYPE_OUTER": "full",
    "JOIN_TYPE_LEFT_SEMI": "semi",
    "JOIN_TYPE_LEFT_ANTI": "anti",
}


def grown(kind: str, body: Json, remotes: Sequence[Remote], words: Words) -> Remote:
    """The relation as a part of the statement that its inputs are; ``NotSaid`` where it is none."""
    first = remotes[0]
    if kind == "fetch":
        select = first.select.fetch(_number(body, "count"), _number(body, "offset") or 0)
        return replace(first, select=select)
    if any(remote.sorts for remote in remotes):
        raise NotSaid("what is above ORDER BY is computed here")
    match kind:
        case "project":
            expressions = [words.read(json, first.types) for json in body.get("expressions", ())]
            given = [*_all_columns(first.types), *expressions]
            mapping = emitted(body)
            # At once: a key of which each column is there twice on the way has as many forms as there are subsets of it.
            select = first.select.project(given if mapping is None else [given[place] for place in mapping])
            return Remote(first.source, select)
        case "join":
            select = _joined(body, *remotes, words=words)
        case "aggregate":
            select = _aggregated(body, first, words)
        case "sort":
            keys = [read_sort_key(json, first.types, words.functions) for json in body["sorts"]]
            return Remote(first.source, first.select.sort(keys), tuple(body["sorts"]))
        case _:
            raise NotSaid(f"{kind} is computed here")
    return emitted_columns(Remote(first.source, select), body)


def _joined(body: Json, left: Remote, right: Remote, *, words: Words) -> Select:
    kind = _JOIN_KINDS.get(body.get("type", ""))
    if kind is None or "postJoinFilter" in body:
        raise NotSaid("this kind of join is made here")
    if "expression" not in body:
        raise NotSaid("a join without a condition is made here")
    condition = words.read(body["expression"], [*left.types, *right.types])
    if NULL_AWARE in body:
        return left.select.not_in(right.select, condition)
    return left.select.join(kind, right.select, condition)


def _aggregated(body: Json, piece: Remote, words: Words) -> Select:
    groupings = body.get("groupings", ())
    if len(groupings) > 1:
        raise NotSaid("GROUPING SETS are computed here")
    keys = [words.read(json, piece.types) for json in body.get("groupingExpressions", ())]
    used = [keys[int(place)] for grouping in groupings for place in grouping.get("expressionReferences", ())]
    measures = [read_measure(json, piece.types, words.functions) for json in body.get("measures", ())]
    return piece.select.aggregate(used, measures)


def _all_columns(types: Sequence[Any]) -> list[Expression]:
    return [Column(index, data_type) for index, data_type in enumerate(types)]


def _number(body: Json, what: str) -> int | None:
    expression = body.get(f"{what}Expr")
    if expression is None:
        return None if body.get(what) is None else int(body[what])
    if "literal" not in expression:
        raise NotSaid("a limit that is no constant is kept here")
    found: int | None = literal(expression["literal"]).as_py()
    return found
