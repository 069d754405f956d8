"""Scans of tables in a plan."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .substrait_types import Json

__all__ = ["lowest", "projected", "scanned", "scans"]


def scanned(rel: Json) -> tuple[str, ...]:
    """The name of the table that a relation scans; nothing where it is no scan, or one without a name."""
    return tuple(rel.get("read", {}).get("namedTable", {}).get("names", ()))


def projected(read: Json, width: int) -> list[int]:
    """Which of its ``width`` columns a scan gives."""
    if "projection" not in read:
        return list(range(width))
    return [int(item.get("field", 0)) for item in read["projection"]["select"].get("structItems", ())]


def lowest(rel: Json) -> Json:
    """What filters and projections stand on."""
    while (kind := next(iter(rel))) in ("filter", "project"):
        rel = rel[kind]["input"]
    return rel


def scans(rel: Any) -> Iterator[Json]:
    """All of a relation."""
    if isinstance(rel, list):
        for each in rel:
            yield from scans(each)
    elif isinstance(rel, dict):
        if "read" in rel:
            yield rel
        for each in rel.values():
            yield from scans(each)
