"""Arrays of any type, made at random, and what they hold to the last bit."""

from __future__ import annotations

from bisect import bisect_right
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import strategies as st
from pyarrow import types

_FLOAT_BITS = {
    16: [0x8000, 0x7C00, 0xFC00, 0x7C01, 0xFC01, 0x7E00, 0xFE00, 0x7FFF, 1],
    32: [0x80000000, 0x7F800000, 0xFF800000, 0x7F800001, 0xFF800001, 0x7FC00000, 0xFFC00000, 0x7FFFFFFF, 1],
    64: [1 << 63, 0x7FF << 52, 0xFFF << 52, (0x7FF << 52) + 1, (0xFFF << 52) + 1, 0x7FF8 << 48, 0xFFF8 << 48, 1],
}
_TEXTS = ["", "a", "b", "ab", "\0", "a\0b", "é", "z" * 20, "\U0001f600" * 5, "\U0010ffff"]
_BYTES = [b"", b"\0", b"\xff\xfe", b"a", b"y" * 30]
_PER_DAY = {"s": 86_400, "ms": 86_400_000, "us": 86_400_000_000, "ns": 86_400_000_000_000}

COMPARABLE: list[Any] = [
    pa.bool_(),
    *(pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64()),
    *(pa.float16(), pa.float32(), pa.float64()),
    *(pa.utf8(), pa.large_utf8(), pa.string_view(), pa.binary(), pa.large_binary(), pa.binary_view()),
    *(pa.binary(3), pa.binary(0)),
    *(pa.date32(), pa.date64(), pa.time32("s"), pa.time32("ms"), pa.time64("us"), pa.time64("ns")),
    *(pa.timestamp("s"), pa.timestamp("ms"), pa.timestamp("us", "UTC"), pa.timestamp("ns", "Europe/Berlin")),
    *(pa.duration("ms"), pa.duration("ns")),
    *(pa.decimal32(9, 2), pa.decimal32(3, -2), pa.decimal64(18, 3), pa.decimal128(18, 2), pa.decimal128(19, 0)),
    *(pa.decimal128(38, 5), pa.decimal256(10, 2), pa.decimal256(19, 4), pa.decimal256(76, 3)),
]
"""Types without parts whose stored values compare as DataFusion compares the values."""
SCALARS = [*COMPARABLE, pa.month_day_nano_interval(), pa.null()]


def exact(array: Any) -> list[Any]:
    """The values as Python objects that are equal for the same bits only: floats and times as their bits, nulls as ``None``.

    A union has the type code beside each value. pyarrow's ``type_codes`` and ``offsets`` of a union ignore slices.
    """
    kind, count = array.type, len(array)
    if isinstance(kind, pa.BaseExtensionType):
        return exact(array.storage)
    if types.is_dictionary(kind):
        values = exact(array.dictionary)
        return [None if index is None else values[index] for index in array.indices.to_pylist()]
    if types.is_run_end_encoded(kind):
        values, ends = exact(array.values), array.run_ends.to_pylist()
        return [values[bisect_right(ends, array.offset + place)] for place in range(count)]
    if types.is_union(kind):
        return _exact_union(array)
    valid = array.is_valid().to_pylist()
    if types.is_struct(kind):
        fields = [exact(array.field(index)) for index in range(kind.num_fields)]
        return [tuple(field[row] for field in fields) if valid[row] else None for row in range(count)]
    if types.is_nested(kind):
        return [exact(array[row].values) if valid[row] else None for row in range(count)]
    if types.is_floating(kind):
        return array.view({16: pa.int16(), 32: pa.int32(), 64: pa.int64()}[kind.bit_width]).to_pylist()
    if types.is_temporal(kind) and not types.is_interval(kind):
        return array.view(pa.int32() if kind.bit_width == 32 else pa.int64()).to_pylist()
    return array.to_pylist()


def _exact_union(array: Any) -> list[Any]:
    kind, count = array.type, len(array)
    if count == 0:
        return []
    children = [exact(array.field(index)) for index in range(kind.num_fields)]
    codes = np.frombuffer(array.buffers()[1], np.int8, count, array.offset).tolist()
    places = range(count)
    if kind.mode == "dense":
        places = np.frombuffer(array.buffers()[2], np.int32, count, array.offset * 4).tolist()
    return [(code, children[kind.type_codes.index(code)][place]) for code, place in zip(codes, places, strict=True)]


# --- types --------------------------------------------------------------------------------------


def data_types(depth: int) -> st.SearchStrategy[Any]:
    """Types with up to ``depth`` levels inside each other."""
    scalars = st.sampled_from(SCALARS)
    if depth == 0:
        return scalars
    inner = data_types(depth - 1)
    metadata = st.sampled_from([None, None, {"a": "b"}])

    def field(name: str) -> st.SearchStrategy[Any]:
        return st.builds(lambda kind, extra: pa.field(name, kind, metadata=extra), inner, metadata)

    def union(build: Any) -> st.SearchStrategy[Any]:
        return st.builds(lambda u, v, w: build([u, v, w], type_codes=[5, 1, 0]), field("u"), field("v"), field("w"))

    numbers = st.sampled_from([kind for kind in SCALARS if types.is_primitive(kind)])
    index = st.sampled_from([pa.int8(), pa.int32(), pa.uint16()])
    keys = st.sampled_from(SCALARS[:-1]).map(lambda kind: pa.field("k", kind, nullable=False))
    no_union = inner.filter(lambda kind: "union" not in str(kind))  # a null in the dictionary has no type code
    return st.one_of(
        scalars,
        field("item").map(pa.list_),
        field("x").map(pa.large_list),
        field("x").map(pa.list_view),
        field("x").map(pa.large_list_view),
        st.builds(pa.list_, field("y"), st.integers(0, 3)),
        st.builds(pa.list_, numbers, st.sampled_from([-1, 1, 4])),
        st.lists(st.sampled_from("abc"), unique=True)
        .flatmap(lambda names: st.tuples(*map(field, names)))
        .map(pa.struct),
        st.builds(pa.map_, keys, field("v")),
        union(pa.sparse_union),
        union(pa.dense_union),
        st.builds(pa.dictionary, index, no_union, st.booleans()),
        st.builds(pa.run_end_encoded, st.sampled_from([pa.int16(), pa.int32(), pa.int64()]), inner),
    )


# --- arrays -------------------------------------------------------------------------------------


@st.composite
def arrays(draw: Any, kind: Any, count: int) -> Any:
    """``count`` values of a type, some null, perhaps a slice of more, with values under the nulls too."""
    before, after = draw(st.sampled_from([(0, 0), (0, 0), (1, 0), (2, 3)]))
    whole = draw(_arrays(kind, count + before + after))
    return whole.slice(before, count) if before or after else whole


def _nulls(count: int) -> st.SearchStrategy[Any]:
    """Where values are: everywhere, nowhere, or here and there."""
    return st.one_of(
        st.just(np.ones(count, bool)),
        st.just(np.zeros(count, bool)),
        st.lists(st.booleans(), min_size=count, max_size=count).map(lambda mask: np.array(mask, bool)),
    )


def _buffer(mask: Any) -> Any:
    return None if mask.all() else pa.array(mask).buffers()[1]


@st.composite
def _arrays(draw: Any, kind: Any, count: int, required: bool = False) -> Any:
    if types.is_null(kind):
        return pa.nulls(count)
    valid = np.ones(count, bool) if required else draw(_nulls(count))
    if types.is_dictionary(kind):
        size = draw(st.integers(1, 3))
        indices = pa.array(_ints(draw, 0, size - 1, count), kind.index_type, mask=~valid)
        return pa.DictionaryArray.from_arrays(indices, draw(arrays(kind.value_type, size)), ordered=kind.ordered)
    if types.is_run_end_encoded(kind):
        ends = sorted({count, *_ints(draw, 1, count, min(count, 2))}) if count else []
        values = draw(arrays(kind.value_type, len(ends)))
        return pa.RunEndEncodedArray.from_arrays(pa.array(ends, kind.run_end_type), values, type=kind)
    if types.is_nested(kind):
        return draw(_nested_arrays(kind, count, valid))
    return _leaves(draw, kind, count, valid)


@st.composite
def _nested_arrays(draw: Any, kind: Any, count: int, valid: Any) -> Any:
    own = [_buffer(valid)]
    if types.is_struct(kind):
        return pa.Array.from_buffers(kind, count, own, children=[draw(arrays(field.type, count)) for field in kind])
    if types.is_fixed_size_list(kind):
        child = draw(arrays(kind.value_type, count * kind.list_size))
        return pa.Array.from_buffers(kind, count, own, children=[child])
    if types.is_union(kind):
        codes = np.array([draw(st.sampled_from(kind.type_codes)) for _ in range(count)], np.int8)
        size = count if kind.mode == "sparse" else 3
        children = [draw(arrays(kind.field(index).type, size)) for index in range(kind.num_fields)]
        parts = [None, pa.py_buffer(codes)]
        if kind.mode == "dense":  # the places in a child rise
            parts.append(pa.py_buffer(np.array(sorted(_ints(draw, 0, 2, count)), np.int32)))
        return pa.Array.from_buffers(kind, count, parts, children=children)
    large = types.is_large_list(kind) or types.is_large_list_view(kind)
    dtype = np.int64 if large else np.int32
    if types.is_list_view(kind) or types.is_large_list_view(kind):
        starts = _ints(draw, 0, 4, count)
        sizes = [draw(st.integers(0, 4 - start)) for start in starts]
        parts = [pa.py_buffer(np.array(starts, dtype)), pa.py_buffer(np.array(sizes, dtype))]
        return pa.Array.from_buffers(kind, count, own + parts, children=[draw(arrays(kind.value_type, 4))])
    offsets = np.cumsum([draw(st.integers(0, 1)), *(draw(st.sampled_from([0, 0, 1, 2, 5])) for _ in range(count))])
    size = int(offsets[-1])
    if types.is_map(kind):
        keys = draw(_arrays(kind.key_type, size, required=True))
        pairs = [keys, draw(arrays(kind.item_type, size))]
        child = pa.Array.from_buffers(kind.field(0).type, size, [None], children=pairs)
    else:
        child = draw(arrays(kind.value_type, size))
    return pa.Array.from_buffers(kind, count, [*own, pa.py_buffer(offsets.astype(dtype))], children=[child])


def _ints(draw: Any, low: int, high: int, count: int) -> list[int]:
    return draw(st.lists(st.integers(low, high), min_size=count, max_size=count))


def _leaves(draw: Any, kind: Any, count: int, valid: Any) -> Any:
    if types.is_fixed_size_binary(kind):
        width = kind.byte_width
        return pa.array(draw(_lists(st.binary(min_size=width, max_size=width), count)), kind, mask=~valid)
    if kind in (pa.utf8(), pa.large_utf8(), pa.string_view()):
        return pa.array(draw(_lists(st.sampled_from(_TEXTS), count)), kind, mask=~valid)
    if kind in (pa.binary(), pa.large_binary(), pa.binary_view()):
        return pa.array(draw(_lists(st.sampled_from(_BYTES), count)), kind, mask=~valid)
    if types.is_boolean(kind):
        return pa.array(draw(_lists(st.booleans(), count)), kind, mask=~valid)
    data = b"".join(draw(_lists(_raw(kind), count)))
    return pa.Array.from_buffers(kind, count, [_buffer(valid), pa.py_buffer(data)])


def _lists(values: st.SearchStrategy[Any], count: int) -> st.SearchStrategy[list[Any]]:
    return st.lists(values, min_size=count, max_size=count)


def _raw(kind: Any) -> st.SearchStrategy[bytes]:
    """The bytes of a value as Arrow has them."""
    width = kind.bit_width // 8
    top = 1 << 8 * width
    special = [0, 1, top - 1, top // 2, top // 2 - 1]
    numbers = st.one_of(st.sampled_from(special), st.integers(0, top - 1))
    if types.is_decimal(kind):
        limit = 10**kind.precision - 1
        numbers = st.one_of(st.sampled_from([0, 1, -1, limit, -limit]), st.integers(-limit, limit)).map(
            lambda n: n % top
        )
    elif types.is_floating(kind):
        numbers = st.one_of(st.sampled_from(_FLOAT_BITS[kind.bit_width]), st.integers(0, top - 1))
    elif types.is_time(kind):
        last = _PER_DAY[kind.unit] - 1
        numbers = st.one_of(st.sampled_from([0, last]), st.integers(0, last))
    elif kind == pa.date64():
        numbers = st.integers(-(10**6), 10**6).map(lambda days: days * 86_400_000 % top)
    return numbers.map(lambda number: number.to_bytes(width, "little"))
