"""A new store of one kind for a test: what ``connect`` takes, and the store alone."""

from __future__ import annotations

from itertools import count
from pathlib import Path
from typing import Any

import pytest

from jammi_sql.ports import Store
from jammi_sql.stores import SqliteStore, is_postgres_url
from jammi_sql.stores.postgres import PostgresStore

__all__ = ["KINDS", "opened", "target"]

_NUMBERS = count(1)

KINDS = ("sqlite", "postgres")


def target(request: pytest.FixtureRequest, kind: str, folder: Path) -> str:
    """Where a store that is not there yet is to be: a folder, or a schema of its own on the session's server."""
    if kind == "sqlite":
        return str(folder / "store")
    return f"{request.getfixturevalue('postgres').url()}?schema=test_{next(_NUMBERS)}"


def opened(where: str, **options: Any) -> Store:
    """The store at a target."""
    if is_postgres_url(where):
        return PostgresStore.open(where, **options)
    return SqliteStore.open(where, **options)
