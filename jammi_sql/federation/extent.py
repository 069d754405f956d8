"""How many rows a relation has, as far as that is known."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Set
from dataclasses import dataclass, replace
from math import sqrt

__all__ = ["Extent"]

_MOST_KEYS = 8
"""That are kept in mind of a join."""
_LEAST = 1e-9
"""The least share of its rows that a relation is taken to have: it is divided by."""


@dataclass(frozen=True, slots=True)
class Extent:
    """``rows`` to be expected, ``None`` for nobody knows; the ``share`` of its rows that filters leave of all that it had.

    ``keys`` are sets of its columns whose values together are unique, or are taken to be. ``unique`` are those of which that is
    known: no two rows have the same values in them, but for rows with NULL in a key of a source's that allows that.
    """

    rows: float | None
    share: float = 1.0
    keys: tuple[frozenset[int], ...] = ()
    unique: tuple[frozenset[int], ...] = ()

    def filtered(self, share: float) -> Extent:
        """Of which a filter leaves that share."""
        rows = None if self.rows is None else max(1.0, self.rows * share)
        return replace(self, rows=rows, share=max(_LEAST, self.share * share))

    def limited(self, most: float | None) -> Extent:
        """Of which there are at most so many rows."""
        if most is None or (self.rows is not None and self.rows <= most):
            return self
        share = 1.0 if self.rows is None else max(_LEAST, self.share * most / self.rows)
        return replace(self, rows=most, share=share)

    def shifted(self, by: int) -> Extent:
        """With its columns behind ``by`` others."""
        return self.moved(lambda key: [[column + by for column in key]])

    def moved(self, forms: Callable[[frozenset[int]], Iterable[Iterable[int]]]) -> Extent:
        """With its columns elsewhere: ``forms`` tells of a key what it is there, which may be several keys or none."""
        moved = {key: [frozenset(form) for form in forms(key)] for key in {*self.keys, *self.unique}}
        keys, unique = (tuple(form for key in each for form in moved[key]) for each in (self.keys, self.unique))
        return replace(self, keys=keys, unique=unique)

    def paired(self, other: Extent, linked: Set[int], kind: str) -> tuple[frozenset[int], ...]:
        """What is unique in the join with a relation that has other columns, of which those of ``linked`` are each equal to a
        column of the other side."""
        found: list[frozenset[int]] = []
        if kind in ("inner", "left") and any(key <= linked for key in other.unique):
            found += self.unique
        if kind in ("inner", "right") and any(key <= linked for key in self.unique):
            found += other.unique
        found += [one | its for one in self.unique for its in other.unique]
        return tuple(dict.fromkeys(found))[:_MOST_KEYS]

    def joined(self, other: Extent, equal: Set[int], kind: str = "inner") -> Extent:
        """The join with a relation that has other columns, where those of ``equal`` are equal to one of the other side.

        Where one side is met by a key, each row of the other is there once, if its partner was not filtered away.
        """
        on_self = any(key <= equal for key in self.keys)
        on_other = any(key <= equal for key in other.keys)
        keys: tuple[frozenset[int], ...] = ()
        if kind in ("inner", "left") and on_other:
            keys += self.keys
        if kind in ("inner", "right") and on_self:
            keys += other.keys
        share = {"left": self.share, "right": other.share, "full": 1.0}.get(kind, max(_LEAST, self.share * other.share))
        if self.rows is None or other.rows is None:
            return Extent(None, share, keys)
        if not equal:
            rows = self.rows * other.rows
        elif on_self == on_other:
            few, many = sorted(((self.rows / self.share, self), (other.rows / other.share, other)), key=_size)
            rows = (few[0] if on_self else many[0]) * self.share * other.share
            if not on_self and few[1].keys:  # it has keys, and these are none: a value is there more than once
                rows *= sqrt(few[0])
            elif not on_self and kind == "inner":  # nobody knows of keys of the smaller one: they are taken to be met
                keys = many[1].keys
        else:
            rows = self.rows * other.share if on_other else other.rows * self.share
        least = {"left": self.rows, "right": other.rows, "full": max(self.rows, other.rows)}.get(kind, 1.0)
        return Extent(max(least, rows), share, keys)


def _size(item: tuple[float, Extent]) -> float:
    return item[0]
