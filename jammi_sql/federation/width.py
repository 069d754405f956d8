"""How many columns a relation of a plan has."""

from __future__ import annotations

from .substrait_types import Json, emitted

__all__ = ["width_of"]

_OF_INPUT = frozenset({"filter", "sort", "fetch"})
_OF_LEFT = frozenset({"JOIN_TYPE_LEFT_SEMI", "JOIN_TYPE_LEFT_ANTI"})
_OF_BOTH = frozenset({"JOIN_TYPE_INNER", "JOIN_TYPE_LEFT", "JOIN_TYPE_RIGHT", "JOIN_TYPE_OUTER"})


def width_of(rel: Json) -> int | None:
    """The number of its columns; ``None`` for a kind that is not known here."""
    ((kind, body),) = rel.items()
    mapping = emitted(body)
    if mapping is not None:
        return len(mapping)
    if kind == "read":
        if "projection" in body:
            return len(body["projection"]["select"].get("structItems", ()))
        return len(body["baseSchema"]["struct"].get("types", ()))
    if kind in _OF_INPUT:
        return width_of(body["input"])
    if kind == "project":
        inner = width_of(body["input"])
        return None if inner is None else inner + len(body.get("expressions", ()))
    if kind == "aggregate" and len(body.get("groupings", ())) <= 1:
        return sum(len(each.get("expressionReferences", ())) for each in body.get("groupings", ())) + len(
            body.get("measures", ())
        )
    if kind == "set":
        return width_of(body["inputs"][0])
    if kind == "cross" or (kind == "join" and body.get("type") in _OF_BOTH):
        left, right = width_of(body["left"]), width_of(body["right"])
        return None if left is None or right is None else left + right
    return width_of(body["left"]) if kind == "join" and body.get("type") in _OF_LEFT else None
