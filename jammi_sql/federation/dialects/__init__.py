"""What each kind of database can be told, with the same meaning as here."""

from __future__ import annotations

from .common import CommonDialect
from .datafusion import DatafusionDialect
from .dialect import Dialect
from .duckdb import DuckdbDialect
from .postgres import PostgresDialect
from .sqlite import SqliteDialect

__all__ = ["DIALECTS", "CommonDialect", "Dialect"]

DIALECTS: dict[str, Dialect] = {
    dialect.name: dialect for dialect in (PostgresDialect(), SqliteDialect(), DuckdbDialect(), DatafusionDialect())
}
"""By ``Source.dialect``; of a source without one, columns are read and all else is computed here."""
