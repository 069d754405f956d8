"""The parameters in a plan that no values were given for, and the types that DataFusion inferred for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

import pyarrow as pa

__all__ = ["placeholder_types"]

Typed = Callable[[Any], pa.DataType | None]

_EXPRESSIONS: Final = (
    "projections", "predicate", "filter", "on", "fetch", "skip", "sort_exprs", "aggregate_exprs", "group_by_exprs", "values",
    "filters",
)  # fmt: skip
"""Where the steps of a plan have their expressions."""
_COUNTS: Final = frozenset({"fetch", "skip"})
_SUBQUERIES: Final = frozenset({"Exists", "InSubquery", "ScalarSubquery"})
_CASTS: Final = frozenset({"Cast", "TryCast"})
_LEAVES: Final = frozenset({"Column", "Literal"})


def placeholder_types(plan: Any, typed: Typed) -> dict[str, pa.DataType]:
    """Types by key, of those parameters for which one is known.

    ``typed`` tells the type of an expression by itself, for those that are cast: of a cast the binding shows no type.
    """
    found: dict[str, pa.DataType] = {}
    plans = [plan]
    while plans:
        step = plans.pop()
        plans += step.inputs()
        expressions = [*_expressions(step)]
        while expressions:
            expression, known = expressions.pop()
            variant = _variant(expression)
            kind = type(variant).__name__
            if kind == "Placeholder":
                field = variant.field()
                data_type = known if field is None else _plain(field.type)
                if data_type is not None:
                    found.setdefault(variant.id().removeprefix("$"), data_type)
                continue
            if kind in _SUBQUERIES:
                plans += variant.subquery().input()
            if kind not in _LEAVES:
                operands = _operands(expression)
                is_cast = kind in _CASTS and type(_variant(operands[0])).__name__ == "Placeholder"
                expressions += [(operand, typed(expression) if is_cast else None) for operand in operands]
    return found


def _expressions(step: Any) -> Iterator[tuple[Any, pa.DataType | None]]:
    variant = _variant(step)
    for name in _EXPRESSIONS:
        read = getattr(variant, name, None)
        if read is not None:
            known = pa.int64() if name in _COUNTS else None
            yield from ((each, known) for each in _flat(read()))


def _flat(value: Any) -> Iterator[Any]:
    if isinstance(value, (list, tuple)):
        for each in value:
            yield from _flat(each)
    elif hasattr(value, "rex_call_operands"):
        yield value
    elif hasattr(value, "nulls_first"):  # an expression to sort by
        yield value.expr()


def _variant(node: Any) -> Any:
    """What a step or an expression is; ``None`` for one that the binding has no class for."""
    try:
        return node.to_variant()
    except Exception:  # of one kind or another, by what it is
        return None


def _operands(expression: Any) -> list[Any]:
    try:
        return list(expression.rex_call_operands())
    except Exception:  # it says so of what it does not know to take apart
        return []


def _plain(data_type: pa.DataType) -> pa.DataType:
    """As clients send it: DataFusion's own layouts of strings are nobody's business."""
    if pa.types.is_dictionary(data_type):
        data_type = data_type.value_type
    if pa.types.is_string_view(data_type):
        return pa.string()
    return pa.binary() if pa.types.is_binary_view(data_type) else data_type
