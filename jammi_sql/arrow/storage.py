"""What a column of a store holds of each Arrow type.

A column of a store is of one of four kinds: integers of 64 bits, doubles, text, bytes. NULL is NULL.

| Arrow | held as |
|---|---|
| ``bool`` | integer, 0 or 1 |
| ``int8`` to ``int64``, ``uint8`` to ``uint32`` | integer |
| ``uint64`` | integer, less 2^63 |
| ``float16``, ``float32``, ``float64`` | double; a NaN as 8 bytes |
| ``string`` in every layout | text |
| ``binary`` in every layout, ``fixed_size_binary`` | bytes |
| dates, times, timestamps, durations | integer, in the type's own unit, since 1970 (UTC) or midnight |
| decimals of up to 18 digits | integer, unscaled |
| decimals of more digits | 16 bytes, of ``decimal256`` 32: the unscaled integer, most significant first, sign flipped |
| ``month_day_nano_interval`` | 16 bytes: months (4), days (4), nanoseconds (8), least significant first |
| lists of numbers without nulls inside | bytes: the numbers, least significant byte first (``vectors``) |
| everything else that is nested | bytes, as ``nested`` says |
| ``null`` | integer, always NULL |
| dictionaries, runs, extension types | as their values |

All but intervals, nested types and ``null`` compare in the store as they do in DataFusion.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import pyarrow as pa
from pyarrow import types

from ..errors import FeatureNotSupported
from .encoded import ColumnCodec, Encoded
from .floats import FloatCodec
from .layouts import plain_type
from .nested import NestedCodec
from .scalars import (
    BinaryCodec,
    BooleanCodec,
    IntegerCodec,
    IntervalCodec,
    LayoutCodec,
    NarrowDecimalCodec,
    NullCodec,
    TextCodec,
    UnsignedCodec,
    WideDecimalCodec,
)
from .vectors import VectorCodec, is_vector

__all__ = ["ColumnCodec", "Encoded", "column_codec"]

_INTEGER_DIGITS = 18


def column_codec(data_type: pa.DataType) -> ColumnCodec:
    """The codec of a type. Raises ``FeatureNotSupported`` (0A000), naming it, for one that no codec holds."""
    codec = _codec(data_type)
    # Types are equal whatever the metadata of their fields; a codec gives them back.
    return codec if codec.data_type.equals(data_type, check_metadata=True) else _new_codec(data_type)


def _new_codec(data_type: pa.DataType) -> ColumnCodec:
    if isinstance(data_type, pa.BaseExtensionType):
        return _through(data_type, data_type.storage_type)
    if types.is_dictionary(data_type) or types.is_run_end_encoded(data_type):
        value_type: pa.DataType = data_type.value_type
        return _through(data_type, value_type)
    if types.is_nested(data_type):
        _check_parts(data_type)
        plain = plain_type(data_type)
        if is_vector(plain):
            return VectorCodec.of(data_type, plain)
        return NestedCodec(data_type, pa.binary(), False, plain)
    return _scalar_codec(data_type)


_codec = lru_cache(maxsize=4096)(_new_codec)


def _through(data_type: pa.DataType, inner_type: pa.DataType) -> ColumnCodec:
    inner = column_codec(inner_type)
    return LayoutCodec(data_type, inner.storage, inner.comparable, inner)


def _check_parts(data_type: Any) -> None:
    for index in range(data_type.num_fields):
        column_codec(data_type.field(index).type)


def _scalar_codec(data_type: Any) -> ColumnCodec:
    if types.is_null(data_type):
        return NullCodec(data_type, pa.int64(), False)
    if types.is_boolean(data_type):
        return BooleanCodec(data_type, pa.int64(), True)
    if types.is_uint64(data_type):
        return UnsignedCodec(data_type, pa.int64(), True)
    if types.is_interval(data_type):
        return IntervalCodec(data_type, pa.binary(), False)
    if types.is_integer(data_type) or types.is_temporal(data_type):
        return IntegerCodec(data_type, pa.int64(), True)
    if types.is_floating(data_type):
        return FloatCodec(data_type, pa.float64(), True)
    if types.is_decimal(data_type):
        if data_type.precision <= _INTEGER_DIGITS:
            return NarrowDecimalCodec(data_type, pa.int64(), True)
        return WideDecimalCodec(data_type, pa.binary(), True)
    if types.is_string(data_type) or types.is_large_string(data_type) or types.is_string_view(data_type):
        return TextCodec(data_type, pa.utf8(), True)
    binary = (types.is_binary, types.is_large_binary, types.is_binary_view, types.is_fixed_size_binary)
    if any(test(data_type) for test in binary):
        return BinaryCodec(data_type, pa.binary(), True)
    raise FeatureNotSupported(f"a column cannot have the type {data_type}", hint="cast it to a type of the reference")
