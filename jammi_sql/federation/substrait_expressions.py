"""Expressions of a Substrait plan."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pyarrow as pa

from .expression import Call, Case, Cast, Column, Expression, InList, Literal
from .said import NotSaid
from .select import Measure, SortKey
from .substrait_types import Json, arrow_type, literal

__all__ = ["Functions", "aggregate_type", "no_query", "read_expression", "read_measure", "read_sort_key"]

Functions = Mapping[int, str]
"""The names of functions by their numbers in the plan."""

# Of functions whose result has no type in the plan.
_TEXT = frozenset({"substr", "substring", "concat", "trim", "ltrim", "rtrim", "replace", "lower", "upper"})
_BOOLEAN = frozenset({
    "like", "not_like", "ilike", "not_ilike", "regex_match", "regex_imatch", "regex_not_match", "regex_not_imatch",
    "and", "or", "not", "starts_with", "ends_with", "contains", "is_null",
})  # fmt: skip
_DIRECTIONS = {
    "SORT_DIRECTION_ASC_NULLS_FIRST": (False, True),
    "SORT_DIRECTION_ASC_NULLS_LAST": (False, False),
    "SORT_DIRECTION_DESC_NULLS_FIRST": (True, True),
    "SORT_DIRECTION_DESC_NULLS_LAST": (True, False),
}


def no_query(body: Json) -> Expression:
    """For who reads no sub-queries."""
    raise NotSaid("a sub-query is computed here")


def read_expression(
    json: Json, types: Sequence[Any], functions: Functions, query: Callable[[Json], Expression] = no_query
) -> Expression:
    """The expression over columns of ``types``; ``NotSaid`` for what is not known here. ``query`` reads sub-queries."""

    def read(part: Json) -> Expression:
        ((kind, body),) = part.items()
        match kind:
            case "selection":
                index = _field(body)
                return Column(index, types[index])
            case "literal":
                return Literal(literal(body))
            case "scalarFunction":
                name = functions[int(body.get("functionReference", 0))]
                arguments = tuple(read(argument["value"]) for argument in body.get("arguments", ()))
                return Call(name, arguments, _result(name, body, arguments))
            case "cast":
                failure = body.get("failureBehavior", "")
                return Cast(read(body["input"]), arrow_type(body["type"]), failure == "FAILURE_BEHAVIOR_RETURN_NULL")
            case "ifThen":
                clauses = list(body["ifs"])
                # CASE base WHEN value ...: the first clause has the base alone.
                base = None if "then" in clauses[0] else read(clauses.pop(0)["if"])
                branches = tuple(
                    (condition if base is None else Call("equal", (base, condition), pa.bool_()), read(clause["then"]))
                    for clause in clauses
                    for condition in (read(clause["if"]),)
                )
                otherwise = read(body["else"]) if "else" in body else None
                return Case(branches, otherwise, branches[0][1].type)
            case "singularOrList":
                return InList(read(body["value"]), tuple(read(option) for option in body.get("options", ())))
            case "subquery":
                return query(body)
        raise NotSaid(f"{kind} is computed here")

    return read(json)


def _field(body: Json) -> int:
    reference = body.get("directReference", {}).get("structField")
    if reference is None or "rootReference" not in body or "child" in reference:
        raise NotSaid("a part of a nested value is computed here")
    return int(reference.get("field", 0))


def _result(name: str, body: Json, arguments: Sequence[Expression]) -> Any:
    if "outputType" in body:
        return arrow_type(body["outputType"])
    if name in _BOOLEAN:
        return pa.bool_()
    if name in _TEXT:
        return pa.string()
    raise NotSaid(f"{name} is computed here")


def read_measure(json: Json, types: Sequence[Any], functions: Functions) -> Measure:
    """An aggregate function."""
    body = json["measure"]
    if body.get("sorts"):
        raise NotSaid("an aggregate of ordered values is computed here")
    name = functions[int(body.get("functionReference", 0))]
    arguments = tuple(read_expression(argument["value"], types, functions) for argument in body.get("arguments", ()))
    distinct = body.get("invocation") == "AGGREGATION_INVOCATION_DISTINCT"
    condition = read_expression(json["filter"], types, functions) if "filter" in json else None
    return Measure(name, arguments, distinct, condition, aggregate_type(name, arguments))


def aggregate_type(name: str, arguments: Sequence[Expression]) -> Any:
    """The type of an aggregate's value, as DataFusion has it."""
    kind = arguments[0].type if arguments else pa.int64()
    types = pa.types
    match name:
        case "count":
            return pa.int64()
        case "min" | "max":
            return kind
        case "sum" if types.is_signed_integer(kind):
            return pa.int64()
        case "sum" if types.is_floating(kind):
            return pa.float64()
        case "sum" if types.is_decimal128(kind):
            return pa.decimal128(min(38, kind.precision + 10), kind.scale)
        case "avg" if types.is_decimal128(kind):
            return pa.decimal128(min(38, kind.precision + 4), min(38, kind.scale + 4))
        case "avg":
            return pa.float64()
    raise NotSaid(f"{name} is computed here")


def read_sort_key(json: Json, types: Sequence[Any], functions: Functions) -> SortKey:
    """One of ORDER BY."""
    direction = _DIRECTIONS.get(json.get("direction", ""))
    if direction is None:
        raise NotSaid("an order of its own is made here")
    descending, nulls_first = direction
    return SortKey(read_expression(json["expr"], types, functions), descending, nulls_first)
