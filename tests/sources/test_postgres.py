"""A PostgreSQL database, attached: its catalogue, its streams and their ends, what is written."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator

import psycopg
import pyarrow as pa
import pytest

from jammi_sql.errors import (
    ConnectionClosed,
    ConnectionLost,
    DataError,
    Error,
    NotSupportedError,
    OperationalError,
    QueryCanceled,
    UndefinedColumn,
    UndefinedTable,
    UniqueViolation,
)
from jammi_sql.sources import RemoteRelation, Source
from jammi_sql.sources.opening import open_source
from tests.servers.postgres import PostgresServer
from tests.servers.proxy import Proxy
from tests.sources.support import column_of, define, never, rows_of, select, values_of
from tests.topic_support import LIMIT, until

Connection = psycopg.Connection[tuple[object, ...]]
SLOW = "SELECT i, repeat('x', 1000) AS pad FROM (SELECT generate_series(1, 2000000000) AS i) AS s"
SLOW_SCHEMA = pa.schema([("i", pa.int32()), ("pad", pa.utf8())])


@pytest.fixture(scope="module", autouse=True)
def tables(there: Connection) -> None:
    """What the tests of this module read."""
    there.execute('CREATE SCHEMA "Odd.Schema"')
    there.execute(
        'CREATE TABLE "Odd.Schema"."Mixed ""Case"" {}" ("Id" int PRIMARY KEY, "Naïve, {}" text, "select" int)'
    )
    there.execute("""INSERT INTO "Odd.Schema"."Mixed ""Case"" {}" VALUES (1, 'é', 2)""")
    there.execute("CREATE TABLE wide (i int PRIMARY KEY, pad text NOT NULL)")
    there.execute("INSERT INTO wide SELECT i, repeat(chr(97 + i % 26), 400) FROM generate_series(1, 40000) AS i")
    there.execute("ANALYZE wide")


def busy(there: Connection, part: str = "generate_series(1, 2000000000)") -> int:
    """How many sessions run a query with that text."""
    text = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND pid <> pg_backend_pid() AND query LIKE %s"
    ((count,),) = there.execute(text, [f"%{part}%"]).fetchall()
    assert isinstance(count, int)
    return count


# --- catalogue ---


def test_nothing_is_connected_before_something_is_asked() -> None:
    source = open_source(define("postgresql://nobody@127.0.0.1:1/nowhere"))
    assert source.location == "postgresql://127.0.0.1:1/nowhere"
    source.close()


def test_schemas_and_relations_are_listed_without_those_of_the_system(source: Source) -> None:
    assert source.schemas() == ["Odd.Schema", "public"]
    assert "wide" in source.relation_names("public")
    assert source.relation_names("nowhere") == []
    assert source.relation("public", "nothing") is None


def test_odd_names_are_read_as_they_are(source: Source) -> None:
    (name,) = source.relation_names("Odd.Schema")
    assert name == 'Mixed "Case" {}'
    assert rows_of(source, "Odd.Schema", name).to_pylist() == [{"Id": 1, "Naïve, {}": "é", "select": 2}]


def test_views_partitioned_and_materialised_tables_are_relations(source: Source, there: Connection) -> None:
    there.execute("CREATE VIEW seen AS SELECT i, pad FROM wide WHERE i < 3")
    there.execute("CREATE MATERIALIZED VIEW kept AS SELECT i FROM wide WHERE i < 4")
    there.execute("CREATE TABLE cut (i int, day date) PARTITION BY RANGE (day)")
    there.execute("CREATE TABLE cut_1 PARTITION OF cut FOR VALUES FROM ('2030-01-01') TO ('2031-01-01')")
    there.execute("INSERT INTO cut VALUES (7, '2030-05-05')")
    kinds = {name: source.relation("public", name) for name in ("seen", "kept", "cut")}
    assert {name: found.kind for name, found in kinds.items() if found} == {
        "seen": "view",
        "kept": "view",
        "cut": "table",
    }
    assert [rows_of(source, "public", name).num_rows for name in kinds] == [2, 3, 1]


def test_a_foreign_table_is_a_relation(source: Source, there: Connection) -> None:
    there.execute("CREATE EXTENSION IF NOT EXISTS file_fdw")
    there.execute("CREATE SERVER files FOREIGN DATA WRAPPER file_fdw")
    there.execute(
        "CREATE FOREIGN TABLE outside (a int, b text) SERVER files OPTIONS (program 'echo 1,x', format 'csv')"
    )
    found = source.relation("public", "outside")
    assert found is not None and found.kind == "table" and source.partitions(found, "t", 8) == []
    assert rows_of(source, "public", "outside").to_pylist() == [{"a": 1, "b": "x"}]


def test_rows_are_estimated_and_keys_are_found(source: Source, there: Connection) -> None:
    there.execute("CREATE TABLE keyed (a int, b int NOT NULL, c int NOT NULL UNIQUE, d int UNIQUE, PRIMARY KEY (b, a))")
    there.execute("CREATE UNIQUE INDEX ON keyed (c, b) INCLUDE (a); CREATE UNIQUE INDEX ON keyed (b) WHERE a > 0")
    keyed, wide = source.relation("public", "keyed"), source.relation("public", "wide")
    assert keyed is not None and wide is not None
    assert keyed.keys == (("b", "a"), ("c",), ("d",), ("c", "b"))
    assert keyed.rows is None  # nobody has counted them
    assert wide.rows == 40000
    assert [column.nullable for column in keyed.columns] == [False, False, False, True]


def test_a_table_that_appears_later_is_found(source: Source, there: Connection) -> None:
    assert source.relation("public", "later") is None
    there.execute("CREATE TABLE later AS SELECT 1 AS x")
    assert values_of(source, "public", "later", "x") == [1]
    there.execute("ALTER TABLE later ADD COLUMN y int")
    found = source.relation("public", "later")
    assert found is not None and len(found.columns) == 1  # as it was when it was last looked at
    source.refresh()
    assert column_of(source, "public", "later", "y").type == pa.int32()


# --- queries of the user's own ---


def test_a_query_is_described_as_its_columns_would_be_in_a_table(source: Source, there: Connection) -> None:
    there.execute("CREATE TABLE described (price numeric(8, 3), padded char(4), id uuid)")
    columns = source.describe(
        "SELECT price, padded, id, count(*) AS n, 1.5 AS x FROM public.described GROUP BY 1, 2, 3 -- all", never
    )
    assert [column.type for column in columns] == [
        pa.decimal128(8, 3),
        pa.utf8(),
        pa.utf8(),
        pa.int64(),
        pa.decimal128(38, 9),
    ]
    assert [column.read for column in columns][:3] == ["{}::text"] * 3
    assert "jammi_described" not in [row[0] for row in there.execute("SELECT relname FROM pg_class").fetchall()]


def test_a_query_that_is_described_is_one_query(source: Source, there: Connection) -> None:
    there.execute("CREATE TABLE victim (x int)")
    with pytest.raises(Error):
        source.describe(
            "SELECT 1) AS q; COMMIT; BEGIN READ WRITE; DROP TABLE public.victim; COMMIT; SELECT * FROM (SELECT 1", never
        )
    assert there.execute("SELECT count(*) FROM victim").fetchall() == [(0,)]


def test_a_role_that_may_make_nothing_has_its_queries_described(postgres: PostgresServer, there: Connection) -> None:
    name = there.info.dbname
    postgres.create_user("reader", password="unused")
    there.execute(f'REVOKE TEMPORARY ON DATABASE "{name}" FROM PUBLIC; GRANT SELECT ON wide TO reader')
    source = open_source(define(postgres.socket_url(name, user="reader")))
    columns = source.describe("SELECT i, pad, 1.5 AS x, ARRAY[1] AS list, now() AS at FROM public.wide", never)
    assert [column.type for column in columns] == [
        pa.int32(), pa.utf8(), pa.decimal128(38, 9), pa.utf8(), pa.timestamp("us", "UTC")
    ]  # fmt: skip
    assert not columns[1].comparable  # nobody says by which rules it is compared
    source.close()
    there.execute(f'REVOKE ALL ON wide FROM reader; GRANT TEMPORARY ON DATABASE "{name}" TO PUBLIC')
    postgres.drop_user("reader")


def test_a_wrong_query_has_the_servers_own_sqlstate(source: Source) -> None:
    for text, kind, state in (
        ("SELECT * FROM public.nothing", UndefinedTable, "42P01"),
        ("SELECT nope FROM public.wide", UndefinedColumn, "42703"),
        ("SELEC 1", Error, "42601"),
        ("SELECT 1/0", Error, "22012"),
    ):
        with pytest.raises(kind) as caught:
            list(source.scan([text], pa.schema([("x", pa.int32())]), never).stream(0))
        assert caught.value.sqlstate == state


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


# --- writing ---


def test_statements_are_one_transaction(source: Source, there: Connection) -> None:
    there.execute("CREATE TABLE written (x int PRIMARY KEY)")
    assert (
        source.execute(["INSERT INTO public.written VALUES (1)", "INSERT INTO public.written VALUES (2), (3)"], never)
        == 2
    )
    with pytest.raises(UniqueViolation) as caught:
        source.execute(["INSERT INTO public.written VALUES (4)", "INSERT INTO public.written VALUES (1)"], never)
    assert caught.value.sqlstate == "23505"
    assert there.execute("SELECT x FROM written ORDER BY x").fetchall() == [(1,), (2,), (3,)]
    assert there.execute(
        "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'"
    ).fetchall() == [(0,)]


def test_what_is_remembered_is_forgotten_by_what_is_written(source: Source, there: Connection) -> None:
    there.execute("CREATE TABLE changing (x int)")
    assert column_of(source, "public", "changing", "x").type == pa.int32()
    source.execute(["ALTER TABLE public.changing ALTER COLUMN x TYPE text"], never)
    assert column_of(source, "public", "changing", "x").type == pa.utf8()


def test_a_text_with_several_statements_is_refused(source: Source, there: Connection) -> None:
    there.execute("CREATE TABLE single (x int)")
    with pytest.raises(Error, match="multiple commands"):
        source.execute(["INSERT INTO public.single VALUES (1); COMMIT; INSERT INTO public.single VALUES (2)"], never)
    assert there.execute("SELECT count(*) FROM single").fetchall() == [(0,)]


def test_a_scan_writes_nothing(source: Source) -> None:
    with pytest.raises(OperationalError) as caught:
        list(source.scan(["DELETE FROM public.wide RETURNING i"], pa.schema([("i", pa.int32())]), never).stream(0))
    assert caught.value.sqlstate == "25006"


ROWS = pa.table({
    "a": pa.array([1, None], pa.int64()), "b": pa.array(["x", None]), "c": pa.array([1.5, float("nan")]),
    "d": pa.array(["1.25", None]).cast(pa.decimal128(10, 2)), "e": pa.array([b"\x00", None], pa.binary()),
    "f": pa.array([0, 1000], pa.timestamp("ns", "UTC")).cast(pa.timestamp("us", "UTC")), "g": pa.array([True, None]),
    "h": pa.array([[1, None], None], pa.list_(pa.int32())), "i": pa.array([2**64 - 1, None], pa.uint64()),
    "j": pa.array([pa.MonthDayNano([1, 2, 3000]), None], pa.month_day_nano_interval()),
    "k": pa.array(["p", None], pa.dictionary(pa.int8(), pa.utf8())),
})  # fmt: skip


def test_rows_are_written_into_a_table_that_is_made_for_them(source: Source, there: Connection) -> None:
    there.execute("DROP TABLE IF EXISTS made")
    assert source.ingest("public", "made", ROWS.to_reader(), "create", never) == 2
    found = rows_of(source, "public", "made")
    assert found.column("i").to_pylist() == [2**64 - 1, None]
    for name in "abdefghj":
        assert found.column(name).to_pylist() == ROWS.column(name).to_pylist(), name
    assert str(found.column("c").to_pylist()) == "[1.5, nan]"
    assert source.ingest("public", "made", ROWS.to_reader(), "append", never) == 2
    assert there.execute("SELECT count(*) FROM made").fetchall() == [(4,)]


def test_rows_are_written_into_types_that_the_driver_does_not_know(source: Source, there: Connection) -> None:
    there.execute("CREATE TYPE colour AS ENUM ('red')")
    there.execute(
        "CREATE TABLE odd_types (id uuid, data jsonb, hue colour, n numeric, small int2, spare int DEFAULT 7)"
    )
    rows = pa.table({
        "small": pa.array([3], pa.int64()), "id": ["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"], "data": ['{"a": 1}'],
        "hue": ["red"], "n": ["1.23456789012"],
    })  # fmt: skip
    assert source.ingest("public", "odd_types", rows.to_reader(), "append", never) == 1
    assert source.ingest("public", "odd_types", rows.to_reader(), "append", never) == 1
    assert there.execute(
        "SELECT DISTINCT id::text, data->>'a', hue::text, n::text, small, spare FROM odd_types"
    ).fetchall() == [("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "1", "red", "1.23456789012", 3, 7)]


def test_rows_that_fail_leave_nothing(source: Source, there: Connection) -> None:
    there.execute("CREATE TABLE unique_rows (a bigint PRIMARY KEY)")
    with pytest.raises(UniqueViolation):
        source.ingest("public", "unique_rows", pa.table({"a": [1, 2, 1]}).to_reader(), "append", never)
    assert there.execute("SELECT count(*) FROM unique_rows").fetchall() == [(0,)]

    def broken() -> Iterator[pa.RecordBatch]:
        yield pa.record_batch({"a": [5]})
        raise DataError("the rows broke off")

    reader = pa.RecordBatchReader.from_batches(pa.schema([("a", pa.int64())]), broken())
    with pytest.raises(DataError, match="broke off"):
        source.ingest("public", "fresh", reader, "create", never)
    assert source.relation("public", "fresh") is None


def test_what_cannot_be_kept_exactly_is_refused(source: Source) -> None:
    with pytest.raises(NotSupportedError, match="column s"):
        source.ingest("public", "no", pa.table({"s": pa.array([{"a": 1}])}).to_reader(), "create", never)
    with pytest.raises(DataError, match="column t"):
        source.ingest("public", "no", pa.table({"t": pa.array([1], pa.timestamp("ns"))}).to_reader(), "create", never)
    with pytest.raises(UndefinedColumn):
        source.ingest("public", "wide", pa.table({"zz": [1]}).to_reader(), "append", never)
    assert source.relation("public", "no") is None


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
