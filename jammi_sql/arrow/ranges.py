"""Column ranges: the least and greatest value per column of a batch, by which a scan skips batches unread.

The encoded form is one byte for the version, four for a checksum of the rest, two per column of the schema for the
place of its entry (0: none), then the entries: kind, flags, least and greatest key, each after its length. It is read
entry by entry as a filter asks. What is damaged or of another version prunes nothing: a range is a shortcut, never an
answer.
"""

from __future__ import annotations

import struct
import zlib
from bisect import bisect_left
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from .expression import Call, Field, Literal, Membership, Node
from .order import (
    BYTES,
    DECIMAL,
    FLOATS,
    NEGATIVE_ZERO,
    Kind,
    Orderable,
    float_bits,
    float_key,
    integer_keys,
    order_key,
    order_kind,
)

__all__ = [
    "MINIMUM_ROWS",
    "ColumnRange",
    "MeasuredRanges",
    "Ranges",
    "can_match",
    "decode_ranges",
    "encode_ranges",
    "offset_bounds",
]

MINIMUM_ROWS = 256
"""Smaller batches get no ranges: to decode them costs no more than to read a range."""
_MAXIMUM_KEY = 64  # bytes kept of a text or binary bound

_VERSION = 1
_HEAD = struct.Struct("<BI")
_ENTRY = struct.Struct("<HB")
_PLACE = struct.Struct("<H")
_MAXIMUM_SIZE = 0xFFFF
_NULLS, _VALUES, _LEAST, _GREATEST = 1, 2, 4, 8


class ColumnRange(NamedTuple):  # a dataclass takes several times as long to make, and each batch makes some
    """Bounds on the keys of a column's values, both included; ``None`` where there is no bound.

    ``has_nulls`` and ``has_values`` say whether there are any NULLs, any other values. Bounds may be wider than the
    values, but where both are the same key, every value has it.
    """

    kind: Kind | None
    least: Orderable | None
    greatest: Orderable | None
    has_nulls: bool = False
    has_values: bool = True

    @classmethod
    def constant(cls, value: pa.Scalar[Any]) -> ColumnRange:
        """The range of a column with one value in every row."""
        key = order_key(value)
        return cls(order_kind(value.type), key, key, key is None, key is not None)


class Ranges:
    """The ranges of a batch's columns. Reads the encoded form when asked for a column, not before."""

    __slots__ = ("_added", "_data", "_schema")

    def __init__(self, data: bytes, schema: pa.Schema, added: Mapping[str, ColumnRange] | None = None) -> None:
        self._data = data
        self._schema = schema
        self._added = added or {}

    def with_columns(self, columns: Mapping[str, ColumnRange]) -> Ranges:
        """These ranges, and those of columns that are not stored with the batch; they come before stored ones."""
        return Ranges(self._data, self._schema, {**self._added, **columns})

    def column(self, name: str) -> ColumnRange | None:
        """The range of a column, ``None`` when nothing is known."""
        added = self._added.get(name)
        if added is not None or not self._data:
            return added
        index = self._schema.get_field_index(name)
        if index < 0:
            return None
        data = self._data
        (place,) = _PLACE.unpack_from(data, _HEAD.size + _PLACE.size * index)
        if place == 0:
            return None
        kind, flags = _ENTRY.unpack_from(data, place)
        least, place = _read_key(data, place + _ENTRY.size, kind, flags & _LEAST)
        greatest, _ = _read_key(data, place, kind, flags & _GREATEST)
        return ColumnRange(kind, least, greatest, bool(flags & _NULLS), bool(flags & _VALUES))


class MeasuredRanges(Ranges):
    """The ranges of a batch in memory, of any size: each column is measured when it is first asked for."""

    __slots__ = ("_batch", "_measured")

    def __init__(self, batch: pa.RecordBatch) -> None:
        super().__init__(b"", batch.schema)
        self._batch = batch
        self._measured: dict[str, ColumnRange | None] = {}

    def column(self, name: str) -> ColumnRange | None:
        """The range of a column, ``None`` when nothing is known."""
        if name not in self._measured:  # two threads may both measure it, and find the same
            index = self._schema.get_field_index(name)
            kind = None if index < 0 else order_kind(self._schema.field(index).type)
            self._measured[name] = None if kind is None else _measured(self._batch.column(index), kind)
        return self._measured[name]


# --- encoding -----------------------------------------------------------------------------------


def encode_ranges(batch: pa.RecordBatch) -> bytes:
    """The ranges of a batch, ``b""`` below ``MINIMUM_ROWS`` rows. At most 64 KiB: columns past that have none."""
    if batch.num_rows < MINIMUM_ROWS:
        return b""
    count = batch.num_columns
    start = _HEAD.size + _PLACE.size * count
    places = []
    entries = bytearray()
    for index, type_ in enumerate(batch.schema.types):
        kind = order_kind(type_)
        entry = b"" if kind is None else _encode_range(_measured(batch.column(index), kind))
        place = start + len(entries)
        if entry and place + len(entry) <= _MAXIMUM_SIZE:
            entries += entry
            places.append(place)
        else:
            places.append(0)
    body = struct.pack(f"<{count}H", *places) + entries
    return _HEAD.pack(_VERSION, zlib.crc32(body)) + body


def _measured(array: pa.Array[Any], kind: Kind) -> ColumnRange:
    nulls = array.null_count
    if nulls == len(array):
        return ColumnRange(kind, None, None, True, False)
    least, greatest = _float_extremes(array) if kind in FLOATS else _extremes(array, kind)
    if isinstance(least, bytes) and isinstance(greatest, bytes):
        least, greatest = least[:_MAXIMUM_KEY], _bound_above(greatest)
    return ColumnRange(kind, least, greatest, nulls > 0, True)


def _extremes(array: Any, kind: Kind) -> tuple[Orderable, Orderable]:
    type_ = array.type
    if kind in BYTES:
        if type_ in (pa.string_view(), pa.binary_view()):  # min_max has no kernel for them
            array = array.cast(pa.large_binary())
        ends: Any = pc.min_max(array)
        return ends["min"].as_buffer().to_pybytes(), ends["max"].as_buffer().to_pybytes()
    if kind < DECIMAL:
        ends = pc.min_max(integer_keys(array))
        return int(ends["min"].as_py()), int(ends["max"].as_py())
    if isinstance(type_, pa.Decimal32Type | pa.Decimal64Type):  # nor for these
        array = array.cast(pa.decimal128(18, type_.scale))
    ends = pc.min_max(array)
    return order_key(ends["min"]), order_key(ends["max"])


def _float_extremes(array: Any) -> tuple[int, int]:
    """By the bits, since ``min_max`` passes over NaN.

    As signed integers positive floats rise, as unsigned ones negative floats fall: each reading finds the ends on its
    own side of zero.
    """
    signed, unsigned = float_bits(array.type)
    width = signed.bit_width
    by_sign: Any = pc.min_max(array.view(signed))
    by_size: Any = pc.min_max(array.view(unsigned))
    least, greatest = by_size["min"].as_py(), by_sign["max"].as_py()
    if by_sign["min"].as_py() < 0:  # some are negative: the one with the largest unsigned bits is the lowest
        least = by_size["max"].as_py() - (1 << width)
    if greatest < 0:  # all are: the one with the smallest is the highest
        greatest = by_size["min"].as_py() - (1 << width)
    return float_key(least, width), float_key(greatest, width)


def _bound_above(key: bytes) -> bytes | None:
    """A key of at most 64 bytes that is not below ``key``: its start, with the last byte raised."""
    if len(key) <= _MAXIMUM_KEY:
        return key
    kept = key[:_MAXIMUM_KEY].rstrip(b"\xff")
    return kept[:-1] + bytes((kept[-1] + 1,)) if kept else None


def _encode_range(column: ColumnRange) -> bytes:
    kind, least, greatest, has_nulls, has_values = column
    assert kind is not None
    flags = has_nulls * _NULLS | has_values * _VALUES
    keys = b""
    if least is not None:
        flags |= _LEAST
        keys = _encode_key(least)
    if greatest is not None:
        flags |= _GREATEST
        keys += _encode_key(greatest)
    return _ENTRY.pack(kind, flags) + keys


def _encode_key(key: int | bytes) -> bytes:
    data = key if isinstance(key, bytes) else key.to_bytes(key.bit_length() // 8 + 1, "little", signed=True)
    return bytes((len(data),)) + data


# --- decoding -----------------------------------------------------------------------------------


def decode_ranges(data: bytes | pa.Buffer, schema: pa.Schema) -> Ranges:
    """The ranges of a batch that was encoded with the columns of ``schema``; what cannot be read is unknown."""
    if not isinstance(data, bytes):
        data = data.to_pybytes()
    if data:
        intact = len(data) >= _HEAD.size + _PLACE.size * len(schema.names) and _HEAD.unpack_from(data) == (
            _VERSION,
            zlib.crc32(memoryview(data)[_HEAD.size :]),
        )
        if not intact:
            data = b""
    return Ranges(data, schema)


def _read_key(data: bytes, place: int, kind: Kind, present: int) -> tuple[Orderable | None, int]:
    if not present:
        return None, place
    start = place + 1
    end = start + data[place]
    key = data[start:end]
    return (key if kind in BYTES else int.from_bytes(key, "little", signed=True)), end


# --- pruning ------------------------------------------------------------------------------------

# What a condition can be over the rows of a batch, as a set of bits.
_TRUE, _FALSE, _UNKNOWN = 1, 2, 4
_ANYTHING = 7


def _combined(absorbing: int, neutral: int) -> list[list[int]]:
    """Kleene's AND (FALSE absorbs, TRUE is neutral) or OR, over sets of outcomes."""

    def one(left: int, right: int) -> int:
        if absorbing in (left, right):
            return absorbing
        return right if left == neutral else left

    def members(outcomes: int) -> list[int]:
        return [outcome for outcome in (_TRUE, _FALSE, _UNKNOWN) if outcomes & outcome]

    table = [[0] * 8 for _ in range(8)]
    for left in range(8):
        for right in range(8):
            for x in members(left):
                for y in members(right):
                    table[left][right] |= one(x, y)
    return table


_AND = _combined(_FALSE, _TRUE)
_OR = _combined(_TRUE, _FALSE)
_NOT = [(outcomes & _UNKNOWN) | (outcomes & _TRUE and _FALSE) | (outcomes & _FALSE and _TRUE) for outcomes in range(8)]


def can_match(node: Node, ranges: Ranges) -> bool:
    """Whether a batch with these ranges may have a row for which the filter is true. ``False`` is certain."""
    return bool(_outcomes(node, ranges) & _TRUE)


def _outcomes(node: Node, ranges: Ranges) -> int:
    if isinstance(node, Call):
        # By name and not by match: this runs per batch, and a dozen class patterns cost 3 µs per node.
        return _CALLS.get(node.function, _other_outcomes)(node.arguments, ranges)
    if isinstance(node, Membership):
        return _membership_outcomes(node, _range(node.operand, ranges))
    return _truth_outcomes(_range(node, ranges))


def _range(node: Node, ranges: Ranges) -> ColumnRange | None:
    if isinstance(node, Field):
        return ranges.column(node.name)
    if isinstance(node, Literal):
        key = node.key
        return ColumnRange(node.kind, key, key, key is None, key is not None)
    return None


def _truth_outcomes(column: ColumnRange | None) -> int:
    if column is None:
        return _ANYTHING
    outcomes = _UNKNOWN if column.has_nulls else 0
    if column.has_values:
        outcomes |= (column.greatest != 0 and _TRUE) | (column.least != 1 and _FALSE)
    return outcomes


def _and_outcomes(arguments: tuple[Node, ...], ranges: Ranges) -> int:
    first = _outcomes(arguments[0], ranges)
    return first if first == _FALSE else _AND[first][_outcomes(arguments[1], ranges)]


def _or_outcomes(arguments: tuple[Node, ...], ranges: Ranges) -> int:
    return _OR[_outcomes(arguments[0], ranges)][_outcomes(arguments[1], ranges)]


def _not_outcomes(arguments: tuple[Node, ...], ranges: Ranges) -> int:
    return _NOT[_outcomes(arguments[0], ranges)]


def _null_outcomes(arguments: tuple[Node, ...], ranges: Ranges) -> int:
    (node,) = arguments
    if isinstance(node, Field | Literal):
        column = _range(node, ranges)
        if column is None:
            return _TRUE | _FALSE
        return (column.has_nulls and _TRUE) | (column.has_values and _FALSE)
    outcomes = _outcomes(node, ranges)
    return (outcomes & _UNKNOWN and _TRUE) | (outcomes & (_TRUE | _FALSE) and _FALSE)


def _valid_outcomes(arguments: tuple[Node, ...], ranges: Ranges) -> int:
    return _NOT[_null_outcomes(arguments, ranges)]


def _other_outcomes(_: tuple[Node, ...], __: Ranges) -> int:
    return _ANYTHING


def _comparison(compared: Callable[[ColumnRange, ColumnRange], int]) -> Callable[[tuple[Node, ...], Ranges], int]:
    """The outcomes of a comparison, given those for two sides of one kind that both have values."""

    def outcomes(arguments: tuple[Node, ...], ranges: Ranges) -> int:
        left, right = _range(arguments[0], ranges), _range(arguments[1], ranges)
        if left is None or right is None:
            return _ANYTHING
        if not (left.has_values and right.has_values):
            return _UNKNOWN
        kind = left.kind
        if kind is None or kind != right.kind:
            return _ANYTHING
        if kind in FLOATS:
            left, right = _one_zero(left), _one_zero(right)
        known = compared(left, right)
        return known | _UNKNOWN if left.has_nulls or right.has_nulls else known

    return outcomes


def _one_zero(column: ColumnRange) -> ColumnRange:
    """Comparisons, unlike lists, take -0.0 and 0.0 as equal."""
    if NEGATIVE_ZERO not in (column.least, column.greatest):
        return column
    return column._replace(
        least=0 if column.least == NEGATIVE_ZERO else column.least,
        greatest=0 if column.greatest == NEGATIVE_ZERO else column.greatest,
    )


def _less_outcomes(left: ColumnRange, right: ColumnRange) -> int:
    outcomes = 0
    if left.least is None or right.greatest is None or left.least < right.greatest:
        outcomes |= _TRUE
    if left.greatest is None or right.least is None or left.greatest >= right.least:
        outcomes |= _FALSE
    return outcomes


def _equal_outcomes(left: ColumnRange, right: ColumnRange) -> int:
    if _apart(left, right) or _apart(right, left):
        return _FALSE
    same = left.least is not None and left.least == left.greatest == right.least == right.greatest
    return _TRUE if same else _TRUE | _FALSE


def _apart(lower: ColumnRange, upper: ColumnRange) -> bool:
    return lower.greatest is not None and upper.least is not None and lower.greatest < upper.least


_CALLS: dict[str, Callable[[tuple[Node, ...], Ranges], int]] = {
    "and_kleene": _and_outcomes,
    "or_kleene": _or_outcomes,
    "invert": _not_outcomes,
    "is_null": _null_outcomes,
    "is_valid": _valid_outcomes,
    "equal": _comparison(_equal_outcomes),
    "not_equal": _comparison(lambda left, right: _NOT[_equal_outcomes(left, right)]),
    "less": _comparison(_less_outcomes),
    "greater": _comparison(lambda left, right: _less_outcomes(right, left)),
    "less_equal": _comparison(lambda left, right: _NOT[_less_outcomes(right, left)]),
    "greater_equal": _comparison(lambda left, right: _NOT[_less_outcomes(left, right)]),
}


def _membership_outcomes(node: Membership, column: ColumnRange | None) -> int:
    if column is None:
        return _ANYTHING
    if not column.has_values:
        return _UNKNOWN
    if node.kind is None or column.kind != node.kind:
        return _ANYTHING
    keys = node.keys
    least, greatest = column.least, column.greatest
    first = 0 if least is None else bisect_left(keys, least)
    outcomes = _UNKNOWN if column.has_nulls else 0
    found = first < len(keys) and (greatest is None or keys[first] <= greatest)
    if found:
        outcomes |= _TRUE
    if not (found and least is not None and least == greatest):
        outcomes |= _UNKNOWN if node.values.null_count else _FALSE  # not found, but it might be the NULL
    return outcomes


# --- bounds -------------------------------------------------------------------------------------

_Bounds = tuple[int | None, int | None]
_NOTHING: _Bounds = (1, 0)


def offset_bounds(node: Node, column: str = "_offset") -> tuple[int | None, int | None]:
    """The tightest interval, ends included, outside of which the filter is true for no value of an integer column.

    ``None`` is no bound; an interval that ends before it begins has no value. Of a column with times, such as
    ``_produced_at``, the bounds are in its unit.
    """
    match node:
        case Call("and_kleene", (left, right)):
            return _both(offset_bounds(left, column), offset_bounds(right, column))
        case Call("or_kleene", (left, right)):
            return _either(offset_bounds(left, column), offset_bounds(right, column))
        case Call(function, (Field(name), Literal(key=key))) if name == column:
            return _compared(function, key)
        case Membership(Field(name)) if name == column:
            return (node.keys[0], node.keys[-1]) if node.keys else _NOTHING
        case Literal(key=key) if not key:  # NULL or FALSE
            return _NOTHING
        case _:
            return None, None


def _compared(function: str, key: int | None) -> _Bounds:
    if key is None:
        return _NOTHING
    match function:
        case "equal":
            return key, key
        case "less":
            return None, key - 1
        case "less_equal":
            return None, key
        case "greater":
            return key + 1, None
        case "greater_equal":
            return key, None
        case _:
            return None, None


def _both(left: _Bounds, right: _Bounds) -> _Bounds:
    lows = [low for low in (left[0], right[0]) if low is not None]
    highs = [high for high in (left[1], right[1]) if high is not None]
    return max(lows, default=None), min(highs, default=None)


def _either(left: _Bounds, right: _Bounds) -> _Bounds:
    if _is_empty(left):
        return right
    if _is_empty(right):
        return left
    low = None if left[0] is None or right[0] is None else min(left[0], right[0])
    high = None if left[1] is None or right[1] is None else max(left[1], right[1])
    return low, high


def _is_empty(bounds: _Bounds) -> bool:
    low, high = bounds
    return low is not None and high is not None and low > high
