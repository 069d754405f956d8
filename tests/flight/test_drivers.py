"""What the drivers of ODBC and JDBC and the plug-ins of Grafana and Superset do, over the transport of Arrow's C++ client.

None of them can be had here, so what they send was read in their sources; the Java client itself is in ``test_java``.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import flight as transport

from jammi_sql.flight.protocol import flight, sql, unwrap, wrap
from tests.servers.jammi import JammiServer
from tests.topic_support import TENANT_A


class Cookies(transport.ClientMiddlewareFactory):
    """As both drivers keep them, so that their calls are one session."""

    def __init__(self) -> None:
        self.held: dict[str, str] = {}

    def start_call(self, info: Any) -> transport.ClientMiddleware:
        return _Cookie(self.held)


class _Cookie(transport.ClientMiddleware):
    def __init__(self, held: dict[str, str]) -> None:
        self._held = held

    def received_headers(self, headers: dict[str, list[str]]) -> None:
        for header in headers.get("set-cookie", ()):
            name, _, value = header.partition(";")[0].partition("=")
            self._held[name] = value

    def sending_headers(self) -> dict[str, str]:
        return {"cookie": "; ".join(f"{name}={value}" for name, value in self._held.items())} if self._held else {}


class NoHandshake(transport.ClientAuthHandler):
    """With which the driver of ODBC sees whether its token is taken."""

    def authenticate(self, outgoing: Any, incoming: Any) -> None:
        outgoing.write(b"")

    def get_token(self) -> bytes:
        return b""


class Driver:
    """A driver: everything is prepared, and headers of its own come with each call."""

    def __init__(self, uri: str, *headers: tuple[bytes, bytes]) -> None:
        self.cookies = Cookies()
        self.client = transport.FlightClient(uri, middleware=[self.cookies])
        self.options = transport.FlightCallOptions(headers=[(b"application", b"driver"), *headers], timeout=60)

    def asked(self, command: Any) -> pa.Table:
        info = self.client.get_flight_info(transport.FlightDescriptor.for_command(wrap(command)), self.options)
        (endpoint,) = info.endpoints
        answer = self.client.do_get(endpoint.ticket, self.options).read_all()
        assert answer.schema.equals(info.schema)
        return answer

    def act(self, name: str, message: Any) -> bytes:
        plain = message.DESCRIPTOR.file.package == "arrow.flight.protocol"
        body = message.SerializeToString() if plain else wrap(message)
        found = list(self.client.do_action(transport.Action(name, body), self.options))
        return bytes(found[0].body) if found else b""

    def prepare(self, text: str) -> Any:
        return unwrap(self.act("CreatePreparedStatement", sql.ActionCreatePreparedStatementRequest(query=text)))

    def run(self, text: str, *parameters: Any) -> pa.Table | int:
        """A statement as drivers run it: by what preparing said of it, as rows or as a count."""
        prepared = self.prepare(text)
        handle = prepared.prepared_statement_handle
        bound = None
        if parameters:
            types = pa.ipc.read_schema(pa.py_buffer(prepared.parameter_schema))
            columns = [pa.array([value], field.type) for value, field in zip(parameters, types, strict=True)]
            bound = pa.record_batch(columns, schema=types)
        try:
            if prepared.dataset_schema and len(pa.ipc.read_schema(pa.py_buffer(prepared.dataset_schema))):
                query = sql.CommandPreparedStatementQuery(prepared_statement_handle=handle)
                if bound is not None:
                    self._put(query, bound)
                return self.asked(query)
            update = sql.CommandPreparedStatementUpdate(prepared_statement_handle=handle)
            return int(sql.DoPutUpdateResult.FromString(self._put(update, bound)).record_count)
        finally:
            self.act(
                "ClosePreparedStatement", sql.ActionClosePreparedStatementRequest(prepared_statement_handle=handle)
            )

    def _put(self, command: Any, bound: pa.RecordBatch | None) -> bytes:
        descriptor = transport.FlightDescriptor.for_command(wrap(command))
        schema = pa.schema([]) if bound is None else bound.schema
        writer, reader = self.client.do_put(descriptor, schema, self.options)
        if bound is not None:
            writer.write(bound)
        writer.done_writing()
        answer = reader.read()
        writer.close()
        return bytes(answer) if answer is not None else b""


@pytest.fixture
def driver(server: JammiServer) -> Iterator[Driver]:
    found = Driver(server.uri)
    with found.client:
        yield found


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JammiServer]:
    folder: Path = tmp_path_factory.mktemp("drivers")
    (folder / "tokens").write_text(f"alpha {TENANT_A}\n")
    with JammiServer(folder / "store", "--token-file", f"{folder}/tokens") as server:
        yield server


def test_everything_is_prepared_and_calls_are_one_session(driver: Driver, name: str) -> None:
    assert driver.run(f"CREATE TEMP TABLE {name} AS SELECT 1 AS id, 'x' AS v") is not None
    found = driver.run(f"SELECT v FROM {name} WHERE id = ?", 1)
    assert isinstance(found, pa.Table) and found.to_pydict() == {"v": ["x"]}
    assert list(driver.cookies.held) == ["arrow_flight_session_id"]


def test_rows_change_and_are_counted(driver: Driver, name: str) -> None:
    assert driver.run(f"CREATE TABLE {name} (id BIGINT PRIMARY KEY, v VARCHAR)") == -1
    assert driver.run(f"INSERT INTO {name} VALUES (?, ?)", 1, "x") == 1
    assert driver.run(f"UPDATE {name} SET v = ? WHERE id = ?", "y", 1) == 1
    driver.run("BEGIN")  # drivers of JDBC have no transactions but those of SQL
    assert driver.run(f"DELETE FROM {name} WHERE v LIKE ?", "%y%") == 1
    driver.run("ROLLBACK")
    assert driver.run(f"SELECT count(*) AS n FROM {name}").to_pydict() == {"n": [1]}  # type: ignore[union-attr]


def test_the_catalog_of_a_connection_is_an_option_of_its_session(driver: Driver) -> None:
    option = flight.SessionOptionValue(string_value="jammi")
    body = driver.act("SetSessionOptions", flight.SetSessionOptionsRequest(session_options={"catalog": option}))
    assert not flight.SetSessionOptionsResult.FromString(body).errors
    closed = flight.CloseSessionResult.FromString(driver.act("CloseSession", flight.CloseSessionRequest()))
    assert closed.status == 1


def test_odbc_comes_with_a_user_or_with_a_token(guarded: JammiServer) -> None:
    with transport.FlightClient(guarded.uri) as client:
        header = client.authenticate_basic_token("anybody", "alpha")
        assert header == (b"authorization", b"Bearer alpha")
        with pytest.raises(transport.FlightUnauthenticatedError, match="28000"):
            client.authenticate_basic_token("anybody", "wrong")
    for token, known in ((b"alpha", True), (b"wrong", False)):
        driver = Driver(guarded.uri, (b"authorization", b"Bearer " + token))
        with driver.client:
            if known:
                driver.client.authenticate(NoHandshake(), driver.options)
                assert driver.run("SHOW tenant").to_pylist() == [{"tenant": str(TENANT_A)}]  # type: ignore[union-attr]
            else:
                with pytest.raises(transport.FlightUnauthenticatedError, match="28000"):
                    driver.client.authenticate(NoHandshake(), driver.options)


def test_odbc_lists_columns_by_the_schemas_of_tables(driver: Driver, name: str) -> None:
    driver.run(f"CREATE TABLE {name} (id BIGINT NOT NULL, price DECIMAL(10, 2), at TIMESTAMP)")
    command = sql.CommandGetTables(catalog="jammi", table_name_filter_pattern=name, include_schema=True)
    command.table_types.extend(["TABLE", "VIEW", "SYSTEM TABLE"])
    (row,) = driver.asked(command).to_pylist()
    columns = pa.ipc.read_schema(pa.py_buffer(row["table_schema"]))
    described = [
        (field.name, field.nullable, field.metadata[b"ARROW:FLIGHT:SQL:TYPE_NAME"].decode().split("(")[0])
        for field in columns
    ]
    assert described == [("id", False, "BIGINT"), ("price", True, "DECIMAL"), ("at", True, "TIMESTAMP")]


def test_grafana_lists_tables_and_their_columns(driver: Driver, name: str) -> None:
    driver.run(f"CREATE TOPIC {name} (at TIMESTAMP, host VARCHAR, load DOUBLE)")
    tables = driver.asked(sql.CommandGetTables(table_types=["BASE TABLE"])).column("table_name").to_pylist()
    assert name in tables and "topics" not in tables  # which is a view of the system's
    (row,) = driver.asked(sql.CommandGetTables(table_name_filter_pattern=name, include_schema=True)).to_pylist()
    assert {"at", "host", "load"} <= set(pa.ipc.read_schema(pa.py_buffer(row["table_schema"])).names)
    assert driver.asked(sql.CommandGetSqlInfo()).num_rows > 80


def test_what_the_macros_of_grafana_become_can_be_run(driver: Driver, name: str) -> None:
    driver.run(f"CREATE TOPIC {name} (at TIMESTAMP, host VARCHAR, load DOUBLE)")
    driver.run(f"INSERT INTO {name} VALUES ('2030-01-01 00:00:07', 'a', 1.0), ('2030-01-01 00:00:20', 'a', 3.0)")
    query = sql.CommandStatementQuery(
        query=f"SELECT date_bin(interval '15 second', at, timestamp '1970-01-01T00:00:00Z') AS bin, avg(load) AS load FROM {name} "
        "WHERE at >= '2030-01-01T00:00:00Z' AND at <= '2030-01-01T01:00:00Z' GROUP BY 1 ORDER BY 1"
    )
    assert driver.asked(query).column("load").to_pylist() == [1.0, 3.0]
