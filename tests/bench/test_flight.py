"""The Flight SQL server beside ``roapi`` and ``jammi-server``, all on loopback, in turns."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import adbc_driver_flightsql.dbapi as flightsql
import grpc
import grpc.aio
import pyarrow as pa
import pytest

from jammi_sql.flight.protocol import flight, sql, wrap
from tests.servers.jammi import JammiServer

from .flight_peers import Peer, bare_grpc, jammi_server, roapi
from .measure import Report, interleaved, median_ratio, percentile

pytestmark = pytest.mark.bench

AREA = "Flight SQL"
ROUNDS = 5
STATEMENTS = 100
MILLION = 1_000_000
LARGE = f"SELECT value AS a, value * 2 AS b, value * 0.5 AS c FROM generate_series(1, {10 * MILLION})"
CLIENTS = 1000
PER_CLIENT = 3
STREAMS = 2000
SHORT: dict[str, tuple[Any, ...] | None] = {
    "SELECT 1": None,
    "SELECT v FROM short WHERE k = ?": (7,),
    "INSERT INTO events VALUES (?, ?)": (1, "x"),
}
SERVICE = "/arrow.flight.protocol.FlightService/"
NAMES = ("jammi-sql", "roapi", "jammi-server")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JammiServer]:
    with JammiServer(tmp_path_factory.mktemp("flight") / "store") as found:
        yield found


@pytest.fixture(scope="module")
def peers(server: JammiServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Peer]]:
    """All of them."""
    ours = Peer(server.uri, server.process.pid)
    with roapi(tmp_path_factory.mktemp("roapi")) as first, jammi_server(tmp_path_factory.mktemp("jammi")) as second:
        yield dict(zip(NAMES, (ours, first, second), strict=True))


@pytest.fixture(scope="module")
def uris(peers: dict[str, Peer]) -> dict[str, str]:
    """Where each of them listens."""
    return {name: peer.uri for name, peer in peers.items()}


def _load() -> str:
    return f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"


def test_select_1_through_adbc(uris: dict[str, str], report: Report) -> None:
    clients = {name: flightsql.connect(uri, autocommit=True) for name, uri in uris.items()}
    cursors = {name: client.cursor() for name, client in clients.items()}
    taken: dict[str, list[float]] = {name: [] for name in uris}
    for turn in range(ROUNDS * STATEMENTS):  # statement by statement: what else the machine does meets all of them
        for name, cursor in cursors.items():
            begun = time.perf_counter()
            cursor.execute("SELECT 1")
            assert cursor.fetchall() == [(1,)]
            if turn >= STATEMENTS:
                taken[name].append(time.perf_counter() - begun)
    for name in uris:
        cursors[name].close()
        clients[name].close()
    medians = {name: percentile(values, 0.5) for name, values in taken.items()}
    for name, median in medians.items():
        ratio = medians["jammi-sql"] / median
        target = ("1.3 times roapi", ratio <= 1.3) if name == "roapi" else ("", None)
        value = (
            f"p50 {median * 1000:.2f} ms, p95 {percentile(taken[name], 0.95) * 1000:.2f} ms; jammi-sql / it {ratio:.2f}"
        )
        report.add(AREA, f"SELECT 1, {name}, {_load()}", value, *target)
    assert medians


def test_processor_time_of_short_statements(peers: dict[str, Peer], report: Report) -> None:
    with contextlib.ExitStack() as stack:
        servers = {"grpc.aio alone": stack.enter_context(bare_grpc()), **peers}
        for text, values in SHORT.items():
            fitting = servers if text == "SELECT 1" else {"jammi-sql": servers["jammi-sql"]}
            used: dict[str, list[float]] = {}
            run: dict[str, tuple[int, Callable[[], object]]] = {}
            for name, server in fitting.items():
                client = stack.enter_context(flightsql.connect(server.uri, autocommit=True))
                if text != "SELECT 1":
                    _with_relations(client)
                again = stack.enter_context(client.cursor())
                run[f"{name}, by a cursor that has run it"] = server.pid, _repeated(again, text, values)
                run[f"{name}, by a new cursor"] = server.pid, _anew(client, text, values)
            for turn in range(ROUNDS + 1):  # the first one warms up
                for name, (pid, once) in run.items():
                    begun = _processor_seconds(pid)
                    for _ in range(STATEMENTS):
                        once()
                    if turn:
                        used.setdefault(name, []).append((_processor_seconds(pid) - begun) / STATEMENTS)
            for name, values_of in used.items():
                median = percentile(values_of, 0.5)
                report.add(AREA, f"processor time of {text}, {name}, {_load()}", f"{median * 1000:.2f} ms")
            assert used


def _with_relations(client: Any) -> None:
    with client.cursor() as cursor:
        for text in (
            "CREATE TABLE IF NOT EXISTS short (k BIGINT PRIMARY KEY, v VARCHAR)",
            "CREATE TOPIC IF NOT EXISTS events (k BIGINT, v VARCHAR)",
            "DELETE FROM short",
            "INSERT INTO short SELECT value, 'x' FROM generate_series(1, 100)",
        ):
            cursor.execute(text)


def _repeated(cursor: Any, text: str, values: tuple[Any, ...] | None) -> Callable[[], object]:
    """Run it again: the driver prepares a text that a cursor ran last once only."""
    return lambda: _all_of(cursor, text, values)


def _anew(client: Any, text: str, values: tuple[Any, ...] | None) -> Callable[[], object]:
    """Prepare it, run it, and forget it."""

    def run() -> object:
        with client.cursor() as cursor:
            return _all_of(cursor, text, values)

    return run


def _all_of(cursor: Any, text: str, values: tuple[Any, ...] | None) -> object:
    cursor.execute(text, values)
    return cursor.fetchall() if cursor.description else None


def _processor_seconds(pid: int) -> float:
    """What the threads of a process have used that live."""
    used = (int((task / "schedstat").read_text().split()[0]) for task in Path(f"/proc/{pid}/task").iterdir())
    return sum(used) / 1e9


def test_ten_million_rows(uris: dict[str, str], report: Report) -> None:
    clients = [flightsql.connect(uri, autocommit=True) for uri in uris.values()]

    def fetch(client: Any) -> None:
        with client.cursor() as cursor:
            cursor.execute(LARGE)
            assert sum(batch.num_rows for batch in cursor.fetch_record_batch()) == 10 * MILLION

    taken = interleaved(*((lambda client=client: fetch(client)) for client in clients), rounds=3)
    for client in clients:
        client.close()
    for name, values in zip(uris, taken, strict=True):
        ratio = median_ratio(taken[0], values)
        target = ("no slower than roapi", ratio <= 1) if name == "roapi" else ("", None)
        value = f"{percentile(values, 0.5):.2f} s; jammi-sql / it {ratio:.2f}"
        report.add(AREA, f"10 M rows of 3 columns, {name}, {_load()}", value, *target)


def test_ingest_of_ten_million_rows(server: JammiServer, uris: dict[str, str], report: Report) -> None:
    batch = pa.record_batch(
        {
            "id": pa.array(range(65_536), pa.int64()),
            "value": pa.array([0.5] * 65_536),
            "category": pa.array([f"category {number % 16}" for number in range(65_536)]),
        }
    )
    count = -(-10 * MILLION // 65_536)
    for name, uri in uris.items():
        with flightsql.connect(uri, autocommit=True) as client, client.cursor() as cursor:
            reader = pa.RecordBatchReader.from_batches(batch.schema, (batch for _ in range(count)))
            if name == "jammi-sql":
                cursor.execute("CREATE TOPIC ingested (id BIGINT, value DOUBLE, category VARCHAR)")
            begun = time.perf_counter()
            try:
                rows = cursor.adbc_ingest("ingested", reader, mode="append" if name == "jammi-sql" else "create")
                took = time.perf_counter() - begun
                value = f"{took:.1f} s, {rows / took / MILLION:.2f} M rows/s"
            except flightsql.Error as error:
                assert name != "jammi-sql", error
                value = "refused"
            report.add(AREA, f"ingest of {count * 65_536:,} rows, {name}, {_load()}", value)


def test_a_thousand_clients(uris: dict[str, str], report: Report) -> None:
    async def one(uri: str, taken: list[float], begin: asyncio.Event) -> None:
        options = [("grpc.use_local_subchannel_pool", 1)]  # or else they would share one connection
        async with grpc.aio.insecure_channel(uri.removeprefix("grpc://"), options) as channel:
            await channel.channel_ready()
            await begin.wait()
            for _ in range(PER_CLIENT):
                begun = time.perf_counter()
                await _fetch(channel, "SELECT 1")
                taken.append(time.perf_counter() - begun)

    async def all_of(uri: str) -> tuple[float, list[float]]:
        taken: list[float] = []
        begin = asyncio.Event()
        clients = [asyncio.ensure_future(one(uri, taken, begin)) for _ in range(CLIENTS)]
        await asyncio.sleep(0)
        begun = time.perf_counter()
        begin.set()
        await asyncio.gather(*clients)
        return time.perf_counter() - begun, taken

    rates = {}
    for name, uri in uris.items():
        took, taken = asyncio.run(all_of(uri))
        rates[name] = len(taken) / took
        value = (
            f"{rates[name]:.0f} statements/s, p50 {percentile(taken, 0.5):.2f} s, p99 {percentile(taken, 0.99):.2f} s"
        )
        report.add(AREA, f"{CLIENTS:,} clients, {PER_CLIENT} statements each, {name}, {_load()}", value)
    assert rates["jammi-sql"] > 0


def test_live_streams(tmp_path: Path, report: Report) -> None:
    with JammiServer(tmp_path / "store") as server:  # one that has no memory to use again
        _measure_streams(server, report)


def _measure_streams(server: JammiServer, report: Report) -> None:
    async def follow() -> tuple[float, float, float]:
        async with grpc.aio.insecure_channel(server.uri.removeprefix("grpc://")) as channel:
            await _fetch(channel, "SELECT 1")
            before, alone = _resident(server), await _median(channel)
            calls = [await _begin(channel, "SELECT v FROM subscribe('followed')") for _ in range(STREAMS)]
            for call in calls:
                await call.read()
            held, beside = _resident(server) - before, await _median(channel)
            for call in calls:
                call.cancel()
            return held / STREAMS, alone, beside

    with server.connect() as client, client.cursor() as cursor:
        cursor.execute("CREATE TOPIC followed (v BIGINT)")
        held, alone, beside = asyncio.run(follow())
        begun = time.perf_counter()
        left = -1
        while left:
            cursor.execute("SELECT count(*) FROM jammi.system.subscriptions")
            (left,) = cursor.fetchone()
            assert time.perf_counter() - begun < 60
        freed = time.perf_counter() - begun
    report.add(AREA, f"memory of an open live stream, of {STREAMS:,}, {_load()}", f"{held / 1024:.0f} KiB")
    report.add(AREA, f"SELECT 1 beside them / alone, {_load()}", f"{beside / alone:.2f} ({alone * 1000:.1f} ms alone)")
    report.add(AREA, f"until {STREAMS:,} are freed, {_load()}", f"{freed:.2f} s", "1 s", freed <= 1)


async def _median(channel: Any) -> float:
    taken = []
    for _ in range(STATEMENTS):
        begun = time.perf_counter()
        await _fetch(channel, "SELECT 1")
        taken.append(time.perf_counter() - begun)
    return percentile(taken, 0.5)


async def _begin(channel: Any, text: str) -> Any:
    ask = channel.unary_unary(
        SERVICE + "GetFlightInfo", flight.FlightDescriptor.SerializeToString, flight.FlightInfo.FromString
    )
    get = channel.unary_stream(SERVICE + "DoGet", flight.Ticket.SerializeToString, flight.FlightData.FromString)
    info = await ask(flight.FlightDescriptor(type=2, cmd=wrap(sql.CommandStatementQuery(query=text))))
    return get(info.endpoint[0].ticket)


async def _fetch(channel: Any, text: str) -> None:
    assert [each async for each in await _begin(channel, text)]


def _resident(server: JammiServer) -> int:
    """Bytes of memory that the server has."""
    pages = Path(f"/proc/{server.process.pid}/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")
