"""PostgreSQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from types import MappingProxyType
from typing import Any

import pyarrow as pa

from ...sources.assigning import assignable
from ...sources.relation import RemoteColumn
from ..said import NotSaid, Said
from .dialect import WINDOWS, Say, family, widens
from .functions import (
    counted,
    date_part,
    date_trunc,
    decimal_arithmetic,
    integer_division,
    like,
    of_text,
    substring,
)
from .typed import TypedDialect

__all__ = ["PostgresDialect"]


class PostgresDialect(TypedDialect):
    """Integer arithmetic but % and / is not said (it wraps around here and fails there), nor is arithmetic of doubles (an
    overflow fails there), nor what depends on a locale: upper, lower, ILIKE."""

    name = "postgres"
    windows = WINDOWS

    def null(self, data_type: Any) -> str:
        return f"NULL::{self.type_name(data_type)}"

    def double(self, text: str) -> str:
        return f"{text}::float8"

    def blob(self, value: bytes) -> str:
        return f"'\\x{value.hex()}'::bytea"

    def type_name(self, data_type: Any) -> str:
        kind = family(data_type)
        match kind:
            case "int":
                return {8: "int2", 16: "int2", 32: "int4", 64: "int8"}[data_type.bit_width]
            case "ordinal":
                return "int8"  # of what counts rows
            case "float":
                return "float4" if pa.types.is_float32(data_type) else "float8"
            case "decimal":
                return "numeric"
            case "":
                raise NotSaid(f"there is no {data_type} in PostgreSQL")
        return {"bool": "bool", "text": "text", "binary": "bytea"}.get(kind, kind)

    def deliver(self, said: Said) -> str:
        kind = family(said.type)
        if kind == "decimal":
            return f"({said.text})::text"  # the driver knows no numeric
        if kind not in ("float", "text"):
            # As it is: a cast would round what is no longer of the type that is remembered of its column.
            self.type_name(said.type)
            return said.text
        return f"({said.text})::{self.type_name(said.type)}"

    def sign_of_zero(self, text: str) -> str:
        return f'CASE WHEN {text} = 0 THEN ({text})::text COLLATE "C" END'

    def set_key(self, said: Said) -> str:
        return self.ordered(said)  # two columns may have two collations

    def ordered(self, said: Said) -> str:
        text = super().ordered(said)
        return f'{text} COLLATE "C"' if family(said.type) == "text" else text

    def cast(self, operand: Said, data_type: Any) -> str:
        source, target = family(operand.type), family(data_type)
        if source == target == "int" and data_type.bit_width >= operand.type.bit_width:
            return f"{operand.text}::{self.type_name(data_type)}"
        if source == "int" and target == "decimal" and _digits(data_type) >= _DIGITS[operand.type.bit_width]:
            return f"{operand.text}::numeric"
        if source == target == "decimal" and widens(operand.type, data_type):
            return operand.text
        if source == target == "float" and data_type.bit_width >= operand.type.bit_width:
            return f"{operand.text}::{self.type_name(data_type)}"
        if source == "int" and target == "float" and operand.type.bit_width <= 32 and data_type.bit_width == 64:
            return f"{operand.text}::float8"
        if source == "int" and target == "text":
            return f"{operand.text}::text"
        if source == "date" and target == "timestamp":
            return f"{operand.text}::timestamp"
        if source == target == "text":
            return operand.text
        return super().cast(operand, data_type)

    def assigned(self, value: Said, column: RemoteColumn) -> str:
        return assignable(f"({super().assigned(value, column)})", column)

    def measure(self, function: str, arguments: Sequence[Said], data_type: Any, *, distinct: bool) -> str:
        kinds = [family(argument.type) for argument in arguments]
        if function == "count":
            return counted(self, arguments, distinct=distinct)
        if len(arguments) != 1:
            raise NotSaid(f"{function} is computed here")
        (argument,), (kind,) = arguments, kinds
        word = "DISTINCT " if distinct else ""
        match function:
            case "min" | "max" if kind not in (
                "bool",
                "binary",
                "float",
            ):  # where NaN comes out depends on the order here
                return f"{function}({self.ordered(argument)})"
            case "sum" if kind in ("int", "decimal"):
                return f"sum({word}{argument.text})"
            case "sum" if kind == "float" and not distinct:
                return f"sum({argument.text}::float8)"
            case "avg" if kind == "int" and not distinct:
                return f"(sum({argument.text})::float8 / nullif(count({argument.text}), 0))"
            case "avg" if kind == "float" and not distinct:
                return f"avg({argument.text}::float8)"
            case "avg" if kind == "decimal" and not distinct and pa.types.is_decimal(data_type):
                # Cut off behind the last digit of the result's scale, as here.
                unit = Decimal(1).scaleb(-data_type.scale)
                shifted = f"sum({argument.text}) * {10**data_type.scale}"
                return f"(div({shifted}, nullif(count({argument.text}), 0)::numeric) * {unit:f})"
        raise NotSaid(f"{function} of {argument.type} is computed here")

    def in_range(self, function: str, text: str, arguments: Sequence[Said]) -> str:
        if function != "sum" or family(arguments[0].type) != "int" or arguments[0].type.bit_width < 64:
            return text
        return f"({text})::text::int8"  # by way of text, since a cast of numeric would round

    functions: Mapping[str, Say] = MappingProxyType(
        {
            "like": like,
            "substr": substring,
            "substring": substring,
            "character_length": lambda _, call, said: f"char_length({of_text(said[0])})",
            "starts_with": lambda _, call, said: f"starts_with({of_text(said[0])}, {of_text(said[1])})",
            "date_part": date_part,
            "date_trunc": date_trunc,
            "multiply": decimal_arithmetic,
            "add": decimal_arithmetic,
            "subtract": decimal_arithmetic,
            "modulus": integer_division,
            "divide": integer_division,
        }
    )


_DIGITS = {8: 3, 16: 5, 32: 10, 64: 19}
"""Decimal digits of an integer of so many bits."""


def _digits(data_type: Any) -> int:
    """Digits before the point."""
    return int(data_type.precision - data_type.scale)
