"""Connections for the tests of the language."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import jammi_sql
from jammi_sql.dbapi import Connection
from tests.servers import stores


@pytest.fixture
def conn(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Connection]:
    """A session on a private store, of the kind that ``--store`` names."""
    kind = request.config.getoption("--store")
    with jammi_sql.connect(None if kind == "sqlite" else stores.target(request, kind, tmp_path)) as connection:
        yield connection


@pytest.fixture
def other(conn: Connection) -> Iterator[Connection]:
    """Another session on the same store."""
    with conn.engine.session() as connection:
        yield connection
