"""A table or view of an attached database."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import pyarrow as pa

__all__ = ["RemoteColumn", "RemoteRelation"]


@dataclass(frozen=True, slots=True)
class RemoteColumn:
    """A column of an attached relation, and how its values are read."""

    name: str
    type: pa.DataType
    """What it is here. Of an unreadable column: the nearest type, text where there is none."""
    nullable: bool
    declared: str
    """The source's own name of its type."""
    read: str | None = None
    """How the source gives the value in a form that the driver delivers, with ``{}`` for the column; ``None``: as it is."""
    comparable: bool = True
    """Whether the column itself, in an expression of the source's dialect, means what its value means here: it has the
    same equality, order (of text: by bytes, once COLLATE "C" or its like is said) and arithmetic. Else it is only read."""
    compared: str | None = None
    """Of a comparable column: how it is written in an expression, with ``{}`` for the column; ``None``: as it is. So
    PostgreSQL's ``character(n)`` and ``uuid`` are compared as the texts that they are here, at the price of their indexes."""
    unreadable: str | None = None
    """Why it cannot be read; the error of a statement that uses it."""


@dataclass(frozen=True, slots=True)
class RemoteRelation:
    """A table or view of an attached database, as it was when it was last looked at."""

    schema: str
    name: str
    kind: Literal["table", "view"]
    columns: tuple[RemoteColumn, ...]
    rows: int | None = None
    """The source's own estimate."""
    keys: tuple[tuple[str, ...], ...] = ()
    """Columns whose values together are unique where none is NULL, by primary key and unique constraints; the primary key
    comes first."""
    path: tuple[str, ...] = ()
    """Its names there, where they are others than ``schema`` and ``name``: a server may have several catalogs."""

    @property
    def arrow_schema(self) -> pa.Schema:
        """The columns as they are here."""
        return pa.schema([pa.field(column.name, column.type, column.nullable) for column in self.columns])

    def column(self, name: str) -> RemoteColumn:
        """The column of that name; ``KeyError`` where there is none."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)
