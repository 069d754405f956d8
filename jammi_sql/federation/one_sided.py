"""Equalities of two columns of one side of a join."""

from __future__ import annotations

from typing import Any

from .cluster import selected
from .substrait_types import Json
from .width import width_of
from .words import Words

__all__ = ["without_one_sided"]


def without_one_sided(plan: Json) -> Json:
    """The plan, in whose joins such equalities are written otherwise: DataFusion 55, which reads it, takes each equality of two
    columns in a join's condition for one of its two sides, and fails where it is not."""
    words = Words(plan)
    _rewrite(plan["relations"], words)
    return {**plan, "extensions": [*plan.get("extensions", ()), *words.extensions]} if words.extensions else plan


def _rewrite(rel: Any, words: Words) -> None:
    if isinstance(rel, list):
        for each in rel:
            _rewrite(each, words)
    elif isinstance(rel, dict):
        for each in rel.values():
            _rewrite(each, words)
        body = rel.get("join")
        if isinstance(body, dict) and "expression" in body:
            width = width_of(body["left"])
            parts = words.parts(body["expression"])
            if width is not None and any(_is_one_sided(part, width, words) for part in parts):
                said = [words.not_different(part) if _is_one_sided(part, width, words) else part for part in parts]
                body["expression"] = words.all(said)


def _is_one_sided(part: Json, width: int, words: Words) -> bool:
    if not words.is_equality(part) and not words.is_call(part, "is_not_distinct_from"):
        return False
    sides = [selected(argument["value"]) for argument in part["scalarFunction"]["arguments"]]
    return len({column < width for column in sides if column is not None}) == 1 and None not in sides
