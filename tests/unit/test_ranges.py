"""Column ranges: what they keep, what they let skip, what they must not."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from jammi_sql.arrow.expression import read_expression
from jammi_sql.arrow.order import order_kind
from jammi_sql.arrow.ranges import (
    MINIMUM_ROWS,
    ColumnRange,
    MeasuredRanges,
    Ranges,
    can_match,
    decode_ranges,
    encode_ranges,
    offset_bounds,
)


def _batch(**columns: pa.Array[Any]) -> pa.RecordBatch:
    """The values again and again, to a batch that is large enough for ranges."""
    batch = pa.RecordBatch.from_pydict(columns)
    repeated: pa.RecordBatch = pa.Table.from_batches([batch] * MINIMUM_ROWS).combine_chunks().to_batches()[0]
    return repeated


def _ranges(**columns: pa.Array[Any]) -> Ranges:
    batch = _batch(**columns)
    return decode_ranges(encode_ranges(batch), batch.schema)


def _skipped(expression: Any, ranges: Ranges) -> bool:
    return not can_match(read_expression(expression), ranges)


a = pc.field("a")
_NULL: Any = pa.scalar(None, pa.bool_())
_UNKNOWN = pc.scalar(_NULL)
NAN = pa.scalar(float("nan"))

# --- what is kept -------------------------------------------------------------------------------

_EXTREMES: list[tuple[Any, list[Any], Any, Any]] = [
    (pa.int8(), [5, -128, 127], -128, 127),
    (pa.uint64(), [5, 2**64 - 1], 5, 2**64 - 1),
    (pa.bool_(), [True, False], 0, 1),
    (pa.date32(), [3, -3], -3, 3),
    (pa.date64(), [86400000, 0], 0, 86400000),
    (pa.time32("s"), [3, 0], 0, 3),
    (pa.time64("ns"), [3, 0], 0, 3),
    (pa.timestamp("ns", "UTC"), [2**62 + 1, -(2**63)], -(2**63), 2**62 + 1),
    (pa.duration("ms"), [3, -3], -3, 3),
    (pa.decimal32(5, 2), [Decimal("1.50"), Decimal("-1.5")], -150, 150),
    (pa.decimal128(38, 2), [Decimal("9" * 36 + ".99"), Decimal("-0.01")], -1, 10**38 - 1),
    (pa.decimal256(76, 2), [Decimal("9" * 74 + ".99"), Decimal("-0.01")], -1, 10**76 - 1),
    (pa.string(), ["b", "", "é"], b"", "é".encode()),
    (pa.large_string(), ["b", "a"], b"a", b"b"),
    (pa.string_view(), ["b", "a"], b"a", b"b"),
    (pa.binary(), [b"\xff", b"\x00"], b"\x00", b"\xff"),
    (pa.large_binary(), [b"\xff", b"\x00"], b"\x00", b"\xff"),
    (pa.binary_view(), [b"\xff", b"\x00"], b"\x00", b"\xff"),
    (pa.binary(2), [b"b2", b"a1"], b"a1", b"b2"),
]


@pytest.mark.parametrize(("type_", "values", "least", "greatest"), _EXTREMES, ids=lambda case: str(case)[:20])
def test_least_and_greatest_value_come_back(type_: Any, values: list[Any], least: Any, greatest: Any) -> None:
    complete = _ranges(a=pa.array(values, type_)).column("a")
    assert complete == ColumnRange(order_kind(type_), least, greatest, False, True)
    with_null = _ranges(a=pa.array([None, *values], type_)).column("a")
    assert with_null == ColumnRange(order_kind(type_), least, greatest, True, True)
    assert _ranges(a=pa.nulls(2, type_)).column("a") == ColumnRange(order_kind(type_), None, None, True, False)


@pytest.mark.parametrize("type_", [pa.float16(), pa.float32(), pa.float64()], ids=str)
@pytest.mark.parametrize(
    ("values", "least", "greatest"),
    [
        ([1.0, 2.0], 1.0, 2.0),
        ([-1.0, -2.0], -2.0, -1.0),
        ([-1.0, 2.0, 0.5], -1.0, 2.0),
        ([0.0, -0.0], -0.0, 0.0),
        ([-0.0, -1.0], -1.0, -0.0),
        ([1.0, float("inf"), float("-inf")], float("-inf"), float("inf")),
        ([1.0, float("nan")], 1.0, float("nan")),
        ([1.0, -float("nan")], -float("nan"), 1.0),
        ([float("nan")], float("nan"), float("nan")),
    ],
)
def test_floats_have_the_ends_of_the_total_order(
    type_: Any, values: list[float], least: float, greatest: float
) -> None:
    column = _ranges(a=pa.array([*values, None], type_)).column("a")
    lowest, highest = (ColumnRange.constant(pa.scalar(end, type_)).least for end in (least, greatest))
    assert column == ColumnRange(order_kind(type_), lowest, highest, True, True)


def test_types_without_an_order_have_no_range() -> None:
    ranges = _ranges(
        a=pa.array([[1]]),
        b=pa.array([{"x": 1}]),
        c=pa.nulls(1),
        d=pa.array(["x"]).dictionary_encode(),
        e=pa.array([1]),
    )
    assert [ranges.column(name) is None for name in "abcde"] == [True, True, True, True, False]
    assert not _skipped(pc.field("c").is_valid(), ranges)


def test_long_bounds_are_cut_and_still_bounds() -> None:
    words = ["b" * 64 + "c", "z" * 200, "b" * 65]
    column = _ranges(a=pa.array(words)).column("a")
    assert column is not None
    assert column.least == b"b" * 64
    assert column.greatest == b"z" * 63 + b"{"
    ranges = _ranges(a=pa.array(words))
    assert not any(_skipped(a == word, ranges) for word in words)
    assert _skipped(a == "z" * 63 + "|", ranges)
    assert _skipped(a == "b" * 63, ranges)


def test_an_upper_bound_that_cannot_rise_is_dropped() -> None:
    column = _ranges(a=pa.array([b"\xff" * 100])).column("a")
    assert column == ColumnRange(order_kind(pa.binary()), b"\xff" * 64, None, False, True)
    assert not _skipped(a > b"\xff" * 90, _ranges(a=pa.array([b"\xff" * 100])))
    column = _ranges(a=pa.array([b"a" + b"\xff" * 100])).column("a")
    assert column is not None
    assert column.greatest == b"b"


def test_a_wide_batch_keeps_what_fits() -> None:
    words = {f"c{index}": pa.array(["x" * 100]) for index in range(600)}
    batch = _batch(**words)
    encoded = encode_ranges(batch)
    ranges = decode_ranges(encoded, batch.schema)
    assert len(encoded) < 2**16
    assert ranges.column("c0") is not None
    assert ranges.column("c599") is None


# --- what cannot be read ------------------------------------------------------------------------


def test_small_batches_have_no_ranges() -> None:
    batch = _batch(a=pa.array([1]))
    assert encode_ranges(batch.slice(0, MINIMUM_ROWS - 1)) == b""
    assert encode_ranges(batch.slice(0, MINIMUM_ROWS)) != b""


def test_without_ranges_everything_may_match() -> None:
    assert not _skipped(a == 1, decode_ranges(b"", pa.schema([("a", pa.int64())])))


def test_another_version_prunes_nothing() -> None:
    batch = _batch(a=pa.array([1]))
    encoded = encode_ranges(batch)
    assert _skipped(a == 2, decode_ranges(encoded, batch.schema))
    assert not _skipped(a == 2, decode_ranges(bytes((encoded[0] + 1,)) + encoded[1:], batch.schema))


def test_damage_prunes_nothing() -> None:
    batch = _batch(a=pa.array([1]), b=pa.array(["x"]))
    encoded = encode_ranges(batch)
    for place in range(len(encoded)):
        damaged = encoded[:place] + bytes((encoded[place] ^ 0x11,)) + encoded[place + 1 :]
        assert decode_ranges(damaged, batch.schema).column("a") is None
        assert decode_ranges(encoded[:place], batch.schema).column("a") is None


def test_a_buffer_is_as_good_as_bytes() -> None:
    batch = _batch(a=pa.array([1]))
    assert _skipped(a == 2, decode_ranges(pa.py_buffer(encode_ranges(batch)), batch.schema))


def test_a_column_that_came_later_is_unknown() -> None:
    assert not _skipped(pc.field("later") == 1, _ranges(a=pa.array([1])))


# --- what is skipped ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "expression",
    [
        a < 10,
        a <= 9,
        a > 20,
        a >= 21,
        a == 9,
        a == 21,
        a.isin([1, 2, 30]),
        a.isin(pa.array([], pa.int64())),
        a.isin(pa.array([1, None])),
        a.is_null(),
        ~a.is_valid(),
        (a > 5) & (a > 20),
        (a < 10) | (a > 20),
        ~(a >= 10),
        ~((a >= 10) | (a == 99)),
        (a == 9).is_null(),
        a == pa.scalar(None, pa.int64()),
        (a == 15) & pc.scalar(False),
        (a == 15) & _UNKNOWN,
    ],
    ids=str,
)
def test_a_batch_that_cannot_match_is_skipped(expression: pc.Expression) -> None:
    assert _skipped(expression, _ranges(a=pa.array([10, 15, 20])))


@pytest.mark.parametrize(
    "expression",
    [
        a <= 10,
        a < 11,
        a >= 20,
        a > 19,
        a == 10,
        a == 20,
        a == 12,
        a != 10,
        a.isin([1, 12, 30]),
        ~a.isin([10, 15, 20]),
        ~a.isin([1]),
        a.is_valid(),
        ~a.is_null(),
        (a < 10) | (a == 20),
        ~((a >= 10) & (a == 12)),
        (a == 15) | _UNKNOWN,
        pc.field("unknown") == 1,
    ],
    ids=str,
)
def test_a_batch_that_may_match_is_read(expression: pc.Expression) -> None:
    assert not _skipped(expression, _ranges(a=pa.array([10, 15, 20])))


def test_a_constant_column_decides_inequality() -> None:
    ranges = _ranges(a=pa.array([7, None]))
    assert _skipped(a != 7, ranges)
    assert _skipped(~(a == 7), ranges)
    assert _skipped(~a.isin([7, 8, 9]), ranges)
    assert not _skipped(a != 8, ranges)
    assert not _skipped((a != 7).is_null(), ranges)


def test_a_list_with_null_is_never_false() -> None:
    ranges = _ranges(a=pa.array([7]))
    assert _skipped(~a.isin(pa.array([1, None])), ranges)
    assert not _skipped(~a.isin(pa.array([1])), ranges)
    assert not _skipped(a.isin(pa.array([1, None])).is_null(), ranges)


def test_a_column_of_nulls_matches_nothing_but_is_null() -> None:
    ranges = _ranges(a=pa.nulls(3, pa.int64()))
    assert _skipped(a == 1, ranges)
    assert _skipped(~(a == 1), ranges)
    assert _skipped(~a.isin([1, 2]), ranges)
    assert _skipped(a.is_valid(), ranges)
    assert not _skipped(a.is_null(), ranges)


def test_truth_values_prune_by_themselves() -> None:
    yes, no, unknown = (_ranges(a=pa.array([value], pa.bool_())) for value in (True, False, None))
    assert [_skipped(a, ranges) for ranges in (yes, no, unknown)] == [False, True, True]
    assert [_skipped(~a, ranges) for ranges in (yes, no, unknown)] == [True, False, True]


def test_nan_is_above_infinity() -> None:
    ranges = _ranges(a=pa.array([1.0, float("nan")]))
    assert not _skipped(a > float("inf"), ranges)
    assert not _skipped(a == NAN, ranges)
    assert _skipped(a > NAN, ranges)
    assert _skipped(a < 1.0, ranges)


def test_zeros_are_equal_but_in_a_list() -> None:
    ranges = _ranges(a=pa.array([-0.0]))
    assert not _skipped(a == 0.0, ranges)
    assert not _skipped(a >= 0.0, ranges)
    assert _skipped(a < 0.0, ranges)
    assert _skipped(a.isin([0.0, 1.0]), ranges)
    assert not _skipped(~a.isin([0.0, 1.0]), ranges)


def test_two_columns_prune_each_other() -> None:
    ranges = _ranges(a=pa.array([1, 5]), b=pa.array([6, 9]), c=pa.array([1.0, 2.0]))
    assert _skipped(a > pc.field("b"), ranges)
    assert _skipped(a == pc.field("b"), ranges)
    assert not _skipped(a < pc.field("b"), ranges)
    assert not _skipped(a == a, ranges)
    assert not _skipped(a > pc.field("c"), ranges)


def test_a_literal_of_another_kind_prunes_nothing() -> None:
    ranges = _ranges(a=pa.array([10], pa.timestamp("us")))
    assert _skipped(a > pa.scalar(10, pa.timestamp("us")), ranges)
    assert not _skipped(a > pa.scalar(10, pa.timestamp("ms")), ranges)
    cents = _ranges(a=pa.array([Decimal("1.50")]))
    assert _skipped(a > pa.scalar(Decimal("1.50")), cents)
    assert not _skipped(a > pa.scalar(Decimal("1.499")), cents)


def test_the_callers_columns_prune_together_with_the_stored_ones() -> None:
    stored = _ranges(a=pa.array(["x"]))
    own = {
        "_offset": ColumnRange.constant(pa.scalar(7)),
        "_row_idx": ColumnRange(order_kind(pa.int64()), 0, 99),
    }
    ranges = stored.with_columns(own)
    offset, row = pc.field("_offset"), pc.field("_row_idx")
    assert not _skipped((offset > 5) & (a == "x"), ranges)
    assert _skipped((offset > 7) & (a == "x"), ranges)
    assert _skipped((offset > 5) & (a == "y"), ranges)
    assert _skipped(row >= 100, ranges)
    assert not _skipped(row == 99, ranges)
    assert not _skipped(offset > 7, stored)
    no_tenant = {"_tenant_id": ColumnRange.constant(pa.scalar(None, pa.string()))}
    tenantless = decode_ranges(b"", pa.schema([])).with_columns(no_tenant)
    assert _skipped(pc.field("_tenant_id") == "x", tenantless)
    assert not _skipped(pc.field("_tenant_id").is_null(), tenantless)


# --- bounds of offsets --------------------------------------------------------------------------

o = pc.field("_offset")


@pytest.mark.parametrize(
    ("expression", "bounds"),
    [
        (True, (None, None)),
        (o > 5, (6, None)),
        (o >= 5, (5, None)),
        (o < 5, (None, 4)),
        (o <= 5, (None, 5)),
        (o == 5, (5, 5)),
        (pc.scalar(5) < o, (6, None)),
        (o != 5, (None, None)),
        ((o > 5) & (a == 1) & (o <= 9), (6, 9)),
        ((o == 3) | (o == 8), (3, 8)),
        ((o == 3) | (a == 1), (None, None)),
        ((o > 3) | (o > 8), (4, None)),
        (((o > 3) & (o < 3)) | (o == 8), (8, 8)),
        (o.isin([4, 2, 9, 7]), (2, 9)),
        (a > 5, (None, None)),
        (~(o > 5), (None, None)),
        (o == 2**63 - 1, (2**63 - 1, 2**63 - 1)),
    ],
    ids=str,
)
def test_bounds_are_the_tightest_interval(expression: Any, bounds: tuple[int | None, int | None]) -> None:
    assert offset_bounds(read_expression(expression)) == bounds


@pytest.mark.parametrize(
    "expression",
    [
        False,
        (o > 5) & (o < 3),
        o == pa.scalar(None, pa.int64()),
        (o > 5) & pc.scalar(False),
        (o > 5) & o.isin(pa.array([], pa.int64())),
    ],
    ids=str,
)
def test_bounds_without_a_value_end_before_they_begin(expression: Any) -> None:
    low, high = offset_bounds(read_expression(expression))
    assert low is not None
    assert high is not None
    assert low > high


def test_bounds_of_a_time_are_in_its_unit() -> None:
    node = read_expression(pc.field("_produced_at") > pa.scalar(1_000, pa.timestamp("us", "UTC")))
    assert offset_bounds(node, "_produced_at") == (1_001, None)


def test_a_batch_in_memory_is_measured_where_it_has_the_column() -> None:
    batch = pa.record_batch({"a": pa.array([3, 1, None]), "b": pa.array([[1], [], [2]])})
    measured = MeasuredRanges(batch)
    assert measured.column("a") == measured.column("a") == ColumnRange(order_kind(pa.int64()), 1, 3, True, True)
    assert (measured.column("b"), measured.column("nothing")) == (None, None)
