"""Parameters that come along with a statement: in one message or in many, all at once or one after the other."""

from __future__ import annotations

import queue
from typing import Any

import grpc
import pyarrow as pa
import pytest

from jammi_sql.flight.framing import Framing
from jammi_sql.flight.protocol import flight, sql, unwrap
from tests.flight.test_statements import rows, run
from tests.flight.test_transactions import Raw, described, raw, table
from tests.servers.jammi import JammiServer
from tests.topic_support import LIMIT, until

__all__ = ["raw", "table"]  # fixtures

AHEAD = 1 << 16  # bytes that the server reads before it begins


class Sending:
    """A call that sends messages as it is told to."""

    def __init__(self, raw: Raw, command: Any, batch: pa.RecordBatch) -> None:
        self._messages: queue.Queue[Any] = queue.Queue()
        framing = Framing(batch.schema)
        head = flight.FlightData.FromString(framing.head())
        head.flight_descriptor.CopyFrom(described(command))
        self.batch = [flight.FlightData.FromString(each) for each in framing.messages(batch)]
        self.send(head)
        put = raw._channel.stream_stream(
            "/arrow.flight.protocol.FlightService/DoPut",
            flight.FlightData.SerializeToString,
            flight.PutResult.FromString,
        )
        self.call = put(iter(self._messages.get, None), timeout=LIMIT)

    def send(self, *messages: Any) -> None:
        for message in messages:
            self._messages.put(message)

    def end(self) -> list[Any]:
        """Send no more; what the server says to it."""
        self.send(None)
        return list(self.call)


def prepared(raw: Raw, text: str) -> bytes:
    made = unwrap(raw.act("CreatePreparedStatement", sql.ActionCreatePreparedStatementRequest(query=text)))
    return bytes(made.prepared_statement_handle)


def insertion(raw: Raw, table: str) -> Any:
    return sql.CommandPreparedStatementUpdate(
        prepared_statement_handle=prepared(raw, f"INSERT INTO {table} VALUES (?)")
    )


@pytest.mark.parametrize("count", [0, 1, 2, 1000, AHEAD // 8, AHEAD])
@pytest.mark.parametrize("pieces", [1, 7])
def test_as_many_rows_are_inserted_as_there_are_sets(client: Any, table: str, count: int, pieces: int) -> None:
    given = pa.table({"v": pa.array(range(count), pa.int64())})
    with client.cursor() as cursor:
        cursor.executemany(f"INSERT INTO {table} VALUES (?)", given.to_reader(max_chunksize=-(-count // pieces) or 1))
        assert cursor.rowcount == count
    assert rows(client, f"SELECT count(*), sum(v) FROM {table}") == [(count, sum(range(count)) if count else None)]


def test_one_set_is_taken_as_by_a_statement_of_its_own(client: Any, table: str, name: str) -> None:
    text = f"INSERT INTO {table} VALUES (?)"
    assert run(client, text, (1,)) == 1
    assert run(client, text, ("2",)) == 1  # of another type, which DataFusion makes a number of
    assert run(client, f"UPDATE {table} SET v = v + ? WHERE v > ?", (10, 1)) == 1
    assert sorted(rows(client, f"SELECT v FROM {table}")) == [(1,), (12,)]
    run(client, f"CREATE TOPIC e{name} (v BIGINT NOT NULL)")
    assert run(client, f"INSERT INTO e{name} VALUES (?)", (1,)) == 1
    with pytest.raises(Exception, match="23502"):
        run(client, f"INSERT INTO e{name} VALUES (?)", (None,))
    assert rows(client, f"SELECT _offset, v FROM e{name}") == [(0, 1)]


def test_a_client_that_is_slow_to_send_them_holds_up_no_other_statement_of_its_session(raw: Raw, table: str) -> None:
    sending = Sending(raw, insertion(raw, table), pa.record_batch({"v": [1]}))
    assert raw.rows(f"SELECT count(*) AS n FROM {table}") == [(0,)]
    sending.send(*sending.batch)
    assert raw.rows(f"SELECT count(*) AS n FROM {table}") == [(0,)]
    (done,) = sending.end()
    assert sql.DoPutUpdateResult.FromString(done.app_metadata).record_count == 1
    assert raw.rows(f"SELECT v FROM {table}") == [(1,)]


@pytest.mark.parametrize("count", [1, AHEAD], ids=["before it has begun", "once it has begun"])
def test_one_that_leaves_while_it_sends_them_changes_nothing(
    raw: Raw, server: JammiServer, client: Any, table: str, count: int
) -> None:
    ended = server.log.count("DoPut status=CANCELLED")
    sending = Sending(raw, insertion(raw, table), pa.record_batch({"v": pa.array(range(count))}))
    sending.send(*sending.batch)
    assert rows(client, "SELECT 1") == [(1,)]
    sending.call.cancel()
    sending.send(None)
    until(lambda: server.log.count("DoPut status=CANCELLED") > ended, "the call is over")
    assert rows(client, f"SELECT count(*) FROM {table}") == [(0,)]
    assert run(client, f"INSERT INTO {table} VALUES (?)", (7,)) == 1


@pytest.mark.parametrize("length", [8, AHEAD + 8])
@pytest.mark.parametrize("kind", ["CommandPreparedStatementUpdate", "CommandPreparedStatementQuery"])
def test_what_is_no_arrow_data_is_refused_in_words(
    raw: Raw, server: JammiServer, client: Any, kind: str, length: int
) -> None:
    command = getattr(sql, kind)(prepared_statement_handle=prepared(raw, "SELECT ?"))
    data = flight.FlightData(flight_descriptor=described(command), data_header=b"\x01" * length)
    put = raw._channel.stream_stream(
        "/arrow.flight.protocol.FlightService/DoPut", flight.FlightData.SerializeToString, flight.PutResult.FromString
    )
    with pytest.raises(grpc.RpcError) as caught:
        list(put(iter([data]), timeout=LIMIT))
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "Traceback" not in server.log
    assert rows(client, "SELECT 1") == [(1,)]
