"""Gives every column of a plan's tables a name of its own.

DataFusion 55 takes columns of the same name for each other when it moves filters below joins (its issues 21246 and 25296,
mended after 55.2), and gives wrong rows. A plan whose tables share no name is out of their reach.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa

from .said import NotSaid
from .substrait_types import Json, names_of

__all__ = ["distinct", "renamed", "shares_names", "with_output"]

Names = tuple[str, ...]


def shares_names(plan: Json) -> bool:
    """Whether two tables of the plan, or one that is there twice, have columns of the same name."""
    found = Counter(name for read in _reads(plan) for name in set(_top_names(read)))
    return any(count > 1 for count in found.values())


def renamed(plan: Any, insert: Callable[[Names, int], str]) -> Any:
    """The plan over other tables: ``insert`` is told a table's path and a number, and gives the name of one whose columns are
    called ``t<number>_<name>``."""
    numbers = iter(range(1, 1_000_000))

    def walk(value: Any) -> Any:
        if isinstance(value, list):
            return [walk(item) for item in value]
        if not isinstance(value, dict):
            return value
        if "read" in value and "namedTable" in value["read"]:
            body = value["read"]
            number = next(numbers)
            table = insert(tuple(body["namedTable"]["names"]), number)
            base = {**body["baseSchema"], "names": _with_prefix(body, number)}
            return {"read": {**walk(body), "baseSchema": base, "namedTable": {"names": [table]}}}
        return {key: walk(item) for key, item in value.items()}

    return walk(plan)


def distinct(names: Sequence[str]) -> list[str]:
    """The names of a result's columns, those that are there again with a number: a plan in Substrait has each name once."""
    found: dict[str, None] = {}
    for name in names:
        other, number = name, 1
        while other in found or (other != name and other in names):
            number += 1
            other = f"{name}_{number}"
        found[other] = None
    return list(found)


def with_output(plan: Json, schema: pa.Schema, names: Sequence[str]) -> Json:
    """The plan, whose result has ``schema``, with other names for its columns."""
    if list(names) == schema.names:
        return plan
    (relation,) = plan["relations"]
    listed = [each for field, name in zip(schema, names, strict=True) for each in (name, *names_of(field)[1:])]
    if len(listed) != len(relation["root"]["names"]):
        raise NotSaid("the names of the columns are not those of the plan")
    return {**plan, "relations": [{"root": {**relation["root"], "names": listed}}]}


def _reads(value: Any) -> list[Json]:
    if isinstance(value, list):
        return [read for item in value for read in _reads(item)]
    if not isinstance(value, dict):
        return []
    own = [value["read"]] if "read" in value and "namedTable" in value["read"] else []
    return own + [read for item in value.values() for read in _reads(item)]


def _top_names(read: Json) -> list[str]:
    """The names of the columns, without those of fields inside."""
    names = iter(read["baseSchema"].get("names", ()))
    found = []
    for data_type in read["baseSchema"]["struct"].get("types", ()):
        found.append(next(names))
        for _ in range(_inside(data_type)):
            next(names)
    return found


def _with_prefix(read: Json, number: int) -> list[str]:
    names = iter(read["baseSchema"].get("names", ()))
    found = []
    for data_type in read["baseSchema"]["struct"].get("types", ()):
        found.append(f"t{number}_{next(names)}")
        found += [next(names) for _ in range(_inside(data_type))]
    return found


def _inside(data_type: Json) -> int:
    """How many names of fields a type has."""
    ((kind, body),) = data_type.items()
    if kind == "struct":
        return sum(1 + _inside(inner) for inner in body.get("types", ()))
    if kind == "list":
        return _inside(body["type"])
    if kind == "map":
        return _inside(body["key"]) + _inside(body["value"])
    return 0
