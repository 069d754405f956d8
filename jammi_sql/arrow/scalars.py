"""Codecs of the types whose values have no parts: integers, times, decimals, text, bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..errors import DataError, NumericValueOutOfRange
from .buffers import binary_rows, bitmap, buffer_of, compacted, fixed_width, numbers, validity
from .encoded import ColumnCodec, Encoded, damaged
from .layouts import converted, restored
from .order import integer_keys

__all__ = [
    "BinaryCodec",
    "BooleanCodec",
    "IntegerCodec",
    "IntervalCodec",
    "LayoutCodec",
    "NarrowDecimalCodec",
    "NullCodec",
    "TextCodec",
    "UnsignedCodec",
    "WideDecimalCodec",
]

_SIGN = 1 << 63


@dataclass(frozen=True, slots=True, eq=False)
class NullCodec(ColumnCodec):
    """Null alone."""

    def encode(self, array: pa.Array) -> Encoded:
        return Encoded(pa.nulls(len(array), pa.int64()))

    def decode(self, values: pa.Array, specials: pa.Array | None = None) -> pa.Array:
        if values.null_count < len(values):
            raise damaged(self.data_type, "it is not NULL")
        return pa.nulls(len(values))


@dataclass(frozen=True, slots=True, eq=False)
class BooleanCodec(ColumnCodec):
    """As 0 and 1."""

    def encode(self, array: pa.Array) -> Encoded:
        return Encoded(array.cast(self.storage))

    def decode(self, values: pa.Array, specials: pa.Array | None = None) -> pa.Array:
        ends: Any = pc.min_max(values)
        if values.null_count < len(values) and (ends["min"].as_py() < 0 or ends["max"].as_py() > 1):
            raise damaged(self.data_type, "it is neither 0 nor 1")
        return values.cast(self.data_type)


@dataclass(frozen=True, slots=True, eq=False)
class IntegerCodec(ColumnCodec):
    """Integers, dates, times, timestamps and durations: the number that Arrow has."""

    def encode(self, array: pa.Array) -> Encoded:
        keys = integer_keys(array)
        return Encoded(keys if keys.type.equals(self.storage) else keys.cast(self.storage))

    def decode(self, values: pa.Array, specials: pa.Array | None = None) -> pa.Array:
        if not pa.types.is_temporal(self.data_type):
            return _narrowed(values, self.data_type, self.data_type)
        bits = pa.int32() if self.data_type.bit_width == pa.int32().bit_width else values.type
        return _narrowed(values, bits, self.data_type).view(self.data_type)


def _narrowed(values: pa.Array, integer: pa.DataType, data_type: pa.DataType) -> pa.Array:
    try:
        return values.cast(integer)
    except pa.ArrowInvalid as error:
        raise damaged(data_type, "it is out of range") from error


@dataclass(frozen=True, slots=True, eq=False)
class UnsignedCodec(ColumnCodec):
    """``uint64`` less 2^63, so that it fits and keeps its order."""

    def encode(self, array: pa.Array) -> Encoded:
        return Encoded(_flipped(array).view(self.storage))

    def decode(self, values: pa.Array, specials: pa.Array | None = None) -> pa.Array:
        return _flipped(values.view(self.data_type))


def _flipped(array: pa.Array) -> pa.Array:
    flipped: pa.Array = pc.bit_wise_xor(array, pa.scalar(_SIGN, pa.uint64()))
    return flipped


@dataclass(frozen=True, slots=True, eq=False)
class TextCodec(ColumnCodec):
    """As UTF-8."""

    def encode(self, array: pa.Array) -> Encoded:
        return Encoded(_cast(array, self.storage))

    def decode(self, values: pa.Array, specials: pa.Array | None = None) -> pa.Array:
        try:
            values.validate(full=True)
        except pa.ArrowInvalid as error:
            raise damaged(self.data_type, "it is no UTF-8") from error
        return values.cast(self.data_type)


@dataclass(frozen=True, slots=True, eq=False)
class BinaryCodec(ColumnCodec):
    """As bytes, of any length or of a fixed one."""

    def encode(self, array: pa.Array) -> Encoded:
        if pa.types.is_fixed_size_binary(self.data_type):
            return Encoded(_rows(array, fixed_width(array, self.data_type.byte_width)))
        return Encoded(_cast(array, self.storage))

    def decode(self, values: pa.Array, specials: pa.Array | None = None) -> pa.Array:
        if pa.types.is_fixed_size_binary(self.data_type):
            return _fixed(self.data_type, values, self.data_type.byte_width)
        return values.cast(self.data_type)


def _cast(array: pa.Array, storage: pa.DataType) -> pa.Array:
    try:
        return array.cast(storage)
    except pa.ArrowInvalid as error:
        raise DataError("a column of this batch has more than 2 GB", hint="send smaller batches") from error


def _rows(array: pa.Array, data: Any) -> pa.Array:
    """The values of a fixed-width array, whose bytes are ``data``, as a row of bytes each; pyarrow's cast copies them."""
    width = data.nbytes // len(array) if len(array) else 0
    return binary_rows(data, np.arange(len(array) + 1) * width, validity(array))


def _fixed(data_type: pa.DataType, values: pa.Array, width: int) -> pa.Array:
    """Rows of bytes as ``fixed_size_binary``."""
    data, offsets, mask = compacted(values)
    if np.any(np.diff(offsets) != width):
        raise damaged(data_type, f"it must have {width} bytes")
    if mask is not None:
        everywhere = np.zeros((len(mask), width), np.uint8)
        everywhere[mask] = data.reshape(len(offsets) - 1, width)
        data = everywhere
    return pa.Array.from_buffers(pa.binary(width), len(values), [bitmap(mask), buffer_of(data)])


@dataclass(frozen=True, slots=True, eq=False)
class IntervalCodec(ColumnCodec):
    """As Arrow has it: months and days in 4 bytes each, nanoseconds in 8, least significant first."""

    def encode(self, array: pa.Array) -> Encoded:
        return Encoded(_rows(array, fixed_width(array, 16)))

    def decode(self, values: pa.Array, specials: pa.Array | None = None) -> pa.Array:
        rows = _fixed(self.data_type, values, 16)
        return _from_words(self.data_type, rows, fixed_width(rows, 16))


def _from_words(data_type: pa.DataType, like: pa.Array, data: Any) -> pa.Array:
    """An array over the bytes of ``data``, with the nulls of ``like``."""
    return pa.Array.from_buffers(data_type, len(like), [validity(like), buffer_of(np.ascontiguousarray(data))])


@dataclass(frozen=True, slots=True, eq=False)
class NarrowDecimalCodec(ColumnCodec):
    """Decimals of at most 18 digits: the unscaled integer."""

    def encode(self, array: pa.Array) -> Encoded:
        _check_digits(array)
        width = self.data_type.bit_width // 64
        if width == 0:
            return Encoded(array.view(pa.int32()).cast(self.storage))
        words = numbers(array, np.dtype(("<i8", (width,)))).reshape(-1, width)
        return Encoded(_from_words(self.storage, array, words[:, 0]))

    def decode(self, values: pa.Array, specials: pa.Array | None = None) -> pa.Array:
        width = self.data_type.bit_width // 64
        if width == 0:
            return _checked(_narrowed(values, pa.int32(), self.data_type).view(self.data_type))
        low = numbers(values, np.int64)
        words = np.repeat(low >> 63, width).reshape(-1, width)
        words[:, 0] = low
        return _checked(_from_words(self.data_type, values, words))


@dataclass(frozen=True, slots=True, eq=False)
class WideDecimalCodec(ColumnCodec):
    """Decimals of more digits: the unscaled integer, most significant byte first, its sign bit flipped."""

    def encode(self, array: pa.Array) -> Encoded:
        _check_digits(array)
        width = self.data_type.bit_width // 64
        words = numbers(array, np.dtype(("<u8", (width,)))).reshape(-1, width)[:, ::-1].astype(">u8")
        words[:, 0] ^= np.uint64(_SIGN)
        return Encoded(_rows(array, words))

    def decode(self, values: pa.Array, specials: pa.Array | None = None) -> pa.Array:
        width = self.data_type.bit_width // 64
        rows = _fixed(self.data_type, values, 8 * width)
        words = fixed_width(rows, 8 * width).view(">u8").reshape(-1, width)[:, ::-1].astype("<u8")
        words[:, -1] ^= np.uint64(_SIGN)
        return _checked(_from_words(self.data_type, rows, words))


def _check_digits(array: pa.Array) -> None:
    try:
        array.validate(full=True)
    except pa.ArrowInvalid as error:
        raise NumericValueOutOfRange(str(error)) from error


def _checked(array: pa.Array) -> pa.Array:
    try:
        array.validate(full=True)
    except pa.ArrowInvalid as error:
        raise damaged(array.type, "it has too many digits") from error
    return array


@dataclass(frozen=True, slots=True, eq=False)
class LayoutCodec(ColumnCodec):
    """Dictionaries, runs and extension types: as the values that they hold, by the codec of these."""

    inner: ColumnCodec

    def encode(self, array: pa.Array) -> Encoded:
        return self.inner.encode(converted(array, self.inner.data_type))

    def decode(self, values: pa.Array, specials: pa.Array | None = None) -> pa.Array:
        return restored(self.inner.decode(values, specials), self.data_type)
