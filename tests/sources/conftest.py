"""Databases to attach."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from jammi_sql.sources import Source
from jammi_sql.sources.opening import open_source
from tests.servers.postgres import PostgresServer
from tests.sources.support import Connection, define


@pytest.fixture(scope="module")
def database(postgres: PostgresServer) -> Iterator[str]:
    """The URL of a database that the tests of a module share, without a password."""
    postgres.start()
    name = postgres.create_database()
    yield postgres.socket_url(name)
    postgres.start()
    postgres.drop_database(name)


@pytest.fixture(scope="module")
def there(database: str) -> Iterator[Connection]:
    """A connection to it by another library, for what the tests prepare and compare with."""
    with psycopg.connect(database, autocommit=True) as connection:
        yield connection


@pytest.fixture
def source(database: str) -> Iterator[Source]:
    """It, attached."""
    found = open_source(define(database))
    yield found
    found.close()
