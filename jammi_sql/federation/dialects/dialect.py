"""The base of dialects: what SQL says alike everywhere, and the lists that each one fills.

A dialect says an expression only where its answer is the same for every input, NULL, NaN and the empty text included;
for all else it raises ``NotSaid``. One kind of difference is allowed: where the source refuses (an overflow of a sum, say),
the statement fails with its error, and no row is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pyarrow as pa

from ...sources.relation import RemoteColumn, RemoteRelation
from ..expression import Call, Case, Cast, Column, Expression, InList, Literal, ScalarQuery
from ..said import NotSaid, Said

__all__ = ["COMPARISONS", "WINDOWS", "Dialect", "Say", "family", "widens"]

COMPARISONS: Mapping[str, str] = {
    "equal": "=",
    "not_equal": "<>",
    "lt": "<",
    "lte": "<=",
    "gt": ">",
    "gte": ">=",
}
WINDOWS = frozenset({"row_number", "rank", "dense_rank", "lag", "lead", "count", "sum", "min", "max"})
"""Functions of windows that mean the same wherever there are any, over rows in an order that is said in full."""
_EQUALITY = frozenset({"equal", "not_equal"})
_LONGEST_LIST = 10_000

Say = Callable[["Dialect", Call, Sequence[Said]], str]


def family(data_type: Any) -> str:
    """The kind of values of a type, within which they compare; empty for what no dialect compares."""
    types = pa.types
    if types.is_boolean(data_type):
        return "bool"
    if types.is_signed_integer(data_type):
        return "int"
    if types.is_uint64(data_type):
        return "ordinal"
    if types.is_floating(data_type):
        return "" if types.is_float16(data_type) else "float"
    if types.is_decimal(data_type):
        return "decimal"
    if types.is_string(data_type) or types.is_large_string(data_type) or types.is_string_view(data_type):
        return "text"
    if types.is_binary(data_type) or types.is_large_binary(data_type):
        return "binary"
    if types.is_date32(data_type):
        return "date"
    if types.is_timestamp(data_type) and data_type.unit == "us":
        return "timestamp" if data_type.tz is None else "timestamptz" if data_type.tz in ("UTC", "+00:00") else ""
    return ""


def widens(source: Any, target: Any) -> bool:
    """Whether every decimal of the type ``source`` is one of ``target``."""
    more: bool = target.precision - target.scale >= source.precision - source.scale
    return more and bool(target.scale >= source.scale)


class Dialect:
    """Says expressions and clauses; an instance has no state."""

    name = ""
    families: frozenset[str] = frozenset()
    """Those whose values it compares as they compare here."""
    functions: Mapping[str, Say] = {}
    """The scalar functions beyond comparisons and logic, by their names in Substrait."""

    windows: frozenset[str] = frozenset()
    """The functions of windows whose answer is the same there."""

    # --- names and values ---

    def quote(self, name: str) -> str:
        """An identifier."""
        return '"' + name.replace('"', '""') + '"'

    def table(self, relation: RemoteRelation) -> str:
        """The path of a table."""
        return ".".join(self.quote(name) for name in relation.path or (relation.schema, relation.name))

    def literal(self, value: pa.Scalar) -> str:
        """A value, written so that no text of a user's can be anything but a value."""
        raise NotImplementedError

    def type_name(self, data_type: Any) -> str:
        """The source's type with the same values, for casts."""
        raise NotImplementedError

    def deliver(self, said: Said) -> str:
        """How a value that was computed is handed over, in a form that the driver delivers."""
        raise NotImplementedError

    # --- expressions ---

    def say(self, expression: Expression, columns: Sequence[Said]) -> Said:
        """The expression over ``columns``; ``NotSaid`` where its meaning would not be the same."""
        match expression:
            case Column(index):
                return columns[index]
            case Literal(value):
                return Said(self.literal(value), value.type, constant=True)
            case Call(function, arguments, data_type):
                parts = [self.value(argument, columns) for argument in arguments]
                return Said(self._call(function, expression, parts), data_type)
            case Cast(operand, data_type, null_on_failure):
                if null_on_failure:
                    raise NotSaid("TRY_CAST is computed here")
                return Said(self.cast(self.value(operand, columns), data_type), data_type)
            case Case(branches, otherwise, data_type):
                text = " ".join(
                    f"WHEN {self.value(condition, columns).text} THEN {self.value(value, columns).text}"
                    for condition, value in branches
                )
                last = "" if otherwise is None else f" ELSE {self.value(otherwise, columns).text}"
                return Said(f"CASE {text}{last} END", data_type)
            case InList(operand, options):
                return Said(self._in(operand, options, columns), pa.bool_())
            case ScalarQuery(text, data_type):
                return Said(text, data_type)

    def value(self, expression: Expression, columns: Sequence[Said]) -> Said:
        """The same where it is part of something: a column must mean there what it means here."""
        said = self.say(expression, columns)
        column = said.column
        if column is not None:
            if column.unreadable is not None:
                raise NotSaid(f"column {column.name} cannot be read: {column.unreadable}")
            if not column.comparable:
                raise NotSaid(f"column {column.name} ({column.declared}) compares otherwise there")
            if column.compared is not None:
                return Said(column.compared.replace("{}", said.text), said.type)
        return said

    def _call(self, function: str, call: Call, arguments: Sequence[Said]) -> str:
        texts = [argument.text for argument in arguments]
        match function:
            case "and" | "or":
                return "(" + f" {function.upper()} ".join(texts) + ")"
            case "not":
                return f"(NOT {texts[0]})"
            case "is_null":
                return f"({texts[0]} IS NULL)"
            case "is_not_null":
                return f"({texts[0]} IS NOT NULL)"
            case "is_true" | "is_false" | "is_not_true" | "is_not_false":
                return f"({texts[0]} {function.upper().replace('_', ' ')})"
            case _ if function in COMPARISONS:
                return self.compare(function, *arguments)
        say = self.functions.get(function)
        if say is None:
            raise NotSaid(f"{function} is not known to mean the same in {self.name}")
        return say(self, call, arguments)

    def compare(self, function: str, left: Said, right: Said) -> str:
        """A comparison of two values of one family."""
        kind = family(left.type)
        if kind != family(right.type) or kind not in self.families:
            raise NotSaid(f"{left.type} and {right.type} are compared here")
        if function in _EQUALITY:
            return f"({left.text} {COMPARISONS[function]} {right.text})"
        return f"({self.ordered(left)} {COMPARISONS[function]} {right.text})"

    def ordered(self, said: Said) -> str:
        """A value as something to put in order, smallest bytes of text first."""
        if family(said.type) not in self.families:
            raise NotSaid(f"{said.type} is put in order here")
        return said.text

    def cast(self, operand: Said, data_type: Any) -> str:
        """A cast that gives the same for every value."""
        raise NotSaid(f"a cast of {operand.type} to {data_type} is computed here")

    def _in(self, operand: Expression, options: Sequence[Expression], columns: Sequence[Said]) -> str:
        if len(options) > _LONGEST_LIST:
            raise NotSaid("the list of IN is long")
        left = self.value(operand, columns)
        kind = family(left.type)
        values = [self.value(option, columns) for option in options]
        if kind == "float":
            raise NotSaid("IN compares doubles by their bits here")
        if kind not in self.families or any(family(value.type) != kind for value in values):
            raise NotSaid(f"IN of {left.type} is computed here")
        return f"({left.text} IN ({', '.join(value.text for value in values)}))"

    def assigned(self, value: Said, column: RemoteColumn) -> str:
        """The new value of a column in SET."""
        if family(value.type) not in self.families and not value.constant:
            raise NotSaid(f"a new value of {value.type} is computed here")
        return value.text

    # --- clauses ---

    def group_key(self, said: Said) -> str:
        """A value to group by: equal values are equal there."""
        if family(said.type) not in self.families:
            raise NotSaid(f"{said.type} is grouped here")
        return said.text

    def set_key(self, said: Said) -> str:
        """A value of a row that INTERSECT or EXCEPT compares with others."""
        return self.group_key(said)

    def sort_key(self, said: Said, *, descending: bool, nulls_first: bool) -> str:
        """One of ORDER BY."""
        direction = "DESC" if descending else "ASC"
        key = f"{self.ordered(said)} {direction} NULLS {'FIRST' if nulls_first else 'LAST'}"
        sign = self.sign_of_zero(said.text) if pa.types.is_floating(said.type) else ""
        return f"{key}, {sign} {direction}" if sign else key

    def sign_of_zero(self, text: str) -> str:
        """What orders -0.0 before 0.0, as here, of a floating point number that is zero; empty where the source orders them so,
        or has no -0.0."""
        return ""

    def measure(self, function: str, arguments: Sequence[Said], data_type: Any, *, distinct: bool) -> str:
        """An aggregate function, without its FILTER."""
        raise NotSaid(f"{function} is computed here")

    def in_range(self, function: str, text: str, arguments: Sequence[Said]) -> str:
        """The value of an aggregate function, where the source has a wider type for it: one that has no place in the type
        here is an error there, so that nothing compares it either."""
        return text

    def limit(self, count: int | None, offset: int) -> str:
        """LIMIT and OFFSET, with the blank before."""
        text = "" if count is None else f" LIMIT {count}"
        return text if not offset else f"{text} OFFSET {offset}"
