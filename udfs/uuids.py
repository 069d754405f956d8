"""UUIDs that sort by time, after RFC 9562."""

from __future__ import annotations

import os
import threading
import time
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from jammi_sql.function import scalar_function

__all__ = ["uuid7", "uuid_timestamp"]

Bytes = npt.NDArray[np.uint8]
Words = npt.NDArray[np.uint64]

_DASHES = (8, 13, 18, 23)
_DIGIT_PLACES = np.array([place for place in range(36) if place not in _DASHES])
_DIGITS = np.frombuffer(b"0123456789abcdef", np.uint8)
_CANONICAL = "^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[89abAB][0-9a-fA-F]{3}-[0-9a-fA-F]{12}$"

_COUNTER_BITS = 42
_TICKS_1582_TO_1970 = 0x01B21DD213814000  # of 100 ns


class _Sequence:
    """Milliseconds and counter of the newest UUID, as one number: 48 and 42 bits.

    The counter begins at a random place in its lower half at each new millisecond and rises by one per UUID
    (RFC 9562, 6.2, method 1), so that the UUIDs of a process rise strictly even when its clock is set back.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._newest = 0

    def reserve(self, count: int) -> tuple[int, int]:
        """The millisecond and the first counter of ``count`` consecutive UUIDs, all in that millisecond."""
        random_start = int.from_bytes(os.urandom(6), "big") >> (48 - _COUNTER_BITS + 1)
        with self._lock:
            now = time.time_ns() // 1_000_000
            is_new = now > self._newest >> _COUNTER_BITS
            first = now << _COUNTER_BITS | random_start if is_new else self._newest + 1
            if (first + count - 1) >> _COUNTER_BITS != first >> _COUNTER_BITS:
                first = ((first >> _COUNTER_BITS) + 1) << _COUNTER_BITS
            self._newest = first + count - 1
        return first >> _COUNTER_BITS, first & ((1 << _COUNTER_BITS) - 1)


_sequence = _Sequence()


@scalar_function(
    inputs=[pa.float64()],
    returns=pa.string(),
    volatility="volatile",
    # DataFusion does not tell a function without arguments how many rows there are; a random number per row does
    defaults=["random()"],
    example="uuid7() < uuid7()",
)
def uuid7(per_row: pa.DoubleArray) -> pa.StringArray:
    """A new UUID of version 7 for each row, later ones greater than earlier ones within a process.

    It holds the milliseconds since 1970, a 42-bit counter and 32 random bits. As text in lower case, which sorts
    like the UUID itself. The argument is never read.
    """
    rows = len(per_row)
    if rows == 0:
        return pa.array([], pa.string())
    millisecond, start = _sequence.reserve(rows)
    counter = np.arange(rows, dtype=np.uint64) + np.uint64(start)
    words: Words = np.empty((rows, 2), np.uint64)
    words[:, 0] = np.uint64(millisecond << 16 | 0x7000) | counter >> np.uint64(30)
    words[:, 1] = (
        np.uint64(0b10 << 62)
        | (counter & np.uint64((1 << 30) - 1)) << np.uint64(32)
        | np.frombuffer(os.urandom(4 * rows), np.uint32)
    )
    return _format(words)


@scalar_function(
    inputs=[pa.string()],
    returns=pa.timestamp("us", "UTC"),
    example="uuid_timestamp('01906c83-d4c8-7e10-9c4f-3b6f7c5a8e9a') = TIMESTAMP '2024-07-01T04:18:17.416Z'",
)
def uuid_timestamp(uuid: pa.StringArray) -> pa.TimestampArray:
    """The time in a UUID of version 1, 6 or 7; NULL for other versions and for text that is no UUID.

    Precise to the millisecond for version 7, to the microsecond (rounded down) for 1 and 6. The UUID is in
    its canonical form with dashes, in either case.
    """
    valid: Any = pc.fill_null(pc.match_substring_regex(uuid, _CANONICAL), False)  # type: ignore[type-var]
    words = _parse(uuid.filter(valid))
    high = words[:, 0]
    version = high >> np.uint64(12) & np.uint64(0xF)
    low12 = high & np.uint64(0xFFF)
    ticks_6 = high >> np.uint64(16) << np.uint64(12) | low12
    ticks_1 = (
        low12 << np.uint64(48) | (high >> np.uint64(16) & np.uint64(0xFFFF)) << np.uint64(32) | high >> np.uint64(32)
    )
    ticks = np.where(version == 6, ticks_6, ticks_1).astype(np.int64) - _TICKS_1582_TO_1970
    micros = np.where(version == 7, (high >> np.uint64(16)).astype(np.int64) * 1000, ticks // 10)
    known = np.isin(version, (1, 6, 7))
    times = pa.array(micros, pa.int64(), mask=~known).cast(pa.timestamp("us", "UTC"))
    return _scatter(times, valid)


def _scatter(values: pa.Array[Any], mask: pa.BooleanArray) -> Any:
    """``values`` at the true places of ``mask``, NULL at the others."""
    return pc.replace_with_mask(pa.nulls(len(mask), values.type), mask, values)


def _format(words: Words) -> pa.StringArray:
    """Canonical text of UUIDs given as two words each, the high one first."""
    rows = len(words)
    octets: Bytes = words.astype(">u8").view(np.uint8).reshape(rows, 16)
    text: Bytes = np.full((rows, 36), ord("-"), np.uint8)
    text[:, _DIGIT_PLACES[0::2]] = _DIGITS[octets >> 4]
    text[:, _DIGIT_PLACES[1::2]] = _DIGITS[octets & 0xF]
    offsets = np.arange(0, 36 * (rows + 1), 36, dtype=np.int32)
    return pa.StringArray.from_buffers(rows, pa.py_buffer(offsets.data), pa.py_buffer(text.data))


def _parse(uuid: pa.StringArray) -> Words:
    """The two words of each UUID; all are canonical text, none is NULL."""
    rows = len(uuid)
    if rows == 0:
        return np.empty((0, 2), np.uint64)
    joined: Any = pc.binary_join(pa.ListArray.from_arrays(pa.array([0, rows], pa.int32()), uuid), "")
    text = np.frombuffer(joined[0].as_buffer(), np.uint8).reshape(rows, 36)[:, _DIGIT_PLACES]
    nibbles = np.where(text <= ord("9"), text - ord("0"), (text | 0x20) - ord("a") + 10).astype(np.uint8)
    octets: Bytes = np.ascontiguousarray(nibbles[:, 0::2] << 4 | nibbles[:, 1::2])
    return octets.view(">u8").astype(np.uint64)
