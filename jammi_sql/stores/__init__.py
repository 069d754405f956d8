"""Durable homes of topics and catalogue: connect, transact, retry, migrate.

``postgres.PostgresStore`` is imported where it is needed: its driver is an extra.
"""

from __future__ import annotations

from ..adbc.postgres_url import is_postgres_url
from ..adbc.queries import load_queries
from .sqlite import SqliteStore

__all__ = ["SqliteStore", "is_postgres_url", "load_queries"]
