"""A Flight SQL server, attached."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pytest

from jammi_sql.errors import ConnectionLost, Error, FeatureNotSupported, OperationalError, QueryCanceled
from jammi_sql.sources import Source
from jammi_sql.sources.opening import open_source
from tests.servers.flight_sql import FlightSqlServer
from tests.sources.support import column_of, define, never, rows_of
from tests.topic_support import until

TABLES = (
    "CREATE TABLE t (a BIGINT, b VARCHAR, c DECIMAL(10, 2), d TIMESTAMP)",
    "INSERT INTO t VALUES (1, 'x', 1.25, '2030-01-31'), (2, NULL, NULL, NULL)",
    "CREATE VIEW v AS SELECT a FROM t",
    'CREATE SCHEMA other; CREATE TABLE other."Odd Name" ("Select" INT)',
)


@pytest.fixture(scope="module")
def server() -> Iterator[FlightSqlServer]:
    with FlightSqlServer(*TABLES) as found:
        yield found


@pytest.fixture
def source(server: FlightSqlServer) -> Iterator[Source]:
    found = open_source(define(server.uri))
    yield found
    found.close()


def test_the_catalogue_is_the_servers(source: Source) -> None:
    assert source.schemas() == ["main", "other"]
    assert source.relation_names("main") == ["t", "v"]
    table, view = source.relation("main", "t"), source.relation("main", "v")
    assert table is not None and view is not None
    assert (table.kind, view.kind) == ("table", "view")
    assert [column.type for column in table.columns] == [
        pa.int64(),
        pa.utf8(),
        pa.decimal128(10, 2),
        pa.timestamp("us"),
    ]
    assert source.relation("main", "nothing") is None
    assert source.relation_names("nowhere") == []


def test_rows_are_read(source: Source) -> None:
    rows = rows_of(source, "main", "t").to_pylist()
    assert [(row["a"], row["b"]) for row in rows] == [(1, "x"), (2, None)]
    assert rows_of(source, "other", "Odd Name").num_rows == 0


@pytest.mark.parametrize(
    ("vendor", "dialect"), [("Jammi SQL", "datafusion"), ("Apache DataFusion", "datafusion"), ("Other", None)]
)
def test_queries_are_pushed_only_to_those_that_speak_this_dialect(vendor: str, dialect: str | None) -> None:
    with FlightSqlServer(*TABLES, vendor=vendor) as server:
        source = open_source(define(server.uri, quote="`"))
        column = column_of(source, "main", "t", "b")
        assert (source.dialect, source.quote) == (dialect, "`")
        assert column.comparable is (dialect is not None)
        source.close()


def test_a_query_is_described(source: Source) -> None:
    assert [column.type for column in source.describe("SELECT a, b FROM t", never)] == [pa.int64(), pa.utf8()]
    with pytest.raises(Error, match="nope"):
        source.describe("SELECT nope FROM t", never)


def test_a_token_is_asked_for_and_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    with FlightSqlServer(*TABLES, token="right-token") as server:
        monkeypatch.setenv("A_TOKEN", "wrong-token")
        source = open_source(define(server.uri, token="env:A_TOKEN"))
        with pytest.raises(OperationalError) as caught:
            source.schemas()
        assert caught.value.sqlstate == "28000" and "wrong-token" not in str(caught.value)
        monkeypatch.setenv("A_TOKEN", "right-token")
        assert source.schemas() == ["main", "other"]
        source.close()


def test_a_stream_that_is_left_ends_at_the_server(server: FlightSqlServer, source: Source) -> None:
    schema = pa.schema([("n", pa.int64()), ("pad", pa.utf8())])
    scan = source.scan(["SELECT range AS n, repeat('x', 1000) AS pad FROM range(10000000)"], schema, never)
    batches = scan.stream(0)  # kept: one that nobody holds ends at once
    next(batches)
    assert server.open_streams == 1
    scan.close()
    until(lambda: server.open_streams == 0, "the server's stream is over")


def test_a_check_that_raises_ends_the_wait(server: FlightSqlServer, source: Source) -> None:
    calls = iter(range(2))

    def check() -> None:
        if next(calls, None) is None:
            raise QueryCanceled("enough")

    with pytest.raises(QueryCanceled, match="enough"):
        list(source.scan(["SELECT a FROM t /* hold */"], pa.schema([("a", pa.int64())]), check).stream(0))
    server.released.set()


def test_a_server_that_is_not_there_is_said(server: FlightSqlServer) -> None:
    source = open_source(define("grpc://127.0.0.1:1", connect_timeout="0.3"))
    with pytest.raises(ConnectionLost):
        source.schemas()
    source.close()


def test_a_server_without_transactions_is_not_written_to(source: Source) -> None:
    with pytest.raises(FeatureNotSupported, match="transactions"):
        source.execute(["INSERT INTO t (a) VALUES (3)"], never)
    assert rows_of(source, "main", "t").num_rows == 2
