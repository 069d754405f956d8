"""The equalities between the relations of a cluster: what is equal to the same is equal."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

from .cluster import moved, selected
from .substrait_types import Json

__all__ = ["Equalities", "Equality"]


@dataclass(frozen=True, slots=True)
class Equality:
    """Two columns of different relations of a cluster are equal. ``said``: the statement itself says so, of these two."""

    columns: tuple[int, int]
    condition: Json
    said: bool


class Equalities:
    """Which columns of a cluster are equal in its rows, and which of that holds already.

    For types whose equality is the same everywhere, such as whole numbers, it is transitive: of ``l.part = p.part`` and ``l.part
    = ps.part`` follows ``p.part = ps.part``. Then it is enough to say so much that all follows.
    """

    def __init__(
        self,
        conditions: Iterable[Json],
        relation_of: Callable[[int], int],
        is_equality: Callable[[Json], bool],
        is_transitive: Callable[[int], bool],
    ) -> None:
        """``relation_of`` tells of a column to which relation it belongs, ``is_transitive`` whether its type's equality is."""
        self.others: list[Json] = []
        """The conditions that are no equalities of two columns."""
        self._single: list[Equality] = []
        self._classes: list[dict[int, int]] = []
        # Of each class, the columns by what stands for those that are known to be equal to them.
        self._templates: list[Equality] = []
        said: list[Equality] = []
        for condition in conditions:
            columns = _columns(condition) if is_equality(condition) else None
            if columns is None or relation_of(columns[0]) == relation_of(columns[1]):
                self.others.append(condition)
                continue
            equality = Equality(columns, condition, True)
            transitive = any(is_transitive(column) for column in columns)
            (said if transitive else self._single).append(equality)
        for equality in said:
            self._classify(equality)
        self._said = {frozenset(equality.columns): equality for equality in said}

    def _classify(self, equality: Equality) -> None:
        met = [place for place, members in enumerate(self._classes) if members.keys() & set(equality.columns)]
        members = {column: column for column in equality.columns}
        for place in reversed(met):
            members.update(self._classes.pop(place))
            del self._templates[place]
        self._classes.append(members)
        self._templates.append(equality)

    def between(self, left: Collection[int], right: Collection[int]) -> list[Equality]:
        """What is to be said of two relations that are joined, or are sets of joined ones, by their columns."""
        found = [
            each
            for each in self._single
            if (each.columns[0] in left and each.columns[1] in right)
            or (each.columns[1] in left and each.columns[0] in right)
        ]
        for members, template in zip(self._classes, self._templates, strict=True):
            ours = [column for column in members if column in left]
            theirs = [column for column in members if column in right]
            roots = {column: _root(members, column) for column in (*ours, *theirs)}
            pairs = [(one, other) for one in ours for other in theirs]
            pairs.sort(key=lambda pair: frozenset(pair) not in self._said)  # as it was said, where it was
            for one, other in pairs:
                if roots[one] != roots[other]:
                    old, new = roots[other], roots[one]
                    roots = {column: new if root == old else root for column, root in roots.items()}
                    found.append(self._equality(one, other, template))
        return found

    def _equality(self, one: int, other: int, template: Equality) -> Equality:
        said = self._said.get(frozenset((one, other)))
        if said is not None:
            return said
        places = dict(zip(template.columns, (one, other), strict=True))
        return Equality((one, other), moved(template.condition, places.__getitem__), False)

    def hold(self, equalities: Iterable[Equality]) -> None:
        """Note that these hold from now on."""
        for equality in equalities:
            if any(equality is each for each in self._single):
                self._single = [each for each in self._single if each is not equality]
                continue
            one, other = equality.columns
            for members in self._classes:
                if one in members:
                    members[_root(members, one)] = _root(members, other)

    def rest(self) -> list[Json]:
        """What nothing has said yet, once all relations are joined."""
        conditions = [each.condition for each in self._single]
        for members, template in zip(self._classes, self._templates, strict=True):
            roots = sorted({_root(members, column) for column in members})
            conditions += [self._equality(roots[0], root, template).condition for root in roots[1:]]
        return conditions


def _root(members: dict[int, int], column: int) -> int:
    while members[column] != column:
        column = members[column]
    return column


def _columns(condition: Json) -> tuple[int, int] | None:
    sides = [selected(argument["value"]) for argument in condition["scalarFunction"]["arguments"]]
    return (sides[0], sides[1]) if len(sides) == 2 and sides[0] is not None and sides[1] is not None else None
