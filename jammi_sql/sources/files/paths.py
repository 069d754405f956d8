"""A scan of one path as a scan of many.

DataFusion's Python interface takes one path per scan of most formats. Its plans in protobuf form take many, so the plan of
one file that need not exist is made, and the paths are put into its bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ...errors import FeatureNotSupported

__all__ = ["with_paths"]

# LogicalPlanNode { ListingTableScanNode listing_scan = 1 }, ListingTableScanNode { repeated string paths = 2; ... }
_SCAN: Final = 0x0A
_PATH: Final = 0x12


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
