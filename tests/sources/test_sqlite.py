"""A SQLite file, attached."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest

from jammi_sql.errors import (
    DataError,
    Error,
    FeatureNotSupported,
    InvalidParameter,
    LockNotAvailable,
    NotSupportedError,
    OperationalError,
    StatementSyntaxError,
    UndefinedTable,
    UniqueViolation,
)
from jammi_sql.sources import Source
from jammi_sql.sources.opening import open_source
from tests.sources.support import column_of, define, never, rows_of, values_of

Attach = Callable[..., Source]


@pytest.fixture
def attach(tmp_path: Path) -> Iterator[Attach]:
    """Makes a file with those statements, by another library before it is attached, and attaches it."""
    opened: list[Source] = []

    def attached(*statements: str, encoding: str = "UTF-8") -> Source:
        connection = sqlite3.connect(tmp_path / "a b%.db")
        connection.execute(f"PRAGMA encoding = '{encoding}'")
        for statement in statements:
            connection.execute(statement)
        connection.commit()
        connection.close()
        opened.append(open_source(define(f"sqlite:///{tmp_path}/a%20b%25.db")))
        return opened[-1]

    yield attached
    for source in opened:
        source.close()


EXACT = [
    ("INTEGER", ["-9223372036854775808", "5"], pa.int64(), [-(2**63), 5]),
    ("UNSIGNED BIG INT", ["1"], pa.int64(), [1]),
    ("BOOLEAN", ["1", "0"], pa.bool_(), [True, False]),
    ("REAL", ["1.5", "2"], pa.float64(), [1.5, 2.0]),
    ("DOUBLE PRECISION", ["0.1"], pa.float64(), [0.1]),
    ("TEXT", ["'é'", "''"], pa.utf8(), ["é", ""]),
    ("VARCHAR(3)", ["'longer'", "12"], pa.utf8(), ["longer", "12"]),
    ("BLOB", ["x'00ff'", "x''"], pa.binary(), [b"\x00\xff", b""]),
    ("DATE", ["'2030-01-31'"], pa.date32(), [date(2030, 1, 31)]),
    ("DATETIME", ["'2030-01-31 12:30:00.5'", "'2030-01-31T12:30:00'", "'2030-01-31'"], pa.timestamp("us"), [datetime(2030, 1, 31, 12, 30, 0, 500000), datetime(2030, 1, 31, 12, 30), datetime(2030, 1, 31)]),
    ("TIMESTAMP", ["'2030-01-31 12:30:00'"], pa.timestamp("us"), [datetime(2030, 1, 31, 12, 30)]),
    ("TIME", ["'12:30:00.25'"], pa.time64("us"), [time(12, 30, 0, 250000)]),
    ("DECIMAL(10, 2)", ["12345678.91", "-0.1", "7"], pa.decimal128(10, 2), [Decimal("12345678.91"), Decimal("-0.10"), Decimal("7.00")]),
    ("NUMERIC", ["1.5", "7"], pa.float64(), [1.5, 7.0]),
    ("DECIMAL(30, 2)", ["1.5"], pa.float64(), [1.5]),
    ("", ["1", "'x'", "1.5"], pa.utf8(), ["1", "x", "1.5"]),
    ("JSON", ["'{\"a\": 1}'"], pa.utf8(), ['{"a": 1}']),
]  # fmt: skip


@pytest.mark.parametrize(("declared", "literals", "kind", "values"), EXACT, ids=[case[0] or "none" for case in EXACT])
@pytest.mark.parametrize("empty_before", [0, 20000])
def test_a_column_is_what_it_is_declared(
    attach: Attach, declared: str, literals: list[str], kind: pa.DataType, values: list[object], empty_before: int
) -> None:
    rows = ", ".join(f"({literal})" for literal in literals)
    fill = f"INSERT INTO t SELECT NULL FROM (WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {empty_before}) SELECT i FROM n)"
    source = attach(
        f"CREATE TABLE t (x {declared})", *([fill] if empty_before else []), f"INSERT INTO t VALUES {rows}, (NULL)"
    )
    found = rows_of(source, "main", "t")
    assert found.schema.field("x").type == kind
    assert found.column("x").to_pylist()[empty_before:] == [*values, None]
    assert found.num_rows == empty_before + len(values) + 1


OTHER = [
    ("INTEGER", "'abc'"), ("INTEGER", "1.5"), ("INTEGER", "x'00'"), ("REAL", "'abc'"), ("REAL", "x'00'"), ("TEXT", "x'00ff'"),
    ("BLOB", "'zebra'"), ("BLOB", "59"), ("BOOLEAN", "77"), ("BOOLEAN", "'true'"), ("DATE", "'31.01.2030'"), ("DATE", "20300131"),
    ("DATETIME", "1900000000"), ("DATETIME", "'2030-01-31 12:00:00+02:00'"), ("TIME", "'24:00'"), ("DECIMAL(10, 2)", "1.005"),
    ("DECIMAL(10, 2)", "'zebra'"), ("DECIMAL(4, 2)", "100"), ("NUMERIC", "9007199254740993"), ("NUMERIC", "'zebra'"), ("", "x'00'"),
]  # fmt: skip


@pytest.mark.parametrize(("declared", "literal"), OTHER, ids=[" ".join(case) for case in OTHER])
@pytest.mark.parametrize("good_before", [1, 20000])
def test_a_value_of_another_kind_is_refused_by_the_name_of_its_column(
    attach: Attach, declared: str, literal: str, good_before: int
) -> None:
    fill = f"INSERT INTO t (i) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {good_before}) SELECT i FROM n"
    source = attach(f"CREATE TABLE t (i INTEGER, amount {declared})", fill, f"INSERT INTO t VALUES (0, {literal})")
    with pytest.raises(DataError, match="column amount") as caught:
        values_of(source, "main", "t", "amount")
    assert literal.strip("'") not in str(caught.value)
    assert len(values_of(source, "main", "t", "i")) == good_before + 1


def test_a_value_of_another_storage_class_is_called_so(attach: Attach) -> None:
    source = attach("CREATE TABLE t (amount INTEGER)", "INSERT INTO t VALUES (1), (1.5)")
    with pytest.raises(DataError, match="storage class"):
        values_of(source, "main", "t", "amount")


def test_a_strict_table_is_read_without_looking_at_each_value(attach: Attach) -> None:
    source = attach("CREATE TABLE t (a TEXT, b BLOB, c ANY) STRICT", "INSERT INTO t VALUES ('x', x'00', 5)")
    assert [column_of(source, "main", "t", name).read for name in "ab"] == [None, None]
    assert rows_of(source, "main", "t").to_pylist() == [{"a": "x", "b": b"\x00", "c": "5"}]


def test_texts_are_compared_there_by_their_bytes_whatever_their_collation(attach: Attach) -> None:
    source = attach("CREATE TABLE t (a TEXT COLLATE NOCASE, b TEXT)", "INSERT INTO t VALUES ('X', 'y')")
    compared = column_of(source, "main", "t", "a").compared
    assert compared is not None
    where = compared.replace("{}", "a")
    assert values_of(source, "main", "t", "a", f"WHERE {where} = 'x'") == []
    assert values_of(source, "main", "t", "a", f"WHERE {where} = 'X'") == ["X"]


def test_texts_of_another_encoding_are_not_compared_there(attach: Attach) -> None:
    source = attach("CREATE TABLE t (a TEXT)", "INSERT INTO t VALUES ('é')", encoding="UTF-16")
    assert not column_of(source, "main", "t", "a").comparable
    assert values_of(source, "main", "t", "a") == ["é"]


def test_dates_and_decimals_are_not_compared_there(attach: Attach) -> None:
    source = attach("CREATE TABLE t (a DATE, b DATETIME, c DECIMAL(10, 2), d INTEGER)")
    assert [column_of(source, "main", "t", name).comparable for name in "abcd"] == [False, False, False, True]


def test_relations_keys_and_estimates(attach: Attach) -> None:
    source = attach(
        "CREATE TABLE one (id INTEGER PRIMARY KEY, code TEXT NOT NULL UNIQUE, loose TEXT UNIQUE)",
        "CREATE TABLE two (a TEXT NOT NULL, b INT NOT NULL, PRIMARY KEY (b, a)) WITHOUT ROWID",
        "CREATE UNIQUE INDEX partly ON two (a) WHERE b > 0",
        "CREATE UNIQUE INDEX computed ON two (a || b)",
        "CREATE VIEW seen AS SELECT id, upper(code) AS big FROM one",
        'CREATE TABLE "Odd ""Name"" {}" ("Select" INTEGER)',
        "INSERT INTO one VALUES (7, 'x', NULL)",
    )
    assert source.schemas() == ["main"]
    assert source.relation_names("main") == ['Odd "Name" {}', "one", "seen", "two"]
    one, two, seen = (source.relation("main", name) for name in ("one", "two", "seen"))
    assert one is not None and two is not None and seen is not None
    assert (one.keys, one.rows) == ((("id",), ("loose",), ("code",)), 7)
    assert (two.keys, two.rows) == ((("b", "a"),), None)
    assert (seen.kind, seen.rows, [column.type for column in seen.columns]) == ("view", None, [pa.int64(), pa.utf8()])
    assert [column.nullable for column in one.columns] == [False, False, True]
    assert rows_of(source, "main", "seen").to_pylist() == [{"id": 7, "big": "X"}]
    assert values_of(source, "main", 'Odd "Name" {}', "Select") == []
    assert source.relation("main", "nothing") is None
    assert source.relation("other", "one") is None


def test_statistics_count_before_the_highest_row(attach: Attach) -> None:
    source = attach(
        "CREATE TABLE t (a INTEGER PRIMARY KEY, b)",
        "INSERT INTO t VALUES (1000, 1)",
        "CREATE INDEX i ON t (b)",
        "ANALYZE",
    )
    relation = source.relation("main", "t")
    assert relation is not None and relation.rows == 1


def test_a_query_is_described(attach: Attach) -> None:
    source = attach("CREATE TABLE t (a DATE, b TEXT)", "INSERT INTO t VALUES ('2030-01-31', 'x')")
    columns = source.describe("SELECT a, b, count(*) AS n, 1.5 AS x, NULL AS none FROM t;", never)
    assert [column.type for column in columns] == [pa.date32(), pa.utf8(), pa.int64(), pa.float64(), pa.utf8()]
    with pytest.raises(StatementSyntaxError):
        source.describe("SELEC 1", never)


def test_a_scan_has_one_part_and_order(attach: Attach) -> None:
    source = attach("CREATE TABLE t (a INTEGER)", "INSERT INTO t VALUES (2), (3), (1)")
    schema = pa.schema([("a", pa.int64())])
    assert [
        batch.column(0).to_pylist() for batch in source.scan(["SELECT a FROM t ORDER BY a"], schema, never).stream(0)
    ] == [[1, 2, 3]]
    with pytest.raises(FeatureNotSupported):
        list(source.scan(["SELECT a FROM t"] * 2, schema, never).stream(0))


def test_a_missing_file_is_said_and_not_made(tmp_path: Path) -> None:
    source = open_source(define(f"sqlite:///{tmp_path}/none.db"))
    with pytest.raises(OperationalError, match="no file"):
        source.schemas()
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(InvalidParameter):
        open_source(define("sqlite://host/file"))


def test_reading_does_not_write(attach: Attach) -> None:
    source = attach("CREATE TABLE t (a INTEGER)")
    with pytest.raises(Error):
        list(source.scan(["DELETE FROM t"], pa.schema([("a", pa.int64())]), never).stream(0))


def test_statements_are_one_transaction(attach: Attach) -> None:
    source = attach("CREATE TABLE t (a INTEGER PRIMARY KEY)")
    assert source.execute(["INSERT INTO t VALUES (1)", "INSERT INTO t VALUES (2), (3)"], never) == 2
    with pytest.raises(UniqueViolation):
        source.execute(["INSERT INTO t VALUES (4)", "INSERT INTO t VALUES (1)"], never)
    with pytest.raises(UndefinedTable):
        source.execute(["INSERT INTO nowhere VALUES (4)"], never)
    assert values_of(source, "main", "t", "a") == [1, 2, 3]


ROWS = pa.table({
    "a": pa.array([1, None], pa.int32()), "b": pa.array(["x", None]), "c": [1.5, None], "d": pa.array([b"\x00", None]),
    "e": [date(2030, 1, 31), None], "f": [datetime(2030, 1, 31, 12, 30, 0, 1), None], "g": [True, None],
    "h": pa.array(["1.25", None]).cast(pa.decimal128(10, 2)), "i": [time(1, 2, 3), None],
})  # fmt: skip


def test_rows_are_written_and_come_back_as_they_were(attach: Attach) -> None:
    source = attach()
    assert source.ingest("main", "made", ROWS.to_reader(), "create", never) == 2
    assert source.ingest("main", "made", ROWS.to_reader(), "append", never) == 2
    found = rows_of(source, "main", "made")
    assert found.to_pylist() == [*ROWS.to_pylist(), *ROWS.to_pylist()]
    assert found.schema.types[4:] == [
        pa.date32(),
        pa.timestamp("us"),
        pa.bool_(),
        pa.decimal128(10, 2),
        pa.time64("us"),
    ]


def test_rows_that_fail_leave_nothing(attach: Attach) -> None:
    source = attach("CREATE TABLE t (a INTEGER PRIMARY KEY)")
    with pytest.raises(UniqueViolation):
        source.ingest("main", "t", pa.table({"a": [1, 2, 1]}).to_reader(), "append", never)
    with pytest.raises(DataError, match="column a"):
        source.ingest("main", "made", pa.table({"a": pa.array([2**64 - 1], pa.uint64())}).to_reader(), "create", never)
    with pytest.raises(DataError, match="column a"):
        source.ingest("main", "made", pa.table({"a": [float("nan")]}).to_reader(), "create", never)
    with pytest.raises(NotSupportedError, match="column a"):
        source.ingest(
            "main", "made", pa.table({"a": pa.array([0], pa.timestamp("us", "UTC"))}).to_reader(), "create", never
        )
    assert source.relation_names("main") == ["t"]
    assert values_of(source, "main", "t", "a") == []


def test_a_locked_file_is_waited_for_and_then_said(attach: Attach, tmp_path: Path) -> None:
    first = attach("CREATE TABLE t (a INTEGER)")
    second = open_source(define(f"sqlite:///{tmp_path}/a%20b%25.db", busy_timeout="0.05"))

    def check() -> None:
        pass

    locked: list[BaseException] = []

    def rows() -> Iterator[pa.RecordBatch]:
        try:
            second.execute(["INSERT INTO t VALUES (1)"], check)
        except Error as error:
            locked.append(error)
        yield pa.record_batch({"a": [2]})

    reader = pa.RecordBatchReader.from_batches(pa.schema([("a", pa.int64())]), rows())
    assert first.ingest("main", "t", reader, "append", check) == 1
    assert [type(error) for error in locked] == [LockNotAvailable]
    second.close()
