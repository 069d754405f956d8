"""Databases of which nothing is known."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from ..said import NotSaid, Said
from .dialect import Dialect, family
from .values import integer

__all__ = ["CommonDialect"]


class CommonDialect(Dialect):
    """What every SQL says: columns, comparisons of whole numbers, NULL, AND, OR and NOT. Not LIMIT, for which there are
    several words: who has enough rows ends the scan."""

    name = "common"
    families = frozenset({"int"})

    def __init__(self, sign: str = '"') -> None:
        """``sign`` stands around identifiers."""
        self._sign = sign

    def quote(self, name: str) -> str:
        return self._sign + name.replace(self._sign, self._sign * 2) + self._sign

    def literal(self, value: pa.Scalar) -> str:
        if family(value.type) != "int" or not value.is_valid:
            raise NotSaid(f"values of {value.type} are compared here")
        return integer(value)

    def type_name(self, data_type: Any) -> str:
        raise NotSaid(f"{data_type} has no name there that is known")

    def deliver(self, said: Said) -> str:
        raise NotSaid("nothing is computed there")
