"""Connections: how many are left, what ends them, what stands between."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ...errors import Error
from ..finding import Finding, ok, problem, warning
from .subject import Database

__all__ = ["free_connections", "pooler", "timeouts"]

_FEW: Final = 20
"""An engine uses some ten at a time."""
_NONE: Final = 3
_FREE: Final = """
SELECT
    current_setting('max_connections')::bigint AS most,
    (current_setting('max_connections')::bigint
        - current_setting('superuser_reserved_connections')::bigint
        - coalesce(current_setting('reserved_connections', true), '0')::bigint
        - (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend')) AS server,
    CASE WHEN d.datconnlimit < 0 THEN -1
        ELSE greatest(0, d.datconnlimit - (SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()))
    END::bigint AS database,
    CASE WHEN r.rolconnlimit < 0 THEN -1
        ELSE greatest(0, r.rolconnlimit - (SELECT count(*) FROM pg_stat_activity WHERE usename = current_user))
    END::bigint AS role
FROM pg_database AS d, pg_roles AS r
WHERE d.datname = current_database() AND r.rolname = current_user
"""
_TIMEOUTS: Final = {
    "idle_in_transaction_session_timeout": "a transaction in which nothing runs for so long is ended with its connection",
    "idle_session_timeout": "a connection in the pool that nobody uses for so long is ended",
    "transaction_timeout": "a transaction that lasts so long is ended with its connection",
    "statement_timeout": "a statement of the store that takes so long is ended, a compaction or backup too",
}


def free_connections(database: Database) -> Iterator[Finding]:
    """How many more connections this user can have."""
    (row,) = database.session.rows(_FREE)
    limits = {"the server": row["server"], "the database": row["database"], "this user": row["role"]}
    least, where = min((free, name) for name, free in limits.items() if free >= 0 or name == "the server")
    said = f"{max(0, least)} more connections are free for {where} (max_connections {row['most']})"
    advice = (
        "raise max_connections or the CONNECTION LIMIT, end connections that nobody uses, or put a pooler before it"
    )
    if least < _NONE:
        yield problem(said, advice)
    elif least < _FEW:
        yield warning(said, advice)
    else:
        yield ok(said)


def timeouts(database: Database) -> Iterator[Finding]:
    """What the server ends by itself."""
    rows = database.session.rows(
        "SELECT name::text AS name, setting::bigint AS milliseconds FROM pg_settings WHERE name IN "
        "('idle_in_transaction_session_timeout', 'idle_session_timeout', 'transaction_timeout', 'statement_timeout') "
        "ORDER BY name"
    )
    limited = [row for row in rows if row["milliseconds"]]
    for row in limited:
        yield warning(
            f"{row['name']} is {row['milliseconds'] / 1000:g} s: {_TIMEOUTS[row['name']]}",
            f"ALTER ROLE ... SET {row['name']} = 0, unless it is wanted for this user",
        )
    if not limited:
        yield ok("the server ends neither idle connections nor long transactions")


def pooler(database: Database) -> Iterator[Finding]:
    """Whether a pooler gives each transaction another connection: prepared statements and listening need the same."""
    advice = "connect to the server itself, or let the pooler give a connection for a session (pool_mode = session in PgBouncer)"
    servers = {database.value("SELECT pg_backend_pid()::bigint AS value") for _ in range(5)}
    if len(servers) > 1:
        yield warning("each transaction gets another connection: a pooler stands before the server", advice)
        return
    try:
        database.session.twice("SELECT 1::bigint AS one")
    except Error as error:
        yield problem(f"a prepared statement cannot be used again: {error.message}", advice)
    else:
        yield ok("prepared statements last; no pooler was noticed")
