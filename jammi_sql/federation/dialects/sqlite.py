"""SQLite."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import pyarrow as pa

from ...sources.relation import RemoteColumn
from ..expression import Call
from ..said import NotSaid, Said
from .dialect import WINDOWS, Dialect, Say, family
from .functions import counted, integer_division, of_text, pattern_of, substring
from .values import bytes_of, integer, number_text, quoted

__all__ = ["SqliteDialect"]


class SqliteDialect(Dialect):
    """Its LIKE takes no notice of case, so that a pattern is said with GLOB; decimals and times are kept as other things
    there, and are only read."""

    name = "sqlite"
    windows = WINDOWS
    families = frozenset({"bool", "int", "float", "text", "binary", "ordinal"})

    def literal(self, value: pa.Scalar) -> str:
        kind = family(value.type)
        if pa.types.is_null(value.type):
            return "NULL"
        if not value.is_valid and kind in self.families:
            return "NULL"
        match kind:
            case "bool":
                return "1" if value.as_py() else "0"
            case "int" | "ordinal":
                return integer(value)
            case "float":
                text = number_text(value)
                if "n" in text:  # nan, inf
                    raise NotSaid("NaN and infinity are compared here")
                return f"({text})"
            case "text":
                return quoted(value.as_py())
            case "binary":
                return f"X'{bytes_of(value).hex()}'"
        raise NotSaid(f"values of {value.type} are compared here")

    def type_name(self, data_type: Any) -> str:
        names = {
            "bool": "INTEGER",
            "int": "INTEGER",
            "ordinal": "INTEGER",
            "float": "REAL",
            "text": "TEXT",
            "binary": "BLOB",
        }
        name = names.get(family(data_type))
        if name is None:
            raise NotSaid(f"there is no {data_type} in SQLite")
        return name

    def deliver(self, said: Said) -> str:
        self.type_name(said.type)
        return said.text

    def cast(self, operand: Said, data_type: Any) -> str:
        source, target = family(operand.type), family(data_type)
        if source == target == "int" and data_type.bit_width >= operand.type.bit_width:
            return operand.text
        if source == target == "text":
            return operand.text
        return super().cast(operand, data_type)

    def assigned(self, value: Said, column: RemoteColumn) -> str:
        # A column takes values of any class there, and one of another class than its own could not be read any more.
        kinds = (family(value.type), family(column.type))
        if not pa.types.is_null(value.type) and kinds != ("int", "float") and kinds[0] != kinds[1]:
            raise NotSaid(f"a new value of {value.type} for column {column.name} ({column.declared}) is computed here")
        return super().assigned(value, column)

    def measure(self, function: str, arguments: Sequence[Said], data_type: Any, *, distinct: bool) -> str:
        if function == "count":
            return counted(self, arguments, distinct=distinct)
        if len(arguments) != 1 or distinct:
            raise NotSaid(f"{function} is computed here")
        argument, kind = arguments[0], family(arguments[0].type)
        if function in ("min", "max") and kind in ("int", "float", "text"):
            return f"{function}({argument.text})"
        if function == "sum" and kind in ("int", "float"):
            return f"sum({argument.text})"
        if function == "avg" and kind == "int":
            return f"avg({argument.text})"
        raise NotSaid(f"{function} of {argument.type} is computed here")

    def limit(self, count: int | None, offset: int) -> str:
        return super().limit(-1 if count is None and offset else count, offset)  # there is no OFFSET alone

    functions: Mapping[str, Say] = MappingProxyType(
        {
            "like": lambda _, call, said: _glob(call, said),
            "substr": substring,
            "substring": substring,
            "modulus": integer_division,
            "divide": integer_division,
        }
    )


def _glob(call: Call, said: Sequence[Said]) -> str:
    pattern = pattern_of(call)
    if "\\" in pattern:
        raise NotSaid("a pattern with an escape is matched here")
    signs = {"%": "*", "_": "?", "*": "[*]", "?": "[?]", "[": "[[]"}
    return f"({of_text(said[0])} GLOB {quoted(''.join(signs.get(sign, sign) for sign in pattern))})"
