"""How large the database is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ..finding import Finding, ok, warning
from ..sizes import shown_bytes
from .subject import Database

__all__ = ["slots", "space"]

_HELD: Final = 1 << 30


def space(database: Database) -> Iterator[Finding]:
    """Its bytes; how much is free on the server's disks PostgreSQL does not tell."""
    whole = database.value("SELECT pg_database_size(current_database())::bigint AS value")
    own = database.value(
        "SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint AS value FROM pg_class AS c "
        "JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relkind IN ('r', 'm')",
        database.schema,
    )
    yield ok(
        f"the database has {shown_bytes(whole)}, schema {database.schema} {shown_bytes(own)}; "
        "PostgreSQL does not say how much is free: watch the server's disks"
    )


def slots(database: Database) -> Iterator[Finding]:
    """Replication slots that nobody reads keep the write-ahead log, until the disk is full."""
    if database.value("SELECT pg_is_in_recovery() AS value"):
        return
    rows = database.session.rows(
        "SELECT slot_name::text AS name, pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)::bigint AS held "
        "FROM pg_replication_slots WHERE NOT active AND restart_lsn IS NOT NULL ORDER BY slot_name"
    )
    for row in rows:
        if row["held"] > _HELD:
            yield warning(
                f"replication slot {row['name']} is not used and keeps {shown_bytes(row['held'])} of write-ahead log",
                "start its standby, or remove it: SELECT pg_drop_replication_slot(...)",
            )
