"""A relation of a cluster, or several in one."""

from __future__ import annotations

from dataclasses import dataclass

from .equalities import Equalities
from .extent import Extent
from .remote import Remote
from .substrait_types import Json

__all__ = ["Part"]


@dataclass(frozen=True, slots=True)
class Part:
    """``piece`` lies in a source, or is a relation of the plan. ``columns`` are those of the cluster that it has, in its own
    order; so are the keys of ``extent``."""

    piece: Remote | Json
    columns: tuple[int, ...]
    extent: Extent

    @classmethod
    def remote(cls, piece: Remote, columns: tuple[int, ...]) -> Part:
        """One that lies in a source."""
        extent = piece.select.extent
        keys = tuple(frozenset(columns[place] for place in key) for key in extent.keys)
        return cls(piece, columns, Extent(extent.rows, extent.share, keys))

    def meets(self, small: Part, equalities: Equalities) -> tuple[int, int] | None:
        """Two columns that are equal, one of ``small`` and one of this, each by its place."""
        for each in equalities.between(small.columns, self.columns):
            one, other = each.columns if each.columns[0] in small.columns else each.columns[::-1]
            return small.columns.index(one), self.columns.index(other)
        return None

    def has_few_of(self, small: Part, key: int, times: int) -> bool:
        """Whether few of these rows have one of the keys of ``small``: it has few keys, or a filter took most of them away."""
        return frozenset((self.columns[key],)) in self.extent.keys or small.extent.share * times <= 1
