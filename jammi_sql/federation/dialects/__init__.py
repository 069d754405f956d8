"""What each kind of database can be told, with the same meaning as here."""

from __future__ import annotations

from .dialect import Dialect
from .duckdb import DuckdbDialect
from .postgres import PostgresDialect
from .sqlite import SqliteDialect

__all__ = ["DIALECTS", "Dialect"]

DIALECTS: dict[str, Dialect] = {
    dialect.name: dialect for dialect in (PostgresDialect(), SqliteDialect(), DuckdbDialect())
}
"""By ``Source.dialect``; of a source without one, columns are read and all else is computed here."""
