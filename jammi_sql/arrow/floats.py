"""The codec of floats, whose NaNs no store keeps as numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from .buffers import Mask, binary_rows, bitmap, buffer_of, compacted, numbers, valid_mask
from .encoded import ColumnCodec, Encoded, damaged

__all__ = ["FloatCodec", "joined_nans", "parted_nans"]


@dataclass(frozen=True, slots=True, eq=False)
class FloatCodec(ColumnCodec):
    """As doubles; a NaN as the 8 bytes, most significant first, of the double with its sign and payload."""

    def encode(self, array: pa.Array) -> Encoded:
        doubles: Any = array if array.type.equals(self.storage) else array.cast(self.storage)
        view = numbers(doubles, np.float64)
        if len(view) == 0 or not np.isnan(view.min()):
            return Encoded(doubles)
        special = np.isnan(view)
        valid = valid_mask(array)
        if valid is not None:
            special &= valid
        if not special.any():
            return Encoded(doubles)
        return _parted(view, valid, special, self._widened(numbers(array, self._bits)[special]))

    def decode(self, values: pa.Array, specials: pa.Array | None = None) -> pa.Array:
        floats = self._from_doubles(values)
        if specials is None or specials.null_count == len(specials):
            return floats
        data, offsets, special = compacted(specials)
        if np.any(np.diff(offsets) != 8):
            raise damaged(self.data_type, "a NaN has 8 bytes")
        bits = numbers(floats, self._bits).copy()
        bits[slice(None) if special is None else special] = self._from_nans(data.view(">u8").astype(np.uint64))
        if special is None:
            present = None
        else:
            valid = valid_mask(values)
            present = None if valid is None else valid | special
        return pa.Array.from_buffers(self.data_type, len(values), [bitmap(present), buffer_of(bits)])

    @property
    def _bits(self) -> np.dtype[Any]:
        return np.dtype(f"u{self.data_type.bit_width // 8}")

    @property
    def _mantissa(self) -> int:
        return {16: 10, 32: 23, 64: 52}[self.data_type.bit_width]

    def _widened(self, bits: Any) -> Any:
        """By shifting, since converting a signalling NaN makes it quiet."""
        width, mantissa = self.data_type.bit_width, self._mantissa
        wide = bits.astype(np.uint64)
        payload = (wide & np.uint64((1 << mantissa) - 1)) << np.uint64(52 - mantissa)
        return (wide >> np.uint64(width - 1) << np.uint64(63)) | np.uint64(0x7FF << 52) | payload

    def _from_nans(self, wide: Any) -> Any:
        width, mantissa = self.data_type.bit_width, self._mantissa
        payload = wide & np.uint64((1 << 52) - 1)
        kept = payload >> np.uint64(52 - mantissa)
        exponents = wide >> np.uint64(52) & np.uint64(0x7FF)
        if np.any(exponents != 0x7FF) or np.any(kept == 0) or np.any(kept << np.uint64(52 - mantissa) != payload):
            raise damaged(self.data_type, "its bytes are those of no NaN")
        exponent = ((1 << (width - 1 - mantissa)) - 1) << mantissa
        return ((wide >> np.uint64(63) << np.uint64(width - 1)) | np.uint64(exponent) | kept).astype(self._bits)

    def _from_doubles(self, values: Any) -> pa.Array:
        if self.data_type == self.storage:
            return values
        narrow = values.cast(self.data_type, safe=False)
        have, back = numbers(values, np.float64), numbers(narrow.cast(self.storage), np.float64)
        if not np.array_equal(have, back):
            wrong: Mask = (have != back) & ~np.isnan(have)
            valid = valid_mask(values)
            if np.any(wrong if valid is None else wrong & valid):
                raise damaged(self.data_type, "it is no number of this precision")
        return narrow


def _parted(view: Any, valid: Mask | None, special: Mask, nans: Any) -> Encoded:
    """Doubles without the NaNs, and these."""
    offsets = np.concatenate(([0], np.cumsum(special) * 8))
    kept = ~special if valid is None else valid & ~special
    values = pa.Array.from_buffers(pa.float64(), len(view), [bitmap(kept), buffer_of(view)])
    return Encoded(values, binary_rows(nans.astype(">u8"), offsets, bitmap(special)))


def parted_nans(doubles: pa.Array) -> Encoded:
    """Doubles, NaNs among them, as ``FloatCodec.decode`` takes them: their bits are kept."""
    view = numbers(doubles, np.float64)
    if len(view) == 0 or not np.isnan(view.min()):
        return Encoded(doubles)
    special: Mask = np.isnan(view)
    valid = valid_mask(doubles)
    if valid is not None:
        special &= valid
    if not special.any():
        return Encoded(doubles)
    return _parted(view, valid, special, numbers(doubles, np.uint64)[special])


def joined_nans(encoded: Encoded) -> pa.Array:
    """The doubles of a float column with its NaNs among them, for a store that keeps their bits."""
    values, specials = encoded.values, encoded.specials
    if specials is None:
        return values
    data, _, special = compacted(specials)
    bits = numbers(values, np.uint64).copy()
    bits[slice(None) if special is None else special] = data.view(">u8")
    valid = valid_mask(values)
    present = None if special is None or valid is None else valid | special
    return pa.Array.from_buffers(pa.float64(), len(values), [bitmap(present), buffer_of(bits)])
