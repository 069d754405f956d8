"""A part of a plan that lies in one source."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from .expression import Column
from .select import Select
from .substrait_types import Json, emitted, substrait_type

__all__ = ["Remote", "check_deliverable", "emitted_columns"]


@dataclass(frozen=True, slots=True)
class Remote:
    """A part of the plan that lies in one source. ``sorts`` are the plan's own keys of an order that it has."""

    source: str
    select: Select
    sorts: tuple[Json, ...] = ()

    @property
    def types(self) -> list[Any]:
        return [column.type for column in self.select.columns]


def check_deliverable(piece: Remote) -> None:
    """``NotSaid`` where a value that was computed cannot be handed over, or has no type in a plan."""
    piece.select.check_deliverable()
    for data_type in piece.types:
        substrait_type(data_type)


def emitted_columns(piece: Remote, body: Json) -> Remote:
    """The columns that a relation of the plan gives of those that it has."""
    mapping = emitted(body)
    if mapping is None:
        return piece
    types = piece.types
    return replace(piece, select=piece.select.project([Column(index, types[index]) for index in mapping]))
