"""Rows that a PostgreSQL database sends: in parts, at one moment, stopped, and when the connection is lost."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator

import pyarrow as pa
import pytest

from jammi_sql.errors import (
    ConnectionClosed,
    ConnectionLost,
    OperationalError,
    QueryCanceled,
)
from jammi_sql.sources import RemoteRelation, Source
from jammi_sql.sources.opening import open_source
from tests.servers.postgres import PostgresServer
from tests.servers.proxy import Proxy
from tests.sources.support import Connection, define, make_wide, never, select, values_of
from tests.topic_support import LIMIT, until

SLOW = "SELECT i, repeat('x', 1000) AS pad FROM (SELECT generate_series(1, 2000000000) AS i) AS s"

SLOW_SCHEMA = pa.schema([("i", pa.int32()), ("pad", pa.utf8())])


@pytest.fixture(scope="module", autouse=True)
def tables(there: Connection) -> None:
    """What the tests of this module read."""
    make_wide(there)


def busy(there: Connection, part: str = "generate_series(1, 2000000000)") -> int:
    """How many sessions run a query with that text."""
    text = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND pid <> pg_backend_pid() AND query LIKE %s"
    ((count,),) = there.execute(text, [f"%{part}%"]).fetchall()
    assert isinstance(count, int)
    return count


# --- streams ---


def parts_of(source: Source, relation: RemoteRelation, most: int) -> list[pa.Table]:
    """Each share of a relation, read one after the other."""
    conditions = source.partitions(relation, "t", most)
    schema = relation.arrow_schema
    scan = source.scan([select(source, relation, None, f"WHERE {each}") for each in conditions], schema, never)
    parts = [pa.Table.from_batches(list(scan.stream(part)), schema) for part in range(len(conditions))]
    scan.close()
    return parts


def test_shares_of_a_table_are_the_whole_of_it(source: Source) -> None:
    relation = source.relation("public", "wide")
    assert relation is not None
    parts = parts_of(source, relation, 3)
    assert len(parts) == 3
    assert min(part.num_rows for part in parts) > 8000
    numbers = sorted(number for part in parts for number in part.column("i").to_pylist())
    assert numbers == list(range(1, 40001))


def test_a_small_table_and_a_view_have_no_shares(source: Source, there: Connection) -> None:
    there.execute("CREATE TABLE little AS SELECT 1 AS i; CREATE VIEW over_wide AS SELECT * FROM wide")
    for name in ("little", "over_wide"):
        relation = source.relation("public", name)
        assert relation is not None and source.partitions(relation, "t", 8) == []


def test_all_parts_see_one_moment(source: Source, there: Connection) -> None:
    there.execute("CREATE TABLE moving AS SELECT 1 AS i")
    text = "SELECT count(*) AS n FROM public.moving"
    scan = source.scan([text] * 3, pa.schema([("n", pa.int64())]), never)
    found = []
    for part in range(3):
        found += [batch.column(0)[0].as_py() for batch in scan.stream(part)]
        there.execute("INSERT INTO moving SELECT 1")
    scan.close()
    assert found == [1, 1, 1]


def test_parts_are_read_by_threads_at_once(source: Source) -> None:
    relation = source.relation("public", "wide")
    assert relation is not None
    conditions = source.partitions(relation, "t", 3)
    scan = source.scan(
        [select(source, relation, ["i"], f"WHERE {each}") for each in conditions], pa.schema([("i", pa.int32())]), never
    )
    counts: list[int] = []
    threads = [
        threading.Thread(target=lambda part=part: counts.append(sum(batch.num_rows for batch in scan.stream(part))))
        for part in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT)
    scan.close()
    assert sum(counts) == 40000


def test_a_scan_without_columns_counts_rows(source: Source) -> None:
    scan = source.scan(["SELECT FROM public.wide"], pa.schema([]), never)
    assert sum(batch.num_rows for batch in scan.stream(0)) == 40000


def test_a_slow_taker_bounds_what_is_read_ahead(source: Source, there: Connection) -> None:
    scan = source.scan([SLOW], SLOW_SCHEMA, never)
    stream = scan.stream(0)
    first = next(stream)
    assert first.nbytes < 8 << 20
    for _ in range(5):
        until(lambda: scan.stalled, "the reader is ahead")
        assert scan.most_waiting == 3
        next(stream)
    scan.close()
    until(lambda: busy(there) == 0, "the server is idle")


def test_what_is_closed_early_stops_in_the_server(source: Source, there: Connection) -> None:
    scan = source.scan([SLOW], SLOW_SCHEMA, never)
    batches = scan.stream(0)  # kept: one that nobody holds ends by itself
    next(batches)
    scan.close()
    until(lambda: busy(there) == 0, "the server is idle")  # to read on would take minutes


def test_a_stream_that_is_dropped_stops_in_the_server(source: Source, there: Connection) -> None:
    scan = source.scan([SLOW], SLOW_SCHEMA, never)
    stream = scan.stream(0)
    next(stream)
    stream.close()
    until(lambda: busy(there) == 0, "the server is idle")


def test_a_scan_that_nobody_has_any_more_keeps_no_moment(source: Source, there: Connection) -> None:
    text = "SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction' AND query LIKE '%pg_export_snapshot%'"
    scan = source.scan(["SELECT 1 AS n"] * 2, pa.schema([("n", pa.int32())]), never)
    assert len(list(scan.stream(0))) == 1
    until(lambda: there.execute(text).fetchall() == [(1,)], "the moment is kept for the other part")
    del scan
    until(lambda: there.execute(text).fetchall() == [(0,)], "it is given up")


def test_a_check_that_raises_ends_the_query_in_the_server(source: Source, there: Connection) -> None:
    stop = threading.Event()

    def check() -> None:
        if stop.is_set():
            raise QueryCanceled("enough")

    scan = source.scan(["SELECT pg_sleep(600)::text AS s"], pa.schema([("s", pa.utf8())]), check)
    threading.Thread(target=lambda: (until(lambda: busy(there, "pg_sleep(600)") == 1, "it sleeps"), stop.set())).start()
    with pytest.raises(QueryCanceled, match="enough"):
        list(scan.stream(0))
    until(lambda: busy(there, "pg_sleep(600)") == 0, "the server is idle")


def test_a_check_that_raises_ends_a_statement_too(source: Source, there: Connection) -> None:
    def check() -> None:
        if busy(there, "pg_sleep(500)"):
            raise QueryCanceled("enough")

    with pytest.raises(QueryCanceled, match="enough"):
        source.execute(["SELECT pg_sleep(500)"], check)
    until(lambda: busy(there, "pg_sleep(500)") == 0, "the server is idle")


def test_closing_the_source_ends_its_scans(database: str, there: Connection) -> None:
    source = open_source(define(database))
    scan = source.scan([SLOW], SLOW_SCHEMA, never)
    stream = scan.stream(0)
    next(stream)
    source.close()
    source.close()
    with pytest.raises((ConnectionClosed, QueryCanceled, OperationalError)):
        list(stream)
    until(lambda: busy(there) == 0, "the server is idle")
    with pytest.raises(ConnectionClosed):
        source.schemas()


def test_the_time_limit_of_a_statement_is_the_servers(database: str) -> None:
    source = open_source(define(database, statement_timeout="0.05"))
    with pytest.raises(QueryCanceled, match="timeout"):
        list(source.scan(["SELECT pg_sleep(60)::text AS s"], pa.schema([("s", pa.utf8())]), never).stream(0))
    source.close()


def test_more_scans_than_connections_do_not_wait_for_each_other_for_ever(database: str) -> None:
    source = open_source(define(database, pool_size="1"))
    scans = [source.scan([SLOW], SLOW_SCHEMA, never) for _ in range(2)]
    streams = [scan.stream(0) for scan in scans]
    assert [next(stream).num_rows > 0 for stream in streams] == [
        True,
        True,
    ]  # one waits for the other, which is not taken
    source.close()


# --- connections that are lost ---


@pytest.fixture
def behind_proxy(
    postgres: PostgresServer, database: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Proxy, Source]]:
    """The database, attached through a proxy with a password."""
    monkeypatch.setenv("SOURCE_PASSWORD", postgres.password)
    with Proxy(("127.0.0.1", postgres.port)) as proxy:
        name = database.partition("?")[0].rpartition("/")[2]
        source = open_source(
            define(f"postgresql://postgres@127.0.0.1:{proxy.port}/{name}", password="env:SOURCE_PASSWORD")
        )
        yield proxy, source
        source.close()


def test_a_connection_lost_between_two_scans_is_made_again(behind_proxy: tuple[Proxy, Source]) -> None:
    proxy, source = behind_proxy
    assert values_of(source, "public", "wide", "i", "WHERE i = 1") == [1]
    proxy.drop()
    assert values_of(source, "public", "wide", "i", "WHERE i = 2") == [2]
    proxy.drop()
    source.refresh()
    assert source.relation("public", "wide") is not None
    proxy.drop()
    assert source.execute(["SELECT 1"], never) >= -1


def test_a_connection_lost_after_the_first_row_is_an_error(behind_proxy: tuple[Proxy, Source]) -> None:
    proxy, source = behind_proxy
    stream = source.scan([SLOW], SLOW_SCHEMA, never).stream(0)
    next(stream)
    proxy.drop()
    with pytest.raises(ConnectionLost) as caught:
        list(stream)
    assert caught.value.sqlstate.startswith("08")


def test_a_server_that_is_not_there_is_said_within_the_limit(database: str) -> None:
    source = open_source(define("postgresql://postgres@127.0.0.1:1/x", connect_timeout="0.2"))
    with pytest.raises(ConnectionLost):
        source.schemas()
    source.close()


def test_a_server_that_is_silent_can_be_left(behind_proxy: tuple[Proxy, Source]) -> None:
    proxy, source = behind_proxy
    source.schemas()
    proxy.blackhole()
    calls = iter(range(3))

    def check() -> None:
        if next(calls, None) is None:
            raise QueryCanceled("enough")

    with pytest.raises(QueryCanceled, match="enough"):
        source.describe("SELECT 1 AS x", check)
    proxy.heal()


# --- the end of the process ---


def test_a_process_that_leaves_a_scan_open_ends_in_order(database: str) -> None:
    script = f"""
import pyarrow as pa
from jammi_sql.sources import SourceDefinition
from jammi_sql.sources.opening import open_source
source = open_source(SourceDefinition("there", "postgres", {database!r}))
scan = source.scan([{SLOW!r}], pa.schema([("i", pa.int32()), ("pad", pa.utf8())]), lambda: None)
batches = scan.stream(0)
print(next(batches).num_rows > 0)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "True\n", "")
