"""Every type of PostgreSQL is read exactly, or refused by name."""

from __future__ import annotations

import math
import struct
from datetime import UTC, date, datetime, time
from decimal import Decimal

import pyarrow as pa
import pytest

from jammi_sql.errors import DataError, NumericValueOutOfRange
from jammi_sql.sources import Source
from jammi_sql.sources.opening import open_source
from jammi_sql.sources.postgres.types import Declared, remote_column
from tests.sources.support import Connection, column_of, define, rows_of, values_of

# name, PostgreSQL's type, literals, Arrow's type, values
EXACT = [
    ("a_bool", "bool", ["true", "false"], pa.bool_(), [True, False]),
    ("small", "int2", ["-32768", "32767"], pa.int16(), [-32768, 32767]),
    ("whole", "int4", ["-2147483648", "2147483647"], pa.int32(), [-2147483648, 2147483647]),
    ("big", "int8", ["-9223372036854775808", "9223372036854775807"], pa.int64(), [-(2**63), 2**63 - 1]),
    ("an_oid", "oid", ["0", "4294967295"], pa.int64(), [0, 4294967295]),
    ("single", "float4", ["'1.5'", "'-Infinity'"], pa.float32(), [1.5, -math.inf]),
    ("double", "float8", ["'0.1'", "'1.7976931348623157e308'"], pa.float64(), [0.1, 1.7976931348623157e308]),
    ("priced", "numeric(10, 2)", ["-99999999.99", "0.10"], pa.decimal128(10, 2), [Decimal("-99999999.99"), Decimal("0.10")]),
    ("nines", "numeric(38, 9)", ["12345678901234567890123456789.123456789", "0.000000001"], pa.decimal128(38, 9), [Decimal("12345678901234567890123456789.123456789"), Decimal("0.000000001")]),
    ("wide", "numeric(60, 5)", ["1" * 55 + ".12345", "-1"], pa.decimal256(60, 5), [Decimal("1" * 55 + ".12345"), Decimal("-1.00000")]),
    ("tiny", "numeric(3, 5)", ["0.00999", "-0.00001"], pa.decimal128(5, 5), [Decimal("0.00999"), Decimal("-0.00001")]),
    ("round", "numeric(3, -2)", ["99900", "-100"], pa.decimal128(5, 0), [Decimal("99900"), Decimal("-100")]),
    ("bare", "numeric", ["1.5", "123456789012345678901234567.123456789"], pa.decimal128(38, 9), [Decimal("1.500000000"), Decimal("123456789012345678901234567.123456789")]),
    ("huge", "numeric(100, 2)", ["1" * 90], pa.utf8(), ["1" * 90 + ".00"]),
    ("a_text", "text", ["''", "'Å' || chr(10) || chr(128512)"], pa.utf8(), ["", "Å\n\U0001f600"]),
    ("short", "varchar(3)", ["'ab '"], pa.utf8(), ["ab "]),
    ("padded", "char(5)", ["'ab'", "' b'"], pa.utf8(), ["ab", " b"]),
    ("a_name", "name", ["'n'"], pa.utf8(), ["n"]),
    ("bytes", "bytea", ["'\\x00ff'", "''"], pa.binary(), [b"\x00\xff", b""]),
    ("a_date", "date", ["'0001-01-01'", "'9999-12-31'"], pa.date32(), [date.min, date.max]),
    ("a_time", "time", ["'23:59:59.999999'", "'00:00'"], pa.time64("us"), [time.max, time.min]),
    ("zoned_time", "timetz", ["'12:30:00.5+02'"], pa.utf8(), ["12:30:00.5+02"]),
    ("moment", "timestamp", ["'9999-12-31 23:59:59.999999'"], pa.timestamp("us"), [datetime.max]),
    ("zoned", "timestamptz", ["'2030-01-31 12:30:00.5+02'"], pa.timestamp("us", "UTC"), [datetime(2030, 1, 31, 10, 30, 0, 500000, UTC)]),
    ("span", "interval", ["'1 month -2 days 00:00:00.000003'"], pa.month_day_nano_interval(), [pa.MonthDayNano([1, -2, 3000])]),
    ("an_id", "uuid", ["'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'"], pa.utf8(), ["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"]),
    ("a_json", "json", ["'{\"a\":  1}'"], pa.utf8(), ['{"a":  1}']),
    ("a_jsonb", "jsonb", ["'{\"b\":1,\"a\":[1, 2.50]}'"], pa.utf8(), ['{"a": [1, 2.50], "b": 1}']),
    ("address", "inet", ["'10.0.0.1/8'"], pa.utf8(), ["10.0.0.1/8"]),
    ("net", "cidr", ["'10.0.0.0/8'"], pa.utf8(), ["10.0.0.0/8"]),
    ("mac", "macaddr", ["'08:00:2b:01:02:03'"], pa.utf8(), ["08:00:2b:01:02:03"]),
    ("mood", "mood", ["'sad'", "'ok'"], pa.utf8(), ["sad", "ok"]),
    ("range", "int4range", ["'[1,5)'"], pa.utf8(), ["[1,5)"]),
    ("multi", "nummultirange", ["'{[1,2),[5,6)}'"], pa.utf8(), ["{[1,2),[5,6)}"]),
    ("words", "tsvector", ["'a fat cat'"], pa.utf8(), ["'a' 'cat' 'fat'"]),
    ("spot", "point", ["'(1.5,-2)'"], pa.utf8(), ["(1.5,-2)"]),
    ("cash", "money", ["'1234.5'"], pa.utf8(), ["$1,234.50"]),
    ("bits", "bit(4)", ["'1010'"], pa.utf8(), ["1010"]),
    ("varbits", "varbit", ["'101'"], pa.utf8(), ["101"]),
    ("positive", "positive", ["7"], pa.int32(), [7]),
    ("cents", "cents", ["7.25"], pa.decimal128(12, 2), [Decimal("7.25")]),
    ("pair", "pair", ["ROW(1, 'x y')"], pa.utf8(), ['(1,"x y")']),
    ("lsn", "pg_lsn", ["'16/B374D848'"], pa.utf8(), ["16/B374D848"]),
    ("numbers", "int4[]", ["'{1,NULL,3}'", "'{}'"], pa.list_(pa.int32()), [[1, None, 3], []]),
    ("offset_array", "int8[]", ["'[5:6]={1,2}'"], pa.list_(pa.int64()), [[1, 2]]),
    ("tags", "text[]", ["ARRAY['a,b', NULL, '']"], pa.list_(pa.utf8()), [["a,b", None, ""]]),
    ("ids", "uuid[]", ["'{A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11}'"], pa.list_(pa.utf8()), [["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"]]),
    ("moods", "mood[]", ["'{sad,ok}'"], pa.list_(pa.utf8()), [["sad", "ok"]]),
    ("prices", "numeric(10,2)[]", ["'{1.50,NULL}'"], pa.list_(pa.utf8()), [["1.50", None]]),
    ("days", "date[]", ["'{2030-01-31}'"], pa.list_(pa.date32()), [[date(2030, 1, 31)]]),
    ("floats", "float8[]", ["'{1.5,NaN}'"], pa.list_(pa.float64()), None),
]  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def tables(there: Connection) -> None:
    """A table for each type, its literals in order, then NULL."""
    there.execute("CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy')")
    there.execute("CREATE DOMAIN positive AS int4 CHECK (VALUE > 0)")
    there.execute("CREATE DOMAIN amount AS numeric(12, 2)")
    there.execute("CREATE DOMAIN cents AS amount")
    there.execute("CREATE TYPE pair AS (a int, b text)")
    for name, declared, literals, _, _ in EXACT:
        rows = ", ".join(f"({place}, ({literal})::{declared})" for place, literal in enumerate(literals))
        there.execute(f"CREATE TABLE {name}_table (place int, {name} {declared})")
        there.execute(f"INSERT INTO {name}_table VALUES {rows}, (99, NULL)")


@pytest.mark.parametrize(("name", "declared", "literals", "kind", "values"), EXACT, ids=[case[0] for case in EXACT])
def test_a_type_is_read_as_it_is(
    source: Source, name: str, declared: str, literals: list[str], kind: pa.DataType, values: list[object] | None
) -> None:
    found = rows_of(source, "public", f"{name}_table", ["place", name], "ORDER BY place")
    assert found.schema.field(name).type == kind
    if values is not None:
        assert found.column(name).to_pylist() == [*values, None]


def test_floats_keep_their_signs_and_have_one_nan(source: Source, there: Connection) -> None:
    there.execute("CREATE TABLE signs AS SELECT unnest(ARRAY['-0', 'NaN', '-NaN', '-5e-324'])::float8 AS x")
    found = values_of(source, "public", "signs", "x")
    assert [struct.pack(">d", value) for value in found] == [
        struct.pack(">d", value) for value in (-0.0, math.nan, math.nan, -5e-324)
    ]


def test_floats_come_back_with_all_their_digits(source: Source, there: Connection) -> None:
    there.execute(
        "CREATE TABLE digits AS SELECT random() / (i + 1) AS x, (random() * i)::float4 AS y FROM generate_series(1, 500) i"
    )
    expected = there.execute("SELECT x, y::float8 FROM digits ORDER BY x").fetchall()
    found = rows_of(source, "public", "digits", ["x", "y"], "ORDER BY x")
    assert list(zip(*found.to_pydict().values(), strict=True)) == expected


@pytest.mark.parametrize(
    ("declared", "literal"),
    [
        ("numeric(10, 2)", "NaN"), ("numeric", "NaN"), ("numeric", "Infinity"), ("numeric", "1.1234567891"),
        ("numeric", "1" * 30),
    ],
)  # fmt: skip
def test_a_number_that_does_not_fit_is_refused_by_the_name_of_its_column(
    source: Source, there: Connection, declared: str, literal: str
) -> None:
    there.execute(f"DROP TABLE IF EXISTS beyond; CREATE TABLE beyond AS SELECT '{literal}'::{declared} AS price")
    source.refresh()
    with pytest.raises(NumericValueOutOfRange, match="price") as caught:
        values_of(source, "public", "beyond", "price")
    assert caught.value.sqlstate == "22003"
    assert literal not in str(caught.value)


@pytest.mark.parametrize(
    ("declared", "literal"),
    [
        ("date", "infinity"), ("date", "-infinity"), ("timestamp", "infinity"), ("timestamp", "-infinity"),
        ("timestamptz", "infinity"), ("timestamp", "294276-12-31 23:59:59"), ("time", "24:00"), ("interval", "infinity"),
        ("interval", "3000000 hours"), ("date[]", "{infinity}"),
    ],
)  # fmt: skip
def test_a_time_that_does_not_fit_is_refused_by_the_name_of_its_column(
    source: Source, there: Connection, declared: str, literal: str
) -> None:
    there.execute(f"DROP TABLE IF EXISTS beyond; CREATE TABLE beyond AS SELECT '{literal}'::{declared} AS due")
    source.refresh()
    with pytest.raises(DataError, match="interval column" if declared == "interval" else "column due"):
        values_of(source, "public", "beyond", "due")


@pytest.mark.parametrize(
    ("declared", "literal"),
    [
        ("date", "4713-01-01 BC"),
        ("timestamp", "4713-01-01 00:00:00 BC"),
        ("date", "5874897-12-31"),
        ("timestamp", "294246-12-31"),
    ],
)
def test_the_ends_of_the_calendar_are_read(source: Source, there: Connection, declared: str, literal: str) -> None:
    there.execute(f"DROP TABLE IF EXISTS ends; CREATE TABLE ends AS SELECT '{literal}'::{declared} AS due")
    source.refresh()
    ticks = rows_of(source, "public", "ends").column(0).chunk(0)
    number = ticks.cast(pa.int32() if declared == "date" else pa.int64())[0].as_py()
    scale = 86400 if declared == "date" else 1 / 1_000_000
    ((epoch,),) = there.execute("SELECT extract(epoch FROM due)::float8 FROM ends").fetchall()
    assert number * scale == epoch


def test_an_array_of_several_dimensions_is_refused_by_the_name_of_its_column(source: Source, there: Connection) -> None:
    there.execute('CREATE TABLE grids AS SELECT 1 AS place, \'{{1,2},{3,4}}\'::int4[] AS "a ""grid"" {}"')
    with pytest.raises(DataError, match=r"grid.*several dimensions"):
        values_of(source, "public", "grids", 'a "grid" {}')
    assert values_of(source, "public", "grids", "place") == [1]


@pytest.mark.parametrize(
    ("choice", "kind", "value"),
    [
        ("decimal(38,9)", pa.decimal128(38, 9), Decimal("1.5")),
        ("text", pa.utf8(), "1.5"),
        ("double", pa.float64(), 1.5),
        ("DECIMAL(38, 9)", pa.decimal128(38, 9), Decimal("1.5")),
    ],
)
def test_numbers_without_precision_become_what_the_option_says(
    database: str, choice: str, kind: pa.DataType, value: object
) -> None:
    source = open_source(define(database, numeric=choice))
    assert column_of(source, "public", "bare_table", "bare").type == kind
    assert values_of(source, "public", "bare_table", "bare", "WHERE place = 0") == [value]
    source.close()


COMPARABLE = {
    "a_bool": True,
    "big": True,
    "double": True,
    "priced": True,
    "a_text": True,
    "moment": True,
    "span": False,
    "numbers": False,
}
AS_TEXT = ["padded", "an_id", "mood", "address", "a_jsonb", "cash", "a_name"]


@pytest.mark.parametrize(("name", "comparable"), COMPARABLE.items(), ids=list(COMPARABLE))
def test_columns_are_compared_there_only_as_they_are_here(source: Source, name: str, comparable: bool) -> None:
    assert column_of(source, "public", f"{name}_table", name).comparable is comparable
    assert column_of(source, "public", f"{name}_table", name).compared is None


@pytest.mark.parametrize("name", AS_TEXT)
def test_what_is_text_here_is_compared_as_text_there(source: Source, there: Connection, name: str) -> None:
    column = column_of(source, "public", f"{name}_table", name)
    assert column.comparable and column.compared is not None
    (value, *_) = values_of(source, "public", f"{name}_table", name, "ORDER BY place")
    expression = column.compared.replace("{}", name)
    ((equal,),) = there.execute(f"SELECT count(*) FROM {name}_table WHERE {expression} = %s", [value]).fetchall()
    assert equal == 1


@pytest.mark.parametrize("type_", ["text", "varchar", "bpchar"])
@pytest.mark.parametrize("deterministic", [True, False])
def test_texts_of_a_collation_that_ignores_case_are_not_compared_there(type_: str, deterministic: bool) -> None:
    declared = Declared("x", type_, False, type_, True, "b", "S", -1, "", False, "", deterministic)
    assert remote_column(declared, "text").comparable is deterministic


def test_the_catalogue_tells_how_texts_are_compared(source: Source, there: Connection) -> None:
    there.execute('CREATE TABLE collated (plain text, c text COLLATE "C", n int)')
    assert [column_of(source, "public", "collated", name).comparable for name in ("plain", "c", "n")] == [True] * 3


def test_a_view_of_aggregates_has_their_types(there: Connection, source: Source) -> None:
    there.execute("CREATE VIEW mixed AS SELECT 1 AS fine, array_agg(x) AS listed FROM generate_series(1, 3) x")
    assert rows_of(source, "public", "mixed").to_pylist() == [{"fine": 1, "listed": [1, 2, 3]}]


def test_a_pseudo_type_is_unreadable_and_says_why() -> None:
    declared = Declared("odd", "anyarray", False, "anyarray", True, "p", "P", -1, "", False, "", True)
    column = remote_column(declared, "text")
    assert column.unreadable is not None and "anyarray" in column.unreadable and not column.comparable
