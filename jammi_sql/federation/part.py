"""A relation of a cluster, or several in one."""

from __future__ import annotations

from dataclasses import dataclass

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
