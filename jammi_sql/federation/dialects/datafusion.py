"""DataFusion, another server's: what is planned here means the same there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import pyarrow as pa

from ...sources.relation import RemoteColumn
from ..expression import Call, Literal
from ..said import NotSaid, Said
from .dialect import COMPARISONS, WINDOWS, Say, family
from .functions import counted
from .typed import TypedDialect
from .values import number_text, quoted, timestamp_text

__all__ = ["DatafusionDialect"]

_ARROW: Mapping[pa.DataType, str] = {
    pa.bool_(): "Boolean",
    pa.int8(): "Int8",
    pa.int16(): "Int16",
    pa.int32(): "Int32",
    pa.int64(): "Int64",
    pa.uint8(): "UInt8",
    pa.uint16(): "UInt16",
    pa.uint32(): "UInt32",
    pa.uint64(): "UInt64",
    pa.float32(): "Float32",
    pa.float64(): "Float64",
    pa.string(): "Utf8",
    pa.large_string(): "LargeUtf8",
    pa.string_view(): "Utf8View",
    pa.binary(): "Binary",
    pa.large_binary(): "LargeBinary",
    pa.binary_view(): "BinaryView",
    pa.date32(): "Date32",
}
_UNITS = {"s": "Second", "ms": "Millisecond", "us": "Microsecond", "ns": "Nanosecond"}
_SIGNS = {
    "add": "+", "subtract": "-", "multiply": "*", "divide": "/", "modulus": "%", "str_concat": "||",
    "regex_match": "~", "regex_imatch": "~*", "regex_not_match": "!~", "regex_not_imatch": "!~*",
}  # fmt: skip
# Of the same words there: no clock, no chance, no setting of the session, no library whose last digit is the machine's.
# fmt: off
_NAMED = (
    "abs", "ceil", "floor", "gcd", "isnan", "iszero", "lcm", "nanvl", "round", "signum", "sqrt", "trunc",
    "ascii", "bit_length", "btrim", "character_length", "chr", "concat", "concat_ws", "contains", "ends_with",
    "find_in_set", "initcap", "left", "levenshtein",
    "lower", "lpad", "ltrim", "octet_length", "overlay", "repeat", "replace", "reverse", "right", "rpad", "rtrim",
    "split_part", "starts_with", "strpos", "substr_index",
    "to_hex", "translate", "upper",
    "regexp_count", "regexp_instr", "regexp_like", "regexp_replace",
    "date_part", "date_trunc", "make_date",
    "coalesce", "greatest", "least", "nullif", "nvl", "nvl2",
)
# fmt: on


class DatafusionDialect(TypedDialect):
    """The dialect of here, so that all is said whose words are known. Types are said by their names in Arrow, of which SQL
    has fewer. ``min`` and ``max`` of doubles are computed here: whether they are NaN depends on the order of the rows."""

    name = "datafusion"
    windows = WINDOWS

    def literal(self, value: pa.Scalar) -> str:
        # Digits alone would be 64 bits wide, and a double where they have a point.
        if not value.is_valid or value.type in (pa.bool_(), pa.string(), pa.binary(), pa.date32()):
            return super().literal(value)
        if pa.types.is_integer(value.type):
            digits = str(value.as_py())
            return digits if value.type == pa.int64() and digits.isdecimal() else self._as(quoted(digits), value.type)
        kind = family(value.type)
        match kind:
            case "decimal":
                return self._as(quoted(format(value.as_py(), "f")), value.type)
            case "float":
                return self._as(quoted(number_text(value)), value.type)
            case "timestamp" | "timestamptz":
                return self._as(quoted(timestamp_text(value) + ("" if kind == "timestamp" else "Z")), value.type)
            case "text" | "binary":
                return self._as(super().literal(value), value.type)
        raise NotSaid(f"values of {value.type} are compared here")

    def null(self, data_type: Any) -> str:
        return self._as("NULL", data_type)

    def double(self, text: str) -> str:
        return self._as(text, pa.float64())

    def blob(self, value: bytes) -> str:
        return f"X'{value.hex()}'"

    def type_name(self, data_type: Any) -> str:
        types = pa.types
        name = _ARROW.get(data_type)
        if name is not None:
            return name
        if types.is_decimal128(data_type) or types.is_decimal256(data_type):
            return f"Decimal{data_type.bit_width}({data_type.precision}, {data_type.scale})"
        if types.is_timestamp(data_type) and data_type.tz in (None, "UTC"):
            zone = "None" if data_type.tz is None else 'Some("UTC")'
            return f"Timestamp({_UNITS[data_type.unit]}, {zone})"
        raise NotSaid(f"{data_type} has no name that is known in {self.name}")

    def _as(self, text: str, data_type: Any) -> str:
        return f"arrow_cast({text}, '{self.type_name(data_type)}')"

    def deliver(self, said: Said) -> str:
        return said.text  # it has the type that it has here

    def cast(self, operand: Said, data_type: Any) -> str:
        return self._as(operand.text, data_type)

    def compare(self, function: str, left: Said, right: Said) -> str:
        if left.type == right.type:
            return f"({left.text} {COMPARISONS[function]} {right.text})"
        return super().compare(function, left, right)

    def ordered(self, said: Said) -> str:
        self.type_name(said.type)
        return said.text

    def group_key(self, said: Said) -> str:
        self.type_name(said.type)
        return said.text

    def assigned(self, value: Said, column: RemoteColumn) -> str:
        return value.text

    def measure(self, function: str, arguments: Sequence[Said], data_type: Any, *, distinct: bool) -> str:
        if function == "count":
            return counted(self, arguments, distinct=distinct)
        if len(arguments) != 1:
            raise NotSaid(f"{function} is computed here")
        floating = pa.types.is_floating(arguments[0].type)
        if function in ("min", "max") and not floating:
            return f"{function}({arguments[0].text})"
        if function in ("sum", "avg") and not (floating and distinct):
            return f"{function}({'DISTINCT ' if distinct else ''}{arguments[0].text})"
        raise NotSaid(f"{function} of {arguments[0].type} is computed here")

    functions: Mapping[str, Say] = MappingProxyType(
        {
            **{name: lambda dialect, call, said: _named(call.function, said) for name in _NAMED},
            **{name: lambda dialect, call, said: _between(call, said) for name in _SIGNS},
            "negate": lambda dialect, call, said: f"(- {said[0].text})",
            "substr": lambda dialect, call, said: _named("substr", said),
            "substring": lambda dialect, call, said: _named("substr", said),
            "like": lambda dialect, call, said: _like("LIKE", call, said),
            "ilike": lambda dialect, call, said: _like("ILIKE", call, said),
        }
    )


def _named(name: str, said: Sequence[Said]) -> str:
    return f"{name}({', '.join(argument.text for argument in said)})"


def _between(call: Call, said: Sequence[Said]) -> str:
    left, right = said
    return f"({left.text} {_SIGNS[call.function]} {right.text})"


def _like(word: str, call: Call, said: Sequence[Said]) -> str:
    """LIKE, whose escape is the backslash where none is named."""
    escape = call.arguments[2] if len(call.arguments) > 2 else None
    if escape is not None and (not isinstance(escape, Literal) or escape.value.as_py() not in (None, "\\")):
        raise NotSaid("LIKE with another escape is computed here")
    return f"({said[0].text} {word} {said[1].text})"
