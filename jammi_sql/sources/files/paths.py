"""What DataFusion's Python interface does not say of a scan of files, and its plans in protobuf form do.

It takes one path per scan of most formats: so the plan of one file that need not exist is made, and the paths are put into its
bytes. And its scans have no name.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from ...errors import FeatureNotSupported

__all__ = ["with_name", "with_paths"]

# LogicalPlanNode { ListingTableScanNode listing_scan = 1 }, ListingTableScanNode { repeated string paths = 2; ... }
_SCAN: Final = 0x0A
_PATH: Final = 0x12
_VARINT, _EIGHT_BYTES, _TEXT, _FOUR_BYTES = 0, 1, 2, 5  # how a field is written, by the last bits of its key
_NAME: Final = 14 << 3 | _TEXT  # TableReference table_name = 14 { FullTableReference full = 3 }
_FULL: Final = 3 << 3 | _TEXT


def with_paths(plan: bytes, paths: Sequence[str]) -> bytes:
    """The plan of one file, in bytes, as that of ``paths``."""
    if plan[0] != _SCAN:
        raise FeatureNotSupported("DataFusion writes the plan of a scan in another form")
    length, start = _varint(plan, 1)
    scan, rest = plan[start : start + length], plan[start + length :]
    if scan[0] != _PATH:
        raise FeatureNotSupported("DataFusion writes the plan of a scan in another form")
    length, start = _varint(scan, 1)
    encoded = [path.encode() for path in paths]
    scan = b"".join(bytes([_PATH]) + _as_varint(len(path)) + path for path in encoded) + scan[start + length :]
    return bytes([_SCAN]) + _as_varint(len(scan)) + scan + rest


def with_name(plan: bytes, name: tuple[str, str, str]) -> bytes:
    """The plan of a scan, in bytes, as that of a table with the name: catalog, schema and relation."""
    if plan[0] != _SCAN:
        raise FeatureNotSupported("DataFusion writes the plan of a scan in another form")
    length, start = _varint(plan, 1)
    scan, rest = plan[start : start + length], plan[start + length :]
    parts = b"".join(_field(number << 3 | _TEXT, part.encode()) for number, part in enumerate(name, 1))
    kept = b"".join(scan[begin:end] for key, begin, end in _fields(scan) if key != _NAME)
    named = kept + _field(_NAME, _field(_FULL, parts))
    return bytes([_SCAN]) + _as_varint(len(named)) + named + rest


def _fields(message: bytes) -> Iterator[tuple[int, int, int]]:
    """The fields of a message: key, begin and end."""
    place = 0
    while place < len(message):
        begin = place
        key, place = _varint(message, place)
        how = key & 7
        if how == _VARINT:
            _, place = _varint(message, place)
        elif how == _TEXT:
            length, place = _varint(message, place)
            place += length
        elif how in (_EIGHT_BYTES, _FOUR_BYTES):
            place += 8 if how == _EIGHT_BYTES else 4
        else:
            raise FeatureNotSupported("DataFusion writes the plan of a scan in another form")
        yield key, begin, place


def _field(key: int, value: bytes) -> bytes:
    return _as_varint(key) + _as_varint(len(value)) + value


def _varint(data: bytes, place: int) -> tuple[int, int]:
    """A number, and the place behind it."""
    value = shift = 0
    while True:
        byte = data[place]
        place += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, place


def _as_varint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
