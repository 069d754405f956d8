"""NOT IN: an anti join that is false where a side is NULL, of which Substrait has no word."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .said import NotSaid
from .substrait_types import Json

__all__ = ["NULL_AWARE", "mark_null_aware"]

NULL_AWARE = "nullAware"
"""What is put into such a join of a plan. DataFusion does not read it: no plan that is run may have it."""


def mark_null_aware(plan: Any, json: Json) -> None:
    """Mark in ``json`` the joins that are null-aware in the plan of DataFusion's that it was made from.

    ``NotSaid`` where the two do not seem to be the same.
    """
    flags = list(_flags(plan))
    if not any(flags):
        return
    joins = [join for relation in json["relations"] for join in _joins(relation["root"]["input"])]
    if len(joins) != len(flags):
        raise NotSaid("NOT IN is computed here")
    for join, flag in zip(joins, flags, strict=True):
        if flag:
            join[NULL_AWARE] = True


def _flags(plan: Any) -> Iterator[bool]:
    line = str(plan.display())
    if line.startswith("LeftAnti Join"):
        yield line.endswith(" null_aware")
    for child in plan.inputs():
        yield from _flags(child)


def _joins(rel: Json) -> Iterator[Json]:
    ((_, body),) = rel.items()
    if body.get("type") == "JOIN_TYPE_LEFT_ANTI":
        yield body
    for key in ("input", "left", "right"):
        if key in body:
            yield from _joins(body[key])
    for inner in body.get("inputs", ()):
        yield from _joins(inner)
