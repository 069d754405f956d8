"""The server: its version, its encoding, whether it takes writes and keeps them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ..finding import Finding, ok, problem, warning
from .subject import Database

__all__ = ["connection", "durability", "encoding", "encryption", "upkeep", "version", "writable"]

_OLDEST: Final = 140000
_LOOPBACK: Final = ("127.", "::1")


def connection(database: Database) -> Iterator[Finding]:
    """Who is connected to what."""
    name = database.value("SELECT current_user::text || ' to database ' || current_database() AS value")
    yield ok(f"connected as {name}: {database.address.shown}")


def encryption(database: Database) -> Iterator[Finding]:
    """Whether passwords and rows cross a network in the open."""
    row = database.session.rows(
        "SELECT coalesce(host(inet_client_addr()), '') AS client, coalesce(host(inet_server_addr()), '') AS server, "
        "coalesce((SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()), false) AS encrypted"
    )[0]
    if row["encrypted"]:
        yield ok("the connection is encrypted (TLS)")
    elif not row["server"] or (row["client"].startswith(_LOOPBACK) and row["server"].startswith(_LOOPBACK)):
        yield ok("the connection does not leave this machine")
    else:
        yield warning(
            "the connection crosses a network and is not encrypted",
            "set up TLS on the server, and add ?sslmode=verify-full&sslrootcert=... to the URL",
        )


def version(database: Database) -> Iterator[Finding]:
    """Whether the server is new enough."""
    number = int(database.setting("server_version_num"))
    said = f"PostgreSQL {database.setting('server_version')}"
    if number < _OLDEST:
        yield problem(f"{said} is too old", f"upgrade it to {_OLDEST // 10000} or newer")
    else:
        yield ok(said)


def encoding(database: Database) -> Iterator[Finding]:
    """Whether the database takes every text."""
    found = database.setting("server_encoding")
    if found != "UTF8":
        yield problem(
            f"the database has encoding {found}, in which not every text can be kept",
            "make another one: CREATE DATABASE ... ENCODING 'UTF8' TEMPLATE template0",
        )
    else:
        yield ok("the encoding is UTF8")


def writable(database: Database) -> Iterator[Finding]:
    """Whether the server takes writes."""
    if database.value("SELECT pg_is_in_recovery() AS value"):
        yield problem(
            "the server is a standby, which takes no writes",
            "connect to the primary: name all hosts and add ?target_session_attrs=read-write to the URL",
        )
    elif database.setting("default_transaction_read_only") == "on":
        yield problem(
            "transactions of this user are read-only by default",
            "ALTER ROLE ... SET default_transaction_read_only = off, or the same for the database",
        )
    else:
        yield ok("the server takes writes")


def durability(database: Database) -> Iterator[Finding]:
    """Whether a commit that returned is on disk."""
    sound = True
    if database.setting("fsync") != "on":
        sound = False
        yield problem("fsync is off: a crash of the machine can destroy the database", "set fsync = on, then restart")
    if database.setting("full_page_writes") != "on":
        sound = False
        yield warning("full_page_writes is off: a crash can leave torn pages", "set full_page_writes = on")
    committed = database.setting("synchronous_commit")
    if committed == "off":
        sound = False
        yield problem(
            "synchronous_commit is off: a publish that returned may be lost in a crash, and its offset given again",
            "ALTER ROLE ... SET synchronous_commit = on, or the same for the database or the server",
        )
    if sound:
        yield ok(f"a commit that returned is on disk (fsync on, synchronous_commit {committed})")


def upkeep(database: Database) -> Iterator[Finding]:
    """Whether rows that were removed make room again."""
    if database.setting("autovacuum") != "on":
        yield warning("autovacuum is off: what retention and compaction remove makes no room", "set autovacuum = on")
    else:
        yield ok("autovacuum is on")
