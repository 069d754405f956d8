"""How a server is set up."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ["Limits", "ServerOptions"]


@dataclass(frozen=True, slots=True)
class Limits:
    """What one client may take. Times are seconds, sizes bytes; ``None`` is no limit."""

    threads: int = 32
    """Statements that run at the same time."""
    message_bytes: int = 64 << 20
    """The largest message that a client may send."""
    statement_timeout: float | None = None
    memory_limit: int | None = None
    """For the sorts, joins and aggregates of one session."""
    rate: float | None = None
    """Calls a second of one identity."""
    transaction_timeout: float = 300.0
    """How long a transaction may lie idle before it is undone."""
    session_timeout: float = 1800.0
    """How long a client may lie idle before its session is forgotten."""
    unread_timeout: float = 120.0
    """How long a result may wait to be fetched."""
    unread: int = 1000
    """Results of one client that wait to be fetched."""
    bound_bytes: int = 256 << 20
    """Parameters that are kept for one prepared statement."""
    prepared: int = 1000
    """Prepared statements of one client."""


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """Where a server listens, and for whom."""

    host: str = "127.0.0.1"
    port: int = 8815
    token_file: Path | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None
    tls_client_ca: Path | None = None
    allow_files: tuple[str, ...] = ()
    metrics_port: int | None = None
    limits: Limits = Limits()
