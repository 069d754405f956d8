"""A session with the sample attached as ``pg`` and ``lite``."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import duckdb
import pytest

from jammi_sql import Connection, connect
from tests.servers.jammi import JammiServer
from tests.servers.postgres import PostgresServer

from .sample import ROWS, make_postgres, make_sqlite


@pytest.fixture(scope="package")
def attached(postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connection]:
    """PostgreSQL as ``pg``, SQLite as ``lite``, DuckDB as ``duck``, a Jammi server as ``far``, Parquet files as ``filed``, and tables
    of the session's own: ``events`` and ``companion``."""
    folder = tmp_path_factory.mktemp("federation")
    database = postgres.create_database()
    make_postgres(postgres.url(database))
    secret = folder / "password"
    secret.write_text(postgres.password)
    make_sqlite(folder / "lite.db")
    with connect(folder / "store") as connection, contextlib.ExitStack() as stack:
        address = f"postgresql://postgres@127.0.0.1:{postgres.port}/{database}"
        connection.execute(f"ATTACH ? AS pg (TYPE postgres, password 'file:{secret}')", (address,))
        connection.execute("ATTACH ? AS lite", (f"sqlite:///{folder / 'lite.db'}",))
        duckdb.connect(str(folder / "duck.db")).close()
        connection.execute("ATTACH ? AS duck", (f"duckdb:///{folder / 'duck.db'}",))
        (folder / "filed").mkdir()
        with connect(folder / "far") as far:
            for name in ROWS:
                connection.execute(f"COPY (SELECT * FROM pg.public.{name}) TO '{folder / 'filed' / name}.parquet'")
                connection.execute(f"CREATE TABLE duck.main.{name} AS SELECT * FROM pg.public.{name}")
                with far.cursor() as cursor:
                    cursor.adbc_ingest(name, connection.execute(f"SELECT * FROM pg.public.{name}").fetch_arrow_table())
        server = stack.enter_context(JammiServer(folder / "far"))
        connection.execute("ATTACH ? AS far", (server.uri,))
        connection.execute("ATTACH ? AS filed", (str(folder / "filed"),))
        connection.execute("CREATE TOPIC events (id BIGINT, t VARCHAR)")
        connection.execute("INSERT INTO events SELECT id, t FROM pg.public.one WHERE id < 20")
        connection.execute("CREATE TABLE companion (id BIGINT PRIMARY KEY, t VARCHAR)")
        connection.execute("INSERT INTO companion SELECT id, t FROM pg.public.two WHERE id < 30")
        yield connection
