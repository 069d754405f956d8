"""A column of a companion table, and where its values are."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from ..arrow.storage import ColumnCodec

__all__ = ["StoredColumn"]


@dataclass(frozen=True, slots=True, eq=False)
class StoredColumn:
    """A column and where its values are."""

    field: pa.Field
    physical: str
    codec: ColumnCodec
    default: str | None

    @property
    def name(self) -> str:
        """The user's name for it."""
        return self.field.name
