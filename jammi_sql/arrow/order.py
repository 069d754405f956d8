"""Values as plain Python keys that order the way DataFusion orders the values.

Two values of one kind compare as their keys do: integers for numbers and times, ``bytes`` for text and
binary, tuples for lists, structs and intervals. DataFusion orders floats by IEEE 754's total order (a NaN with
the sign bit below -inf, one without it above +inf, payloads told apart), text by its UTF-8 bytes, and nested
values element by element with null before everything.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types

__all__ = [
    "BOOL",
    "BYTES",
    "DECIMAL",
    "FLOATS",
    "NEGATIVE_ZERO",
    "Kind",
    "Orderable",
    "float_bits",
    "float_key",
    "integer_keys",
    "order_key",
    "order_keys",
    "order_kind",
]

Kind = int
"""What two keys must share to be comparable: a code (times 256) and a unit or scale. Stored on disk: never renumber."""
Orderable = Any
"""A key: ``int``, ``bytes`` or a tuple. Not a Protocol, because keys are only ever compared within a kind."""

BOOL: Kind = 1 << 8
FLOATS: frozenset[Kind] = frozenset({3 << 8, 4 << 8, 5 << 8})
BYTES: frozenset[Kind] = frozenset({6 << 8, 7 << 8})
"""The kinds whose keys are ``bytes``; those of the others are ``int``."""
DECIMAL: Kind = 13 << 8
"""Lowest of the decimal kinds, which are above all others."""
NEGATIVE_ZERO = -1
"""The key of -0.0, just below that of 0.0: a comparison takes them as equal, ``IN`` with a long list does not."""

_BY_ID: dict[int, Kind] = {
    pa.bool_().id: BOOL,
    **{integer.id: 2 << 8 for integer in (pa.int8(), pa.int16(), pa.int32(), pa.int64())},
    **{integer.id: 2 << 8 for integer in (pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64())},
    pa.float16().id: 3 << 8,
    pa.float32().id: 4 << 8,
    pa.float64().id: 5 << 8,
    **{text.id: 6 << 8 for text in (pa.string(), pa.large_string(), pa.string_view())},
    **{binary.id: 7 << 8 for binary in (pa.binary(), pa.large_binary(), pa.binary_view(), pa.binary(1))},
    pa.date32().id: 8 << 8,
    pa.date64().id: 9 << 8,
}
_BY_UNIT: dict[int, Kind] = {
    pa.time32("s").id: 10 << 8,
    pa.time64("us").id: 10 << 8,
    pa.timestamp("us").id: 11 << 8,
    pa.duration("us").id: 12 << 8,
}
_UNITS = {"s": 0, "ms": 1, "us": 2, "ns": 3}
_BITS = {
    pa.float16().id: (pa.int16(), pa.uint16()),
    pa.float32().id: (pa.int32(), pa.uint32()),
    pa.float64().id: (pa.int64(), pa.uint64()),
}


def order_kind(type_: pa.DataType) -> Kind | None:
    """The kind of a type's keys, or ``None`` for types whose values have no single ``int`` or ``bytes`` as key."""
    identity = type_.id
    kind = _BY_ID.get(identity)
    if kind is not None:
        return kind
    kind = _BY_UNIT.get(identity)
    if kind is not None:
        unit: str = type_.unit  # type: ignore[attr-defined]  # times, timestamps and durations have one
        return kind | _UNITS[unit]
    if isinstance(type_, pa.Decimal128Type | pa.Decimal256Type | pa.Decimal32Type | pa.Decimal64Type):
        scale: int = type_.scale
        return DECIMAL | scale & 0xFF  # scales may be negative
    return None


def float_bits(type_: pa.DataType) -> tuple[pa.DataType, pa.DataType]:
    """The signed and the unsigned integer type as wide as a float type."""
    return _BITS[type_.id]


def float_key(bits: int, width: int) -> int:
    """The key of a float, from its bits as a signed integer of ``width`` bits."""
    # The bits of negative floats fall as the floats rise: flipping all but the sign turns them round.
    return bits if bits >= 0 else bits ^ ((1 << (width - 1)) - 1)


def integer_keys(array: pa.Array[Any]) -> pa.Array[Any]:
    """The keys of integers, times and dates as an integer array, without copying."""
    type_ = array.type
    if not types.is_temporal(type_):
        return array
    return array.view(pa.int32() if type_.bit_width == pa.int32().bit_width else pa.int64())


def order_key(scalar: pa.Scalar[Any]) -> Orderable | None:
    """The key of one value, ``None`` for null."""
    array: pa.Array[Any] = pa.repeat(scalar, 1)  # type: ignore[call-overload]  # the stubs list each class of scalar
    return order_keys(array)[0]


def order_keys(array: pa.Array[Any]) -> list[Orderable | None]:
    """The key of each value, ``None`` for null. Costs a Python object per value: for single values and nested types."""
    if isinstance(array, pa.DictionaryArray):
        return order_keys(array.dictionary_decode())
    if isinstance(array, pa.ExtensionArray):
        return order_keys(array.storage)
    kind = order_kind(array.type)
    if kind is None:
        return _nested_keys(array)
    return _scalar_keys(array, kind)


def _scalar_keys(array: pa.Array[Any], kind: Kind) -> list[Orderable | None]:
    if kind in FLOATS:
        signed, _ = float_bits(array.type)
        width = signed.bit_width
        return [None if bits is None else float_key(bits, width) for bits in _listed(array.view(signed))]
    if kind in BYTES:
        return _listed(pc.cast(array, pa.large_binary()))
    if kind == BOOL:
        return [None if value is None else int(value) for value in _listed(array)]
    if kind >= DECIMAL:
        scale: int = array.type.scale
        return [None if value is None else _unscaled(value, scale) for value in _listed(array)]
    return _listed(integer_keys(array))


def _nested_keys(array: pa.Array[Any]) -> list[Orderable | None]:
    type_ = array.type
    if types.is_null(type_):
        return [None] * len(array)
    if types.is_interval(type_):  # months, days and nanoseconds, compared in this order
        return [None if value is None else tuple(value) for value in _listed(array)]
    if isinstance(array, pa.StructArray):
        fields = [_wrapped(order_keys(array.field(index))) for index in range(type_.num_fields)]
        rows = zip(*fields, strict=True) if fields else iter([()] * len(array))
        return [key if valid else None for key, valid in zip(rows, _listed(array.is_valid()), strict=True)]
    if types.is_nested(type_) and hasattr(pa.scalar(None, type_), "values"):  # lists of every layout, and maps
        return [None if not value.is_valid else tuple(_wrapped(order_keys(value.values))) for value in array]
    raise NotImplementedError(f"values of type {type_} have no order")


def _wrapped(keys: Sequence[Orderable | None]) -> list[Orderable]:
    """Inside a nested value null equals null and comes first, as () does before (key,)."""
    return [() if key is None else (key,) for key in keys]


def _unscaled(value: Decimal, scale: int) -> int:
    # Decimal arithmetic would round to the context's 28 digits; a decimal256 has up to 76.
    sign, digits, exponent = value.as_tuple()
    assert isinstance(exponent, int)
    magnitude: int = int("".join(map(str, digits))) * 10 ** (exponent + scale)
    return -magnitude if sign else magnitude


def _listed(array: pa.Array[Any]) -> list[Any]:
    return array.to_pylist()
