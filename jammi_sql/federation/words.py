"""The functions that a plan has numbers for, and the expressions that are made of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .cluster import selected
from .expression import Expression
from .substrait_expressions import no_query, read_expression
from .substrait_types import Json

__all__ = ["Words"]

_SIMPLE = 4294967295
"""What DataFusion writes where a function is of no extension."""


class Words:
    """Of one plan; ``extensions`` are those that were needed and that it did not have."""

    def __init__(self, plan: Json) -> None:
        self.functions = {
            int(extension["extensionFunction"].get("functionAnchor", 0)): str(extension["extensionFunction"]["name"])
            for extension in plan.get("extensions", ())
            if "extensionFunction" in extension
        }
        self.extensions: list[Json] = []

    def is_call(self, expression: Json, function: str) -> bool:
        """Whether an expression is a call of that function."""
        call = expression.get("scalarFunction")
        return call is not None and self.functions.get(int(call.get("functionReference", 0))) == function

    def is_equality(self, expression: Json) -> bool:
        """Whether it says that two values are equal."""
        return self.is_call(expression, "equal")

    def null_safe_columns(self, expression: Json) -> tuple[int, int] | None:
        """The two columns that it says are equal or both NULL, the lesser one first; ``None`` where it says something else."""
        if not self.is_call(expression, "is_not_distinct_from"):
            return None
        one, other = (selected(argument["value"]) for argument in expression["scalarFunction"]["arguments"])
        return None if one is None or other is None else (min(one, other), max(one, other))

    def parts(self, condition: Json) -> list[Json]:
        """The parts of a chain of ANDs."""
        if not self.is_call(condition, "and"):
            return [condition]
        arguments = condition["scalarFunction"]["arguments"]
        return [part for argument in arguments for part in self.parts(argument["value"])]

    def all(self, parts: Sequence[Json]) -> Json:
        """The AND of some conditions, of which there is one at least."""
        if len(parts) == 1:
            return parts[0]
        return self._call("and", [{"value": part} for part in parts])

    def not_different(self, equality: Json) -> Json:
        """The same as an equality, one of NULLs too or not, in other words."""
        different = "not_equal" if self.is_equality(equality) else "is_distinct_from"
        unequal = self._call(different, equality["scalarFunction"]["arguments"])
        return self._call("not", [{"value": unequal}])

    def read(
        self, expression: Json, types: Sequence[Any], query: Callable[[Json], Expression] = no_query
    ) -> Expression:
        """An expression over columns of these types; ``NotSaid`` for one that is not known here. ``query`` reads sub-queries."""
        return read_expression(expression, types, self.functions, query)

    def _call(self, function: str, arguments: Sequence[Json]) -> Json:
        """That of a function whose result is a boolean."""
        boolean = {"bool": {"nullability": "NULLABILITY_NULLABLE"}}
        reference = self._number(function)
        return {"scalarFunction": {"functionReference": reference, "arguments": list(arguments), "outputType": boolean}}

    def _number(self, function: str) -> int:
        for number, name in self.functions.items():
            if name == function:
                return number
        number = max(self.functions, default=0) + 1
        self.functions[number] = function
        reference = {"extensionUrnReference": _SIMPLE, "functionAnchor": number, "name": function}
        self.extensions.append({"extensionFunction": reference})
        return number
