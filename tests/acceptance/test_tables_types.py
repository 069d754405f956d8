"""Every type comes back from a companion table exactly; comparison and order are DataFusion's, wherever they are computed."""

from __future__ import annotations

import datetime as dt
import decimal
import itertools
import math
import random
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import settings

from jammi_sql.dbapi import Connection

from .language import rows, value, values

pytestmark = pytest.mark.both_stores

THOROUGH = settings.get_current_profile_name() == "thorough"
NAN = float("nan")
D = decimal.Decimal


def ints(data_type: pa.DataType) -> pa.Array:
    bits = data_type.bit_width
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if pa.types.is_signed_integer(data_type) else (0, 2**bits - 1)
    return pa.array([low, high, None, 0, 1, low + 1, high - 1], data_type)


FLOATS = [NAN, -0.0, 0.0, math.inf, -math.inf, None, 1.5, -1.5, 5e-324]
TIMES = [0, -1, None, 86_399, 86_400, 1_700_000_000]
COLUMNS: list[pa.Array] = [
    pa.array([True, False, None]),
    *(ints(t) for t in (pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64())),
    pa.array([None if x is None else np.float16(x) for x in FLOATS], pa.float16()),
    pa.array(FLOATS, pa.float32()),
    pa.array(FLOATS, pa.float64()),
    *(pa.array(["", "ž\0x", None, "a", "A", "B", "a ", "🐎", "\uffff", "x" * 2000], t) for t in (pa.string(), pa.large_string(), pa.string_view())),
    *(pa.array([b"", b"\0\xff", None, b"a", b"\xff"], t) for t in (pa.binary(), pa.large_binary(), pa.binary_view())),
    pa.array([b"abc", None, b"\0\0\0"], pa.binary(3)),
    pa.array([dt.date(1, 1, 1), None, dt.date(9999, 12, 31), dt.date(1970, 1, 1)], pa.date32()),
    pa.array([dt.date(1, 1, 1), None, dt.date(9999, 12, 31)], pa.date64()),
    *(pa.array(TIMES, pa.timestamp(unit, zone)) for unit in ("s", "ms", "us", "ns") for zone in (None, "UTC", "Europe/Prague", "+05:30")),
    *(pa.array([0, 86_399, None], t) for t in (pa.time32("s"), pa.time32("ms"), pa.time64("us"), pa.time64("ns"))),
    *(pa.array([0, -5, None, 2**30], pa.duration(unit)) for unit in ("s", "ms", "us", "ns")),
    pa.array([(1, -3, 5), None, (0, 0, 0)], pa.month_day_nano_interval()),
    *(pa.array([D("-123"), None, D(0), D(-1), D(999), D("99.99") if t.scale > 1 else D(99)], t) for t in (pa.decimal32(5, 2), pa.decimal64(15, 3), pa.decimal128(38, 10), pa.decimal128(3, 0), pa.decimal256(76, 2))),
    pa.array([D("9" * 76), D("-" + "9" * 76), None], pa.decimal256(76, 0)),
    pa.array([D("9" * 38), D("-" + "9" * 38), None], pa.decimal128(38, 0)),
    *(pa.array([[1, None], [], None, [2]], t) for t in (pa.list_(pa.int32()), pa.large_list(pa.int32()), pa.list_view(pa.int32()))),
    pa.array([[0.5, NAN, -0.0], None, [1, None, 3]], pa.list_(pa.float32(), 3)),
    pa.array([[index / 7 for index in range(384)], None], pa.list_(pa.float32(), 384)),
    pa.array([{"a": 1, "b": ["x", None]}, {"a": None, "b": None}, None, {"a": 2, "b": []}], pa.struct([("a", pa.int32()), ("b", pa.list_(pa.string()))])),
    pa.array([[{"a": [1, None]}], [None], None, []], pa.list_(pa.struct([("a", pa.list_(pa.int8()))]))),
    pa.array([[("k", 1), ("l", None)], [], None], pa.map_(pa.string(), pa.int64())),
    pa.array([[0, None]], pa.list_(pa.timestamp("ns", "Asia/Tokyo"))),
    pa.array([{"a": 1}], pa.struct([pa.field("a", pa.int32(), nullable=False)])),
    pa.array([[1]], pa.list_(pa.field("element", pa.int32(), nullable=False))),
    pa.array([[D("1.25"), None]], pa.list_(pa.decimal128(10, 2))),
    pa.array(["a", "b", None, "a"]).dictionary_encode(),
    pa.nulls(3),
]  # fmt: skip


def same(one: pa.ChunkedArray, other: pa.Array) -> None:
    """Type, and every value with its NaNs and the sign of its zeros."""
    assert one.type.equals(other.type)
    left, right = one.combine_chunks(), other
    if pa.types.is_floating(other.type):
        assert [(x is None, str(x)) for x in left.to_pylist()] == [(x is None, str(x)) for x in right.to_pylist()]
    elif "float" in str(other.type) or "half" in str(other.type):
        assert str(left.to_pylist()) == str(right.to_pylist())
    else:
        assert left.equals(right), f"{left} is not {right}"


def number_them(column: pa.Array) -> pa.Table:
    return pa.table({"i": pa.array(range(len(column)), pa.int64()), "v": column})


def read(conn: Connection, table: str) -> pa.ChunkedArray:
    return conn.execute(f"SELECT v FROM {table} ORDER BY i").fetch_arrow_table().column(0)


@pytest.mark.parametrize("column", COLUMNS, ids=lambda column: str(column.type))
def test_a_column_of_every_type_comes_back_from_ingest_insert_and_update(conn: Connection, column: pa.Array) -> None:
    conn.cursor().adbc_ingest("t", number_them(column), mode="create")
    same(read(conn, "t"), column)
    same(read(conn, "t"), column)  # from memory this time
    conn.execute("CREATE TABLE u AS SELECT * FROM t")
    same(read(conn, "u"), column)
    conn.execute("INSERT INTO u SELECT i + 1000, v FROM t")
    same(read(conn, "u"), pa.concat_arrays([column, column]))
    conn.execute("UPDATE t SET v = t.v, i = i + 1")
    same(read(conn, "t"), column)
    conn.execute("UPDATE t SET v = NULL")
    conn.execute("UPDATE t SET v = u.v FROM u WHERE u.i = t.i - 1")
    same(read(conn, "t"), column)
    back = conn.execute("DELETE FROM t RETURNING v").fetch_arrow_table()
    assert back.num_rows == len(column)
    assert back.schema.field(0).type.equals(column.type)


COMPARABLE = [column for column in COLUMNS if not pa.types.is_nested(column.type) and column.type not in (pa.null(), pa.month_day_nano_interval())]  # fmt: skip
OPERATORS = ("=", "<>", "<", "<=", ">", ">=", "IS DISTINCT FROM", "IS NOT DISTINCT FROM")


@pytest.mark.parametrize("column", COMPARABLE, ids=lambda column: str(column.type))
def test_a_filter_with_a_parameter_means_the_same_in_the_store_and_here(conn: Connection, column: pa.Array) -> None:
    conn.cursor().adbc_ingest("t", number_them(column), mode="create")
    conn.execute("CREATE TEMP TABLE memory AS SELECT * FROM t")
    conn.execute("CREATE INDEX by_v ON t (v)")
    for scalar in [scalar for scalar in column if scalar.is_valid][:3]:
        for condition in ("v = $1", "v < $1", "v >= $1", "v <> $1 OR v IS NULL"):
            asked = f"SELECT i FROM {{}} WHERE {condition} ORDER BY i"
            assert outcome(conn, asked.format("t"), [scalar]) == outcome(conn, asked.format("memory"), [scalar]), (
                condition
            )


LITERALS: list[tuple[str, list[str], list[str]]] = [
    ("BIGINT", ["-9223372036854775808", "-1", "0", "7", "9223372036854775807", "NULL"], ["7.5", "'7'"]),
    ("BIGINT UNSIGNED", ["0", "9223372036854775807", "9223372036854775808", "18446744073709551615", "NULL"], ["-1", "5.5"]),
    ("INT", ["-1", "0", "7", "NULL"], ["3000000000", "7.5", "'7'"]),
    ("DOUBLE", ["'NaN'::DOUBLE", "'-0'::DOUBLE", "0.0", "'inf'::DOUBLE", "'-inf'::DOUBLE", "1.5", "9007199254740993", "NULL"], ["1", "9007199254740992"]),
    ("FLOAT", ["'NaN'::FLOAT", "'-0'::FLOAT", "0.0", "0.1", "16777216", "NULL"], ["0.1::DOUBLE", "16777217"]),
    ("VARCHAR", ["''", "'a'", "'A'", "'b'", "'10'", "'9'", "'é'", "'%'", "NULL"], ["10"]),
    ("BYTEA", ["X''", "X'00'", "X'61'", "X'ff'", "NULL"], []),
    ("DATE", ["DATE '1969-12-31'", "DATE '0001-01-01'", "DATE '2024-02-29'", "NULL"], ["TIMESTAMP '1969-12-31 00:00:00'", "'2024-02-29'"]),
    ("TIMESTAMP(6)", ["TIMESTAMP '1969-12-31 23:59:59.999999'", "TIMESTAMP '2024-01-01 00:00:00'", "NULL"], ["DATE '2024-01-01'"]),
    ("TIMESTAMPTZ", ["TIMESTAMPTZ '1969-12-31 23:59:59.999999Z'", "TIMESTAMPTZ '2024-01-01 02:00:00+02:00'", "NULL"], ["TIMESTAMP '2024-01-01 00:00:00'"]),
    ("TIME", ["TIME '00:00:00'", "TIME '23:59:59.999999'", "NULL"], []),
    ("DECIMAL(10, 2)", ["-1.10", "0", "1.1", "12345678.90", "NULL"], ["1.105", "1.1::DOUBLE", "1"]),
    ("DECIMAL(38, 10)", ["-1.1", "0", "9999999999999999999999999999.9999999999", "NULL"], ["1"]),
    ("BOOLEAN", ["true", "false", "NULL"], []),
]  # fmt: skip


@pytest.mark.parametrize(("sql_type", "stored", "besides"), LITERALS, ids=[case[0] for case in LITERALS])
def test_pushdown_on_and_off_give_the_same_rows(
    conn: Connection, sql_type: str, stored: list[str], besides: list[str]
) -> None:
    conn.execute(f"CREATE TABLE t (i INT, v {sql_type}, w {sql_type})")
    conn.execute("CREATE INDEX by_v ON t (v)")
    for place, literal in enumerate(stored):
        conn.execute(f"INSERT INTO t VALUES ({place}, {literal}, {literal})")
    conn.execute("CREATE TEMP TABLE memory AS SELECT * FROM t")
    conditions = [
        f"{c} {op} {lit}" for c in ("v", "w") for op, lit in itertools.product(OPERATORS, [*stored, *besides])
    ]
    conditions += [f"{lit} < v" for lit in [*stored, *besides]]
    conditions += [f"v BETWEEN {a} AND {b}" for a, b in itertools.permutations(stored[:4], 2)]
    conditions += [f"v NOT BETWEEN {a} AND {b}" for a, b in itertools.permutations(stored[:3], 2)]
    conditions += [
        f"v {op} ({', '.join(some)})"
        for op in ("IN", "NOT IN")
        for some in (stored, stored[:-1], stored[:2], stored[-2:])
    ]
    conditions += [f"NOT (v = {lit} OR w > {lit})" for lit in stored]
    conditions += [
        "v IS NULL",
        "v IS NOT NULL",
        "v = w",
        "v < w",
        "v IS NOT DISTINCT FROM w",
        "i = 1 OR v IS NULL",
        f"(v = {stored[0]}) IS NULL",
        f"(v <> {stored[1]}) IS NOT TRUE",
    ]
    if not THOROUGH:
        conditions = random.Random(sql_type).sample(conditions, len(conditions) // 6)
    for condition in conditions:
        answers = []
        expected = outcome(conn, f"SELECT i FROM memory WHERE {condition} ORDER BY i")
        for setting in ("on", "off"):
            conn.execute(f"SET jammi.pushdown = {setting}")
            answers.append(outcome(conn, f"SELECT i FROM t WHERE {condition} ORDER BY i"))
        assert answers == [expected, expected], condition


def outcome(conn: Connection, statement: str, parameters: object = None) -> Any:
    """The first column, or that it fails."""
    try:
        return values(conn, statement, parameters)
    except conn.Error as error:
        return error.sqlstate


@pytest.mark.parametrize("column", COMPARABLE, ids=lambda column: str(column.type))
def test_order_groups_and_extremes_are_datafusions(conn: Connection, column: pa.Array) -> None:
    conn.cursor().adbc_ingest("t", number_them(column), mode="create")
    conn.execute("CREATE TEMP TABLE memory AS SELECT * FROM t")
    for asked in (
        "SELECT i FROM {} ORDER BY v, i",
        "SELECT i FROM {} ORDER BY v DESC, i",
        "SELECT count(DISTINCT v) FROM {}",
        "SELECT arrow_cast(max(v), 'Utf8') FROM {}",
    ):
        assert outcome(conn, asked.format("t")) == outcome(conn, asked.format("memory")), asked


def test_like_functions_and_nested_fields_filter_as_datafusion_does(conn: Connection) -> None:
    conn.execute("CREATE TABLE t (i INT, v VARCHAR, s STRUCT<a INT>, l INT[])")
    conn.execute(
        "INSERT INTO t VALUES (1, 'Abc', named_struct('a', 1), [1, 2]), (2, 'abc', named_struct('a', NULL), []), (3, NULL, NULL, NULL)"
    )
    assert values(conn, "SELECT i FROM t WHERE v LIKE 'a%'") == [2]
    assert values(conn, "SELECT i FROM t WHERE v ILIKE 'a%' ORDER BY i") == [1, 2]
    assert values(conn, "SELECT i FROM t WHERE upper(v) = 'ABC' ORDER BY i") == [1, 2]
    assert values(conn, "SELECT i FROM t WHERE s['a'] = 1") == [1]
    assert values(conn, "SELECT i FROM t WHERE array_has(l, 2)") == [1]
    assert values(conn, "SELECT i FROM t WHERE s IS NULL") == [3]
    assert values(conn, "SELECT i FROM t WHERE i / 2 = 1 ORDER BY i") == [2, 3]
    conn.execute("UPDATE t SET l = array_append(l, i), s = named_struct('a', i * 10) WHERE l IS NOT NULL")
    assert rows(conn, "SELECT i, s['a'], l FROM t ORDER BY i") == [(1, 10, [1, 2, 1]), (2, 20, [2]), (3, None, None)]


def test_columns_that_are_empty_for_long_keep_their_type(conn: Connection) -> None:
    conn.execute("CREATE TABLE t (i INT, v VARCHAR, d DECIMAL(10, 2), f DOUBLE, n DOUBLE)")
    conn.execute(
        "INSERT INTO t SELECT value, CASE WHEN value = 2999 THEN 'late' END, CASE WHEN value = 2999 THEN 1.5 END, CASE WHEN value = 2999 THEN 0.5 END, CASE WHEN value = 2999 THEN 'NaN'::DOUBLE END FROM range(3000)"
    )
    assert rows(conn, "SELECT v, d, f, isnan(n) FROM t WHERE i = 2999") == [("late", D("1.50"), 0.5, True)]
    assert rows(conn, "SELECT max(v), max(d), max(f), isnan(max(n)), count(n) FROM t") == [
        ("late", D("1.50"), 0.5, True, 1)
    ]
    assert value(conn, "SELECT count(*) FROM t WHERE n > 1e308") == 1


def test_zeros_of_both_signs_and_nans_are_keys_as_datafusion_compares_them(conn: Connection) -> None:
    conn.execute("CREATE TABLE t (k DOUBLE PRIMARY KEY, n INT)")
    for key in ("'-0'::DOUBLE", "0.0", "'NaN'::DOUBLE", "'NaN'::DOUBLE"):
        conn.execute(f"INSERT INTO t VALUES ({key}, 1) ON CONFLICT (k) DO UPDATE SET n = t.n + 1")
    assert [(str(k), n) for k, n in rows(conn, "SELECT k, n FROM t ORDER BY k")] == [("-0.0", 2), ("nan", 2)]


def test_a_struct_column_named_like_nothing_else(conn: Connection) -> None:
    column = pa.array([{"a b": 1, '"': "x"}], pa.struct([("a b", pa.int32()), ('"', pa.string())]))
    conn.cursor().adbc_ingest("t", number_them(column), mode="create")
    assert values(conn, "SELECT v FROM t") == [{"a b": 1, '"': "x"}]


def test_tables_in_sql_take_every_type_that_a_topic_takes(conn: Connection) -> None:
    definition = (
        "a BOOLEAN, b TINYINT, c BIGINT UNSIGNED, d DOUBLE, e VARCHAR, f BYTEA, g DATE, h TIMESTAMP(3), i TIMESTAMPTZ, j TIME, "
        "k DECIMAL(76, 3), l INTERVAL, m INT[][], n STRUCT<x INT, y VARCHAR[]>, o FLOAT[3], p TIMESTAMP"
    )
    conn.execute(f"CREATE TABLE t ({definition})")
    conn.execute(f"CREATE TOPIC e ({definition})")
    row = (
        "(true, -128, 18446744073709551615, 'NaN'::DOUBLE, 'ž', X'00', DATE '0001-01-01', TIMESTAMP '1969-12-31 23:59:59.999', "
        "TIMESTAMPTZ '2024-01-01 02:00:00+02:00', TIME '12:00:00.5', -0.001, INTERVAL '1 month -3 days', [[1, NULL], []], "
        "named_struct('x', NULL, 'y', ['q']), [0.5, 1.5, 2], TIMESTAMP '2024-01-01 00:00:00.123456789')"
    )
    for name in ("t", "e"):
        conn.execute(f"INSERT INTO {name} VALUES {row}")
    columns = ", ".join("abcdefghijklmnop")
    table = conn.execute(f"SELECT {columns} FROM t").fetch_arrow_table()
    topic = conn.execute(f"SELECT {columns} FROM e").fetch_arrow_table()
    assert table.schema.equals(topic.schema)
    assert str(table.to_pylist()) == str(topic.to_pylist())
