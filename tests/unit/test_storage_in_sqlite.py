"""Stored columns in a real SQLite file, through ADBC: what is read back, and how SQLite compares it."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import adbc_driver_sqlite.dbapi
import pyarrow as pa
import pytest

from jammi_sql.arrow.order import FLOATS, NEGATIVE_ZERO, order_keys, order_kind
from jammi_sql.arrow.storage import Encoded, column_codec
from tests.storage_support import COMPARABLE, exact


class Column:
    """A column without a declared type, in a table of a file of its own, and the codec of what it holds."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def _query(self, text: str) -> pa.Table:
        with self._connection.cursor() as cursor:
            cursor.execute(text)
            return cursor.fetch_arrow_table()

    def write(self, encoded: Encoded) -> None:
        count = len(encoded.values)
        specials = pa.nulls(count, pa.binary()) if encoded.specials is None else encoded.specials
        batch = pa.record_batch([pa.array(range(count)), encoded.values, specials], names=["1", "2", "3"])
        with self._connection.cursor() as cursor:
            cursor.execute("CREATE TABLE t (i INTEGER PRIMARY KEY, x)")
            cursor.executemany("INSERT INTO t VALUES (?1, coalesce(?2, ?3))", batch)

    def read(self, storage: pa.DataType) -> tuple[pa.Array, pa.Array | None]:
        """The values, and for doubles the blobs among them."""
        if storage != pa.float64():
            return self._column("SELECT x FROM t ORDER BY i", storage), None
        numbers = self._column("SELECT CASE typeof(x) WHEN 'real' THEN x END FROM t ORDER BY i", storage)
        return numbers, self._column("SELECT CASE typeof(x) WHEN 'blob' THEN x END FROM t ORDER BY i", pa.binary())

    def _column(self, text: str, storage: pa.DataType) -> pa.Array:
        column = self._query(text).column(0).combine_chunks()
        if column.null_count == len(column):
            return pa.nulls(len(column), storage)  # ADBC takes a column without values as int64
        assert column.type == storage
        return column

    def kinds(self) -> set[str]:
        return set(self._query("SELECT DISTINCT typeof(x) FROM t").column(0).to_pylist())

    def order(self) -> list[int]:
        return self._query("SELECT i FROM t ORDER BY x, i").column(0).to_pylist()

    def comparisons(self) -> dict[tuple[int, int], tuple[Any, ...]]:
        rows = self._query("SELECT a.i, b.i, a.x = b.x, a.x < b.x, a.x > b.x, a.x <= b.x, a.x >= b.x FROM t a, t b")
        return {row[:2]: row[2:] for row in zip(*(column.to_pylist() for column in rows.columns), strict=True)}


@pytest.fixture
def column(tmp_path: Path) -> Iterator[Column]:
    with adbc_driver_sqlite.dbapi.connect(str(tmp_path / "store.db")) as connection:
        yield Column(connection)


def _bits(kind: Any, numbers: list[int]) -> pa.Array:
    width = kind.bit_width // 8
    data = b"".join((number % (1 << 8 * width)).to_bytes(width, "little") for number in numbers)
    return pa.Array.from_buffers(kind, len(numbers), [None, pa.py_buffer(data)])


def _values(kind: Any) -> pa.Array:
    """Values of a type, extremes and neighbours among them, in no order, and nulls."""
    if kind in FLOAT_TYPES:
        width = kind.bit_width
        infinity = {16: 0x7C00, 32: 0x7F800000, 64: 0x7FF << 52}[width]
        sign = 1 << (width - 1)
        numbers = [0, sign, 1, sign | 1, infinity - 1, infinity, sign | infinity, sign | (infinity - 1), infinity // 2]
        nans = [infinity + 1, infinity + infinity // 2 % 1024 + 2, infinity + 3, sign - 1]
        return pa.concat_arrays([_bits(kind, [*nans, *numbers, nans[0], 0]), pa.nulls(2, kind)])
    if pa.types.is_boolean(kind):
        return pa.array([True, None, False, True])
    if pa.types.is_fixed_size_binary(kind):
        return pa.array(
            [bytes(x % 256 for x in range(s, s + kind.byte_width)) for s in (250, 0, 254, 0, 127)] + [None], kind
        )
    if pa.types.is_decimal(kind):
        limit = 10**kind.precision - 1
        unscaled = [5, 0, -1, limit, -limit, 1, limit - 1, -5, limit // 256, -(limit // 256), 255, 256, -255, -256, 0]
        return pa.concat_arrays([_bits(kind, unscaled), pa.nulls(1, kind)])
    if pa.types.is_time(kind):
        return pa.concat_arrays([_bits(kind, [5, 0, 86_399, 1, 0]), pa.nulls(1, kind)])
    if kind == pa.date64():
        return pa.array([Decimal(0), 1, -1, 20_000, -1], pa.int64()).cast(pa.int32()).cast(pa.date32()).cast(kind)
    if pa.types.is_integer(kind) or pa.types.is_temporal(kind):
        top = 1 << kind.bit_width
        numbers = [5, 0, 1, top // 2 - 1, top // 2, top // 2 + 1, top - 1, top - 2, 127, 128, 0]
        return pa.concat_arrays([_bits(kind, numbers), pa.nulls(2, kind)])
    if "string" in str(kind):
        texts = ["b", "", "a", "\0", "a\0b", "a\0", "é", "ab", "A", "\uffff", "\U00010000", "Z", "a", None, "z" * 99]
        return pa.array(texts, kind)
    return pa.array([b"b", b"", b"\0", b"\0\0", b"\xff", b"\x7f", b"\x80", b"a", None, b"", b"y" * 99, b"y" * 98], kind)


FLOAT_TYPES = [pa.float16(), pa.float32(), pa.float64()]


def _keys(array: pa.Array) -> list[Any]:
    keys = order_keys(array)
    if order_kind(array.type) in FLOATS:
        keys = [0 if key == NEGATIVE_ZERO else key for key in keys]  # comparisons take them as equal
    return keys


@pytest.mark.parametrize("kind", COMPARABLE, ids=str)
def test_sqlite_compares_stored_values_as_datafusion_does(column, kind):
    array = _values(kind)
    codec = column_codec(kind)
    assert codec.comparable
    column.write(codec.encode(array))
    keys = _keys(array)
    by_key = sorted(range(len(keys)), key=lambda row: ((keys[row],) if keys[row] is not None else (), row))
    assert column.order() == by_key
    for (left, right), found in column.comparisons().items():
        x, y = keys[left], keys[right]
        expected = (None,) * 5 if x is None or y is None else (x == y, x < y, x > y, x <= y, x >= y)
        assert found == expected, (array[left], array[right])


@pytest.mark.parametrize("kind", COMPARABLE, ids=str)
def test_what_sqlite_kept_is_what_was_written(column, kind):
    array = _values(kind)
    codec = column_codec(kind)
    encoded = codec.encode(array)
    column.write(encoded)
    values, specials = column.read(codec.storage)
    assert exact(values) == exact(encoded.values)
    assert exact(codec.decode(values, specials)) == exact(array)


NESTED = [
    pa.array([(1, -2, 3), None, (0, 0, 0)], pa.month_day_nano_interval()),
    pa.array([[1.0, -0.0], None, [], [float("nan")]], pa.list_(pa.float32())),
    pa.array([[], []], pa.list_(pa.float64())),
    pa.array([[1.0, None], None, [None, None], [0.0, 1.0]], pa.list_(pa.float32(), 2)),
    pa.array(
        [{"a": 1, "b": None}, None, {"a": None, "b": ["x", "", "a\0b"]}],
        pa.struct({"a": pa.int8(), "b": pa.list_(pa.utf8())}),
    ),
    pa.array([{}, None], pa.struct([])),
    pa.array([[("k", None)], None, []], pa.map_(pa.utf8(), pa.decimal128(38, 2))),
    pa.array(["x", None, "", "x"]).dictionary_encode(),
    pa.array([None, None], pa.null()),
]


@pytest.mark.parametrize("array", NESTED, ids=lambda array: str(array.type))
def test_nested_values_come_back_from_sqlite(column, array):
    codec = column_codec(array.type)
    column.write(codec.encode(array))
    decoded = codec.decode(*column.read(codec.storage))
    assert decoded.type == array.type and exact(decoded) == exact(array)


@pytest.mark.parametrize(
    ("kind", "stored"),
    [
        (pa.bool_(), "integer"),
        (pa.uint64(), "integer"),
        (pa.float32(), "real"),
        (pa.utf8(), "text"),
        (pa.binary(), "blob"),
        (pa.timestamp("us", "UTC"), "integer"),
        (pa.decimal128(18, 2), "integer"),
        (pa.decimal128(19, 2), "blob"),
    ],
    ids=str,
)
def test_each_type_is_of_its_kind_in_sqlite(column, kind, stored):
    nans = {"blob"} if kind in FLOAT_TYPES else set()
    column.write(column_codec(kind).encode(_values(kind)))
    values = _values(kind)
    assert column.kinds() == {stored} | nans | ({"null"} if values.null_count else set())


def test_a_negative_nan_is_above_all_numbers_in_sqlite_and_below_them_in_datafusion(column):
    bits = struct.unpack("<q", b"\0\0\0\0\0\0\xf8\xff")[0]
    array = _bits(pa.float64(), [bits, 0, 0x7FF << 52, 0x7FF8 << 48])
    column.write(column_codec(array.type).encode(array))
    assert column.order() == [1, 2, 3, 0]
    keys = order_keys(array)
    assert sorted(range(4), key=keys.__getitem__) == [0, 1, 2, 3]
