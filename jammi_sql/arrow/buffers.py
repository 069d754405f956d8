"""Arrays as their buffers: numbers, validity, rows of bytes."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ..errors import DataError

__all__ = [
    "Bytes",
    "Integers",
    "Mask",
    "binary_rows",
    "bitmap",
    "buffer_of",
    "byte_width",
    "compacted",
    "fixed_width",
    "numbers",
    "row_offsets",
    "spread",
    "taken",
    "union_parts",
    "valid_mask",
    "validity",
    "without_nulls",
]

Bytes = npt.NDArray[np.uint8]
Integers = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

_LARGEST = 2**31 - 1
_LARGE = {pa.large_utf8().id, pa.large_binary().id, pa.large_list(pa.null()).id}


def buffer_of(data: Any) -> pa.Buffer:
    """The memory of a NumPy array, ``bytes`` or anything else that has some."""
    return pa.py_buffer(data)


def _memory(buffer: Any, dtype: npt.DTypeLike, count: int, offset: int) -> npt.NDArray[Any]:
    return np.frombuffer(buffer, dtype, count, offset)


def byte_width(data_type: pa.DataType) -> int | None:
    """The bytes of a value in its array's buffer, ``None`` for types that have no such number (``bool`` included)."""
    if pa.types.is_fixed_size_binary(data_type):
        return data_type.byte_width
    plain = pa.types.is_primitive(data_type) or pa.types.is_decimal(data_type) or pa.types.is_interval(data_type)
    return None if not plain or pa.types.is_boolean(data_type) else data_type.bit_width // 8


def numbers(array: pa.Array[Any], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """The values of a fixed-width array in its own memory, whatever is under nulls included."""
    buffer = array.buffers()[1]
    if buffer is None or len(array) == 0:
        return np.empty(0, dtype)
    wide = np.dtype(dtype)
    return _memory(buffer, wide, len(array), array.offset * wide.itemsize)


def fixed_width(array: pa.Array[Any], width: int) -> Bytes:
    """The bytes of a fixed-width array, in its own memory."""
    buffer = array.buffers()[1]
    if buffer is None or len(array) * width == 0:
        return np.empty(0, np.uint8)
    return _memory(buffer, np.uint8, len(array) * width, array.offset * width)


def row_offsets(array: pa.Array[Any]) -> npt.NDArray[Any]:
    """The offsets of a list, text or binary array: one more than it has rows; the first need not be 0."""
    dtype = np.dtype(np.int64 if array.type.id in _LARGE else np.int32)
    buffer = array.buffers()[1]
    if buffer is None or buffer.size == 0:
        return np.zeros(1, dtype)
    return _memory(buffer, dtype, len(array) + 1, array.offset * dtype.itemsize)


def union_parts(array: Any) -> list[npt.NDArray[Any]]:
    """The type codes of a union array and, of a dense one, the places in the children.

    Not ``type_codes`` and ``offsets``, which in pyarrow 26 have the values before a slice.
    """
    parts = [numbers(array, np.int8)]
    if array.type.mode == "dense" and len(array):
        parts.append(_memory(array.buffers()[2], np.int32, len(array), array.offset * 4))
    elif array.type.mode == "dense":
        parts.append(np.empty(0, np.int32))
    return parts


def valid_mask(array: pa.Array[Any]) -> Mask | None:
    """Where the array has values, ``None`` when it has no null."""
    if array.null_count == 0:
        return None
    mask: Mask = array.is_valid().to_numpy(zero_copy_only=False)
    return mask


def bitmap(mask: Mask | None) -> pa.Buffer | None:
    """A validity buffer."""
    return None if mask is None else pa.array(mask).buffers()[1]


def validity(array: pa.Array[Any]) -> pa.Buffer | None:
    """The validity buffer of an array as it is for an array without offset."""
    if array.null_count == 0:
        return None
    return array.buffers()[0] if array.offset == 0 else bitmap(valid_mask(array))


def binary_rows(data: pa.Buffer | npt.NDArray[Any], offsets: npt.NDArray[Any], valid: pa.Buffer | None) -> pa.Array:
    """A binary array over ``data``. Raises ``DataError`` past 2 GB."""
    if offsets[-1] > _LARGEST:
        raise DataError(
            f"a column of this batch has {int(offsets[-1])} bytes, the limit is {_LARGEST}", hint="send smaller batches"
        )
    buffer = data if isinstance(data, pa.Buffer) else buffer_of(np.ascontiguousarray(data))
    starts = buffer_of(np.ascontiguousarray(offsets, np.int32))
    return pa.Array.from_buffers(pa.binary(), len(offsets) - 1, [valid, starts, buffer])


def compacted(values: pa.Array[Any]) -> tuple[Bytes, npt.NDArray[Any], Mask | None]:
    """The bytes of the valid rows of a binary array, one row after the other; their offsets from 0; where they are."""
    mask = valid_mask(values)
    offsets = row_offsets(values)
    if mask is not None:
        if np.any(np.diff(offsets)[~mask]):
            values = values.drop_null()
            offsets = row_offsets(values)
        else:  # as a store returns it: nothing lies under the nulls
            offsets = np.append(offsets[:-1][mask], offsets[-1])
    buffer = values.buffers()[2]
    if buffer is None or offsets[0] == offsets[-1]:
        return np.empty(0, np.uint8), offsets - offsets[0], mask
    data = _memory(buffer, np.uint8, int(offsets[-1] - offsets[0]), int(offsets[0]))
    return data, offsets - offsets[0] if offsets[0] else offsets, mask


def spread(array: pa.Array[Any], mask: Mask | None) -> pa.Array[Any]:
    """The values of ``array`` where ``mask`` is set, in order, and null elsewhere."""
    if mask is None:
        return array
    return taken(array, pa.array(np.cumsum(mask) - 1, mask=~mask))


def taken(array: pa.Array[Any], places: pa.Array[Any]) -> pa.Array[Any]:
    """The values at ``places``, null where it is null."""
    return _unshifted(array).take(places)


def without_nulls(array: pa.Array[Any]) -> pa.Array[Any]:
    """The valid values."""
    return _unshifted(array).drop_null() if array.null_count else array


def _unshifted(array: pa.Array[Any]) -> pa.Array[Any]:
    """``array``, so that pyarrow chooses the right values of it.

    pyarrow 26 counts the offset of a fixed-size list inside a fixed-size list twice: ``take`` and ``filter``
    return other values than asked for.
    """
    return _rebuilt(array) if _nests_vectors(array.type) else array


@lru_cache(maxsize=1024)
def _nests_vectors(kind: Any) -> bool:
    inner = [kind.field(index).type for index in range(kind.num_fields)]
    vectors = pa.types.is_fixed_size_list
    return any((vectors(kind) and vectors(part)) or _nests_vectors(part) for part in inner)


def _rebuilt(array: Any) -> Any:
    """The same values in arrays without offsets; of plain types."""
    kind, count = array.type, len(array)
    if not pa.types.is_nested(kind):
        return array
    own: list[Any] = [validity(array)]
    if pa.types.is_struct(kind) or pa.types.is_union(kind):
        children = [array.field(index) for index in range(kind.num_fields)]
        if pa.types.is_union(kind):
            own = [None, *map(buffer_of, union_parts(array))]
    elif pa.types.is_fixed_size_list(kind):
        children = [array.values.slice(array.offset * kind.list_size, count * kind.list_size)]
    else:
        offsets = row_offsets(array)
        own.append(buffer_of(offsets - offsets[0]))
        children = [array.values.slice(int(offsets[0]), int(offsets[-1] - offsets[0]))]
    return pa.Array.from_buffers(kind, count, own, children=list(map(_rebuilt, children)))
