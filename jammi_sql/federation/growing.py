"""Relations of a plan that become a part of the statement which their inputs are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from .expression import Column, Expression
from .null_aware import NULL_AWARE
from .remote import Remote, emitted_columns
from .said import NotSaid
from .select import JoinKind, Select
from .substrait_expressions import read_measure, read_sort_key
from .substrait_types import Json, emitted, literal
from .windows import has_windows, windowed
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
_SET_OPERATIONS: Mapping[str, Literal["INTERSECT", "EXCEPT"]] = {
    "JOIN_TYPE_LEFT_SEMI": "INTERSECT",
    "JOIN_TYPE_LEFT_ANTI": "EXCEPT",
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
            if has_windows(body):
                return Remote(first.source, windowed(first.select, body, words.functions))
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
    word = _set_operation(body, left, right, words)
    if word is not None:
        return left.select.combined(word, right.select)
    condition = words.read(body["expression"], [*left.types, *right.types])
    if NULL_AWARE in body:
        return left.select.not_in(right.select, condition)
    return left.select.join(kind, right.select, condition)


def _set_operation(body: Json, left: Remote, right: Remote, words: Words) -> Literal["INTERSECT", "EXCEPT"] | None:
    """What a join is made of, where that is INTERSECT or EXCEPT: the rows of the left side, each once, that meet one of the right
    side in all columns, NULLs too. ``None`` for others, the ALL forms too, which keep every row of the left side here."""
    word = _SET_OPERATIONS.get(body["type"])
    width = len(left.types)
    if word is None or NULL_AWARE in body or not width or left.types != right.types or not _is_distinct(body["left"]):
        return None
    pairs = [words.null_safe_columns(part) for part in words.parts(body["expression"])]
    wanted = {(place, width + place) for place in range(width)}
    return word if len(pairs) == width and set(pairs) == wanted else None


def _is_distinct(rel: Json) -> bool:
    """Whether each row of a relation is there once, NULL being NULL in that."""
    ((kind, body),) = rel.items()
    if emitted(body) is not None:
        return False
    if kind == "aggregate":
        return len(body.get("groupings", ())) == 1 and not body.get("measures")
    if kind == "filter":
        return _is_distinct(body["input"])
    return kind == "join" and body.get("type") in _SET_OPERATIONS and _is_distinct(body["left"])


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
