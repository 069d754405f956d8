"""A DuckDB file, attached."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

import jammi_sql
from jammi_sql.errors import (
    DataError,
    Error,
    InvalidParameter,
    OperationalError,
    QueryCanceled,
    UndefinedTable,
    UniqueViolation,
)
from jammi_sql.sources import Source
from jammi_sql.sources.opening import open_source
from tests.sources.support import column_of, define, never, rows_of, values_of
from tests.topic_support import until

Attach = Callable[..., Source]


@pytest.fixture
def attach(tmp_path: Path) -> Iterator[Attach]:
    """Makes a file with those statements, and attaches it."""
    opened: list[Source] = []

    def attached(*statements: str) -> Source:
        with duckdb.connect(tmp_path / "there.duckdb") as connection:
            for statement in statements:
                connection.execute(statement)
        opened.append(open_source(define(f"duckdb:///{tmp_path}/there.duckdb")))
        return opened[-1]

    yield attached
    for source in opened:
        source.close()


EXACT = [
    ("BOOLEAN", ["true"], pa.bool_(), [True]),
    ("UTINYINT", ["255"], pa.uint8(), [255]),
    ("BIGINT", ["-9223372036854775808"], pa.int64(), [-(2**63)]),
    ("UBIGINT", ["18446744073709551615"], pa.uint64(), [2**64 - 1]),
    ("HUGEINT", ["170141183460469231731687303715884105727", "-1"], pa.decimal256(39, 0), [Decimal(2**127 - 1), Decimal(-1)]),
    ("UHUGEINT", ["340282366920938463463374607431768211455"], pa.decimal256(39, 0), [Decimal(2**128 - 1)]),
    ("FLOAT", ["1.5"], pa.float32(), [1.5]),
    ("DOUBLE", ["'-inf'"], pa.float64(), [-math.inf]),
    ("DECIMAL(38, 9)", ["12345678901234567890123456789.123456789"], pa.decimal128(38, 9), [Decimal("12345678901234567890123456789.123456789")]),
    ("VARCHAR", ["'é'"], pa.utf8(), ["é"]),
    ("BLOB", ["'\\x00\\xFF'"], pa.binary(), [b"\x00\xff"]),
    ("DATE", ["'0001-01-01'"], pa.date32(), [date.min]),
    ("TIME", ["'12:30:00.25'"], pa.time64("us"), [time(12, 30, 0, 250000)]),
    ("TIMETZ", ["'12:30:00+02'"], pa.utf8(), ["12:30:00+02"]),
    ("TIMESTAMP", ["'2030-01-31 12:30:00.5'"], pa.timestamp("us"), [datetime(2030, 1, 31, 12, 30, 0, 500000)]),
    ("TIMESTAMP_S", ["'2030-01-31 12:30:00'"], pa.timestamp("s"), [datetime(2030, 1, 31, 12, 30)]),
    ("TIMESTAMPTZ", ["'2030-01-31 12:30:00+02'"], pa.timestamp("us", "UTC"), [datetime(2030, 1, 31, 10, 30, tzinfo=UTC)]),
    ("INTERVAL", ["'1 month 2 days 3 microseconds'"], pa.month_day_nano_interval(), [pa.MonthDayNano([1, 2, 3000])]),
    ("UUID", ["'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'"], pa.utf8(), ["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"]),
    ("ENUM('x', 'y')", ["'y'"], pa.utf8(), ["y"]),
    ("BIT", ["'101'"], pa.utf8(), ["101"]),
    ("JSON", ["'{\"a\": 1}'"], pa.utf8(), ['{"a": 1}']),
    ("INTEGER[]", ["[1, NULL]", "[]"], None, [[1, None], []]),
    ("INTEGER[2]", ["[1, 2]"], None, [[1, 2]]),
    ("STRUCT(a INTEGER, b VARCHAR[])", ["{'a': 1, 'b': ['x']}"], None, [{"a": 1, "b": ["x"]}]),
    ("MAP(INTEGER, VARCHAR)", ["MAP {1: 'x'}"], None, [[(1, "x")]]),
    ("HUGEINT[]", ["[1]"], pa.utf8(), ["[1]"]),
]  # fmt: skip


@pytest.mark.parametrize(("declared", "literals", "kind", "values"), EXACT, ids=[case[0] for case in EXACT])
def test_a_type_is_read_as_it_is(
    attach: Attach, declared: str, literals: list[str], kind: pa.DataType | None, values: list[object]
) -> None:
    rows = ", ".join(f"({place}, {literal})" for place, literal in enumerate(literals))
    source = attach(f"CREATE TABLE t (place INT, x {declared})", f"INSERT INTO t VALUES {rows}, (99, NULL)")
    found = rows_of(source, "main", "t", None, "ORDER BY place")
    assert kind is None or found.schema.field("x").type == kind
    assert found.column("x").to_pylist() == [*values, None]


@pytest.mark.parametrize(
    ("declared", "literal"), [("DATE", "infinity"), ("TIMESTAMP", "-infinity"), ("TIMESTAMPTZ", "infinity")]
)
def test_an_infinite_time_is_refused_by_the_name_of_its_column(attach: Attach, declared: str, literal: str) -> None:
    source = attach(f"CREATE TABLE t AS SELECT '{literal}'::{declared} AS due")
    with pytest.raises(DataError, match="column due"):
        values_of(source, "main", "t", "due")


def test_relations_keys_and_estimates(attach: Attach) -> None:
    source = attach(
        "CREATE SCHEMA other",
        "CREATE TABLE one (id INT PRIMARY KEY, code VARCHAR NOT NULL UNIQUE, loose INT UNIQUE)",
        "INSERT INTO one VALUES (1, 'x', NULL)",
        "CREATE VIEW seen AS SELECT id, upper(code) AS big FROM one",
        'CREATE TABLE other."Odd ""Name"" {}" ("Select" INT)',
    )
    assert source.schemas() == ["main", "other"]
    assert source.relation_names("main") == ["one", "seen"]
    assert source.relation_names("other") == ['Odd "Name" {}']
    one, seen = source.relation("main", "one"), source.relation("main", "seen")
    assert one is not None and seen is not None
    assert (one.kind, one.keys, one.rows) == ("table", (("id",), ("code",), ("loose",)), 1)
    assert (seen.kind, seen.rows) == ("view", None)
    assert rows_of(source, "main", "seen").to_pylist() == [{"id": 1, "big": "X"}]
    assert values_of(source, "other", 'Odd "Name" {}', "Select") == []
    assert source.relation("main", "nothing") is None


def test_texts_of_a_table_with_collations_are_not_compared_there(attach: Attach) -> None:
    source = attach("CREATE TABLE t (a VARCHAR COLLATE NOCASE, n INT)", "CREATE TABLE u (a VARCHAR)")
    assert [column_of(source, "main", "t", name).comparable for name in "an"] == [False, True]
    assert column_of(source, "main", "u", "a").comparable


def test_a_query_is_described(attach: Attach) -> None:
    source = attach("CREATE TABLE t (a DECIMAL(8, 3), b UUID)")
    columns = source.describe("SELECT a, b, sum(1::INT) AS n FROM t GROUP BY ALL;", never)
    assert [column.type for column in columns] == [pa.decimal128(8, 3), pa.utf8(), pa.decimal256(39, 0)]


def test_errors_have_their_classes(attach: Attach) -> None:
    source = attach("CREATE TABLE t (a INT PRIMARY KEY)")
    with pytest.raises(UndefinedTable):
        source.describe("SELECT * FROM nothing", never)
    with pytest.raises(Error, match=r"(?i)read.only"):
        list(source.scan(["INSERT INTO t VALUES (1) RETURNING a"], pa.schema([("a", pa.int32())]), never).stream(0))
    with pytest.raises(OperationalError, match="no file"):
        open_source(define("duckdb:///nowhere.duckdb")).schemas()
    with pytest.raises(InvalidParameter):
        open_source(define("duckdb://host/x"))


def test_a_check_that_raises_ends_the_query(attach: Attach) -> None:
    source = attach("CREATE TABLE t AS SELECT 1 AS a")
    calls = iter(range(2))

    def check() -> None:
        if next(calls, None) is None:
            raise QueryCanceled("enough")

    text = "SELECT count(*) AS n FROM range(1000000) a, range(1000000) b WHERE a.range + b.range = 3"
    with pytest.raises(QueryCanceled, match="enough"):
        list(source.scan([text], pa.schema([("n", pa.int64())]), check).stream(0))
    until(lambda: all(thread.name != "jammi-source-scan" for thread in threading.enumerate()), "DuckDB gave it up")


def test_what_is_written_is_one_transaction(attach: Attach) -> None:
    source = attach("CREATE TABLE t (a INT PRIMARY KEY)")
    source.execute(["INSERT INTO t VALUES (1)", "INSERT INTO t VALUES (2), (3)"], never)
    with pytest.raises(UniqueViolation):
        source.execute(["INSERT INTO t VALUES (4)", "INSERT INTO t VALUES (1)"], never)
    assert sorted(values_of(source, "main", "t", "a"), key=str) == [1, 2, 3]


def test_rows_are_written_and_come_back_as_they_were(attach: Attach) -> None:
    source = attach("CREATE TABLE t (a INT)")
    rows = pa.table(
        {
            "a": pa.array([1, None], pa.int32()),
            "b": ["x", None],
            "c": pa.array(["1.25", None]).cast(pa.decimal128(10, 2)),
            "d": [[1], None],
        }
    )
    assert source.ingest("main", "made", rows.to_reader(), "create", never) == 2
    assert source.ingest("main", "made", rows.to_reader(), "append", never) == 2
    assert rows_of(source, "main", "made").to_pylist() == [*rows.to_pylist(), *rows.to_pylist()]


def test_a_query_reads_no_other_file(tmp_path: Path) -> None:
    other = tmp_path / "other.csv"
    other.write_text("a\n1\n")
    path = tmp_path / "own.duckdb"
    with duckdb.connect(str(path)) as made:
        made.execute("CREATE TABLE t AS SELECT 1 AS a")
    with jammi_sql.connect() as connection:
        connection.execute("ATTACH ? AS d", (f"duckdb:///{path}",))
        assert connection.execute("SELECT * FROM d.main.t").fetchall() == [(1,)]
        with pytest.raises(jammi_sql.Error, match="disabled"):
            connection.execute(f"SELECT * FROM remote_query('d', 'SELECT * FROM read_csv(''{other}'')')").fetchall()
