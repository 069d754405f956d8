"""Columns as a store holds them."""

from __future__ import annotations

import struct
from decimal import Decimal

import datafusion
import numpy as np
import pyarrow as pa
import pytest

from jammi_sql.arrow.buffers import binary_rows
from jammi_sql.arrow.storage import column_codec
from jammi_sql.errors import DataCorrupted, DataError, FeatureNotSupported, NumericValueOutOfRange
from tests.storage_support import exact

UTF8_IN_A_LIST = pa.list_(pa.utf8())


@pytest.mark.parametrize(
    ("data_type", "value", "stored"),
    [
        (pa.bool_(), True, 1),
        (pa.int8(), -5, -5),
        (pa.uint32(), 2**32 - 1, 2**32 - 1),
        (pa.uint64(), 2**64 - 1, 2**63 - 1),
        (pa.uint64(), 0, -(2**63)),
        (pa.float16(), 1.5, 1.5),
        (pa.float32(), float("-inf"), float("-inf")),
        (pa.utf8(), "a\0b", "a\0b"),
        (pa.string_view(), "x" * 20, "x" * 20),
        (pa.binary(2), b"ab", b"ab"),
        (pa.date32(), 1, 1),
        (pa.time64("ns"), 5, 5),
        (pa.timestamp("us", "Europe/Berlin"), 7, 7),
        (pa.duration("s"), -3, -3),
        (pa.decimal128(18, 2), Decimal("-1.05"), -105),
        (pa.decimal256(5, 2), Decimal("-1.05"), -105),
        (pa.decimal128(19, 2), Decimal("0.01"), b"\x80" + bytes(14) + b"\x01"),
        (pa.decimal128(19, 2), Decimal("-0.01"), b"\x7f" + b"\xff" * 15),
        (pa.decimal256(40, 0), Decimal(258), b"\x80" + bytes(29) + b"\x01\x02"),
        (pa.month_day_nano_interval(), (1, 2, -1), b"\1\0\0\0\2\0\0\0" + b"\xff" * 8),
        (pa.dictionary(pa.int8(), pa.utf8(), ordered=True), "x", "x"),
        (pa.list_(pa.float32(), 2), [1.0, 2.0], b"\0\0\x80\x3f\0\0\0\x40"),
        (pa.list_(pa.float32(), 2), [1.0, None], b"\1\1\0\0\0\x80\x3f"),
        (pa.list_(pa.int8(), 3), [None, None, None], b"\1\0\0\0"),
        (pa.list_(pa.int8(), 2), [7, None], b"\1\1\0\7"),
        (pa.list_(pa.int8(), 4), [7, None, None, None], b"\1\1\0\0\0\7"),
        (pa.list_(pa.int16()), [1, 2], b"\1\0\2\0"),
        (pa.list_(pa.int16()), [], b""),
        (pa.list_(pa.int16()), [1, None], b"\2\0\0\0\1\1\0\1\0"),
        (pa.list_(pa.int16()), [1], b"\1\0"),
        (
            pa.list_(pa.int32()),
            [None, None, None],
            b"\3\0\0\0\1\0\0\0\0",
        ),  # as 8 bytes it would be two numbers: a zero more
        (pa.list_(pa.int8()), [5], b"\1\0\0\0\0\5"),
        (UTF8_IN_A_LIST, ["a", None, "bc"], b"\3\0\0\0\1\1\0\1\1\0\0\0\2\0\0\0abc"),
        (pa.struct({"a": pa.int8(), "b": pa.utf8()}), {"a": 7, "b": "x"}, b"\0\7\0\1\0\0\0x"),
        (pa.struct({"a": pa.int8(), "b": pa.bool_()}), {"a": None, "b": True}, b"\1\0\0\1"),
        (pa.map_(pa.utf8(), pa.int8()), [("k", 3)], b"\1\0\0\0\0\0\1\0\0\0k\0\3"),
    ],
)
def test_a_value_is_stored_as_documented_and_comes_back(data_type, value, stored):
    plain = pa.types.is_temporal(data_type) and not pa.types.is_interval(data_type)
    if plain:
        integers = pa.array([value, None], pa.int32() if data_type.bit_width == 32 else pa.int64())
        array = integers.view(data_type)
    else:
        array = pa.array([value, None], data_type)
    codec = column_codec(data_type)
    encoded = codec.encode(array)
    values = encoded.values.to_pylist()
    assert values == [stored, None]
    assert encoded.specials is None
    assert codec.decode(encoded.values).equals(array)
    assert codec.encode_value(array[0]) == stored


@pytest.mark.parametrize(
    ("data_type", "bits", "stored"),
    [
        (pa.float64(), 0x7FF8000000000000, "7ff8000000000000"),
        (pa.float64(), 0xFFF0000000000001, "fff0000000000001"),
        (pa.float32(), 0x7F800001, "7ff0000020000000"),  # signalling: converting it would make it quiet
        (pa.float32(), 0xFFC00000, "fff8000000000000"),
        (pa.float16(), 0x7C01, "7ff0040000000000"),
        (pa.float16(), 0xFE00, "fff8000000000000"),
    ],
)
def test_a_nan_is_stored_as_the_bytes_of_a_double(data_type, bits, stored):
    array = pa.Array.from_buffers(data_type, 1, [None, pa.py_buffer(bits.to_bytes(data_type.bit_width // 8, "little"))])
    codec = column_codec(data_type)
    encoded = codec.encode(array)
    assert encoded.values.to_pylist() == [None]
    assert encoded.specials is not None and encoded.specials.to_pylist() == [bytes.fromhex(stored)]
    assert codec.encode_value(array[0]) == bytes.fromhex(stored)
    decoded = codec.decode(encoded.values, encoded.specials)
    assert decoded.buffers()[1][: array.nbytes].to_pybytes() == array.buffers()[1].to_pybytes()


def test_a_nan_among_numbers_and_nulls():
    array = pa.array([1.0, float("nan"), None, -0.0])
    codec = column_codec(array.type)
    encoded = codec.encode(array)
    assert str(encoded.values.to_pylist()) == "[1.0, None, None, -0.0]"
    assert encoded.specials is not None and encoded.specials.is_valid().to_pylist() == [False, True, False, False]
    assert str(codec.decode(encoded.values, encoded.specials).to_pylist()) == "[1.0, nan, None, -0.0]"


@pytest.mark.parametrize(
    "data_type", [pa.dictionary(pa.int8(), pa.float64()), pa.run_end_encoded(pa.int32(), pa.float64())], ids=str
)
def test_each_nan_and_each_zero_in_a_dictionary_and_in_runs_keeps_its_bits(data_type):
    bits = [0x7FF8 << 48, (0x7FF8 << 48) + 1, 0xFFF8 << 48, 0, 1 << 63, 0x7FF8 << 48]
    floats = pa.array(bits, pa.uint64()).view(pa.float64())
    codec = column_codec(data_type)
    encoded = column_codec(pa.float64()).encode(floats)
    assert exact(codec.decode(encoded.values, encoded.specials)) == exact(floats)


CHILDREN = [
    pa.array(["a", "bc", "", "def", "g", "h" * 20, "ij", "k"]),
    pa.array(["a", "bc", "", None, "g", "h" * 20, "ij", "k"], pa.string_view()),
    pa.array(["a", "bc", "a", None, "bc", "a", "ij", "k"]).dictionary_encode(),
    pa.array([1, 2, 3, 4, 5, 6, 7, 8], pa.int16()),
    pa.array([True, False, None, True, True, False, None, None]),
    pa.ExtensionArray.from_storage(pa.uuid(), pa.array([bytes([n] * 16) for n in range(8)], pa.binary(16))),
    pa.array([[n, n + 1] for n in range(8)], pa.list_(pa.int64(), 2)),  # pyarrow's take and filter fail for two levels
    pa.array([[[n, 1], [2, n]] if n % 3 else None for n in range(8)], pa.list_(pa.list_(pa.int64(), 2), 2)),
]


def _containers(child: pa.Array) -> dict[str, pa.Array]:
    """Four values of every nested layout over eight of ``child``."""
    offsets, valid = [0, 2, 3, 3, 8], pa.py_buffer(b"\x0d")  # the second is null
    codes = pa.array([0, 1, 0, 1], pa.int8())
    small, large = (pa.py_buffer(np.array(offsets, dtype)) for dtype in (np.int32, np.int64))
    sizes = pa.py_buffer(np.diff(offsets).astype(np.int32))
    build = pa.Array.from_buffers
    return {
        "list": build(pa.list_(child.type), 4, [None, small], children=[child]),
        "list with nulls": build(pa.list_(child.type), 4, [valid, small], children=[child]),
        "large list": build(pa.large_list(child.type), 4, [valid, large], children=[child]),
        "list view": build(pa.list_view(child.type), 4, [valid, small, sizes], children=[child]),
        "fixed-size list": build(pa.list_(child.type, 2), 4, [None], children=[child]),
        "fixed-size list with nulls": build(pa.list_(child.type, 2), 4, [valid], children=[child]),
        "struct": pa.StructArray.from_arrays([child[4:]], ["a"]),
        "map": pa.MapArray.from_arrays(pa.array(offsets, pa.int32()), pa.array(list("abcdefgh")), child),
        "sparse union": pa.UnionArray.from_sparse(codes, [child[:4], child[4:]]),
        "dense union": pa.UnionArray.from_dense(codes, pa.array([1, 0, 3, 2], pa.int32()), [child, child[4:]]),
        "runs": pa.RunEndEncodedArray.from_arrays(pa.array([1, 3, 4], pa.int32()), child[:3]),
    }


@pytest.mark.parametrize("child", CHILDREN, ids=lambda child: str(child.type))
@pytest.mark.parametrize("container", _containers(CHILDREN[0]))
@pytest.mark.parametrize("inside", [False, True])
def test_slices_of_every_layout_come_back(child, container, inside):
    array = _containers(child)[container]
    for part in (array, array.slice(1), array.slice(2, 1), array.slice(4)):
        column = pa.StructArray.from_arrays([part], ["x"]) if inside else part
        codec = column_codec(column.type)
        decoded = codec.decode(codec.encode(column).values)
        decoded.validate(full=True)
        assert decoded.type == column.type and exact(decoded) == exact(column)


def test_a_nan_under_a_null_is_none():
    numbers = pa.py_buffer(struct.pack("<2d", 1.0, float("nan")))
    array = pa.Array.from_buffers(pa.float64(), 2, [pa.py_buffer(b"\x01"), numbers])
    encoded = column_codec(array.type).encode(array)
    assert encoded.specials is None and encoded.values.to_pylist() == [1.0, None]


def test_what_lies_under_nulls_is_not_stored():
    child = pa.Array.from_buffers(pa.int32(), 2, [pa.py_buffer(b"\x01"), pa.py_buffer(struct.pack("<2i", 1, 99))])
    array = pa.StructArray.from_arrays([child], ["a"])
    assert column_codec(array.type).encode(array).values.to_pylist() == [b"\0\1\0\0\0", b"\1\0"]


@pytest.mark.parametrize("data_type", [pa.list_(pa.float32(), 4), pa.list_(pa.float32())], ids=str)
def test_lists_of_numbers_are_not_copied(data_type):
    array = pa.array([[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0], [9.0] * 4], data_type)
    codec = column_codec(data_type)
    values = codec.encode(array).values
    assert values.buffers()[2].address == array.values.buffers()[1].address
    decoded = codec.decode(values)
    assert decoded.values.buffers()[1].address == values.buffers()[2].address
    part = codec.encode(array.slice(1)).values
    assert part.buffers()[2].address == array.values.buffers()[1].address + 16
    assert codec.decode(part).equals(array.slice(1))


def test_numbers_that_come_unaligned_are_aligned():
    data = np.frombuffer(b"x" + np.arange(4, dtype=np.float32).tobytes(), np.uint8)[1:]
    values = binary_rows(data, np.array([0, 8, 16]), None)
    unaligned = pa.Array.from_buffers(pa.binary(), 2, [None, values.buffers()[1], pa.py_buffer(data)])
    decoded = column_codec(pa.list_(pa.float32(), 2)).decode(unaligned)
    assert decoded.values.buffers()[1].address % 4 == 0
    assert decoded.to_pylist() == [[0.0, 1.0], [2.0, 3.0]]


DAMAGED = [
    (pa.bool_(), pa.array([None, 2]), "neither 0 nor 1"),
    (pa.bool_(), pa.array([-1]), "neither 0 nor 1"),
    (pa.int8(), pa.array([300]), "out of range"),
    (pa.uint16(), pa.array([-1]), "out of range"),
    (pa.date32(), pa.array([2**31]), "out of range"),
    (pa.float32(), pa.array([0.1]), "precision"),
    (pa.float16(), pa.array([1e9]), "precision"),
    (pa.null(), pa.array([1]), "not NULL"),
    (pa.binary(2), pa.array([b"abc"]), "must have 2 bytes"),
    (pa.decimal32(4, 2), pa.array([10_000]), "too many digits"),
    (pa.decimal32(4, 2), pa.array([2**31]), "out of range"),
    (pa.decimal128(18, 2), pa.array([10**18]), "too many digits"),
    (pa.decimal128(19, 2), pa.array([b"\xff" * 16]), "too many digits"),
    (pa.decimal128(19, 2), pa.array([b"\x80" * 15]), "must have 16 bytes"),
    (pa.decimal256(40, 2), pa.array([b"\x80" * 16]), "must have 32 bytes"),
    (pa.month_day_nano_interval(), pa.array([b""]), "must have 16 bytes"),
    (pa.list_(pa.int16()), pa.array([b"abc"]), "ends too early"),
    (pa.list_(pa.float32(), 2), pa.array([b"\0" * 7]), "ends too early"),
    (pa.list_(pa.float32(), 2), pa.array([b"\0" * 11]), "2 bytes too many"),
    (UTF8_IN_A_LIST, pa.array([b"\1\0\0\0\0\1\0\0\0"]), "ends too early"),
    (UTF8_IN_A_LIST, pa.array([b"\1\0\0\0\0\1\0\0\0ab"]), "1 bytes too many"),
    (UTF8_IN_A_LIST, pa.array([b"\1\0\0\0\0\1\0\0\0\xff"]), "UTF-8"),
    (UTF8_IN_A_LIST, pa.array([b"\1\0\0\0\2\1\0\0\0a"]), "where 0 or 1 must be"),
    (pa.list_(pa.struct([])), pa.array([b"\xff\xff\xff\xff\0"]), "ends too early"),
    (pa.list_(pa.struct([])), pa.array([b"\1\0\0\0\0"]), "what is null"),
    (pa.struct({"a": pa.bool_()}), pa.array([b"\0\2"]), "where 0 or 1 must be"),
    (pa.dense_union([pa.field("a", pa.int8())]), pa.array([b"\5\0\1"]), "type code"),
    (pa.run_end_encoded(pa.int32(), pa.time32("s")), pa.array([-1]), "range"),
]


@pytest.mark.parametrize(("data_type", "stored", "what"), DAMAGED, ids=str)
def test_a_damaged_value_is_refused_and_what_is_wrong_named(data_type, stored, what):
    with pytest.raises(DataCorrupted, match=r"a stored value of type .* is damaged: .*" + what) as caught:
        column_codec(data_type).decode(stored)
    assert caught.value.sqlstate == "XX001"


def test_damaged_text_is_refused():
    text = pa.Array.from_buffers(pa.utf8(), 1, [None, pa.py_buffer(struct.pack("<2i", 0, 1)), pa.py_buffer(b"\xff")])
    with pytest.raises(DataCorrupted, match="no UTF-8"):
        column_codec(pa.utf8()).decode(text)


@pytest.mark.parametrize(
    ("data_type", "data", "what"),
    [
        (pa.float64(), b"\x7f\xf8", "8 bytes"),
        (pa.float64(), b"\x7f\xf0" + bytes(6), "no NaN"),
        (pa.float64(), bytes(8), "no NaN"),
        (pa.float64(), b"\x3f\xf8" + bytes(6), "no NaN"),
        (pa.float32(), b"\x7f\xf8" + bytes(5) + b"\1", "no NaN"),
    ],
)
def test_a_damaged_nan_is_refused(data_type, data, what):
    with pytest.raises(DataCorrupted, match=what):
        column_codec(data_type).decode(pa.array([None], pa.float64()), pa.array([data]))


@pytest.mark.parametrize("data_type", [pa.decimal64(4, 2), pa.decimal128(4, 2), pa.decimal128(20, 0)], ids=str)
def test_a_decimal_with_more_digits_than_its_type_is_refused(data_type):
    width = data_type.bit_width // 8
    data = pa.py_buffer((10**data_type.precision).to_bytes(width, "little"))
    with pytest.raises(NumericValueOutOfRange):
        column_codec(data_type).encode(pa.Array.from_buffers(data_type, 1, [None, data]))


def test_more_values_than_a_dictionary_can_number_are_refused_with_a_way_out():
    codec = column_codec(pa.dictionary(pa.int8(), pa.utf8()))
    texts = pa.array([str(number) for number in range(129)])
    with pytest.raises(DataError, match="129 values are too many for a dictionary with int8 indices"):
        codec.decode(texts)
    assert codec.decode(texts.slice(1)).to_pylist() == texts.slice(1).to_pylist()


def test_a_type_that_no_codec_holds_is_refused_by_name():
    (batch,) = datafusion.SessionContext().sql("SELECT arrow_cast('1 year', 'Interval(YearMonth)') AS a").collect()
    month = batch.schema.types[0]
    for data_type in (month, pa.list_(month), pa.dictionary(pa.int8(), month)):
        with pytest.raises(FeatureNotSupported, match="a column cannot have the type month_interval") as caught:
            column_codec(data_type)
        assert caught.value.sqlstate == "0A000"


def test_a_batch_past_2_gb_is_refused():
    with pytest.raises(DataError, match="smaller batches"):
        binary_rows(b"", np.array([0, 2**31]), None)  # type: ignore[arg-type]


def test_types_that_differ_in_the_metadata_of_their_fields_keep_it():
    for metadata in ({"a": "1"}, {"a": "2"}, None):
        data_type = pa.struct([pa.field("x", pa.int8(), metadata=metadata)])
        codec = column_codec(data_type)
        decoded = codec.decode(codec.encode(pa.array([{"x": 1}], data_type)).values)
        assert decoded.type.equals(data_type, check_metadata=True)


def test_extension_types_are_stored_as_what_they_hold_and_restored():
    array = pa.ExtensionArray.from_storage(pa.uuid(), pa.array([b"0123456789abcdef", None], pa.binary(16)))
    lists = pa.ListArray.from_arrays(pa.array([0, 2, None, 2], pa.int32()), array)
    for column in (array, lists, pa.StructArray.from_arrays([array], ["id"])):
        codec = column_codec(column.type)
        decoded = codec.decode(codec.encode(column).values)
        assert decoded.type == column.type and decoded.equals(column)
    assert column_codec(pa.uuid()).comparable


def test_only_types_without_an_order_in_the_store_are_not_comparable():
    assert not any(
        column_codec(kind).comparable
        for kind in (
            pa.null(),
            pa.month_day_nano_interval(),
            pa.list_(pa.int8()),
            pa.struct([]),
            pa.list_(pa.int32(), 2),
        )
    )
    assert column_codec(pa.dictionary(pa.int8(), pa.int8())).comparable
    assert column_codec(pa.run_end_encoded(pa.int32(), pa.utf8())).comparable
    assert not column_codec(pa.dictionary(pa.int8(), pa.list_(pa.int8()))).comparable
