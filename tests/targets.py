"""Where a test has its store: a temporary SQLite folder, or a schema of its own on the session's PostgreSQL server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import adbc_driver_manager.dbapi
import adbc_driver_postgresql.dbapi
import pytest

import jammi_sql
from jammi_sql import Engine
from jammi_sql.dbapi import Connection
from tests.servers.wire import WireServers

__all__ = [
    "Schemas",
    "StoreTarget",
    "another",
    "parametrize_stores",
    "postgres_target",
    "schemas",
    "store_kind",
    "store_target",
    "wire_servers",
    "wire_target",
]


@dataclass(frozen=True)
class StoreTarget:
    """What to open, and with which options: the same store each time."""

    kind: str
    target: str
    options: dict[str, Any] = field(default_factory=dict)

    def connect(self, **options: Any) -> Connection:
        """A connection with an engine of its own, or, of kind ``wire``, with that of the server."""
        return jammi_sql.connect(self.target, **self.options, **options)

    def open(self, **options: Any) -> Engine:
        """An engine; of kind ``wire`` there is none, and the test is left out."""
        if self.kind == "wire":
            pytest.skip("in process: it opens an engine")
        return Engine.open(self.target, **self.options, **options)


def another(conn: Connection, tenant: object = None) -> Connection:
    """Another session on the store of ``conn``, in process or through the same server."""
    uri = getattr(conn._port, "uri", None)
    return conn.engine.session(tenant) if uri is None else jammi_sql.connect(uri, tenant=tenant)


def parametrize_stores(metafunc: pytest.Metafunc) -> None:
    """With ``--both-stores`` a test marked ``both_stores`` runs on each kind of store, else, as any other one, on
    what ``--store`` names."""
    marked = metafunc.definition.get_closest_marker
    both = marked("both_stores") and metafunc.config.getoption("--both-stores") and not marked("sqlite_only")
    if "store_kind" not in metafunc.fixturenames:
        return
    if both:
        metafunc.parametrize("store_kind", ["sqlite", "postgres"], indirect=True)
    elif marked("wire_too") and metafunc.config.getoption("--store") == "sqlite":
        metafunc.parametrize("store_kind", ["sqlite", "wire"], indirect=True)


@pytest.fixture
def store_kind(request: pytest.FixtureRequest) -> str:
    """``sqlite``, ``postgres`` or ``wire``; where the test is not marked, what ``--store`` names."""
    marked = request.node.get_closest_marker
    kind = str(getattr(request, "param", request.config.getoption("--store")))
    local = marked("in_process")
    if kind == "wire" and local:
        pytest.skip(f"in process: {local.args[0]}")
    return "sqlite" if marked("sqlite_only") else kind


class Schemas:
    """Schemas of one database, each a store. An empty one is used again: to make one takes half a second."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._numbers = count(1)
        self._empty: list[str] = []
        self._connection = adbc_driver_postgresql.dbapi.connect(url, autocommit=True)
        self._run("SET lock_timeout = '2s'")

    def take(self) -> StoreTarget:
        """A store in which nothing is."""
        name = self._empty.pop() if self._empty else f"test_{next(self._numbers)}"
        return StoreTarget("postgres", self._url, {"schema": name})

    def give_back(self, target: StoreTarget) -> None:
        """Empty it, unless somebody still holds a lock there: then it is not used again."""
        name = target.options["schema"]
        try:
            for (storage,) in self._run(f"SELECT storage FROM {name}.companion"):
                self._run(f'DROP TABLE {name}."{storage}"')
            for table in (
                "companion",
                "batch",
                "segment",
                "dropped_segment",
                "topic_schema",
                "topic",
                "namespace",
                "facility",
            ):
                self._run(f"DELETE FROM {name}.{table}")
        except adbc_driver_manager.dbapi.Error:
            return
        self._empty.append(name)

    def _run(self, text: str) -> list[Any]:
        with self._connection.cursor() as cursor:
            cursor.adbc_statement.set_options(**{"adbc.postgresql.use_copy": "false"})
            cursor.execute(text)
            return cursor.fetchall() if text.startswith("SELECT") else []

    def close(self) -> None:
        self._connection.close()


@pytest.fixture(scope="session")
def schemas(postgres: Any) -> Iterator[Schemas]:
    """The stores of the tests on PostgreSQL."""
    name = postgres.create_database()
    postgres.sql(f"ALTER DATABASE {name} SET synchronous_commit = off")  # what is tested here is no loss of power
    with closing(Schemas(postgres.url(name))) as found:
        yield found


@pytest.fixture
def postgres_target(schemas: Schemas) -> Iterator[StoreTarget]:
    """An empty store on PostgreSQL."""
    target = schemas.take()
    yield target
    schemas.give_back(target)


@pytest.fixture(scope="session")
def wire_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WireServers]:
    """The process that serves stores over the wire."""
    with WireServers(tmp_path_factory.mktemp("wire") / "log") as servers:
        yield servers


@pytest.fixture
def wire_target(wire_servers: WireServers) -> Iterator[StoreTarget]:
    """An empty store behind a server."""
    uri = wire_servers.open()
    yield StoreTarget("wire", uri)
    wire_servers.close(uri)


@pytest.fixture
def store_target(store_kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> StoreTarget:
    """A new store of the kind that the test runs on."""
    if store_kind == "sqlite":
        return StoreTarget("sqlite", str(tmp_path / "store"))
    target: StoreTarget = request.getfixturevalue(f"{store_kind}_target")
    return target
