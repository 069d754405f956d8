"""Durable homes of topics and catalogue: connect, transact, retry, migrate."""

from __future__ import annotations

from .queries import load_queries
from .sqlite import SqliteStore

__all__ = ["SqliteStore", "load_queries"]
