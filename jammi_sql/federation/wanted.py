"""Filters that DataFusion hands to a relation, as expressions for a dialect."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from ..arrow import expression as pushed
from .expression import Call, Column, Expression, InList, Literal
from .said import NotSaid

__all__ = ["expression_of"]

_NAMES = {
    "and_kleene": "and",
    "or_kleene": "or",
    "invert": "not",
    "is_null": "is_null",
    "is_valid": "is_not_null",
    "equal": "equal",
    "not_equal": "not_equal",
    "less": "lt",
    "less_equal": "lte",
    "greater": "gt",
    "greater_equal": "gte",
}


def expression_of(node: pushed.Node, names: Sequence[str], types: Sequence[Any]) -> list[Expression]:
    """The parts of a chain of ANDs that a dialect may be asked to say, over columns with ``names`` and ``types``."""
    found: list[Expression] = []
    if isinstance(node, pushed.Call) and node.function == "and_kleene":
        return [part for argument in node.arguments for part in expression_of(argument, names, types)]
    try:
        found.append(_read(node, names, types))
    except NotSaid:
        pass  # it is applied where the rows arrive
    return found


def _read(node: pushed.Node, names: Sequence[str], types: Sequence[Any]) -> Expression:
    match node:
        case pushed.Field(name):
            index = names.index(name)
            return Column(index, types[index])
        case pushed.Literal(value):
            return Literal(value)
        case pushed.Membership(operand, values):
            if pa.types.is_floating(values.type):
                raise NotSaid("IN compares doubles by their bits")
            return InList(_read(operand, names, types), tuple(Literal(value) for value in values))
        case pushed.Call(function, arguments) if function in _NAMES:
            return Call(_NAMES[function], tuple(_read(argument, names, types) for argument in arguments), pa.bool_())
    raise NotSaid("it is computed here")
