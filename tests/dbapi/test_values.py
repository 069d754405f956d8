"""Values on their way out."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jammi_sql.dbapi.values import column_values, rows

NANO = 1_577_836_800_000_001_001  # 2020-01-01 00:00:00.000001001
NANO_CUT = datetime(2020, 1, 1, microsecond=1)


def _ticks(kind: pa.DataType, *values: int | None) -> pa.Array[Any]:
    return pa.array(values, pa.int64()).view(kind)


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (pa.array([1, None], pa.uint8()), [1, None]),
        (pa.array([2**64 - 1], pa.uint64()), [2**64 - 1]),
        (pa.array([0.5, None], pa.float32()), [0.5, None]),
        (pa.array([True, None]), [True, None]),
        (pa.array(["é", "", None], pa.string_view()), ["é", "", None]),
        (pa.array([b"\x00", None], pa.large_binary()), [b"\x00", None]),
        (pa.array([Decimal("1.10")]), [Decimal("1.10")]),
        (pa.array([date(2020, 1, 2), None]), [date(2020, 1, 2), None]),
        (pa.array([time(1, 2, 3, 4)]), [time(1, 2, 3, 4)]),
        (pa.array([timedelta(days=-1)], pa.duration("us")), [timedelta(days=-1)]),
        (pa.array([(1, 2, 3)], pa.month_day_nano_interval()), [(1, 2, 3)]),
        (pa.array([[1, None], [], None]), [[1, None], [], None]),
        (pa.array([{"a": 1, "b": None}]), [{"a": 1, "b": None}]),
        (pa.array([[("k", 1)], None], pa.map_(pa.string(), pa.int64())), [[("k", 1)], None]),
        (pa.array(["a", None, "a"]).dictionary_encode(), ["a", None, "a"]),
        (pa.nulls(2), [None, None]),
    ],
)
def test_ordinary_types_are_ordinary_python_values(array: pa.Array[Any], expected: list[Any]) -> None:
    assert column_values(array) == expected


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_a_timestamp_is_a_datetime_in_every_unit(unit: Any) -> None:
    moment = datetime(2024, 2, 29, 23, 59, 58)
    assert column_values(pa.array([moment, None], pa.timestamp(unit))) == [moment, None]


def test_the_zone_utc_is_the_standard_one_and_others_keep_their_rules() -> None:
    moment = datetime(2024, 7, 1, tzinfo=UTC)
    (utc,) = column_values(pa.array([moment], pa.timestamp("us", "UTC")))
    (berlin,) = column_values(pa.array([moment], pa.timestamp("us", "Europe/Berlin")))
    (offset,) = column_values(pa.array([moment], pa.timestamp("us", "+05:30")))
    assert utc == berlin == offset == moment
    assert utc.tzinfo is UTC
    assert berlin.tzinfo == ZoneInfo("Europe/Berlin")
    assert berlin.hour == 2
    assert offset.utcoffset() == timedelta(hours=5, minutes=30)


def test_the_first_and_last_moments_of_datetime_are_datetimes() -> None:
    ends = [datetime.min, datetime.max]
    assert column_values(pa.array(ends, pa.timestamp("us"))) == ends
    instants = [end.replace(tzinfo=UTC) for end in ends]
    assert column_values(pa.array(instants, pa.timestamp("us", "UTC"))) == instants
    assert column_values(pa.array(instants, pa.timestamp("us", "+14:00"))) == instants


def test_nanoseconds_are_cut_to_microseconds() -> None:
    assert column_values(_ticks(pa.timestamp("ns"), NANO, NANO - 2, None)) == [
        NANO_CUT,
        datetime(2020, 1, 1),
        None,
    ]
    assert column_values(_ticks(pa.timestamp("ns", "Asia/Tokyo"), NANO)) == [
        NANO_CUT.replace(tzinfo=UTC).astimezone(ZoneInfo("Asia/Tokyo"))
    ]
    assert column_values(_ticks(pa.time64("ns"), 1_001, 1_000, None)) == [
        time(microsecond=1),
        time(microsecond=1),
        None,
    ]
    assert column_values(_ticks(pa.duration("ns"), 1_001, -1_000)) == [
        timedelta(microseconds=1),
        timedelta(microseconds=-1),
    ]


def test_years_that_a_datetime_cannot_hold_are_text() -> None:
    beyond = 253_402_300_800  # 10000-01-01
    assert column_values(_ticks(pa.timestamp("s"), beyond, beyond - 1)) == [
        "10000-01-01T00:00:00",
        datetime(9999, 12, 31, 23, 59, 59),
    ]
    assert column_values(pa.array([2_932_897, None, 0], pa.int32()).view(pa.date32())) == [
        "10000-01-01",
        None,
        date(1970, 1, 1),
    ]
    assert column_values(_ticks(pa.date64(), beyond * 1000, 0)) == ["10000-01-01", date(1970, 1, 1)]
    assert column_values(_ticks(pa.duration("s"), 2**62)) == [f"{2**62} seconds"]


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        (pa.list_(pa.timestamp("ns")), [NANO, None], [NANO_CUT, None]),
        (pa.large_list(pa.timestamp("ns")), [NANO], [NANO_CUT]),
        (pa.list_(pa.timestamp("ns"), 1), [NANO], [NANO_CUT]),
        (
            pa.struct([pa.field("a", pa.timestamp("ns")), pa.field("b", pa.int64())]),
            {"a": NANO, "b": 1},
            {"a": NANO_CUT, "b": 1},
        ),
        (pa.map_(pa.string(), pa.timestamp("ns")), [("k", NANO)], [("k", NANO_CUT)]),
        (pa.list_(pa.list_(pa.timestamp("ns"))), [[NANO], []], [[NANO_CUT], []]),
    ],
)
def test_times_inside_nested_values_follow_the_same_rules(kind: pa.DataType, value: Any, expected: Any) -> None:
    array = pa.array([None, value, value, None], kind)
    assert column_values(array) == [None, expected, expected, None]
    assert column_values(array.slice(2)) == [expected, None]


def test_a_dictionary_of_times_follows_the_same_rules() -> None:
    assert column_values(_ticks(pa.timestamp("ns"), NANO, None).dictionary_encode()) == [NANO_CUT, None]


def test_a_struct_with_two_fields_of_one_name_keeps_both() -> None:
    array = pa.StructArray.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"])
    assert column_values(array) == [[("a", 1), ("a", 2)]]


@given(st.lists(st.none() | st.datetimes()))
def test_every_datetime_comes_back_as_it_went_in(moments: list[datetime | None]) -> None:
    assert column_values(pa.array(moments, pa.timestamp("us"))) == moments


def test_rows_of_no_columns_are_still_rows() -> None:
    batch = pa.record_batch({"x": [1, 2]}).select([])
    assert rows(batch) == [(), ()]


def test_pandas_is_not_needed_and_not_loaded() -> None:
    program = (
        "import sys\n"
        "class NoPandas:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'pandas': raise ImportError(name)\n"
        "sys.meta_path.insert(0, NoPandas())\n"
        "import pyarrow as pa; from jammi_sql.dbapi.values import column_values\n"
        "kinds = [pa.timestamp('ns'), pa.timestamp('ns', 'UTC'), pa.duration('ns'), pa.time64('ns')]\n"
        "print([column_values(pa.array([1001], pa.int64()).view(kind)) for kind in kinds])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert "datetime.datetime(1970, 1, 1, 0, 0, 0, 1)" in done.stdout
