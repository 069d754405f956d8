"""DuckDB."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import pyarrow as pa

from ..said import NotSaid, Said
from .dialect import WINDOWS, Say, family, widens
from .functions import (
    counted,
    date_part,
    date_trunc,
    integer_division,
    like_with_escape,
    of_text,
    substring,
)
from .typed import TypedDialect

__all__ = ["DuckdbDialect"]


class DuckdbDialect(TypedDialect):
    """What holds of PostgreSQL's arithmetic of integers and doubles holds here; decimals have 18 digits in between."""

    name = "duckdb"
    windows = WINDOWS

    def null(self, data_type: Any) -> str:
        return f"CAST(NULL AS {self.type_name(data_type)})"

    def double(self, text: str) -> str:
        return f"CAST({text} AS DOUBLE)"

    def blob(self, value: bytes) -> str:
        return f"from_hex('{value.hex()}')"

    def type_name(self, data_type: Any) -> str:
        kind = family(data_type)
        match kind:
            case "int":
                return {8: "TINYINT", 16: "SMALLINT", 32: "INTEGER", 64: "BIGINT"}[data_type.bit_width]
            case "ordinal":
                return "UBIGINT"
            case "float":
                return "FLOAT" if pa.types.is_float32(data_type) else "DOUBLE"
            case "decimal":
                if data_type.precision > 38:
                    raise NotSaid(f"there is no {data_type} in DuckDB")
                return f"DECIMAL({data_type.precision}, {data_type.scale})"
            case "":
                raise NotSaid(f"there is no {data_type} in DuckDB")
        names = {"bool": "BOOLEAN", "text": "VARCHAR", "binary": "BLOB", "date": "DATE"}
        return names.get(kind, kind.upper())

    def deliver(self, said: Said) -> str:
        return f"CAST({said.text} AS {self.type_name(said.type)})"

    def sign_of_zero(self, text: str) -> str:
        return f"CASE WHEN {text} = 0 THEN CAST({text} AS VARCHAR) END"

    def cast(self, operand: Said, data_type: Any) -> str:
        source, target = family(operand.type), family(data_type)
        if source == target and source in ("int", "float") and data_type.bit_width >= operand.type.bit_width:
            return self.deliver(Said(operand.text, data_type))
        if source == target == "decimal" and widens(operand.type, data_type):
            return self.deliver(Said(operand.text, data_type))
        if (source, target) == ("date", "timestamp"):
            return self.deliver(Said(operand.text, data_type))
        if source == target == "text":
            return operand.text
        return super().cast(operand, data_type)

    def measure(self, function: str, arguments: Sequence[Said], data_type: Any, *, distinct: bool) -> str:
        if function == "count":
            return counted(self, arguments, distinct=distinct)
        if len(arguments) != 1 or distinct:
            raise NotSaid(f"{function} is computed here")
        argument, kind = arguments[0], family(arguments[0].type)
        if function in ("min", "max") and kind not in ("bool", "binary", "float", ""):
            return f"{function}({argument.text})"
        if function == "sum" and kind in ("int", "decimal", "float"):
            return f"sum({argument.text})"
        if function == "avg" and kind == "int":
            return f"(CAST(sum({argument.text}) AS DOUBLE) / nullif(count({argument.text}), 0))"
        raise NotSaid(f"{function} of {argument.type} is computed here")

    def in_range(self, function: str, text: str, arguments: Sequence[Said]) -> str:
        return f"CAST({text} AS BIGINT)" if function == "sum" and family(arguments[0].type) == "int" else text

    functions: Mapping[str, Say] = MappingProxyType(
        {
            "like": like_with_escape,
            "substr": substring,
            "substring": substring,
            "character_length": lambda _, call, said: f"length({of_text(said[0])})",
            "starts_with": lambda _, call, said: f"starts_with({of_text(said[0])}, {of_text(said[1])})",
            "date_part": date_part,
            "date_trunc": date_trunc,
            "modulus": integer_division,
        }
    )
