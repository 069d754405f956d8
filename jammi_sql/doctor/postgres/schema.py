"""The version of the store's schema."""

from __future__ import annotations

from collections.abc import Iterator

from ...dialect import quote_identifier
from ...stores.migrations import load_migrations
from ..finding import Finding, warning
from ..migrations import compared
from .privileges import has_schema
from .subject import Database

__all__ = ["schema_version"]


def schema_version(database: Database) -> Iterator[Finding]:
    """What was applied to the store, against what this package knows."""
    schema = database.schema
    if not has_schema(database):
        yield warning(f"there is no store in schema {schema} yet", "connect to it once, which makes it")
        return
    there = database.value(
        "SELECT count(*) > 0 AS value FROM pg_tables WHERE schemaname = $1 AND tablename = 'migration'", schema
    )
    applied: dict[int, str] = {}
    if there:
        rows = database.session.rows(
            f"SELECT number::bigint AS number, checksum::text AS checksum FROM {quote_identifier(schema)}.migration"
        )
        applied = {row["number"]: row["checksum"] for row in rows}
    yield from compared(load_migrations("postgres"), applied, f"{database.address.shown} (schema {schema})")
