"""Inner joins that follow each other, taken apart: which relations, under which conditions.

The rows of inner joins are the same in whatever order they are made, so that tables of one source may be joined there first,
and the largest relation be the one whose rows are only passed by.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from .substrait_types import Json, emitted

__all__ = ["Cluster", "Semi", "fields_of", "gather", "moved", "selected", "selection"]


@dataclass(frozen=True, slots=True)
class Semi:
    """A semi join with ``rel``. In ``condition``, the column at ``index`` of ``rel`` is ``-1 - index``."""

    rel: Json
    condition: Json


@dataclass(frozen=True, slots=True)
class Cluster:
    """``leaves`` and, of each, how many columns it has; ``conditions`` over all their columns one after the other;
    ``outputs``, which of these columns the whole gives, in order; ``semis``, of which each may be made before or after any of
    the joins, once its columns are there."""

    leaves: tuple[Json, ...]
    widths: tuple[int, ...]
    conditions: tuple[Json, ...]
    outputs: tuple[int, ...]
    semis: tuple[Semi, ...] = ()

    @property
    def starts(self) -> list[int]:
        """Where the columns of each leaf begin."""
        starts, total = [], 0
        for width in self.widths:
            starts.append(total)
            total += width
        return starts


def gather(
    rel: Json,
    parts: Callable[[Json], list[Json]],
    width_of: Callable[[Json], int | None],
    takes: Callable[[Cluster, Semi], bool],
) -> Cluster | None:
    """The cluster whose top is ``rel``; ``None`` where that is no inner join, nor a choice of columns or a filter above one, nor
    a semi join of one that ``takes`` says is of use in it.

    ``parts`` takes a chain of ANDs apart, ``width_of`` tells how many columns a relation has.
    """
    found = _gather(rel, _Ways(parts, width_of, takes))
    return found if found is not None and len(found.leaves) > 1 else None


@dataclass(frozen=True, slots=True)
class _Ways:
    parts: Callable[[Json], list[Json]]
    width_of: Callable[[Json], int | None]
    takes: Callable[[Cluster, Semi], bool]


def _gather(rel: Json, ways: _Ways) -> Cluster | None:
    ((kind, body),) = rel.items()
    if kind == "join" and body.get("type") == "JOIN_TYPE_INNER" and "postJoinFilter" not in body and not _emits(body):
        condition = body.get("expression")
        if condition is None or not _has_subquery(condition):
            return _joined(body, [] if condition is None else ways.parts(condition), ways)
    if (
        kind == "join"
        and body.get("type") == "JOIN_TYPE_LEFT_SEMI"
        and "postJoinFilter" not in body
        and not _emits(body)
    ):
        reduced = _semi(body, ways)
        if reduced is not None:
            return reduced
    if kind == "cross" and not _emits(body):
        return _joined(body, [], ways)
    if kind == "project":
        inner = _gather(body["input"], ways)
        chosen = None if inner is None or len(inner.leaves) < 2 else _chosen(body, len(inner.outputs))
        if inner is not None and chosen is not None:
            outputs = tuple(inner.outputs[index] for index in chosen)
            return replace(inner, outputs=outputs)
    if kind == "filter" and not _emits(body) and not _has_subquery(body["condition"]):
        inner = _gather(body["input"], ways)
        if inner is not None and len(inner.leaves) > 1:
            outputs = inner.outputs
            own = tuple(moved(part, lambda index: outputs[index]) for part in ways.parts(body["condition"]))
            return replace(inner, conditions=(*inner.conditions, *own))
    width = ways.width_of(rel)
    return None if width is None else Cluster((rel,), (width,), (), tuple(range(width)))


def _semi(body: Json, ways: _Ways) -> Cluster | None:
    condition = body.get("expression")
    if condition is None or _has_subquery(condition):
        return None
    inner = _gather(body["left"], ways)
    if inner is None or len(inner.leaves) < 2:
        return None
    outputs = inner.outputs
    width = len(outputs)
    semi = Semi(body["right"], moved(condition, lambda index: outputs[index] if index < width else width - 1 - index))
    return replace(inner, semis=(*inner.semis, semi)) if ways.takes(inner, semi) else None


def _joined(body: Json, conditions: Sequence[Json], ways: _Ways) -> Cluster | None:
    left, right = _gather(body["left"], ways), _gather(body["right"], ways)
    if left is None or right is None:
        return None
    shift = sum(left.widths)
    outputs = (*left.outputs, *(index + shift for index in right.outputs))
    own = tuple(moved(part, lambda index: outputs[index]) for part in conditions)
    theirs = tuple(moved(part, lambda index: index + shift) for part in right.conditions)
    semis = tuple(
        replace(semi, condition=moved(semi.condition, lambda index: index if index < 0 else index + shift))
        for semi in right.semis
    )
    return Cluster(
        (*left.leaves, *right.leaves),
        (*left.widths, *right.widths),
        (*left.conditions, *theirs, *own),
        outputs,
        (*left.semis, *semis),
    )


def _emits(body: Json) -> bool:
    return emitted(body) is not None


def _chosen(body: Json, width: int) -> list[int] | None:
    """The columns that a projection gives, where it computes nothing."""
    expressions = body.get("expressions", ())
    chosen: list[int] = list(range(width))
    for expression in expressions:
        index = selected(expression)
        if index is None:
            return None
        chosen.append(index)
    mapping = emitted(body)
    return chosen if mapping is None else [chosen[place] for place in mapping]


def selected(expression: Json) -> int | None:
    """The column that an expression is, ``None`` for one that is more than that."""
    body = expression.get("selection")
    if body is None or "rootReference" not in body:
        return None
    field = body.get("directReference", {}).get("structField")
    return None if field is None or "child" in field else int(field.get("field", 0))


def selection(index: int) -> Json:
    """A column as an expression."""
    return {"selection": {"directReference": {"structField": {"field": index}}, "rootReference": {}}}


def moved(value: Any, place: Callable[[int], int]) -> Any:
    """The same expression over columns that are elsewhere: that at ``index`` is at ``place(index)``."""
    if isinstance(value, list):
        return [moved(item, place) for item in value]
    if not isinstance(value, dict):
        return value
    body = value.get("selection")
    if body is not None and "rootReference" in body and "structField" in body.get("directReference", {}):
        field = body["directReference"]["structField"]
        now = {**field, "field": place(int(field.get("field", 0)))}
        return {"selection": {**body, "directReference": {**body["directReference"], "structField": now}}}
    return {key: moved(item, place) for key, item in value.items()}


def fields_of(value: Any) -> set[int]:
    """The columns that an expression reads."""
    found: set[int] = set()

    def note(index: int) -> int:
        found.add(index)
        return index

    moved(value, note)
    return found


def _has_subquery(value: Any) -> bool:
    if isinstance(value, list):
        return any(_has_subquery(item) for item in value)
    if not isinstance(value, dict):
        return False
    return "subquery" in value or any(_has_subquery(item) for item in value.values())
