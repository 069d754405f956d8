"""Pushed filters: each rule of DataFusion's meaning on its own."""

from __future__ import annotations

import struct
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from jammi_sql.arrow.expression import Call, Field, Literal, Membership, UnreadableExpression, read_expression
from jammi_sql.arrow.filter import compile_filter


def _batch(**columns: pa.Array[Any]) -> pa.RecordBatch:
    return pa.RecordBatch.from_pydict(columns)


def _mask(expression: Any, batch: pa.RecordBatch) -> list[bool | None]:
    mask: list[bool | None] = compile_filter(expression, batch.schema).mask(batch).to_pylist()
    return mask


def _doubles(*bits: int) -> pa.Array[Any]:
    return pa.array(bits, pa.uint64()).view(pa.float64())


POSITIVE_NAN, NEGATIVE_NAN, OTHER_NAN = 0x7FF8000000000000, 0xFFF8000000000000, 0x7FF8000000000001
INFINITY, MINUS_INFINITY, ZERO, MINUS_ZERO = 0x7FF0000000000000, 0xFFF0000000000000, 0, 0x8000000000000000
ONE, MINUS_ONE = 0x3FF0000000000000, 0xBFF0000000000000
ASCENDING = [NEGATIVE_NAN, MINUS_INFINITY, MINUS_ONE, ZERO, ONE, INFINITY, POSITIVE_NAN, OTHER_NAN]


# --- reading ------------------------------------------------------------------------------------


def test_an_expression_reads_as_its_tree() -> None:
    node = read_expression((pc.field("a") == pa.scalar(1, pa.int8())) & ~pc.field('odd "name"').is_null())
    assert node == Call(
        "and_kleene",
        (
            Call("equal", (Field("a"), Literal(pa.scalar(1, pa.int8())))),
            Call("invert", (Call("is_null", (Field('odd "name"'),)),)),
        ),
    )


def test_a_literal_on_the_left_moves_to_the_right() -> None:
    assert read_expression(pc.scalar(5) > pc.field("a")) == Call("less", (Field("a"), Literal(pa.scalar(5))))


def test_a_list_keeps_its_type_and_its_precision() -> None:
    values = pa.array([1, 2**62 + 1], pa.timestamp("ns", "UTC"))
    node = read_expression(pc.field("t").isin(values))
    assert isinstance(node, Membership)
    assert node.operand == Field("t")
    assert node.values.equals(values)
    assert node.keys == (1, 2**62 + 1)


@pytest.mark.parametrize("constant", [True, None, pa.scalar(True)])
def test_true_and_no_filter_keep_every_row(constant: Any) -> None:
    batch = _batch(a=pa.array([1, None]))
    assert compile_filter(constant, batch.schema).apply(batch) is batch


@pytest.mark.parametrize("constant", [False, pa.scalar(False), pa.scalar(None, pa.bool_()), pa.NULL])
def test_false_and_null_keep_no_row(constant: Any) -> None:
    batch = _batch(a=pa.array([1, None]))
    assert compile_filter(constant, batch.schema).apply(batch).num_rows == 0


@pytest.mark.parametrize(
    "expression",
    [
        pc.field("a", "b") == 1,
        pc.field("a") + 1 == 2,
        pc.field("a").is_null(nan_is_null=True),
        pc.field("a").cast(pa.int8()) == 1,
        pc.field("missing") == 1,
        pc.field("a"),
        pc.field("a") == "text",
        pc.field("a") == pc.field("b"),
        pc.field("a") == pa.scalar(1.5),
        pc.field("a").isin(["text"]),
        pc.scalar(1),
    ],
    ids=str,
)
def test_what_is_not_understood_is_an_error_and_never_a_guess(expression: pc.Expression) -> None:
    schema = _batch(a=pa.array([1]), b=pa.array(["x"])).schema
    with pytest.raises(UnreadableExpression):
        compile_filter(expression, schema)


def test_an_unknown_function_is_refused_when_it_is_read() -> None:
    with pytest.raises(UnreadableExpression, match="add"):
        read_expression(pc.field("a") + 1 == 2)


def test_a_filter_names_the_columns_that_it_reads() -> None:
    batch = _batch(a=pa.array([1]), b=pa.array(["x"]), c=pa.array([1.0]))
    expression = (pc.field("a") == 1) | pc.field("b").isin(["x"])
    assert compile_filter(expression, batch.schema).columns == {"a", "b"}


def test_columns_are_found_by_name_in_a_projected_batch() -> None:
    batch = _batch(a=pa.array([1, 2]), b=pa.array([5, 6]))
    compiled = compile_filter(pc.field("b") == 6, batch.schema)
    assert compiled.apply(batch.select(["b"])).to_pydict() == {"b": [6]}


# --- logic --------------------------------------------------------------------------------------


def test_logic_knows_unknown() -> None:
    x = pa.array([True] * 3 + [False] * 3 + [None] * 3, pa.bool_())
    y = pa.array([True, False, None] * 3, pa.bool_())
    batch = _batch(x=x, y=y)
    assert _mask(pc.field("x") & pc.field("y"), batch) == [True, False, None, False, False, False, None, False, None]
    assert _mask(pc.field("x") | pc.field("y"), batch) == [True, True, True, True, False, None, True, None, None]
    assert _mask(~pc.field("x"), batch) == [False] * 3 + [True] * 3 + [None] * 3


def test_a_side_that_decides_alone_gives_what_both_give() -> None:
    batch = _batch(no=pa.array([False, False]), yes=pa.array([True, True]), x=pa.array([None, True], pa.bool_()))
    assert _mask(pc.field("no") & pc.field("x"), batch) == [False, False]
    assert _mask(pc.field("yes") | pc.field("x"), batch) == [True, True]
    assert _mask(pc.field("x") & pc.field("yes"), batch) == [None, True]
    unsure = _batch(x=pa.array([None, False], pa.bool_()), y=pa.array([False, True]))
    assert _mask(pc.field("x") & pc.field("y"), unsure) == [False, False]
    assert _mask(pc.field("x") | pc.field("no"), batch) == [None, True]


def test_a_comparison_with_null_is_unknown() -> None:
    batch = _batch(a=pa.array([1, None]))
    assert _mask(pc.field("a") == 1, batch) == [True, None]
    assert _mask(pc.field("a") != pa.scalar(None, pa.int64()), batch) == [None, None]
    assert _mask((pc.field("a") == 1).is_null(), batch) == [False, True]
    assert _mask((pc.field("a") == 1).is_valid(), batch) == [True, False]


def test_comparisons_compare_truth_values() -> None:
    batch = _batch(a=pa.array([1, 2, None]), flag=pa.array([True, True, True]))
    assert _mask(pc.field("flag") == (pc.field("a") == 1), batch) == [True, False, None]
    assert _mask(pc.field("flag") > pa.scalar(False), batch) == [True, True, True]


# --- lists --------------------------------------------------------------------------------------


def test_null_is_neither_in_a_list_nor_outside_of_it() -> None:
    batch = _batch(a=pa.array([1, 5, None]))
    expression = pc.field("a").isin([1, 2, 3, 4])
    assert _mask(expression, batch) == [True, False, None]
    assert _mask(~expression, batch) == [False, True, None]


def test_a_list_with_null_is_never_false() -> None:
    batch = _batch(a=pa.array([1, 5, None]))
    expression = pc.field("a").isin(pa.array([1, None]))
    assert _mask(expression, batch) == [True, None, None]
    assert _mask(~expression, batch) == [False, None, None]


def test_a_list_compares_floats_by_their_bits() -> None:
    batch = _batch(f=_doubles(ZERO, MINUS_ZERO, POSITIVE_NAN, NEGATIVE_NAN, OTHER_NAN))
    assert _mask(pc.field("f").isin(_doubles(ZERO, POSITIVE_NAN)), batch) == [True, False, True, False, False]


def test_a_list_of_doubles_is_looked_up_among_float32_only_where_exact() -> None:
    batch = _batch(f=pa.array([0.5, 0.1], pa.float32()))
    assert _mask(pc.field("f").isin([0.5, 2.0]), batch) == [True, False]
    with pytest.raises(UnreadableExpression):
        compile_filter(pc.field("f").isin([0.1]), batch.schema)


# --- floats -------------------------------------------------------------------------------------


@pytest.mark.parametrize("type_", [pa.float16(), pa.float32(), pa.float64()], ids=str)
@pytest.mark.parametrize("literal", range(len(ASCENDING)))
def test_floats_have_a_total_order(type_: Any, literal: int) -> None:
    bits = _narrow(ASCENDING, type_)
    batch = _batch(f=bits)
    value: Any = bits[literal]
    places = range(len(ASCENDING))
    field = pc.field("f")
    assert _mask(field < value, batch) == [place < literal for place in places]
    assert _mask(field <= value, batch) == [place <= literal for place in places]
    assert _mask(field > value, batch) == [place > literal for place in places]
    assert _mask(field >= value, batch) == [place >= literal for place in places]
    assert _mask(field == value, batch) == [place == literal for place in places]
    assert _mask(field != value, batch) == [place != literal for place in places]


@pytest.mark.parametrize("zero", [0.0, -0.0])
@pytest.mark.parametrize("type_", [pa.float16(), pa.float32(), pa.float64()], ids=str)
def test_both_zeros_are_equal(type_: Any, zero: float) -> None:
    values = pa.array([-1.0, -0.0, 0.0, 1.0, None], type_)
    batch = _batch(f=values, g=pa.array([0.0, 0.0, -0.0, 0.0, 0.0], type_))
    literal: Any = pa.scalar(zero, type_)
    field = pc.field("f")
    for other in (literal, pc.field("g")):
        assert _mask(field == other, batch) == [False, True, True, False, None]
        assert _mask(field != other, batch) == [True, False, False, True, None]
        assert _mask(field < other, batch) == [True, False, False, False, None]
        assert _mask(field <= other, batch) == [True, True, True, False, None]
        assert _mask(field > other, batch) == [False, False, False, True, None]
        assert _mask(field >= other, batch) == [False, True, True, True, None]


def test_columns_of_floats_compare_in_the_total_order() -> None:
    pairs = [(x, y) for x in range(len(ASCENDING)) for y in range(len(ASCENDING))]
    batch = _batch(f=_doubles(*(ASCENDING[x] for x, _ in pairs)), g=_doubles(*(ASCENDING[y] for _, y in pairs)))
    assert _mask(pc.field("f") < pc.field("g"), batch) == [x < y for x, y in pairs]
    assert _mask(pc.field("f") == pc.field("g"), batch) == [x == y for x, y in pairs]


def _narrow(bits: list[int], type_: Any) -> pa.Array[Any]:
    """The double bits as floats of a narrower type, with sign and payload of NaN kept."""
    if type_ == pa.float64():
        return _doubles(*bits)
    width, unsigned = (16, pa.uint16()) if type_ == pa.float16() else (32, pa.uint32())
    nan = {16: 0x7E00, 32: 0x7FC00000}[width]
    named = {POSITIVE_NAN: nan, OTHER_NAN: nan + 1, NEGATIVE_NAN: nan + (1 << (width - 1))}
    code = {16: "<e", 32: "<f"}[width]
    narrow = [
        named.get(double)
        or int.from_bytes(struct.pack(code, struct.unpack("<d", double.to_bytes(8, "little"))[0]), "little")
        for double in bits
    ]
    return pa.array(narrow, unsigned).view(type_)


# --- types --------------------------------------------------------------------------------------

_COMPARED: list[tuple[Any, list[Any]]] = [
    (pa.uint64(), [0, 2**63, 2**64 - 1]),
    (pa.int64(), [-(2**63), 0, 2**63 - 1]),
    (pa.string(), ["", "a", "é"]),
    (pa.large_string(), ["", "a", "é"]),
    (pa.string_view(), ["", "a", "longer than twelve bytes"]),
    (pa.binary(), [b"", b"\x00", b"\xff"]),
    (pa.large_binary(), [b"", b"\x00", b"\xff"]),
    (pa.binary_view(), [b"", b"\x00", b"\xff" * 20]),
    (pa.binary(2), [b"\x00\x00", b"ab", b"\xff\xff"]),
    (pa.bool_(), [False, True]),
    (pa.date32(), [-1, 0, 1]),
    (pa.date64(), [-86400000, 0, 86400000]),
    (pa.time32("ms"), [0, 1, 86399999]),
    (pa.time64("ns"), [0, 1, 86399999999999]),
    (pa.timestamp("ns"), [-(2**63), 0, 2**63 - 1]),
    (pa.timestamp("us", "Europe/Berlin"), [-1, 0, 1]),
    (pa.duration("us"), [-1, 0, 1]),
    (pa.decimal32(5, 2), [Decimal("-1.50"), Decimal("0.00"), Decimal("999.99")]),
    (pa.decimal128(38, 10), [Decimal("-9999999999999999999999999999.9999999999"), Decimal(0), Decimal("0.0000000001")]),
    (pa.decimal256(76, 2), [Decimal("-1.50"), Decimal(0), Decimal("9" * 70 + ".99")]),
    (pa.month_day_nano_interval(), [(0, 0, 10**18), (0, 31, 0), (1, 0, 0)]),
    (pa.list_(pa.int64()), [[], [None], [None, 1], [1], [1, None], [1, 2], [2]]),
    (pa.large_list(pa.float64()), [[-0.0], [0.0], [1.0], [float("nan")]]),
    (pa.list_(pa.list_(pa.int8())), [[None], [[]], [[], []], [[1]]]),
    (pa.list_(pa.float32(), 2), [[1.0, None], [1.0, 2.0]]),
    (pa.struct([("a", pa.int64()), ("b", pa.string())]), [{"b": "x"}, {"a": 1}, {"a": 1, "b": "x"}]),
    (pa.map_(pa.string(), pa.int64()), [[], [("a", None)], [("a", 1)], [("b", 0)]]),
]


def _array(values: list[Any], type_: Any) -> pa.Array[Any]:
    array: pa.Array[Any] = pa.array(values, type_)
    return array


@pytest.mark.parametrize(("type_", "ascending"), _COMPARED, ids=[str(type_) for type_, _ in _COMPARED])
def test_values_of_a_type_compare_in_their_order(type_: Any, ascending: list[Any]) -> None:
    values = _array([*ascending, None], type_)
    batch = _batch(x=values)
    for place in range(len(ascending)):
        literal: Any = values[place]
        places = range(len(ascending))
        assert _mask(pc.field("x") < literal, batch) == [*(other < place for other in places), None]
        assert _mask(pc.field("x") >= literal, batch) == [*(other >= place for other in places), None]
        assert _mask(pc.field("x") == literal, batch) == [*(other == place for other in places), None]
    assert _mask(pc.field("x").is_null(), batch) == [False] * len(ascending) + [True]
    assert compile_filter(pc.field("x").is_null(), batch.schema).apply(batch).num_rows == 1


@pytest.mark.parametrize(("type_", "ascending"), _COMPARED, ids=[str(type_) for type_, _ in _COMPARED])
def test_columns_of_a_type_compare_in_their_order(type_: Any, ascending: list[Any]) -> None:
    places = [*range(len(ascending)), None]
    pairs = [(x, y) for x in places for y in places]
    batch = _batch(
        x=_array([None if x is None else ascending[x] for x, _ in pairs], type_),
        y=_array([None if y is None else ascending[y] for _, y in pairs], type_),
    )
    expected = [None if x is None or y is None else x < y for x, y in pairs]
    assert _mask(pc.field("x") < pc.field("y"), batch) == expected


def test_dictionaries_compare_as_their_values() -> None:
    words = pa.DictionaryArray.from_arrays(pa.array([0, 1, 2, None]), pa.array(["b", "a", None]))
    batch = _batch(x=words)
    literal: Any = words[0]
    assert _mask(pc.field("x") == literal, batch) == [True, False, None, None]
    assert _mask(pc.field("x") < pa.scalar("b"), batch) == [False, True, None, None]
    assert _mask(pc.field("x").is_null(), batch) == [False, False, True, True]
    assert _mask(pc.field("x").isin(["a", "c"]), batch) == [False, True, None, None]


def test_dictionaries_of_floats_compare_in_the_total_order() -> None:
    batch = _batch(f=_doubles(NEGATIVE_NAN, MINUS_ZERO, POSITIVE_NAN).dictionary_encode())
    assert _mask(pc.field("f") <= 0.0, batch) == [True, True, False]


def test_extension_types_compare_as_their_storage() -> None:
    storage = pa.array([b"\x01" * 16, b"\x02" * 16, None], pa.binary(16))
    batch = _batch(x=pa.ExtensionArray.from_storage(pa.uuid(), storage))
    literal: Any = storage[0]
    assert _mask(pc.field("x") == literal, batch) == [True, False, None]


def test_a_zone_is_only_a_name() -> None:
    batch = _batch(t=pa.array([1, 2], pa.timestamp("us", "UTC")))
    assert _mask(pc.field("t") == pa.scalar(1, pa.timestamp("us", "+00:00")), batch) == [True, False]


# --- apply --------------------------------------------------------------------------------------


def test_apply_keeps_order_and_drops_unknown() -> None:
    batch = _batch(a=pa.array([3, None, 1, 2]))
    assert compile_filter(pc.field("a") >= 2, batch.schema).apply(batch).to_pydict() == {"a": [3, 2]}


def test_apply_copes_with_columns_that_no_selection_kernel_takes() -> None:
    view = pa.array(["a", None, "longer than twelve bytes", "b", "c"], pa.string_view())
    batch = _batch(n=pa.array([1, 1, 0, 1, 0]), v=view)
    kept = compile_filter(pc.field("n") == 1, batch.schema).apply(batch)
    assert kept.schema == batch.schema
    assert kept.to_pydict() == {"n": [1, 1, 1], "v": ["a", None, "b"]}


def test_a_slice_is_filtered_by_its_own_rows() -> None:
    batch = _batch(f=pa.array([1.0, -2.0, 3.0, None]), s=pa.array(["a", "b", "c", "d"], pa.string_view())).slice(1, 2)
    assert _mask((pc.field("f") > 0.5) & (pc.field("s") == pa.scalar("c", pa.string_view())), batch) == [False, True]
