"""Live streams, and statements that are given up."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import grpc
import grpc.aio
import pyarrow as pa
import pytest

from jammi_sql.flight.framing import Framing, encapsulated
from jammi_sql.flight.protocol import flight, sql, wrap
from tests.flight.test_statements import rows, run
from tests.flight.test_transactions import Raw, described, raw
from tests.servers.jammi import JammiServer
from tests.topic_support import LIMIT, until

__all__ = ["raw"]

ENDLESS = "SELECT count(*) FROM generate_series(1, 100000000000)"


@pytest.fixture
def topic(client: Any, name: str) -> str:
    run(client, f"CREATE TOPIC {name} (v BIGINT)")
    return name


def subscriptions(client: Any, topic: str) -> int:
    (count,) = rows(client, f"SELECT count(*) FROM jammi.system.subscriptions WHERE topic = '{topic}'")[0]
    return int(count)


def test_events_come_as_they_are_published(server: JammiServer, client: Any, topic: str) -> None:
    with server.connect() as other, other.cursor() as cursor:
        cursor.execute(f"SELECT _offset, v FROM subscribe('{topic}')")
        batches = iter(cursor.fetch_record_batch())
        for number in range(3):
            run(client, f"INSERT INTO {topic} VALUES (?)", (number,))
            assert next(batches).to_pylist() == [{"_offset": number, "v": number}]
        cursor.adbc_cancel()
    until(lambda: subscriptions(client, topic) == 0, "the server let go of it")


def test_nothing_falls_between_the_statement_and_its_first_fetch(raw: Raw, client: Any, topic: str) -> None:
    info = raw.info(f"SELECT v FROM subscribe('{topic}') LIMIT 2")
    run(client, f"INSERT INTO {topic} VALUES (1)")
    run(client, f"INSERT INTO {topic} VALUES (2)")
    assert raw.fetch(info).column("v").to_pylist() == [1, 2]


def test_one_that_comes_back_misses_nothing(server: JammiServer, client: Any, topic: str) -> None:
    seen = []
    for number in range(3):
        run(client, f"INSERT INTO {topic} VALUES (?), (?)", (number, number))
        with server.connect() as other, other.cursor() as cursor:
            cursor.execute(f"SELECT _offset FROM subscribe('{topic}', from => ?)", (seen[-1] + 1 if seen else 0,))
            seen += next(iter(cursor.fetch_record_batch())).column("_offset").unique().to_pylist()
            cursor.adbc_cancel()
    assert seen == [0, 1, 2]


def test_a_client_that_is_killed_leaves_nothing(server: JammiServer, client: Any, topic: str) -> None:
    program = (
        "import sys, adbc_driver_flightsql.dbapi as f\n"
        "cursor = f.connect(sys.argv[1], autocommit=True).cursor()\n"
        "cursor.execute(sys.argv[2])\n"
        "reader = cursor.fetch_record_batch(); print('begun', flush=True)\n"
        "for batch in reader: pass"
    )
    text = f"SELECT v FROM subscribe('{topic}')"
    with subprocess.Popen([sys.executable, "-c", program, server.uri, text], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None and child.stdout.readline() == b"begun\n"
        until(lambda: subscriptions(client, topic) == 1, "it subscribes")
        child.send_signal(signal.SIGKILL)
    until(lambda: subscriptions(client, topic) == 0, "the server let go of it")


def test_many_streams_take_no_threads(server: JammiServer, client: Any, topic: str) -> None:
    streams = 200

    async def follow() -> list[int]:
        async with grpc.aio.insecure_channel(server.uri.removeprefix("grpc://")) as channel:
            service = "/arrow.flight.protocol.FlightService/"
            ask = channel.unary_unary(
                service + "GetFlightInfo", flight.FlightDescriptor.SerializeToString, flight.FlightInfo.FromString
            )
            get = channel.unary_stream(service + "DoGet", flight.Ticket.SerializeToString, flight.FlightData.FromString)
            text = f"SELECT v FROM subscribe('{topic}')"
            before = server.threads
            calls = []
            for _ in range(streams):
                info = await ask(described(sql.CommandStatementQuery(query=text)))
                calls.append(get(info.endpoint[0].ticket))
            heads = [await call.read() for call in calls]
            threads = server.threads - before
            assert await asyncio.to_thread(subscriptions, client, topic) == streams
            await asyncio.to_thread(run, client, f"INSERT INTO {topic} VALUES (7)")
            values = []
            for head, call in zip(heads, calls, strict=True):
                data = [head, await call.read()]
                stream = b"".join(encapsulated(each.data_header, each.data_body) for each in data)
                values += pa.ipc.open_stream(stream).read_next_batch().column("v").to_pylist()
                call.cancel()
            assert threads < 50
            return values

    assert asyncio.run(asyncio.wait_for(follow(), LIMIT * 2)) == [7] * streams
    until(lambda: subscriptions(client, topic) == 0, "the server let go of all")


# --- giving up ---


def busy(server: JammiServer) -> int:
    """Processor time of the server so far, in ticks."""
    with open(f"/proc/{server.process.pid}/stat", encoding="ascii") as file:
        return sum(map(int, file.read().rpartition(")")[2].split()[11:13]))


def is_idle(server: JammiServer) -> bool:
    """Whether it works on nothing for a while."""
    before = busy(server)
    threading.Event().wait(0.2)
    return busy(server) - before < 5


def test_a_cancelled_statement_stops_its_work(server: JammiServer, client: Any) -> None:
    with server.connect() as other, other.cursor() as cursor:
        cursor.execute(ENDLESS)
        until(lambda: not is_idle(server), "it is at work")
        cursor.adbc_cancel()
        until(lambda: is_idle(server), "the work stopped")
    assert rows(client, "SELECT 1") == [(1,)]


def test_a_change_that_is_given_up_changes_nothing(raw: Raw, server: JammiServer, client: Any, name: str) -> None:
    run(client, f"CREATE TABLE {name} (v BIGINT)")
    command = sql.CommandStatementUpdate(query=f"INSERT INTO {name} SELECT value FROM generate_series(1, 100000000000)")
    put = raw._channel.stream_stream(
        "/arrow.flight.protocol.FlightService/DoPut", flight.FlightData.SerializeToString, flight.PutResult.FromString
    )
    call = put(iter([flight.FlightData(flight_descriptor=described(command))]))
    until(lambda: not is_idle(server), "it is at work")
    call.cancel()
    until(lambda: is_idle(server), "the work stopped")
    assert rows(client, f"SELECT count(*) FROM {name}") == [(0,)]


def test_one_is_cancelled_by_what_it_is_told_by(raw: Raw, client: Any, topic: str) -> None:
    info = raw.info(f"SELECT v FROM subscribe('{topic}')")
    stream = raw.stream("DoGet", info.endpoint[0].ticket, flight.FlightData)
    next(stream)
    result = flight.CancelFlightInfoResult.FromString(
        raw.act("CancelFlightInfo", flight.CancelFlightInfoRequest(info=info))
    )
    assert result.status == 1
    with pytest.raises(grpc.RpcError) as caught:
        next(stream)
    assert caught.value.code() is grpc.StatusCode.CANCELLED and "57014" in caught.value.details()
    with pytest.raises(grpc.RpcError) as caught:
        raw.act("CancelFlightInfo", flight.CancelFlightInfoRequest(info=info))
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    other = raw.info("SELECT 1")
    raw.act("CancelQuery", sql.ActionCancelQueryRequest(info=other.SerializeToString()))
    with pytest.raises(grpc.RpcError) as caught:
        raw.fetch(other)
    assert "24000" in caught.value.details()


def test_a_cancelled_stream_does_not_end_others_of_its_client(raw: Raw, client: Any, topic: str) -> None:
    infos = [raw.info(f"SELECT v FROM subscribe('{topic}')") for _ in range(2)]
    streams = [raw.stream("DoGet", info.endpoint[0].ticket, flight.FlightData) for info in infos]
    for stream in streams:
        next(stream)
    streams[0].cancel()
    until(lambda: subscriptions(client, topic) == 1, "one is left")
    run(client, f"INSERT INTO {topic} VALUES (1)")
    assert next(streams[1]).data_body
    streams[1].cancel()


def test_a_result_is_fetched_once(raw: Raw) -> None:
    info = raw.info("SELECT 1 AS a")
    assert raw.fetch(info).to_pylist() == [{"a": 1}]
    with pytest.raises(grpc.RpcError) as caught:
        raw.fetch(info)
    assert "24000" in caught.value.details()


def test_rows_of_a_client_that_dies_while_it_sends_them_are_not_kept(
    raw: Raw, server: JammiServer, client: Any, topic: str
) -> None:
    options = sql.CommandStatementIngest.TableDefinitionOptions(if_not_exist=2, if_exists=2)
    command = sql.CommandStatementIngest(table=topic, table_definition_options=options)
    sent, release = threading.Event(), threading.Event()
    table = pa.table({"v": pa.array(range(1000), pa.int64())})

    def messages() -> Iterator[Any]:

        framing = Framing(table.schema)
        head = flight.FlightData.FromString(framing.head())
        head.flight_descriptor.CopyFrom(described(command))
        yield head
        for batch in table.to_batches():
            yield from (flight.FlightData.FromString(each) for each in framing.messages(batch))
        sent.set()
        release.wait(LIMIT)

    put = raw._channel.stream_stream(
        "/arrow.flight.protocol.FlightService/DoPut", flight.FlightData.SerializeToString, flight.PutResult.FromString
    )
    call = put(messages())
    assert sent.wait(LIMIT)
    call.cancel()
    release.set()
    until(lambda: "method=DoPut" in server.log or "DoPut" in server.log, "the call is over")
    assert rows(client, f"SELECT count(*) FROM {topic}") == [(0,)]
    assert run(client, f"INSERT INTO {topic} VALUES (1)") == 1


def test_a_long_statement_is_polled_for(raw: Raw, client: Any, topic: str) -> None:
    text = f"SELECT count(*) AS n FROM subscribe('{topic}', until => 0)"
    poll = raw.call("PollFlightInfo", described(sql.CommandStatementQuery(query=text)), flight.PollInfo)
    assert poll.HasField("flight_descriptor")
    run(client, f"INSERT INTO {topic} VALUES (1), (2)")
    for _ in range(20):
        if not poll.HasField("flight_descriptor"):
            break
        poll = raw.call("PollFlightInfo", poll.flight_descriptor, flight.PollInfo)
    assert raw.fetch(poll.info).to_pylist() == [{"n": 2}]


def test_a_polled_statement_is_cancelled(raw: Raw, topic: str) -> None:
    text = f"SELECT count(*) AS n FROM subscribe('{topic}', until => 0)"
    poll = raw.call("PollFlightInfo", described(sql.CommandStatementQuery(query=text)), flight.PollInfo)
    raw.act("CancelFlightInfo", flight.CancelFlightInfoRequest(info=poll.info))
    with pytest.raises(grpc.RpcError) as caught:
        raw.call("PollFlightInfo", poll.flight_descriptor, flight.PollInfo)
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


def test_an_error_of_a_polled_statement_is_told(raw: Raw) -> None:
    asked = described(sql.CommandStatementQuery(query="SELECT * FROM nowhere"))
    with pytest.raises(grpc.RpcError) as caught:
        while True:  # a busy server may not know yet when it is asked first
            asked = raw.call("PollFlightInfo", asked, flight.PollInfo).flight_descriptor
    assert "42P01" in caught.value.details()


def test_what_is_no_command_is_refused(raw: Raw) -> None:
    for descriptor in (flight.FlightDescriptor(type=1, path=["a"]), flight.FlightDescriptor(type=2, cmd=b"\xff")):
        with pytest.raises(grpc.RpcError):
            raw.call("GetFlightInfo", descriptor, flight.FlightInfo)
    with pytest.raises(grpc.RpcError) as caught:
        raw.act("Nonsense", sql.ActionBeginTransactionRequest())
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert wrap(sql.CommandGetCatalogs())
