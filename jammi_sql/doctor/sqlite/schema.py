"""The version of the store's schema."""

from __future__ import annotations

from collections.abc import Iterator

from ...stores import load_queries
from ...stores.migrations import load_migrations
from ..finding import Finding
from ..migrations import compared
from .subject import Folder

__all__ = ["schema_version"]


def schema_version(folder: Folder) -> Iterator[Finding]:
    """What was applied to the store, against what this package knows."""
    queries = load_queries("store", "sqlite")
    with folder.store() as store:
        applied: dict[int, str] = {}
        if store.query(queries["migration_table"]).column(0)[0].as_py():
            rows = store.query(queries["applied_migrations"]).to_pylist()
            applied = {row["number"]: row["checksum"] for row in rows}
    yield from compared(load_migrations("sqlite"), applied, str(folder.path))
