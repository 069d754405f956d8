"""Servers in processes of their own, and clients as users have them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

from tests.servers.jammi import JammiServer


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JammiServer]:
    """A server without identities, that no test stops."""
    with JammiServer(tmp_path_factory.mktemp("flight") / "store", "--transaction-timeout", "2") as found:
        yield found


@pytest.fixture
def client(server: JammiServer) -> Iterator[Any]:
    """A connection of ADBC's driver, on which each statement commits."""
    with server.connect() as connection:
        yield connection


@pytest.fixture
def transacting(server: JammiServer) -> Iterator[Any]:
    """A connection of ADBC's driver with autocommit off."""
    with server.connect(autocommit=False) as connection:
        yield connection


@pytest.fixture
def name() -> str:
    """A name that nothing else has."""
    return f"t{uuid4().hex[:12]}"
