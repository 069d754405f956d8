"""A PostgreSQL database, attached: its catalogue, queries of the user's own, what is written."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pytest

from jammi_sql.errors import (
    DataError,
    Error,
    NotSupportedError,
    OperationalError,
    UndefinedColumn,
    UndefinedTable,
    UniqueViolation,
)
from jammi_sql.sources import Source
from jammi_sql.sources.opening import open_source
from tests.servers.postgres import PostgresServer
from tests.sources.support import Connection, column_of, define, make_wide, never, rows_of, values_of


@pytest.fixture(scope="module", autouse=True)
def tables(there: Connection) -> None:
    """What the tests of this module read."""
    there.execute('CREATE SCHEMA "Odd.Schema"')
    there.execute(
        'CREATE TABLE "Odd.Schema"."Mixed ""Case"" {}" ("Id" int PRIMARY KEY, "Naïve, {}" text, "select" int)'
    )
    there.execute("""INSERT INTO "Odd.Schema"."Mixed ""Case"" {}" VALUES (1, 'é', 2)""")
    make_wide(there)


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
