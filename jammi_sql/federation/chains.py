"""Chains of ANDs and ORs, which DataFusion writes as calls in calls in calls."""

from __future__ import annotations

from typing import Any

from .substrait_types import Json

__all__ = ["flatten_chains"]

_WORDS = frozenset({"and", "or"})


def flatten_chains(plan: Json) -> None:
    """Make one call with many arguments of each chain, in place: what walks through a plan goes one deeper for each call."""
    names = [extension.get("extensionFunction", {}) for extension in plan.get("extensions", ())]
    chained = {int(each.get("functionAnchor", 0)) for each in names if each.get("name") in _WORDS}
    waiting: list[Any] = [plan.get("relations", [])]
    while waiting:
        value = waiting.pop()
        if isinstance(value, list):
            waiting += value
        elif isinstance(value, dict):
            call = value.get("scalarFunction")
            if isinstance(call, dict) and _number(call) in chained:
                call["arguments"] = _links(call)
            waiting += value.values()


def _links(call: Json) -> list[Json]:
    number = _number(call)
    found: list[Json] = []
    waiting = list(reversed(call.get("arguments", ())))
    while waiting:
        argument = waiting.pop()
        inner = argument.get("value", {}).get("scalarFunction")
        if isinstance(inner, dict) and _number(inner) == number:
            waiting += reversed(inner.get("arguments", ()))
        else:
            found.append(argument)
    return found


def _number(call: Json) -> int:
    return int(call.get("functionReference", 0))
