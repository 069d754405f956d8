"""Finds for each of many rows the nearest of sorted ones: the same keys, and the nearest time.

A group (the rows of equal keys) is found by a hash of its keys, and then its keys are compared. Its times are divided into
about as many equal stretches as it has rows, and a table says where each stretch begins: what is left to search is a row or
two, for a whole batch at once. A binary search over all rows of a million took ten times as long, most of it in waiting for
memory.

Equality and order are DataFusion's: NaN is equal to itself and the greatest, NULL is equal to nothing.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types

from ..errors import StoreIOError
from .batches import join
from .buffers import fixed_width, numbers, row_offsets, valid_mask

__all__ = ["Nearest", "NearestBuilder", "Operator", "is_key", "is_time"]

Operator = Literal[">=", ">", "<=", "<"]
"""How the time that is looked for compares to those that are found."""

Words = npt.NDArray[np.uint64]
Places = npt.NDArray[np.int64]
_SIGN = np.uint64(1 << 63)
_IN_MEMORY = 16 << 20
_CHUNK = 1 << 20
_SEEDS = (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0xD6E8FEB86659FD93)
_NOBODY = np.int64(-1)
_FEW = 1 << 16
"""Groups that single numbers may always be looked up for in a table."""


def is_time(data_type: pa.DataType) -> bool:
    """Whether values of the type can be what is nearest: numbers, decimals, dates, times, timestamps, durations."""
    return _is_plain(data_type) or types.is_decimal(data_type)


def is_key(data_type: pa.DataType) -> bool:
    """Whether values of the type can be keys: as ``is_time``, and text, bytes and booleans."""
    return is_time(data_type) or types.is_boolean(data_type) or _is_text(data_type)


def _is_plain(data_type: pa.DataType) -> bool:
    return (
        types.is_integer(data_type)
        or types.is_floating(data_type)
        or (types.is_temporal(data_type) and not types.is_interval(data_type))
    )


def _is_text(data_type: pa.DataType) -> bool:
    return (
        types.is_string(data_type)
        or types.is_large_string(data_type)
        or types.is_binary(data_type)
        or types.is_large_binary(data_type)
        or types.is_fixed_size_binary(data_type)
    )


# --- values as words ---


def _ordered(array: pa.Array) -> Words:
    """Numbers whose order is that of the values of a plain type, whatever is under nulls."""
    kind = array.type
    width = kind.bit_width
    if types.is_floating(kind):
        floats = numbers(array, np.dtype(f"f{width // 8}")) + np.dtype(f"f{width // 8}").type(0)  # -0.0 becomes 0.0
        bits = floats.view(f"u{width // 8}").astype(np.uint64) << np.uint64(64 - width)
        return np.where(bits & _SIGN, ~bits, bits | _SIGN)
    if types.is_unsigned_integer(kind):
        return numbers(array, np.dtype(f"u{width // 8}")).astype(np.uint64)
    return numbers(array, np.dtype(f"i{width // 8}")).astype(np.int64).view(np.uint64) ^ _SIGN


def _wide(array: pa.Array) -> npt.NDArray[np.bytes_]:
    """Decimals as bytes whose order is that of the values."""
    width = array.type.byte_width
    digits = fixed_width(array, width).reshape(-1, width)[:, ::-1].copy()
    digits[:, 0] ^= 0x80
    return digits.view(f"S{width}").reshape(-1)


def _texts(array: pa.Array, seed: int) -> Words:
    """A hash of each text: the sum of its bytes by powers of ``seed``."""
    if types.is_fixed_size_binary(array.type):
        width = array.type.byte_width
        data = fixed_width(array, width).reshape(-1)
        offsets = np.arange(len(array) + 1, dtype=np.int64) * width
    else:
        offsets = row_offsets(array).astype(np.int64)
        data = np.frombuffer(array.buffers()[2] or b"", np.uint8)  # type: ignore[arg-type] # the stubs know no buffers
        data = data[offsets[0] : offsets[-1]]
        offsets = offsets - offsets[0]
    lengths = np.diff(offsets)
    found = lengths.astype(np.uint64)
    if len(data):
        with np.errstate(over="ignore"):
            powers = np.cumprod(np.full(int(lengths.max()), seed, np.uint64), dtype=np.uint64)
            within = np.arange(len(data), dtype=np.int64) - np.repeat(offsets[:-1], lengths)
            spread = (data.astype(np.uint64) + np.uint64(1)) * powers[within]
            spread ^= spread >> np.uint64(32)  # a sum of products alone has collisions that are easily made
            spread *= np.uint64(_SEEDS[0] | 1)
            filled = lengths > 0
            found[filled] += np.add.reduceat(spread, offsets[:-1][filled])
    return found


def _words(array: pa.Array, seed: int) -> Words:
    """Equal for equal keys."""
    kind = array.type
    if types.is_boolean(kind):
        return numbers(array.cast(pa.uint8()), np.uint8).astype(np.uint64)
    if types.is_decimal(kind):
        parts = _digits(array)
        with np.errstate(over="ignore"):
            return np.add.reduce([parts[:, place] * np.uint64(seed + 2 * place) for place in range(parts.shape[1])])
    return _texts(array, seed) if _is_text(kind) else _ordered(array)


def _digits(array: pa.Array) -> Words:
    """Decimals as rows of words."""
    width = array.type.byte_width
    if width < 8:
        return numbers(array, np.int32).astype(np.int64).view(np.uint64).reshape(-1, 1)
    return fixed_width(array, width).reshape(-1, width).copy().view(np.uint64)


def _mixed(columns: Sequence[Words], seed: int) -> Words:
    with np.errstate(over="ignore"):
        found = np.zeros(len(columns[0]), np.uint64)
        for words in columns:
            found = (found ^ words) * np.uint64(seed)
            found ^= found >> np.uint64(29)
        return found


def _same(one: pa.Array, other: pa.Array) -> npt.NDArray[np.bool_]:
    """Where two arrays have equal keys; what is said of nulls is of no use."""
    if _is_text(one.type) or types.is_decimal(one.type):
        return np.asarray(pc.equal(one, other).fill_null(False).to_numpy(zero_copy_only=False), bool)
    return np.asarray(_words(one, 1) == _words(other, 1), bool)


def _valid(arrays: Sequence[pa.Array]) -> npt.NDArray[np.bool_] | None:
    """Where none of the arrays is null; ``None``: everywhere."""
    found = None
    for array in arrays:
        mask = valid_mask(array)
        if mask is not None:
            found = mask if found is None else found & mask
    return found


# --- the sorted rows ---


@dataclass(frozen=True, slots=True, eq=False)
class _Stretches:
    """Each group's times in stretches of a power of two; ``table`` has the row at which each stretch begins."""

    first: Places
    """The number of each group's first stretch, and of all stretches."""
    least: Words
    shift: Words
    table: npt.NDArray[Any]

    def of(self, groups: Places, words: Words) -> Places:
        """The stretch of each time; what is before or after all of a group's is in its first or its last."""
        passed = np.maximum(words, self.least[groups]) - self.least[groups]
        within = (passed >> self.shift[groups]).view(np.int64)
        first = self.first[groups]
        return first + np.minimum(within, self.first[groups + 1] - first - 1)


@dataclass(frozen=True, slots=True, eq=False)
class _Groups:
    """The distinct keys, found by their hashes, which are in ascending order."""

    hashes: Words
    numbers: Places
    keys: tuple[pa.Array, ...]
    seed: int
    direct: Places | None
    """Where single numbers are close together: the group of each from the least one on, -1 where there is none."""

    def find(self, keys: Sequence[pa.Array]) -> Places:
        """The group of each row, -1 where there is none."""
        words = [_words(key, self.seed) for key in keys]
        if self.direct is not None:
            places = words[0] - self.hashes[0]  # what is less wraps around
            known = places < len(self.direct)
            return np.where(known, self.direct[np.where(known, places, 0).view(np.int64)], _NOBODY)
        hashes = words[0] if _is_exact(keys) else _mixed(words, self.seed)
        places = np.minimum(np.searchsorted(self.hashes, hashes), len(self.hashes) - 1)
        equal = self.hashes[places] == hashes
        if not _is_exact(keys):
            taken = pa.array(places, pa.int64())
            for key, known_keys in zip(keys, self.keys, strict=True):
                equal &= _same(key, known_keys.take(taken))
        return np.where(equal, self.numbers[places], _NOBODY)


@dataclass(frozen=True, slots=True, eq=False)
class Nearest:
    """The sorted rows, each of which is named by its number."""

    rows: int
    times: npt.NDArray[Any]
    """As words, or as bytes where they are decimals."""
    starts: Places
    """Where each group begins, and the number of rows."""
    groups: _Groups
    stretches: _Stretches | None
    """``None`` for times as bytes."""

    def find(self, operator: Operator, keys: Sequence[pa.Array], times: pa.Array) -> pa.Array:
        """For each row the number of the nearest one as ``int64``, null where there is none.

        Of ``>=`` and ``>`` the latest before, of ``<=`` and ``<`` the earliest after.
        """
        count = len(times)
        if not self.rows or not count:
            return pa.nulls(count, pa.int64())
        groups = self.groups.find(keys) if keys else np.zeros(count, np.int64)
        known = np.maximum(groups, 0)
        words = _time_words(times)
        if self.stretches is None:
            low, high = self.starts[known], self.starts[known + 1]
        else:
            stretch = self.stretches.of(known, words)
            low = self.stretches.table[stretch].astype(np.int64)
            high = self.stretches.table[stretch + 1].astype(np.int64)
        places = self._bounds(low, high, words, after_equal=operator in (">=", "<"))
        if operator in (">=", ">"):
            places -= 1
            found = places >= self.starts[known]
        else:
            found = places < self.starts[known + 1]
        found &= groups >= 0
        valid = _valid([*keys, times])
        if valid is not None:
            found &= valid
        return pa.array(places, pa.int64(), mask=~found)

    def _bounds(self, low: Places, high: Places, words: npt.NDArray[Any], *, after_equal: bool) -> Places:
        """The first rows from ``low`` up to ``high`` whose times are not before ``words``, or are after them."""
        open_ = np.flatnonzero(low < high)
        while len(open_):
            begin, end = low[open_], high[open_]
            middle = (begin + end) >> 1
            time, wanted = self.times[middle], words[open_]
            before = time <= wanted if after_equal else time < wanted
            begin = np.where(before, middle + 1, begin)
            end = np.where(before, end, middle)
            low[open_], high[open_] = begin, end
            open_ = open_[begin < end]
        return low


def _is_exact(keys: Sequence[pa.Array]) -> bool:
    """Whether equal words are equal keys."""
    return len(keys) == 1 and not (_is_text(keys[0].type) or types.is_decimal(keys[0].type))


def _time_words(times: pa.Array) -> npt.NDArray[Any]:
    return _wide(times) if types.is_decimal(times.type) else _ordered(times)


class NearestBuilder:
    """Takes rows sorted by keys and time, and keeps the last of those with the same keys and time."""

    def __init__(self, keys: int) -> None:
        """Batches have ``keys`` columns of keys first, then the time, then others; no key and no time is null."""
        self._keys = keys
        self._left: pa.RecordBatch | None = None
        self._rows = 0
        self._starts: list[int] = []
        self._distinct: list[list[pa.Array]] = []
        self._times = _Spool()
        self._type: pa.DataType | None = None

    def add(self, batch: pa.RecordBatch) -> pa.RecordBatch | None:
        """The rows that are kept, as far as is known by now."""
        if self._left is not None:
            batch = join([self._left, batch])
        if not batch.num_rows:
            return None
        self._left = batch.slice(batch.num_rows - 1)
        if batch.num_rows == 1:
            return None
        return self._keep(batch, last=False)

    def end(self) -> pa.RecordBatch | None:
        """The rest of the rows that are kept."""
        left, self._left = self._left, None
        return None if left is None else self._keep(left, last=True)

    def _keep(self, batch: pa.RecordBatch, *, last: bool) -> pa.RecordBatch:
        """All rows but the last one, which the next batch begins with."""
        count = batch.num_rows - (not last)
        keys, times = batch.columns[: self._keys], batch.column(self._keys)
        self._type = times.type
        words = _time_words(times)
        regroups = np.zeros(batch.num_rows - 1, bool)  # whether the next row has other keys
        for key in keys:
            regroups |= ~_same(key.slice(0, batch.num_rows - 1), key.slice(1))
        kept = np.ones(count, bool)
        following = min(count, batch.num_rows - 1)
        kept[:following] = regroups[:following] | (words[:following] != words[1 : following + 1])
        numbered = self._rows + np.cumsum(kept) - kept
        if not self._rows and not self._starts:
            self._begin(keys, [0], [0])
        begins = np.flatnonzero(regroups) + 1
        if len(begins):
            # The first of a group may be dropped: the one after it has the number then.
            ends = begins - 1
            self._begin(keys, begins.tolist(), (numbered[ends] + 1).tolist())
        self._times.add(words[:count][kept])
        self._rows += int(kept.sum())
        return batch.slice(0, count).filter(pa.array(kept))

    def _begin(self, keys: Sequence[pa.Array], places: list[int], rows: list[int]) -> None:
        taken = pa.array(places, pa.int64())
        self._distinct.append([key.take(taken) for key in keys])
        self._starts += rows

    def close(self) -> None:
        """Forget all rows, where ``build`` was not asked for."""
        self._times.close()

    def build(self) -> Nearest:
        """The rows that were kept, after ``end``."""
        starts = np.array([*self._starts, self._rows], np.int64)
        keys = [pa.concat_arrays(list(parts)) for parts in zip(*self._distinct, strict=True)]
        times = self._times.array()
        stretches = _stretches(starts, times) if self._rows and times.dtype == np.uint64 else None
        return Nearest(self._rows, times, starts, _groups(keys, len(self._starts)), stretches)


def _groups(keys: Sequence[pa.Array], count: int) -> _Groups:
    """Of distinct keys. A hash that two of them share is made anew with another seed."""
    if not keys or not count:
        return _Groups(np.zeros(0, np.uint64), np.zeros(0, np.int64), (), _SEEDS[0], None)
    for seed in _SEEDS:
        words = [_words(key, seed) for key in keys]
        hashes = words[0] if _is_exact(keys) else _mixed(words, seed)
        order = np.argsort(hashes, kind="stable").astype(np.int64)
        hashes = hashes[order]
        if not np.any(hashes[1:] == hashes[:-1]):
            direct = _direct(hashes, order) if _is_exact(keys) else None
            return _Groups(hashes, order, tuple(key.take(pa.array(order, pa.int64())) for key in keys), seed, direct)
    raise AssertionError("four hashes of 64 bits, and keys that are the same in each")


def _direct(words: Words, order: Places) -> Places | None:
    width = int(words[-1]) - int(words[0]) + 1
    if width > max(_FEW, 4 * len(words)):
        return None
    direct = np.full(width, _NOBODY)
    direct[(words - words[0]).view(np.int64)] = order
    return direct


def _stretches(starts: Places, times: Words) -> _Stretches:
    sizes = np.diff(starts)
    least, greatest = times[starts[:-1]], times[starts[1:] - 1]
    # Half as many as rows, at least, and no more than there are times.
    wanted = np.uint64(1) << np.floor(np.log2(np.maximum(sizes, 1))).astype(np.uint64)
    spread = greatest - least
    shift = np.zeros(len(sizes), np.uint64)
    for bit in (32, 16, 8, 4, 2, 1):
        larger = (spread >> (shift + np.uint64(bit - 1)) >> np.uint64(1)) >= wanted
        shift[larger] += np.uint64(bit)
    shift += (spread >> shift) >= wanted
    count = (spread >> shift).astype(np.int64) + 1
    first = np.concatenate([[0], np.cumsum(count)]).astype(np.int64)
    rows = len(times)
    large = rows * 4 > _IN_MEMORY
    dtype = np.dtype(np.int32 if rows < 2**31 else np.int64)
    table = _file_array(int(first[-1]) + 1, dtype) if large else np.zeros(int(first[-1]) + 1, dtype)
    found = _Stretches(first, least, shift, table)
    for begin in range(0, rows, _CHUNK):
        part = np.asarray(times[begin : begin + _CHUNK])
        groups = np.searchsorted(starts, np.arange(begin, begin + len(part)), "right").astype(np.int64) - 1
        stretch = found.of(groups, part)
        counts = np.bincount(stretch - stretch[0])
        table[stretch[0] + 1 : stretch[0] + 1 + len(counts)] += counts.astype(dtype)
    passed = 0
    for begin in range(0, len(table), _CHUNK):
        part = table[begin : begin + _CHUNK]
        np.cumsum(part, out=part)
        part += dtype.type(passed)
        passed = int(part[-1])
    return found


def _file_array(length: int, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """An array of zeros in a file that is gone with it."""
    with tempfile.TemporaryFile(prefix="jammi-") as file:
        return np.memmap(file, dtype, "w+", shape=(length,))


class _Spool:
    """An array that grows, past 16 MB in a temporary file."""

    def __init__(self) -> None:
        self._held: list[npt.NDArray[Any]] = []
        self._bytes = 0
        self._file: Any = None
        self._dtype: np.dtype[Any] = np.dtype(np.uint64)

    def add(self, part: npt.NDArray[Any]) -> None:
        self._held.append(part)
        self._dtype = part.dtype
        self._bytes += part.nbytes
        if self._bytes > _IN_MEMORY:
            self._write()

    def close(self) -> None:
        """Forget it, where ``array`` was not asked for."""
        if self._file is not None:
            self._file.close()

    def _write(self) -> None:
        try:
            if self._file is None:
                self._file = tempfile.TemporaryFile(prefix="jammi-")  # noqa: SIM115 - closed with the array
            for part in self._held:
                self._file.write(np.ascontiguousarray(part).tobytes())
        except OSError as error:
            raise StoreIOError(
                f"no temporary file for the rows of an as-of join: {error.strerror}",
                hint="set TMPDIR to a folder with room",
            ) from error
        self._held = []
        self._bytes = 0

    def array(self) -> npt.NDArray[Any]:
        """All of it; not to be added to any more."""
        if self._file is None:
            return np.concatenate(self._held) if self._held else np.zeros(0, np.uint64)
        self._write()
        self._file.flush()
        with self._file as file:  # the map has it open on its own
            return np.memmap(file, self._dtype, "r")
