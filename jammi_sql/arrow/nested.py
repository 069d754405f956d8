"""Nested values as rows of bytes.

A value is written part by part, and the parts follow each other without gaps. Where a part speaks of ``k`` elements
(one at the outermost level, the items of a list further in), it is

- except at the outermost level and for unions, a byte: 0, all ``k`` are valid; 1, ``k`` bytes follow, 1 for valid and
  0 for null (always for a type such as ``struct<>``, whose values have no bytes). Only the valid ones are written further;
- numbers, times, decimals, intervals, fixed-size binary: their bytes as Arrow has them, little-endian; ``bool``: a byte each;
- text and binary: the length of each as 4 bytes, little-endian, then the bytes of all of them;
- lists and maps: the number of items of each as 4 bytes, little-endian, then all items (of a map: structs of key and
  value); fixed-size lists: the items alone;
- structs: field by field; unions: the type code of each as a byte, then child by child those that have its code.

Arrow's IPC message is this and 200 to 500 bytes of metadata, and costs 10 µs a row each way. Here a kernel or two per
part do all rows of a batch. What is under a null is not written, so that equal values have equal bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types

from .buffers import (
    Bytes,
    Integers,
    binary_rows,
    bitmap,
    buffer_of,
    byte_width,
    compacted,
    fixed_width,
    numbers,
    row_offsets,
    spread,
    taken,
    union_parts,
    valid_mask,
    without_nulls,
)
from .encoded import ColumnCodec, Encoded, damaged
from .layouts import converted, restored

__all__ = ["NestedCodec", "decode_rows", "encode_rows"]


@dataclass(frozen=True, slots=True, eq=False)
class NestedCodec(ColumnCodec):
    """Any nested type."""

    plain: pa.DataType

    def encode(self, array: pa.Array) -> Encoded:
        plain = converted(array, self.plain)
        return Encoded(spread_rows(*encode_rows(without_nulls(plain)), valid_mask(plain)))

    def decode(self, values: pa.Array, specials: pa.Array | None = None) -> pa.Array:
        data, offsets, mask = compacted(values)
        plain = decode_rows(self.plain, data, offsets[:-1], offsets[1:])
        return restored(spread(plain, mask), self.data_type)


def spread_rows(data: Any, offsets: npt.NDArray[Any], mask: Any) -> pa.Array:
    """A binary array with the rows of ``data`` where ``mask`` is set, and null elsewhere."""
    if mask is not None:
        lengths = np.zeros(len(mask) + 1, np.int64)
        lengths[1:][mask] = np.diff(offsets)
        offsets = np.cumsum(lengths)
    return binary_rows(data, offsets, bitmap(mask))


# --- writing ------------------------------------------------------------------------------------


def encode_rows(array: pa.Array) -> tuple[pa.Buffer, npt.NDArray[Any]]:
    """The bytes of all values of an array without nulls, and the offsets of the rows in them."""
    parts: list[pa.Array] = []
    _write_values(array, np.arange(len(array) + 1), parts)
    if not parts:
        return pa.py_buffer(b""), np.zeros(len(array) + 1, np.int64)
    joined: Any = pc.call_function("binary_join_element_wise", [*parts, pa.scalar(b"", pa.large_binary())])
    return joined.buffers()[2], row_offsets(joined)


def _part(parts: list[pa.Array], data: npt.NDArray[Any], offsets: Integers) -> None:
    if offsets[-1] == offsets[0]:
        return
    starts = buffer_of(np.ascontiguousarray(offsets, np.int64))
    buffers = [None, starts, buffer_of(data)]
    parts.append(pa.Array.from_buffers(pa.large_binary(), len(offsets) - 1, buffers))


def _running(counts: npt.NDArray[Any]) -> Integers:
    """0 and the sums of the first 1, 2, ... counts."""
    sums = np.zeros(len(counts) + 1, np.int64)
    np.cumsum(counts, out=sums[1:])
    return sums


def _is_bare(kind: Any) -> bool:
    """Whether values of the type take no bytes: a damaged number of them would be believed."""
    if types.is_struct(kind):
        return all(_is_bare(field.type) for field in kind)
    if types.is_fixed_size_list(kind):
        return kind.list_size == 0 or _is_bare(kind.value_type)
    return byte_width(kind) == 0


def _write(array: Any, rows: Integers, parts: list[pa.Array]) -> None:
    """Write elements that may be null; row ``r`` has those from ``rows[r]`` up to ``rows[r + 1]``."""
    count = len(rows) - 1
    if types.is_union(array.type):
        return _write_values(array, rows, parts)
    bare = _is_bare(array.type)
    if array.null_count == 0 and not bare:
        _part(parts, np.zeros(count, np.uint8), np.arange(count + 1))
        return _write_values(array, rows, parts)
    mask = np.asarray(array.is_valid())
    valid_rows = _running(mask)[rows]
    totals = np.diff(rows)
    mixed = totals > (0 if bare else np.diff(valid_rows))
    _part(parts, mixed.view(np.uint8), np.arange(count + 1))
    _part(parts, mask[np.repeat(mixed, totals)].view(np.uint8), _running(totals * mixed))
    return _write_values(without_nulls(array), valid_rows, parts)


def _write_values(array: Any, rows: Integers, parts: list[pa.Array]) -> None:
    kind = array.type
    width = byte_width(kind)
    if width is not None:
        _part(parts, fixed_width(array, width), rows * width)
    elif types.is_boolean(kind):
        _part(parts, numbers(array.cast(pa.uint8()), np.uint8), rows)
    elif types.is_struct(kind):
        for index in range(kind.num_fields):
            _write(array.field(index), rows, parts)
    elif types.is_fixed_size_list(kind):
        _write(array.flatten(), rows * kind.list_size, parts)
    elif types.is_union(kind):
        _write_union(array, rows, parts)
    elif types.is_nested(kind):
        offsets = row_offsets(array)
        _part(parts, np.diff(offsets).astype("<u4"), rows * 4)
        items = array.values.slice(int(offsets[0]), int(offsets[-1] - offsets[0]))  # flatten() knows no maps
        _write(items, (offsets - offsets[0])[rows], parts)
    elif not types.is_null(kind):
        offsets = row_offsets(array)
        _part(parts, np.diff(offsets).astype("<u4"), rows * 4)
        if offsets[-1] > offsets[0]:
            size = int(offsets[-1] - offsets[0])
            data = np.frombuffer(array.buffers()[2], np.uint8, size, int(offsets[0]))
            _part(parts, data, (offsets - offsets[0])[rows])


def _write_union(array: Any, rows: Integers, parts: list[pa.Array]) -> None:
    kind = array.type
    codes, *offsets = union_parts(array)
    _part(parts, codes.view(np.uint8), rows)
    for index, code in enumerate(kind.type_codes):
        chosen = codes == code
        places = offsets[0][chosen] if offsets else np.flatnonzero(chosen)
        _write(taken(array.field(index), pa.array(places)), _running(chosen)[rows], parts)


# --- reading ------------------------------------------------------------------------------------


def decode_rows(data_type: pa.DataType, data: Bytes, starts: Any, ends: Any, padding: int = 0) -> pa.Array:
    """The values whose bytes lie from ``starts`` up to ``ends``, less up to ``padding`` bytes at the end."""
    reader = _Reader(data_type, data, starts.astype(np.int64), ends)
    array = reader.read_values(data_type, np.ones(len(starts), np.int64))
    left = ends - reader.places
    if (left > padding).any():
        raise damaged(data_type, f"it has {int(left.max())} bytes too many")
    return array


@dataclass(slots=True)
class _Reader:
    """Reads all rows at once, part by part; ``places`` is how far it is in each."""

    data_type: pa.DataType
    data: Bytes
    places: Integers
    ends: Integers

    def take(self, counts: Integers, dtype: Any) -> npt.NDArray[Any]:
        """The next ``counts`` numbers of each row."""
        wide = np.dtype(dtype)
        starts = self.places
        self.places = starts + counts * wide.itemsize
        if (self.places > self.ends).any():
            raise damaged(self.data_type, "it ends too early")
        total = int(counts.sum())
        if total == 0:
            return np.empty(0, wide)
        # Numbers that begin at any byte: what is taken is copied, and aligned by that.
        shape = (len(self.data) - wide.itemsize + 1,)
        everywhere: Any = np.ndarray(shape, np.dtype(("V", wide.itemsize)), self.data, strides=(1,))
        if total == len(counts) and (counts == 1).all():
            return everywhere[starts].view(wide)
        if total * wide.itemsize > 64 * len(counts):
            memory = self.data.data
            bounds = zip(starts.tolist(), self.places.tolist(), strict=True)
            return np.frombuffer(b"".join([memory[start:end] for start, end in bounds]), wide)
        before = np.cumsum(counts) - counts
        where = np.repeat(starts - before * wide.itemsize, counts)
        where += np.arange(0, total * wide.itemsize, wide.itemsize)
        return everywhere[where].view(wide)

    def read(self, kind: Any, counts: Integers) -> pa.Array:
        """Elements that may be null, as many of each row as ``counts`` says."""
        if types.is_union(kind):
            return self.read_values(kind, counts)
        mixed = self._truths(np.ones(len(counts), np.int64))
        if not mixed.any():
            if _is_bare(kind) and counts.any():
                raise damaged(self.data_type, "it does not say what is null")
            return self.read_values(kind, counts)
        truths = self._truths(counts * mixed)
        mask = np.repeat(~mixed, counts)
        mask[np.repeat(mixed, counts)] = truths
        bounds = _running(counts)
        present = _running(mask)
        return spread(self.read_values(kind, present[bounds[1:]] - present[bounds[:-1]]), mask)

    def _truths(self, counts: Integers) -> npt.NDArray[Any]:
        found = self.take(counts, np.uint8)
        if found.max(initial=0) > 1:
            raise damaged(self.data_type, f"it has {int(found.max())} where 0 or 1 must be")
        return found.astype(np.bool_)

    def read_values(self, kind: Any, counts: Integers) -> pa.Array:
        total = int(counts.sum())
        width = byte_width(kind)
        if width == 0 or types.is_null(kind):
            return pa.nulls(total) if types.is_null(kind) else pa.array([b""] * total, kind)
        if width is not None:
            found = self.take(counts, np.dtype(("V", width)))
            return pa.Array.from_buffers(kind, total, [None, buffer_of(found)])
        if types.is_boolean(kind):
            return pa.array(self._truths(counts))
        if types.is_struct(kind):
            fields = [self.read(kind.field(index).type, counts) for index in range(kind.num_fields)]
            return pa.Array.from_buffers(kind, total, [None], children=fields)
        if types.is_fixed_size_list(kind):
            child = self.read(kind.value_type, counts * kind.list_size)
            return pa.Array.from_buffers(kind, total, [None], children=[child])
        if types.is_union(kind):
            return self._read_union(kind, counts)
        return self._read_sized(kind, counts)

    def _read_sized(self, kind: Any, counts: Integers) -> pa.Array:
        """Text, binary, lists and maps: the sizes first."""
        offsets = _running(self.take(counts, "<u4"))
        rows = np.diff(offsets[_running(counts)])
        large = types.is_large_list(kind) or types.is_large_string(kind) or types.is_large_binary(kind)
        if (rows > self.ends - self.places).any():  # each takes a byte at least
            raise damaged(self.data_type, "it ends too early")
        starts = buffer_of(offsets if large else offsets.astype(np.int32))
        if types.is_nested(kind):
            child = self.read(kind.field(0).type, rows)
            return pa.Array.from_buffers(kind, len(offsets) - 1, [None, starts], children=[child])
        data = buffer_of(self.take(rows, np.uint8))
        array = pa.Array.from_buffers(kind, len(offsets) - 1, [None, starts, data])
        if not types.is_binary(kind) and not types.is_large_binary(kind):
            try:
                array.validate(full=True)
            except pa.ArrowInvalid as error:
                raise damaged(self.data_type, "a text in it is no UTF-8") from error
        return array

    def _read_union(self, kind: Any, counts: Integers) -> pa.Array:
        codes = self.take(counts, np.int8)
        if not np.all(np.isin(codes, kind.type_codes)):
            raise damaged(self.data_type, "it has a type code that the union has not")
        rows = _running(counts)
        children = []
        places = np.zeros(len(codes), np.int32)
        for index, code in enumerate(kind.type_codes):
            chosen = codes == code
            running = _running(chosen)
            child = self.read(kind.field(index).type, np.diff(running[rows]))
            if kind.mode == "dense":
                places[chosen] = np.arange(len(child))
            else:
                child = spread(child, chosen)
            children.append(child)
        own = [None, buffer_of(codes)] + ([buffer_of(places)] if kind.mode == "dense" else [])
        return pa.Array.from_buffers(kind, len(codes), own, children=children)
