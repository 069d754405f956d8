"""In which order the relations of a cluster are joined."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .cluster import fields_of, moved
from .substrait_types import Json

__all__ = ["Item", "in_order"]

Conjunction = Callable[[Sequence[Json]], Json]

_UNKNOWN = 1e6
"""Rows of a relation of which nothing is known: a file, a view of a server."""


@dataclass(frozen=True, slots=True)
class Item:
    """A relation to be joined. ``columns`` are those of the cluster that it has, in its own order."""

    rel: Json
    columns: tuple[int, ...]
    rows: float | None


def in_order(
    items: Sequence[Item], conditions: Sequence[Json], conjunction: Conjunction
) -> tuple[Json, tuple[int, ...]]:
    """One relation of all, and the columns of the cluster that it has, in its order; ``conjunction`` is AND.

    The largest is the one whose rows pass by tables of the others: DataFusion builds a table of a join's left side.
    """
    left = list(items)
    waiting = list(conditions)
    left.sort(key=_size)
    done = left.pop()
    rel, columns = done.rel, done.columns
    while left:
        have = set(columns)
        place = next((place for place, item in enumerate(left) if _meets(item, have, waiting)), 0)
        item = left.pop(place)
        together = (*item.columns, *columns)
        position = {column: index for index, column in enumerate(together)}
        now = [part for part in waiting if fields_of(part) <= set(together)]
        waiting = [part for part in waiting if not any(part is taken for taken in now)]
        if now:
            condition = conjunction([moved(part, position.__getitem__) for part in now])
            rel = {"join": {"left": item.rel, "right": rel, "expression": condition, "type": "JOIN_TYPE_INNER"}}
        else:
            rel = {"cross": {"left": item.rel, "right": rel}}
        columns = together
    if waiting:
        position = {column: index for index, column in enumerate(columns)}
        condition = conjunction([moved(part, position.__getitem__) for part in waiting])
        rel = {"filter": {"input": rel, "condition": condition}}
    return rel, columns


def _size(item: Item) -> float:
    return _UNKNOWN if item.rows is None else item.rows


def _meets(item: Item, have: set[int], conditions: Sequence[Json]) -> bool:
    own = set(item.columns)
    return any((used := fields_of(part)) & own and used & have and used <= own | have for part in conditions)
