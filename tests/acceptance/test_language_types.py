"""A column takes every type that DataFusion can name, and every value comes back as it went in."""

from __future__ import annotations

import datetime as dt
import decimal
import math
import struct
from typing import Any

import pyarrow as pa
import pytest

from jammi_sql.dbapi import Connection
from jammi_sql.topics import TopicDefinition

from .language import fails, rows, value, values


def stored(conn: Connection, sql_type: str, *literals: str) -> pa.Array:
    """The column after it was written as literals and read back."""
    conn.execute(f"CREATE TOPIC typed (v {sql_type})")
    conn.execute("INSERT INTO typed VALUES " + ", ".join(f"({literal})" for literal in literals))
    return conn.execute("SELECT v FROM typed ORDER BY _row_idx").fetch_arrow_table().column(0).combine_chunks()


SCALARS = [
    ("BOOLEAN", pa.bool_(), ["true", "false", "NULL"], [True, False, None]),
    ("TINYINT", pa.int8(), ["-128", "127"], [-128, 127]),
    ("SMALLINT", pa.int16(), ["-32768", "32767"], [-32768, 32767]),
    ("INT", pa.int32(), ["-2147483648", "2147483647"], [-(2**31), 2**31 - 1]),
    ("INTEGER", pa.int32(), ["1"], [1]),
    ("BIGINT", pa.int64(), ["-9223372036854775808", "9223372036854775807"], [-(2**63), 2**63 - 1]),
    ("TINYINT UNSIGNED", pa.uint8(), ["0", "255"], [0, 255]),
    ("SMALLINT UNSIGNED", pa.uint16(), ["65535"], [65535]),
    ("INT UNSIGNED", pa.uint32(), ["4294967295"], [2**32 - 1]),
    ("BIGINT UNSIGNED", pa.uint64(), ["0", "9223372036854775808", "18446744073709551615"], [0, 2**63, 2**64 - 1]),
    ("REAL", pa.float32(), ["1.5", "3.4028235e38"], [1.5, 3.4028234663852886e38]),
    ("FLOAT", pa.float32(), ["-0.5"], [-0.5]),
    ("DOUBLE", pa.float64(), ["5e-324", "1.7976931348623157e308", "0.1"], [5e-324, 1.7976931348623157e308, 0.1]),
    ("DOUBLE PRECISION", pa.float64(), ["2.5"], [2.5]),
    ("VARCHAR", pa.string(), ["''", "'it''s'", "'žluťoučký 🐎 \t\n'", "NULL"], ["", "it's", "žluťoučký 🐎 \t\n", None]),
    ("VARCHAR(3)", pa.string(), ["'abc'"], ["abc"]),
    ("CHAR", pa.string(), ["'a'"], ["a"]),
    ("TEXT", pa.string(), ["'x'"], ["x"]),
    ("STRING", pa.string(), ["'y'"], ["y"]),
    ("BYTEA", pa.binary(), ["X'00ff00'", "X''", "NULL"], [b"\x00\xff\x00", b"", None]),
    (
        "DATE",
        pa.date32(),
        ["DATE '1969-12-31'", "DATE '0001-01-01'", "DATE '9999-12-31'"],
        [dt.date(1969, 12, 31), dt.date(1, 1, 1), dt.date(9999, 12, 31)],
    ),
    ("DECIMAL(10, 2)", pa.decimal128(10, 2), ["-12345678.90", "0.01"], [decimal.Decimal("-12345678.90"), decimal.Decimal("0.01")]),
    ("NUMERIC(5)", pa.decimal128(5, 0), ["-99999"], [decimal.Decimal("-99999")]),
    (
        "DECIMAL(38, 10)",
        pa.decimal128(38, 10),
        ["CAST('9999999999999999999999999999.9999999999' AS DECIMAL(38, 10))"],
        [decimal.Decimal("9999999999999999999999999999.9999999999")],
    ),
    (
        "DECIMAL(76, 0)",
        pa.decimal256(76, 0),
        [f"CAST('{'9' * 76}' AS DECIMAL(76, 0))"],
        [decimal.Decimal("9" * 76)],
    ),
    (
        "TIMESTAMP(6)",
        pa.timestamp("us"),
        ["TIMESTAMP '1969-12-31 23:59:59.999999'", "TIMESTAMP '2024-02-29 12:00:00.000001'"],
        [dt.datetime(1969, 12, 31, 23, 59, 59, 999999), dt.datetime(2024, 2, 29, 12, 0, 0, 1)],
    ),
    ("TIMESTAMP(0)", pa.timestamp("s"), ["TIMESTAMP '1900-01-01 00:00:01'"], [dt.datetime(1900, 1, 1, 0, 0, 1)]),
    ("TIMESTAMP(3)", pa.timestamp("ms"), ["TIMESTAMP '2024-01-01 00:00:00.125'"], [dt.datetime(2024, 1, 1, 0, 0, 0, 125000)]),
    (
        "TIMESTAMP WITH TIME ZONE",
        pa.timestamp("us", "UTC"),
        ["TIMESTAMP WITH TIME ZONE '2024-06-01 12:00:00+02:00'", "TIMESTAMP '2024-06-01 12:00:00'"],
        [dt.datetime(2024, 6, 1, 10, tzinfo=dt.UTC), dt.datetime(2024, 6, 1, 12, tzinfo=dt.UTC)],
    ),
    (
        "TIMESTAMPTZ",
        pa.timestamp("us", "UTC"),
        ["TIMESTAMPTZ '1900-01-01 00:00:00.000001Z'"],
        [dt.datetime(1900, 1, 1, 0, 0, 0, 1, tzinfo=dt.UTC)],
    ),
    ("TIME", pa.time64("ns"), ["TIME '23:59:59.999999'"], [dt.time(23, 59, 59, 999999)]),
]  # fmt: skip


@pytest.mark.parametrize(("sql_type", "arrow", "literals", "expected"), SCALARS, ids=[case[0] for case in SCALARS])
def test_a_scalar_type_and_its_values_come_back(
    conn: Connection, sql_type: str, arrow: pa.DataType, literals: list[str], expected: list[Any]
) -> None:
    column = stored(conn, sql_type, *literals)
    assert column.type == arrow
    assert column.to_pylist() == expected


NESTED = [
    ("INT[]", pa.list_(pa.int32()), ["[1, NULL, 3]", "[]", "NULL"], [[1, None, 3], [], None]),
    ("VARCHAR[][]", pa.list_(pa.list_(pa.string())), ["[['a', NULL], []]", "[]"], [[["a", None], []], []]),
    ("ARRAY<BIGINT>", pa.list_(pa.int64()), ["[9223372036854775807]"], [[2**63 - 1]]),
    ("FLOAT[3]", pa.list_(pa.float32(), 3), ["[0.5, 1.5, -2]", "NULL"], [[0.5, 1.5, -2.0], None]),
    (
        "STRUCT<a INT, b VARCHAR>",
        pa.struct([("a", pa.int32()), ("b", pa.string())]),
        ["named_struct('a', 1, 'b', 'x')", "named_struct('a', NULL, 'b', NULL)", "NULL"],
        [{"a": 1, "b": "x"}, {"a": None, "b": None}, None],
    ),
    (
        "STRUCT<tags VARCHAR[], at TIMESTAMP(6)>",
        pa.struct([("tags", pa.list_(pa.string())), ("at", pa.timestamp("us"))]),
        ["named_struct('tags', ['x', NULL], 'at', TIMESTAMP '1960-01-01 00:00:00')", "named_struct('tags', [], 'at', NULL)"],
        [{"tags": ["x", None], "at": dt.datetime(1960, 1, 1)}, {"tags": [], "at": None}],
    ),
    (
        "STRUCT<inner STRUCT<deep DECIMAL(5, 2)[]>>",
        pa.struct([("inner", pa.struct([("deep", pa.list_(pa.decimal128(5, 2)))]))]),
        ["named_struct('inner', named_struct('deep', [1.25, NULL]))"],
        [{"inner": {"deep": [decimal.Decimal("1.25"), None]}}],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("sql_type", "arrow", "literals", "expected"), NESTED, ids=[case[0] for case in NESTED])
def test_a_nested_type_and_its_values_come_back(
    conn: Connection, sql_type: str, arrow: pa.DataType, literals: list[str], expected: list[Any]
) -> None:
    column = stored(conn, sql_type, *literals)
    assert column.type.equals(arrow) or str(column.type) == str(arrow)
    assert column.to_pylist() == expected


def test_an_embedding_is_a_fixed_size_list(conn: Connection) -> None:
    conn.execute("CREATE TOPIC vectors (v FLOAT[384] NOT NULL)")
    vector = [index / 7 for index in range(384)]
    conn.execute("INSERT INTO vectors VALUES (?)", [vector])
    column = conn.execute("SELECT v FROM vectors").fetch_arrow_table().column(0)
    assert column.type.equals(pa.list_(pa.field("item", pa.float32()), 384)) or column.type.list_size == 384
    assert column[0].as_py() == [struct.unpack("f", struct.pack("f", number))[0] for number in vector]
    assert value(conn, "SELECT array_length(v) FROM vectors") == 384


def test_a_list_of_the_wrong_length_is_no_embedding(conn: Connection) -> None:
    conn.execute("CREATE TOPIC vectors (v FLOAT[3])")
    with pytest.raises(conn.Error) as raised:
        conn.execute("INSERT INTO vectors VALUES ([1.0, 2.0])")
    assert raised.value.sqlstate[:2] in ("22", "42")
    assert value(conn, "SELECT count(*) FROM vectors") == 0


@pytest.mark.parametrize("sql_type", ["DOUBLE", "FLOAT"])
def test_floats_keep_nan_infinities_and_the_sign_of_zero(conn: Connection, sql_type: str) -> None:
    column = stored(
        conn, sql_type, "'NaN'::DOUBLE", "'inf'::DOUBLE", "'-inf'::DOUBLE", "'-0'::DOUBLE", "0.0", "NULL"
    ).to_pylist()
    assert math.isnan(column[0])
    assert column[1:3] == [math.inf, -math.inf]
    assert math.copysign(1, column[3]) == -1.0
    assert math.copysign(1, column[4]) == 1.0
    assert column[5] is None


def test_floats_keep_nan_and_the_sign_of_zero_as_parameters(conn: Connection) -> None:
    conn.execute("CREATE TOPIC t (v DOUBLE, w DOUBLE[])")
    conn.execute("INSERT INTO t VALUES (?, ?)", [math.nan, [math.nan, -0.0, None, math.inf]])
    conn.execute("INSERT INTO t VALUES (?, ?)", [-0.0, []])
    (first, second) = rows(conn, "SELECT v, w FROM t ORDER BY _offset")
    assert math.isnan(first[0])
    assert math.isnan(first[1][0])
    assert math.copysign(1, first[1][1]) == -1.0
    assert first[1][2:] == [None, math.inf]
    assert math.copysign(1, second[0]) == -1.0
    assert list(second[1]) == []


def test_intervals_come_back(conn: Connection) -> None:
    column = stored(conn, "INTERVAL", "INTERVAL '1 month -3 days 5 seconds'", "INTERVAL '0 days'", "NULL")
    assert column.type == pa.month_day_nano_interval()
    assert [tuple(item) if item else None for item in column.to_pylist()] == [(1, -3, 5_000_000_000), (0, 0, 0), None]


def test_a_timestamp_without_precision_keeps_nanoseconds(conn: Connection) -> None:
    column = stored(conn, "TIMESTAMP", "TIMESTAMP '2024-01-01 00:00:00.123456789'")
    assert column.type == pa.timestamp("ns")
    assert column.cast(pa.int64())[0].as_py() % 1_000_000_000 == 123456789


def test_values_are_the_same_in_a_subscription_as_in_the_topic(conn: Connection) -> None:
    conn.execute(
        "CREATE TOPIC t (f DOUBLE, u BIGINT UNSIGNED, d DECIMAL(38, 9), z TIMESTAMPTZ, l STRUCT<a INT[]>[], b BYTEA)"
    )
    conn.execute(
        "INSERT INTO t VALUES ('NaN'::DOUBLE, 18446744073709551615, -0.000000001, TIMESTAMP '1950-01-01 00:00:00', "
        "[named_struct('a', [1, NULL]), NULL, named_struct('a', [])], X'00')"
    )
    asked = "SELECT f, u, d, z, l, b FROM "
    log = conn.execute(asked + "t").fetch_arrow_table()
    live = conn.execute(asked + "subscribe('t', from => 'earliest') LIMIT 1").fetch_arrow_table()
    bounded = conn.execute(asked + "subscribe('t', until => 'latest')").fetch_arrow_table()
    assert log.schema.equals(live.schema)
    assert log.schema.equals(bounded.schema)
    assert log.slice(0).drop(["f"]).equals(live.drop(["f"]))
    assert log.drop(["f"]).equals(bounded.drop(["f"]))
    assert all(math.isnan(table.column("f")[0].as_py()) for table in (log, live, bounded))


ARROW = {
    "uint64": pa.array([0, 2**64 - 1, None], pa.uint64()),
    "large_string": pa.array(["a", "", None], pa.large_string()),
    "dictionary": pa.array(["a", "b", None]).dictionary_encode(),
    "string_view": pa.array(["a", "a string that is longer than twelve bytes", None], pa.string_view()),
    "fixed_size_binary": pa.array([b"ab", b"\x00\x00", None], pa.binary(2)),
    "duration": pa.array([-1, 0, None], pa.duration("ms")),
    "time32": pa.array([0, 86399, None], pa.time32("s")),
    "date64": pa.array([0, 86400000, None], pa.date64()),
    "zoned": pa.array([0, -1, None], pa.timestamp("ns", "Europe/Berlin")),
    "map": pa.array([[("k", 1)], [], None], pa.map_(pa.string(), pa.int32())),
    "half": pa.array([1.5, -0.0, None], pa.float16()),
    "list_of_struct": pa.array([[{"a": None}], [], None], pa.list_(pa.struct([("a", pa.int64())]))),
    "large_list": pa.array([[1, None], [], None], pa.large_list(pa.int8())),
    "null": pa.nulls(3),
}


def ingest(conn: Connection, data: pa.Table) -> None:
    conn.engine.topic_repo.register_topic(TopicDefinition("ingested", data.schema))
    with conn.cursor() as cursor:
        assert cursor.adbc_ingest("ingested", data, mode="append") == data.num_rows


@pytest.mark.in_process("uses the engine's Python interface")
@pytest.mark.parametrize("name", ARROW)
def test_an_ingested_arrow_column_keeps_its_type_and_values(conn: Connection, name: str) -> None:
    data = pa.table({"v": ARROW[name]})
    ingest(conn, data)
    back = conn.execute("SELECT v FROM ingested ORDER BY _offset, _row_idx").fetch_arrow_table()
    assert back.schema.field("v").type == data.schema.field("v").type
    assert back.column("v").to_pylist() == data.column("v").to_pylist()


@pytest.mark.in_process("uses the engine's Python interface")
@pytest.mark.parametrize("name", ARROW)
def test_show_create_of_an_ingested_column_can_be_run_again_or_says_that_sql_has_no_name(
    conn: Connection, name: str
) -> None:
    ingest(conn, pa.table({"v": ARROW[name]}))
    ((_, text),) = rows(conn, "SHOW CREATE TOPIC ingested")
    before = conn.adbc_get_table_schema("ingested")
    conn.execute("DROP TOPIC ingested")
    try:
        conn.execute(text)
    except conn.Error as error:
        assert error.sqlstate in ("0A000", "42601"), error  # a clear refusal
        assert error.hint
    else:
        assert conn.adbc_get_table_schema("ingested").equals(before)


def test_unsupported_column_types_are_refused_with_the_place(conn: Connection) -> None:
    for sql_type in ("UUID", "JSON", "MAP<INT, INT>", "BLOB", "DATETIME", "NO_SUCH_TYPE"):
        statement = f"CREATE TOPIC t (a INT, v {sql_type})"
        with pytest.raises(conn.Error) as raised:
            conn.execute(statement)
        assert raised.value.sqlstate in ("0A000", "42601", "42704"), raised.value
        assert raised.value.hint
        assert raised.value.position is not None
        assert raised.value.position >= statement.index("v ")
    assert rows(conn, "SHOW TOPICS") == []


def test_out_of_range_and_bad_casts_are_data_errors(conn: Connection) -> None:
    conn.execute("CREATE TOPIC t (small TINYINT, day DATE, amount DECIMAL(4, 2), u BIGINT UNSIGNED)")
    with fails("22003", conn.DataError):
        conn.execute("INSERT INTO t (small) VALUES (128)")
    with fails("22003", conn.DataError):
        conn.execute("INSERT INTO t (amount) VALUES (1234.5)")
    with fails("22003", conn.DataError):
        conn.execute("INSERT INTO t (u) VALUES (-1)")
    with fails("22P02", conn.DataError):
        conn.execute("INSERT INTO t (day) VALUES ('the day before')")
    with fails("22P02", conn.DataError):
        conn.execute("INSERT INTO t (small) VALUES ('many')")
    with fails("22003", conn.DataError):
        conn.execute("INSERT INTO t (small) VALUES (?)", [300])
    assert values(conn, "SELECT count(*) FROM t") == [0]
