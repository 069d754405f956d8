"""Connections to servers in other processes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from jammi_sql.dbapi import Connection
from tests.targets import StoreTarget, another


@pytest.fixture
def conn(wire_target: StoreTarget) -> Iterator[Connection]:
    """A session on a store of its own, behind a server."""
    with wire_target.connect() as connection:
        yield connection


@pytest.fixture
def other(conn: Connection) -> Iterator[Connection]:
    """Another session on the same store."""
    with another(conn) as connection:
        yield connection
