"""In which order the relations of a cluster are joined."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations

from .cluster import fields_of, moved
from .equalities import Equalities
from .extent import Extent
from .substrait_types import Json

__all__ = ["Item", "in_order"]

Conjunction = Callable[[Sequence[Json]], Json]

_UNKNOWN = 1e6
"""Rows of a relation of which nothing is known: a file, a view of a server."""


@dataclass(frozen=True, slots=True)
class Item:
    """A relation to be joined, or several that were. ``columns`` are those of the cluster that it has, in its own order;
    so are the keys of ``extent``."""

    rel: Json
    columns: tuple[int, ...]
    extent: Extent

    @property
    def rows(self) -> float:
        """To be expected."""
        return _UNKNOWN if self.extent.rows is None else self.extent.rows


def in_order(
    items: Sequence[Item], equalities: Equalities, conditions: Sequence[Json], conjunction: Conjunction
) -> tuple[Json, tuple[int, ...]]:
    """One relation of all, and the columns of the cluster that it has, in its order; ``conjunction`` is AND.

    What gives the fewest rows is joined first, so that the large relations meet others that are small by then. The smaller
    side is the left one, of which DataFusion builds a table in memory, by which the rows of the other pass.
    """
    left = list(items)
    waiting = [(frozenset(fields_of(condition)), condition) for condition in conditions]
    while len(left) > 1:
        found = [(_outlook(one, other, equalities, waiting), one, other) for one, other in combinations(left, 2)]
        (_, _, extent), one, other = min(found, key=lambda each: each[0][:2])
        small, large = (one, other) if one.rows <= other.rows else (other, one)
        together = (*small.columns, *large.columns)
        position = {column: index for index, column in enumerate(together)}
        equal = equalities.between(small.columns, large.columns)
        now = [each.condition for each in equal] + [part for used, part in waiting if used <= position.keys()]
        waiting = [each for each in waiting if not each[0] <= position.keys()]
        if now:
            condition = conjunction([moved(part, position.__getitem__) for part in now])
            rel = {"join": {"left": small.rel, "right": large.rel, "expression": condition, "type": "JOIN_TYPE_INNER"}}
        else:
            rel = {"cross": {"left": small.rel, "right": large.rel}}
        equalities.hold(equal)
        left = [Item(rel, together, extent), *(item for item in left if item is not one and item is not other)]
    (joined,) = left
    rest = [*equalities.rest(), *(part for _, part in waiting)]
    if rest:
        position = {column: index for index, column in enumerate(joined.columns)}
        condition = conjunction([moved(part, position.__getitem__) for part in rest])
        return {"filter": {"input": joined.rel, "condition": condition}}, joined.columns
    return joined.rel, joined.columns


def _outlook(
    one: Item, other: Item, equalities: Equalities, waiting: Sequence[tuple[frozenset[int], Json]]
) -> tuple[bool, float, Extent]:
    """Of the join of two: whether nothing links them, how many rows it takes, and how many it gives."""
    equal = {column for each in equalities.between(one.columns, other.columns) for column in each.columns}
    together = {*one.columns, *other.columns}
    links = any(used <= together and used & set(one.columns) and used & set(other.columns) for used, _ in waiting)
    known = Extent(one.rows, one.extent.share, one.extent.keys)
    extent = known.joined(Extent(other.rows, other.extent.share, other.extent.keys), equal)
    return not equal and not links, extent.rows or 0.0, extent
