"""An expression of a plan that DataFusion has optimised, as a tree that the kernels can be compiled from.

By then all types are settled: casts are explicit, BETWEEN, COALESCE and short lists are spelled out. What is
not known here is ``UnreadableExpression``, and stays with DataFusion.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa

from .expression import MIRRORED, Call, Field, Literal, Membership, Node, UnreadableExpression, chain, comparison

__all__ = ["ColumnName", "read_planned", "unaliased"]

ColumnName = Callable[[str | None, str], str]
"""The name of the batch's column for a column of the plan, given its relation and name."""

_OPERATORS = {
    "=": "equal",
    "!=": "not_equal",
    "<": "less",
    "<=": "less_equal",
    ">": "greater",
    ">=": "greater_equal",
    "IS DISTINCT FROM": "is_distinct",
    "IS NOT DISTINCT FROM": "is_not_distinct",
    "+": "add",
    "-": "subtract",
    "*": "multiply",
    "/": "divide",
    "%": "remainder",
    "&": "bit_wise_and",
    "|": "bit_wise_or",
    "BIT_XOR": "bit_wise_xor",
    "||": "string_concat",
}
_CHAINS = {"AND": "and_kleene", "OR": "or_kleene"}
_OF_ONE = {
    "Not": "invert",
    "IsNull": "is_null",
    "IsUnknown": "is_null",
    "IsNotNull": "is_valid",
    "IsNotUnknown": "is_valid",
    "IsTrue": "is_true",
    "IsNotTrue": "is_not_true",
    "IsFalse": "is_false",
    "IsNotFalse": "is_not_false",
    "Negative": "negate",
}
# With the name of DataFusion's own implementation, for a session may have a function of the same name.
_FUNCTIONS = {
    "abs": "AbsFunc",
    "btrim": "BTrimFunc",
    "ceil": "CeilFunc",
    "character_length": "CharacterLengthFunc",
    "concat": "ConcatFunc",
    "contains": "ContainsFunc",
    "ends_with": "EndsWithFunc",
    "floor": "FloorFunc",
    "isnan": "IsNanFunc",
    "lower": "LowerFunc",
    "ltrim": "LtrimFunc",
    "nullif": "NullIfFunc",
    "octet_length": "OctetLengthFunc",
    "rtrim": "RtrimFunc",
    "sqrt": "SqrtFunc",
    "upper": "UpperFunc",
}
_TYPES: dict[str, Any] = {
    "Boolean": pa.bool_(),
    "Int8": pa.int8(),
    "Int16": pa.int16(),
    "Int32": pa.int32(),
    "Int64": pa.int64(),
    "UInt8": pa.uint8(),
    "UInt16": pa.uint16(),
    "UInt32": pa.uint32(),
    "UInt64": pa.uint64(),
    "Float32": pa.float32(),
    "Float64": pa.float64(),
    "Utf8": pa.string(),
    "LargeUtf8": pa.large_string(),
}
_NULL: Any = pa.nulls(1)[0]
_DEEPEST = 100
"""How deep expressions may nest: reading, compiling and evaluating them recurse."""


def read_planned(expression: Any, column_name: ColumnName) -> Node:
    """The tree of a planned expression; ``UnreadableExpression`` for one that holds what is not known here."""
    try:
        return _Reader(column_name).read(expression, 0)
    except (NotImplementedError, pa.ArrowException) as error:  # a literal whose type has no order or no scalar
        raise UnreadableExpression(f"cannot read {expression.canonical_name()}: {error}") from error


def unaliased(expression: Any) -> Any:
    """The expression under its aliases."""
    # Not to_variant() of whatever it is: the binding raises for functions and others.
    while expression.variant_name() == "Alias":
        expression = expression.to_variant().expr()
    return expression


class _Reader:
    def __init__(self, column_name: ColumnName) -> None:
        self._column_name = column_name

    def read(self, expression: Any, depth: int) -> Node:
        if depth > _DEEPEST:
            raise UnreadableExpression("an expression nests too deep")
        expression = unaliased(expression)
        inner = depth + 1
        match expression.variant_name():
            case "Column":
                column = expression.to_variant()
                return Field(self._column_name(column.relation(), column.name()))
            case "Literal":
                return _literal(expression)
            case "BinaryExpr":
                return self._binary(expression, inner)
            case "Cast":
                return self._cast(expression, inner)
            case "InList":
                return self._in_list(expression.to_variant(), inner)
            case "Like":
                return self._like(expression, inner)
            case "Case":
                return self._case(expression.to_variant(), inner)
            case "ScalarFunction":
                return self._function(expression, inner)
            case variant if variant in _OF_ONE:
                return _call(_OF_ONE[variant], (self.read(expression.to_variant().expr(), inner),))
            case variant:
                raise UnreadableExpression(f"{variant} is not known")

    def _binary(self, expression: Any, depth: int) -> Node:
        variant = expression.to_variant()
        operator = variant.op()
        if operator in _CHAINS:
            return chain(_CHAINS[operator], [self.read(part, depth) for part in _parts(expression, operator)])
        function = _OPERATORS.get(operator)
        if function is None:
            raise UnreadableExpression(f"operator {operator} is not known")
        left, right = self.read(variant.left(), depth), self.read(variant.right(), depth)
        return comparison(function, left, right) if function in MIRRORED else _call(function, (left, right))

    def _cast(self, expression: Any, depth: int) -> Node:
        # The binding's type has no accessors, but the text ends with its name.
        operand = expression.to_variant().expr()
        name = expression.canonical_name().removeprefix(f"CAST({operand.canonical_name()} AS ").removesuffix(")")
        if name not in _TYPES:
            raise UnreadableExpression(f"a cast to {name} is not known")
        return _call("cast", (self.read(operand, depth), Literal(pa.nulls(1, _TYPES[name])[0])))

    def _in_list(self, variant: Any, depth: int) -> Node:
        literals: list[Any] = [_literal(item).value for item in variant.list() if item.variant_name() == "Literal"]
        if len(literals) < len(variant.list()) or len({literal.type for literal in literals}) != 1:
            raise UnreadableExpression("a list holds more than literals of one type")
        values: Any = pa.concat_arrays([pa.repeat(literal, 1) for literal in literals])
        found = Membership(self.read(variant.expr(), depth), values)
        return Call("invert", (found,)) if variant.negated() else found

    def _like(self, expression: Any, depth: int) -> Node:
        variant = expression.to_variant()
        negations = {"like": False, "not like": True}
        if variant.escape_char() not in (None, "\\") or expression.rex_call_operator() not in negations:
            raise UnreadableExpression("ILIKE is not known")
        found = _call("like", (self.read(variant.expr(), depth), self.read(variant.pattern(), depth)))
        return Call("invert", (found,)) if negations[expression.rex_call_operator()] else found

    def _case(self, variant: Any, depth: int) -> Node:
        arguments: list[Node] = []
        base = None if variant.expr() is None else self.read(variant.expr(), depth)
        for when, then in variant.when_then_expr():
            condition = self.read(when, depth)
            arguments += (
                condition if base is None else Call("case_equal", (base, condition)),
                self.read(then, depth),
            )
        otherwise = variant.else_expr()
        arguments.append(Literal(_NULL) if otherwise is None else self.read(otherwise, depth))
        return Call("case", tuple(arguments))

    def _function(self, expression: Any, depth: int) -> Node:
        name = expression.rex_call_operator()
        if name not in _FUNCTIONS or not _is_implemented_by(expression, _FUNCTIONS[name]):
            raise UnreadableExpression(f"function {name} is not known")
        return _call(name, tuple(self.read(operand, depth) for operand in expression.rex_call_operands()))


def _call(function: str, arguments: tuple[Node, ...]) -> Node:
    if all(isinstance(argument, Literal) for argument in arguments):
        raise UnreadableExpression("DataFusion computes what it can while it plans: this is an error of its own")
    return Call(function, arguments)


def _parts(expression: Any, operator: str) -> list[Any]:
    """The parts of a chain of ANDs or ORs, which nests as deep as it is long, from left to right."""
    parts, waiting = [], [expression]
    while waiting:
        part = unaliased(waiting.pop())
        if part.variant_name() == "BinaryExpr" and part.to_variant().op() == operator:
            waiting += (part.to_variant().right(), part.to_variant().left())
        else:
            parts.append(part)
    return parts


def _literal(expression: Any) -> Literal:
    value = expression.python_value()
    return Literal(value.value if isinstance(value, pa.DictionaryScalar) else value)


def _is_implemented_by(expression: Any, implementation: str) -> bool:
    """Whether a function is DataFusion's own. The binding has no class for calls, but its error tells."""
    try:
        expression.to_variant()
    except Exception as error:
        return f"func: ScalarUDF {{ inner: {implementation} {{" in str(error)
    return False
