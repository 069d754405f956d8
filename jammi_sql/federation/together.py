"""Relations of a cluster that lie in one source, joined there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pyarrow as pa

from .cluster import fields_of, moved
from .equalities import Equalities, Equality
from .expression import Call, Expression
from .part import Part
from .remote import Remote
from .said import NotSaid
from .substrait_types import Json

__all__ = ["Together"]

Read = Callable[[Json, Sequence[Any]], Expression]
Stays = Callable[[str, str, NotSaid], None]

_GAIN = 0.5
"""What a join may leave of the rows of both sides that nothing in the statement links directly."""


class Together:
    """Joins the ``parts`` of a cluster that meet in their source, and tells the source what is about its relations alone.

    Afterwards, ``parts`` and ``conditions`` are what is left; equalities of two relations are none of ``conditions``. ``read``
    reads an expression over columns of given types, ``stays`` is told why something is not said to a source.
    """

    def __init__(self, parts: Sequence[Part], equalities: Equalities, *, read: Read, stays: Stays) -> None:
        self.parts = list(parts)
        self.conditions = list(equalities.others)
        self._equalities = equalities
        self._read = read
        self._stays = stays
        for joins in (self._pair, self._implied):
            self._join(joins)
        if len(self.parts) == 1:
            self.conditions += equalities.rest()
        self.conditions = [condition for condition in self.conditions if not self._filters(condition)]

    def _join(self, pair: Callable[[Part, Part], Part | None]) -> None:
        parts, place = self.parts, 0
        while place < len(parts):
            for other in range(place + 1, len(parts)):
                joined = pair(parts[place], parts[other]) if _meet(parts[place], parts[other]) else None
                if joined is not None:
                    parts[place] = joined
                    del parts[other]
                    break
            else:
                place += 1

    def _pair(self, left: Part, right: Part) -> Part | None:
        """Two tables of one source that the statement links."""
        equal = self._equalities.between(left.columns, right.columns)
        together = {*left.columns, *right.columns}
        own, theirs = set(left.columns), set(right.columns)
        used = [
            condition
            for condition in self.conditions
            if (fields := fields_of(condition)) <= together and fields & own and fields & theirs
        ]
        if not used and not any(each.said for each in equal):
            return None
        return self._joined(left, right, equal, used)

    def _implied(self, left: Part, right: Part) -> Part | None:
        """Two that a third one links, of some other place: worth it where that is met by a key, and leaves much less."""
        equal = self._equalities.between(left.columns, right.columns)
        columns = {column for each in equal for column in each.columns}
        if not any(key <= columns for part in (left, right) for key in part.extent.keys):
            return None
        rows = left.extent.joined(right.extent, columns).rows
        if rows is None or rows > _GAIN * ((left.extent.rows or 0.0) + (right.extent.rows or 0.0)):
            return None
        return self._joined(left, right, equal, [])

    def _joined(self, left: Part, right: Part, equal: list[Equality], used: list[Json]) -> Part | None:
        first, second = left.piece, right.piece
        if not isinstance(first, Remote) or not isinstance(second, Remote):
            return None
        together = (*left.columns, *right.columns)
        position = {column: index for index, column in enumerate(together)}
        types = [*first.types, *second.types]
        said: list[tuple[Json, Expression]] = []
        for condition in [*(each.condition for each in equal), *used]:
            try:
                expression = self._read(moved(condition, position.__getitem__), types)
                first.select.dialect.value(expression, (*first.select.columns, *second.select.columns))
            except NotSaid as why:
                self._stays(first.source, "join", why)
                continue
            said.append((condition, expression))
        if not said:
            return None
        whole = said[0][1] if len(said) == 1 else Call("and", tuple(each for _, each in said), pa.bool_())
        try:
            select = first.select.join("inner", second.select, whole)
        except NotSaid as why:
            self._stays(first.source, "join", why)
            return None
        self._equalities.hold(each for each in equal if any(each.condition is one for one, _ in said))
        self.conditions = [each for each in self.conditions if not any(each is one for one, _ in said)]
        return Part.remote(Remote(first.source, select), together)

    def _filters(self, condition: Json) -> bool:
        """Whether a condition that is about one relation of a source alone was told to it."""
        fields = fields_of(condition)
        for place, part in enumerate(self.parts):
            piece = part.piece
            if isinstance(piece, Remote) and not piece.sorts and fields and fields <= set(part.columns):
                position = {column: index for index, column in enumerate(part.columns)}
                try:
                    expression = self._read(moved(condition, position.__getitem__), piece.types)
                    told = replace(piece, select=piece.select.filter(expression))
                except NotSaid as why:
                    self._stays(piece.source, "filter", why)
                    return False
                self.parts[place] = Part.remote(told, part.columns)
                return True
        return False


def _meet(left: Part, right: Part) -> bool:
    first, second = left.piece, right.piece
    if not isinstance(first, Remote) or not isinstance(second, Remote):
        return False
    return first.source == second.source and not first.sorts and not second.sorts
