"""Functions that several dialects say alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pyarrow as pa

from ..expression import Call, Expression, Literal
from ..said import NotSaid, Said
from .values import quoted

if TYPE_CHECKING:
    from .dialect import Dialect

__all__ = [
    "counted",
    "date_part",
    "date_trunc",
    "decimal_arithmetic",
    "integer_division",
    "like",
    "like_with_escape",
    "of_text",
    "pattern_of",
    "substring",
]

_MOST_CHARACTERS = 2**31 - 1
_SIGNS = {"multiply": "*", "add": "+", "subtract": "-", "modulus": "%", "divide": "/"}
_DATE_PARTS = {"YEAR": "year", "QUARTER": "quarter", "MONTH": "month", "DAY": "day"}
_TIME_PARTS = {**_DATE_PARTS, "HOUR": "hour", "MINUTE": "minute"}
_UNITS = frozenset({"year", "quarter", "month", "week", "day", "hour", "minute", "second"})


def of_text(said: Said) -> str:
    """A text; ``NotSaid`` for anything else."""
    if not pa.types.is_string(said.type) and not pa.types.is_large_string(said.type):
        raise NotSaid(f"a function of text is computed here for {said.type}")
    return said.text


def _literal(expression: Expression) -> object:
    if not isinstance(expression, Literal) or not expression.value.is_valid:
        raise NotSaid("a function whose argument is no constant is computed here")
    found: object = expression.value.as_py()
    return found


def pattern_of(call: Call) -> str:
    """The constant pattern of a LIKE whose escape, if there is one, is the backslash, and stands before a sign."""
    escape = call.arguments[2] if len(call.arguments) > 2 else None
    if escape is not None and (not isinstance(escape, Literal) or escape.value.as_py() not in (None, "\\")):
        raise NotSaid("LIKE with another escape is computed here")
    pattern = _literal(call.arguments[1])
    if not isinstance(pattern, str):
        raise NotSaid("LIKE without a text is computed here")
    trailing = len(pattern) - len(pattern.rstrip("\\"))
    if trailing % 2:
        raise NotSaid("a pattern that ends in its escape is matched here")
    return pattern


def like(dialect: Dialect, call: Call, said: Sequence[Said]) -> str:
    """LIKE, where the backslash is the escape anyway."""
    return f"({of_text(said[0])} LIKE {quoted(pattern_of(call))})"


def like_with_escape(dialect: Dialect, call: Call, said: Sequence[Said]) -> str:
    """LIKE, where there is no escape unless one is named."""
    return f"({of_text(said[0])} LIKE {quoted(pattern_of(call))} ESCAPE '\\')"


def substring(dialect: Dialect, call: Call, said: Sequence[Said]) -> str:
    """``substr(text, start[, length])`` with constants, from the first character on."""
    numbers = [_literal(argument) for argument in call.arguments[1:]]
    if not numbers or not all(isinstance(number, int) for number in numbers) or int(str(numbers[0])) < 1:
        raise NotSaid("substr from before the first character is computed here")
    if len(numbers) > 1 and int(str(numbers[1])) < 0:
        raise NotSaid("substr of a negative length is computed here")
    if any(int(str(number)) > _MOST_CHARACTERS for number in numbers):
        raise NotSaid("substr beyond 32 bits is computed here")
    return f"substr({of_text(said[0])}, {', '.join(map(str, numbers))})"


def date_part(dialect: Dialect, call: Call, said: Sequence[Said]) -> str:
    """``extract(part FROM value)`` of whole numbers."""
    part = _literal(call.arguments[0])
    if said[1].type == pa.date32():
        known = _DATE_PARTS
    elif pa.types.is_timestamp(said[1].type) and said[1].type.tz is None:
        known = _TIME_PARTS
    else:
        known = {}
    word = known.get(str(part).upper())
    if word is None or not pa.types.is_integer(call.type):
        raise NotSaid(f"{part} of {said[1].type} is computed here")
    return f"(extract({word} FROM {said[1].text})::{dialect.type_name(call.type)})"


def date_trunc(dialect: Dialect, call: Call, said: Sequence[Said]) -> str:
    """``date_trunc('unit', timestamp)``."""
    unit = str(_literal(call.arguments[0])).lower()
    if unit not in _UNITS or not pa.types.is_timestamp(said[1].type) or said[1].type.tz is not None:
        raise NotSaid(f"date_trunc to {unit} of {said[1].type} is computed here")
    return f"date_trunc('{unit}', {said[1].text})"


def decimal_arithmetic(dialect: Dialect, call: Call, said: Sequence[Said]) -> str:
    """+, - and * of decimals, where the result keeps all digits."""
    left, right = (argument.type for argument in said)
    if not (pa.types.is_decimal(left) and pa.types.is_decimal(right) and pa.types.is_decimal(call.type)):
        raise NotSaid(f"arithmetic of {left} and {right} is computed here: it overflows otherwise there")
    exact = left.scale + right.scale if call.function == "multiply" else max(left.scale, right.scale)
    if call.type.scale != exact:
        raise NotSaid(f"a result of {call.type} is rounded here")
    return f"({said[0].text} {_SIGNS[call.function]} {said[1].text})"


def integer_division(dialect: Dialect, call: Call, said: Sequence[Said]) -> str:
    """/ and % of integers by a constant, which cannot be zero or minus one."""
    divisor = _literal(call.arguments[1])
    if not all(pa.types.is_signed_integer(argument.type) for argument in said) or not isinstance(divisor, int):
        raise NotSaid(f"division of {said[0].type} is computed here")
    if divisor in (0, -1):
        raise NotSaid("division by 0 or -1 is computed here")
    return f"({said[0].text} {_SIGNS[call.function]} {said[1].text})"


def counted(dialect: Dialect, arguments: Sequence[Said], *, distinct: bool) -> str:
    """``count(*)`` of a constant, ``count([DISTINCT] x)``."""
    if len(arguments) != 1:
        raise NotSaid("count of several columns is computed here")
    if distinct and pa.types.is_floating(arguments[0].type):
        raise NotSaid("count(DISTINCT) tells doubles by their bits here")
    if distinct:
        return f"count(DISTINCT {dialect.group_key(arguments[0])})"
    return f"count({arguments[0].text})"
