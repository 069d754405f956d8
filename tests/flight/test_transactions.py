"""Transactions over the wire are real ones."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import grpc
import pyarrow as pa
import pytest
from adbc_driver_manager import Error

from jammi_sql.flight.framing import encapsulated
from jammi_sql.flight.protocol import flight, sql, unwrap, wrap
from tests.flight.test_statements import rows, run
from tests.servers.jammi import JammiServer
from tests.topic_support import until

COMMIT, ROLLBACK = 1, 2


class Raw:
    """A client that speaks the protocol by itself, for what drivers do not."""

    def __init__(self, channel: grpc.Channel, *headers: tuple[str, str]) -> None:
        self._channel = channel
        self._headers = headers

    def call(self, method: str, request: Any, answer: Any, **options: Any) -> Any:
        path = f"/arrow.flight.protocol.FlightService/{method}"
        send, receive = type(request).SerializeToString, answer.FromString
        return self._channel.unary_unary(path, send, receive)(request, metadata=self._headers, **options)

    def stream(self, method: str, request: Any, answer: Any) -> Any:
        path = f"/arrow.flight.protocol.FlightService/{method}"
        send, receive = type(request).SerializeToString, answer.FromString
        return self._channel.unary_stream(path, send, receive)(request, metadata=self._headers)

    def act(self, name: str, request: Any) -> Any:
        body = (
            request.SerializeToString() if request.DESCRIPTOR.file.package == "arrow.flight.protocol" else wrap(request)
        )
        found = list(self.stream("DoAction", flight.Action(type=name, body=body), flight.Result))
        return found[0].body if found else None

    def begin(self) -> bytes:
        result = unwrap(self.act("BeginTransaction", sql.ActionBeginTransactionRequest()))
        return bytes(result.transaction_id)

    def end(self, transaction: bytes, how: int) -> None:
        self.act("EndTransaction", sql.ActionEndTransactionRequest(transaction_id=transaction, action=how))

    def update(self, text: str, transaction: bytes | None = None) -> int:
        command = sql.CommandStatementUpdate(query=text, transaction_id=transaction)
        data = flight.FlightData(flight_descriptor=described(command))
        put = self._channel.stream_stream(
            "/arrow.flight.protocol.FlightService/DoPut",
            flight.FlightData.SerializeToString,
            flight.PutResult.FromString,
        )
        (done,) = put(iter([data]), metadata=self._headers)
        return int(sql.DoPutUpdateResult.FromString(done.app_metadata).record_count)

    def info(self, text: str, transaction: bytes | None = None) -> Any:
        command = sql.CommandStatementQuery(query=text, transaction_id=transaction)
        return self.call("GetFlightInfo", described(command), flight.FlightInfo)

    def fetch(self, info: Any) -> pa.Table:
        data = list(self.stream("DoGet", info.endpoint[0].ticket, flight.FlightData))
        return pa.ipc.open_stream(b"".join(encapsulated(each.data_header, each.data_body) for each in data)).read_all()

    def rows(self, text: str, transaction: bytes | None = None) -> list[tuple[Any, ...]]:
        return [tuple(row.values()) for row in self.fetch(self.info(text, transaction)).to_pylist()]


def described(command: Any) -> Any:
    return flight.FlightDescriptor(type=2, cmd=wrap(command))


@pytest.fixture
def raw(server: JammiServer) -> Iterator[Raw]:
    with grpc.insecure_channel(server.uri.removeprefix("grpc://")) as channel:
        yield Raw(channel)


@pytest.fixture
def table(client: Any, name: str) -> str:
    run(client, f"CREATE TABLE {name} (v BIGINT)")
    return name


def test_what_is_rolled_back_was_never_there(transacting: Any, client: Any, name: str) -> None:
    run(transacting, f"CREATE TABLE {name} (v BIGINT)")
    run(transacting, f"CREATE TOPIC {name}_events (v BIGINT)")
    run(transacting, f"INSERT INTO {name} VALUES (1)")
    run(transacting, f"INSERT INTO {name}_events VALUES (1)")
    assert rows(transacting, f"SELECT * FROM {name}") == [(1,)]
    assert transacting.adbc_get_table_schema(name).names == ["v"]
    transacting.rollback()
    for relation in (name, f"{name}_events"):
        with pytest.raises(Error, match="42P01"):
            rows(client, f"SELECT * FROM {relation}")


def test_others_see_it_when_it_is_committed(transacting: Any, client: Any, table: str) -> None:
    run(transacting, f"INSERT INTO {table} VALUES (1)")
    assert rows(client, f"SELECT count(*) FROM {table}") == [(0,)]
    transacting.commit()
    assert rows(client, f"SELECT count(*) FROM {table}") == [(1,)]
    run(transacting, f"INSERT INTO {table} VALUES (2)")
    transacting.rollback()
    assert rows(client, f"SELECT v FROM {table}") == [(1,)]


@pytest.mark.parametrize("mode", ["append", "create_append", "replace", "create"])
def test_ingested_rows_do_not_survive_a_rollback(transacting: Any, client: Any, table: str, mode: str) -> None:
    target = f"{table}_new" if mode == "create" else table
    run(transacting, f"INSERT INTO {table} VALUES (1)")
    with transacting.cursor() as cursor:
        assert cursor.adbc_ingest(target, pa.table({"v": [2, 3]}), mode=mode) == 2
    transacting.rollback()
    assert rows(client, f"SELECT count(*) FROM {table}") == [(0,)]
    if mode == "create":
        with pytest.raises(Error, match="42P01"):
            rows(client, f"SELECT * FROM {target}")


def test_a_statement_prepared_before_belongs_to_the_transaction_that_is_open(
    transacting: Any, client: Any, table: str
) -> None:
    with transacting.cursor() as cursor:
        cursor.execute(f"INSERT INTO {table} VALUES (?)", (1,))
        transacting.commit()
        cursor.execute(f"INSERT INTO {table} VALUES (?)", (2,))
        transacting.rollback()
        cursor.execute(f"INSERT INTO {table} VALUES (?)", (3,))
        transacting.commit()
    assert rows(client, f"SELECT v FROM {table} ORDER BY v") == [(1,), (3,)]


def test_settings_outlive_a_commit(transacting: Any) -> None:
    run(transacting, "SET jammi.batch_size = 77")
    transacting.commit()
    assert rows(transacting, "SHOW jammi.batch_size") == [("jammi.batch_size", "77")]


def test_a_failed_statement_leaves_the_transaction_as_it_was(transacting: Any, client: Any, table: str) -> None:
    run(transacting, f"INSERT INTO {table} VALUES (1)")
    with pytest.raises(Error, match="42P01"):
        rows(transacting, "SELECT * FROM nowhere")
    run(transacting, f"INSERT INTO {table} VALUES (2)")
    transacting.commit()
    assert rows(client, f"SELECT count(*) FROM {table}") == [(2,)]


def test_a_client_that_closes_in_the_midst_of_one_leaves_nothing(server: JammiServer, client: Any, table: str) -> None:
    other = server.connect(autocommit=False)
    run(other, f"INSERT INTO {table} VALUES (1)")
    other.close()
    assert run(client, f"INSERT INTO {table} VALUES (2)") == 1
    assert rows(client, f"SELECT v FROM {table}") == [(2,)]


def test_savepoints_are_rolled_back_to_and_released(raw: Raw, table: str) -> None:
    transaction = raw.begin()
    raw.update(f"INSERT INTO {table} VALUES (1)", transaction)

    def savepoint(name: str) -> bytes:
        request = sql.ActionBeginSavepointRequest(transaction_id=transaction, name=name)
        return bytes(unwrap(raw.act("BeginSavepoint", request)).savepoint_id)

    first = savepoint("first")
    raw.update(f"INSERT INTO {table} VALUES (2)", transaction)
    second = savepoint('an "odd" name')
    raw.update(f"INSERT INTO {table} VALUES (3)", transaction)
    raw.act("EndSavepoint", sql.ActionEndSavepointRequest(savepoint_id=second, action=ROLLBACK))
    assert raw.rows(f"SELECT v FROM {table} ORDER BY v", transaction) == [(1,), (2,)]
    raw.act("EndSavepoint", sql.ActionEndSavepointRequest(savepoint_id=second, action=COMMIT))
    raw.act("EndSavepoint", sql.ActionEndSavepointRequest(savepoint_id=first, action=ROLLBACK))
    with pytest.raises(grpc.RpcError) as caught:
        raw.act("EndSavepoint", sql.ActionEndSavepointRequest(savepoint_id=second, action=COMMIT))
    assert "no such savepoint" in caught.value.details()
    raw.end(transaction, COMMIT)
    assert raw.rows(f"SELECT v FROM {table}") == [(1,)]


def test_a_statement_that_names_no_transaction_is_its_own(raw: Raw, table: str) -> None:
    transaction = raw.begin()
    assert raw.rows(f"SELECT count(*) FROM {table}", transaction) == [(0,)]
    assert raw.update(f"INSERT INTO {table} VALUES (1)") == 1
    raw.end(transaction, ROLLBACK)
    assert raw.rows(f"SELECT v FROM {table}") == [(1,)]


def test_two_transactions_of_one_client_are_apart(raw: Raw, table: str) -> None:
    first, second = raw.begin(), raw.begin()
    raw.update(f"INSERT INTO {table} VALUES (1)", first)
    assert raw.rows(f"SELECT count(*) FROM {table}", second) == [(0,)]
    raw.end(first, COMMIT)
    assert raw.rows(f"SELECT count(*) FROM {table}", second) == [(1,)]
    raw.end(second, ROLLBACK)
    second = raw.begin()
    raw.update(f"INSERT INTO {table} VALUES (2)", second)
    raw.end(second, ROLLBACK)
    assert raw.rows(f"SELECT v FROM {table}") == [(1,)]


def test_one_that_is_over_is_not_there(raw: Raw, table: str) -> None:
    transaction = raw.begin()
    raw.end(transaction, COMMIT)
    for attempt in (lambda: raw.end(transaction, COMMIT), lambda: raw.update("SELECT 1", transaction)):
        with pytest.raises(grpc.RpcError) as caught:
            attempt()
        assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION and "25P01" in caught.value.details()


def test_one_that_lies_idle_is_undone_and_nothing_after_it_is_kept(
    server: JammiServer, client: Any, table: str
) -> None:
    idle = server.connect(autocommit=False)
    with idle.cursor() as cursor:
        cursor.execute(f"INSERT INTO {table} VALUES (?)", (1,))
        until(lambda: _is_free(client, table), "the transaction is undone")
        with pytest.raises(Error, match="25P0"):
            cursor.execute(f"INSERT INTO {table} VALUES (?)", (2,))
        with pytest.raises(Error, match="25P02"):
            cursor.adbc_ingest(table, pa.table({"v": [3]}), mode="append")
        idle.rollback()
        cursor.execute(f"INSERT INTO {table} VALUES (?)", (4,))
    idle.commit()
    idle.close()
    assert rows(client, f"SELECT v FROM {table} ORDER BY v") == [(0,), (4,)]


def test_one_that_was_undone_is_not_committed(raw: Raw, client: Any, table: str) -> None:
    transaction = raw.begin()
    raw.update(f"INSERT INTO {table} VALUES (1)", transaction)
    until(lambda: _is_free(client, table), "the transaction is undone")
    with pytest.raises(grpc.RpcError) as caught:
        raw.end(transaction, COMMIT)
    assert "25P02" in caught.value.details()
    assert set(raw.rows(f"SELECT v FROM {table}")) == {(0,)}


def _is_free(client: Any, table: str) -> bool:
    try:
        run(client, f"INSERT INTO {table} VALUES (0)")
    except Error as error:
        assert "55P03" in str(error)
        return False
    return True


def test_begin_and_rollback_as_statements_are_real_too(client: Any, table: str) -> None:
    run(client, "BEGIN")
    run(client, f"INSERT INTO {table} VALUES (1)")
    with client.cursor() as cursor:
        cursor.adbc_ingest(table, pa.table({"v": [2]}), mode="append")
    run(client, "ROLLBACK")
    assert rows(client, f"SELECT count(*) FROM {table}") == [(0,)]
