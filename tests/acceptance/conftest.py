"""Connections for the tests of the language."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import jammi_sql
from jammi_sql.dbapi import Connection
from tests.targets import another


@pytest.fixture
def conn(store_kind: str, request: pytest.FixtureRequest) -> Iterator[Connection]:
    """A session on a private store, of the kind that the test is marked with or ``--store`` names."""
    if store_kind == "sqlite":
        with jammi_sql.connect() as connection:
            yield connection
        return
    with request.getfixturevalue(f"{store_kind}_target").connect() as connection:
        yield connection


@pytest.fixture
def other(conn: Connection) -> Iterator[Connection]:
    """Another session on the same store."""
    with another(conn) as connection:
        yield connection


@pytest.fixture
def t(conn: Connection) -> Connection:
    """A session with a table ``t`` of two rows and a topic ``e`` without any."""
    conn.execute("CREATE TABLE t (id INT PRIMARY KEY, n INT)")
    conn.execute("INSERT INTO t VALUES (1, 10), (2, 20)")
    conn.execute("CREATE TOPIC e (a INT)")
    return conn
