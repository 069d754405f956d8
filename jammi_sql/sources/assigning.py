"""How a value becomes one of a column's in PostgreSQL, where it is written by a statement."""

from __future__ import annotations

import re
from typing import Final

import pyarrow as pa

from .relation import RemoteColumn

__all__ = ["assignable"]

_WITH_LENGTH: Final = re.compile(r"(bit|character)\b(?: varying)?(?:\(\d+\))?(\[\])?")
_OF_ANY_LENGTH: Final = {"bit": "varbit", "character": "text"}


def assignable(text: str, column: RemoteColumn) -> str:
    """``text``, an expression, cast to the type of ``column``.

    Texts and bits are cast to a type without a length, and the assignment does the rest: it refuses what is too long
    (22001), where a cast cuts it off.
    """
    found = _WITH_LENGTH.fullmatch(column.declared)
    if found is not None:
        return f"{text}::{_OF_ANY_LENGTH[found[1]]}{found[2] or ''}"
    if column.read is None and pa.types.is_string(column.type):  # a domain may have a length as well
        return f"{text}::text"
    return f"{text}::{column.declared}"
