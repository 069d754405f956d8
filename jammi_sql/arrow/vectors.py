"""Lists of numbers, such as embeddings, as the numbers themselves.

A list without nulls inside is stored as its values, little-endian, in the memory that Arrow has them in. One with nulls
inside is stored as ``nested`` says, with a zero byte behind it where its length would be that of numbers: so the
length tells the two apart. Of a fixed-size list, it is that of all its values; of another list, a multiple of a
value's, and lists of values of one byte each are always as ``nested`` says.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from .buffers import (
    Bytes,
    Mask,
    binary_rows,
    bitmap,
    buffer_of,
    byte_width,
    compacted,
    fixed_width,
    row_offsets,
    valid_mask,
    validity,
)
from .encoded import ColumnCodec, Encoded
from .layouts import converted, restored
from .nested import decode_rows, encode_rows

__all__ = ["VectorCodec", "is_vector"]


def is_vector(data_type: Any) -> bool:
    """Whether a plain type is that of lists of numbers that can be told from other bytes by their length."""
    if pa.types.is_fixed_size_list(data_type):
        return bool(byte_width(data_type.value_type)) and data_type.list_size > 0
    if pa.types.is_list(data_type) or pa.types.is_large_list(data_type):
        return (byte_width(data_type.value_type) or 0) > 1
    return False


@dataclass(frozen=True, slots=True, eq=False)
class VectorCodec(ColumnCodec):
    """Lists, fixed-size or not, of values of one width."""

    plain: Any
    width: int
    size: int | None
    """How many values each list has, where the type says it."""

    @classmethod
    def of(cls, data_type: pa.DataType, plain: Any) -> VectorCodec:
        """The codec of a type whose plain type, ``plain``, ``is_vector``."""
        width = byte_width(plain.value_type)
        assert width is not None
        size = plain.list_size if pa.types.is_fixed_size_list(plain) else None
        return cls(data_type, pa.binary(), False, plain, width, size)

    def encode(self, array: pa.Array) -> Encoded:
        lists: Any = converted(array, self.plain)
        numbers = self._numbers(lists, validity(lists))
        holes = self._holes(lists)
        if holes is None or not holes.any():
            return Encoded(numbers)
        others = self._padded(*encode_rows(lists.filter(pa.array(holes))))
        both: Any = pa.concat_arrays([numbers, others])
        places = np.arange(len(lists))
        places[holes] = len(lists) + np.arange(len(others))
        return Encoded(both.take(pa.array(places)))

    def _holes(self, lists: Any) -> Mask | None:
        """Which lists have nulls inside; ``None`` when there is no null in any."""
        if lists.values.null_count == 0:
            return None
        offsets = row_offsets(lists) if self.size is None else (np.arange(len(lists) + 1) + lists.offset) * self.size
        first, last = int(offsets[0]), int(offsets[-1])
        valid = valid_mask(lists.values.slice(first, last - first))
        if valid is None:
            return None
        if self.size is not None:
            holes: Mask = ~np.logical_and.reduce(valid.reshape(-1, self.size), axis=1)
        else:
            before = np.concatenate(([0], np.cumsum(~valid)))
            holes = np.diff(before[offsets - first]) > 0
        mask = valid_mask(lists)
        return holes if mask is None else holes & mask

    def _numbers(self, lists: Any, valid: pa.Buffer | None) -> pa.Array:
        """The lists as rows of bytes, in the memory of their values."""
        child = lists.values
        if self.size is not None:
            step = self.size * self.width
            data = fixed_width(child, self.width)[lists.offset * step :]
            return binary_rows(data, np.arange(len(lists) + 1) * step, valid)
        offsets = row_offsets(lists).astype(np.int64)
        first, last = offsets[0], offsets[-1]
        data = fixed_width(child, self.width)[first * self.width : last * self.width]
        return binary_rows(data, (offsets - first) * self.width, valid)

    def _padded(self, data: pa.Buffer, offsets: npt.NDArray[Any]) -> pa.Array:
        rows = binary_rows(data, offsets, None)
        pads = self._are_numbers(np.diff(offsets))
        zeros = binary_rows(np.zeros(int(pads.sum()), np.uint8), np.concatenate(([0], np.cumsum(pads))), None)
        padded: pa.Array = pc.call_function("binary_join_element_wise", [rows, zeros, pa.scalar(b"")])
        return padded

    def _are_numbers(self, lengths: npt.NDArray[Any]) -> Mask:
        are: Mask = lengths % self.width == 0 if self.size is None else lengths == self.size * self.width
        return are

    def decode(self, values: pa.Array, specials: pa.Array | None = None) -> pa.Array:
        data, offsets, mask = compacted(values)
        are_numbers = self._are_numbers(np.diff(offsets))
        if are_numbers.all():
            return restored(self._lists(data, offsets, mask), self.data_type)
        rows = binary_rows(data, offsets, None)
        numbers = self._lists(*compacted(rows.filter(pa.array(are_numbers))))
        others = decode_rows(self.plain, data, offsets[:-1][~are_numbers], offsets[1:][~are_numbers], padding=1)
        places = np.empty(len(rows), np.int64)
        places[are_numbers] = np.arange(len(numbers))
        places[~are_numbers] = len(numbers) + np.arange(len(others))
        if mask is not None:
            everywhere = np.zeros(len(mask), np.int64)
            everywhere[mask] = places
            places = everywhere
        taken: Any = pa.array(places, mask=None if mask is None else ~mask)
        return restored(pa.concat_arrays([numbers, others]).take(taken), self.data_type)

    def _lists(self, data: Bytes, offsets: npt.NDArray[Any], mask: Mask | None) -> pa.Array:
        """Lists over rows of numbers, null where ``mask`` is not set."""
        count = len(offsets) - 1 if mask is None else len(mask)
        if self.size is not None:
            if mask is not None:
                step = self.size * self.width
                everywhere = np.zeros((count, step), np.uint8)
                everywhere[mask] = data.reshape(-1, step)
                data = everywhere.reshape(-1)
            own = [bitmap(mask)]
        else:
            ends = offsets // self.width
            if mask is not None:
                ends = np.append(0, ends[np.cumsum(mask)])
            large = pa.types.is_large_list(self.plain)
            own = [bitmap(mask), buffer_of(np.ascontiguousarray(ends, np.int64 if large else np.int32))]
        if data.ctypes.data % min(self.width, 8):
            data = data.copy()  # readers may count on aligned numbers
        child = pa.Array.from_buffers(self.plain.value_type, len(data) // self.width, [None, buffer_of(data)])
        return pa.Array.from_buffers(self.plain, count, own, children=[child])
