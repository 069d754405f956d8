"""Connections for the tests of the language."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import jammi_sql
from jammi_sql.dbapi import Connection


@pytest.fixture
def conn(store_kind: str, request: pytest.FixtureRequest) -> Iterator[Connection]:
    """A session on a private store, of the kind that the test is marked with or ``--store`` names."""
    if store_kind == "sqlite":
        with jammi_sql.connect() as connection:
            yield connection
        return
    with request.getfixturevalue("postgres_target").connect() as connection:
        yield connection


@pytest.fixture
def other(conn: Connection) -> Iterator[Connection]:
    """Another session on the same store."""
    with conn.engine.session() as connection:
        yield connection
