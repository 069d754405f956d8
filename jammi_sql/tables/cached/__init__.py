"""Cached tables: copies of the results of queries, as files that are swapped."""

from .catalog import CachedCatalog
from .sweeper import CopySweeper
from .table import CachedTable, Copy

__all__ = ["CachedCatalog", "CachedTable", "Copy", "CopySweeper"]
