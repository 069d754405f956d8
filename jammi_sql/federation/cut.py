"""A plan that was cut: what its sources compute, and what is read first."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from ..sources.relation import RemoteRelation
from .select import Select
from .substrait_types import Json

__all__ = ["Cut", "FoundTable", "LocalSide", "Pushed", "SmallSide"]


@dataclass(frozen=True, slots=True)
class FoundTable:
    """A table of an attached source that a plan reads."""

    source: str
    dialect: str | None
    relation: RemoteRelation


@dataclass(frozen=True, slots=True)
class Pushed:
    """A relation that is computed by a source: the name that the plan has for it, and its statement."""

    name: str
    source: str
    select: Select
    schema: pa.Schema
    beside: bool
    """Whether it is the side of a join."""


@dataclass(frozen=True, slots=True)
class LocalSide:
    """A table of this engine's that is the side of a join, or that under a filter. ``read`` is its scan in the plan: whoever
    reads it first puts another name there."""

    names: tuple[str, ...]
    read: Json
    rows: float


@dataclass(frozen=True, slots=True)
class SmallSide:
    """A side of a join that is read first, so that a source is asked for the rows with its keys alone.

    ``rel`` is the relation, of ``width`` columns; ``place`` is where it stands in the plan: whoever reads it first puts the
    scan of what was read there, or ``rel`` itself. ``column`` has the keys, which are those of the column ``key`` of the relation
    ``pushed``.
    """

    place: Json
    rel: Json
    width: int
    column: int
    pushed: str
    key: int

    def leave(self) -> None:
        """Let it be read where it stands."""
        self.put(self.rel)

    def put(self, rel: Json) -> None:
        """Let ``rel`` stand in its place."""
        self.place.clear()
        self.place.update(rel)


@dataclass(frozen=True, slots=True)
class Cut:
    """A plan without what its sources compute. ``stayed`` says of each source what is computed here, and why."""

    plan: Json
    pushed: tuple[Pushed, ...]
    stayed: tuple[tuple[str, str], ...]
    small: tuple[SmallSide, ...] = ()
    local: tuple[LocalSide, ...] = ()
