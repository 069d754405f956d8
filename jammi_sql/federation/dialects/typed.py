"""What databases that have a type for each kind of value say alike."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from ..said import NotSaid
from .dialect import Dialect, family
from .values import bytes_of, date_text, decimal_text, integer, number_text, quoted, timestamp_text

__all__ = ["TypedDialect"]


class TypedDialect(Dialect):
    """Values of every family, in the words of standard SQL; three of them have words of each database's own."""

    families = frozenset(
        {"bool", "int", "float", "decimal", "text", "binary", "date", "timestamp", "timestamptz", "ordinal"}
    )

    def null(self, data_type: Any) -> str:
        """NULL of a type."""
        raise NotImplementedError

    def double(self, text: str) -> str:
        """The double that a quoted text means, ``'nan'`` and ``'inf'`` among them."""
        raise NotImplementedError

    def blob(self, value: bytes) -> str:
        """Bytes."""
        raise NotImplementedError

    def literal(self, value: pa.Scalar) -> str:
        if pa.types.is_null(value.type):
            return "NULL"
        if not value.is_valid:
            return self.null(value.type)
        match family(value.type):
            case "bool":
                return "TRUE" if value.as_py() else "FALSE"
            case "int" | "ordinal":
                return integer(value)
            case "decimal":
                return decimal_text(value)
            case "float":
                return self.double(quoted(number_text(value)))
            case "text":
                return quoted(value.as_py())
            case "binary":
                return self.blob(bytes_of(value))
            case "date":
                return f"DATE '{date_text(value)}'"
            case "timestamp":
                return f"TIMESTAMP '{timestamp_text(value)}'"
            case "timestamptz":
                return f"TIMESTAMPTZ '{timestamp_text(value)}+00'"
        raise NotSaid(f"values of {value.type} are compared here")
