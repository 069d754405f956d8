"""What a store's column holds of an Arrow column, and what a codec between the two offers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from ..errors import DataCorrupted

__all__ = ["ColumnCodec", "Encoded", "damaged"]


@dataclass(frozen=True, slots=True)
class Encoded:
    """A column on its way into the store.

    ``values`` is of the codec's storage type, null where the value is NULL or is in ``specials``. ``specials`` has
    the NaNs of a float column, each as 8 bytes, which the store keeps as a blob where ``values`` is null; it is null
    elsewhere, and ``None`` when there is no NaN.
    """

    values: pa.Array
    specials: pa.Array | None = None


@dataclass(frozen=True, slots=True, eq=False)
class ColumnCodec(ABC):
    """Between the Arrow arrays of one type and the values of a store's column, vectorised and bit-exact.

    ``storage`` is what the column holds: ``int64``, ``float64``, ``utf8`` or ``binary``. ``comparable`` says that the
    store's comparisons of stored values (integers, doubles, ``memcmp`` of text and bytes) are DataFusion's of the
    values, NULL apart: such a column may be a key, be indexed, and have conditions computed by the store. A NaN,
    stored as a blob, is above all numbers in SQLite's order, as it is in DataFusion's, by its payload; what differs
    is a NaN with its sign bit set, which DataFusion has below all numbers. -0.0 and 0.0 are equal, as in
    DataFusion's comparisons.
    """

    data_type: pa.DataType
    storage: pa.DataType
    comparable: bool

    @abstractmethod
    def encode(self, array: pa.Array) -> Encoded:
        """The values of ``array``, which is of ``data_type``, as the store holds them.

        Raises ``NumericValueOutOfRange`` for a decimal with more digits than its type has, and ``DataError`` for more
        than 2 GB of text or bytes, which are too many for one batch.
        """

    @abstractmethod
    def decode(self, values: pa.Array, specials: pa.Array | None = None) -> pa.Array:
        """The array, exactly of ``data_type``, whose stored values these are. Raises ``DataCorrupted``."""

    def encode_value(self, scalar: pa.Scalar) -> int | float | str | bytes | None:
        """One valid value as a parameter of a statement. Raises as ``encode`` does.

        A NaN gives its bytes. A null inside a union may get another type code: pyarrow's scalars do not keep it.
        """
        one: pa.Array[Any] = pa.repeat(scalar, 1)  # type: ignore[call-overload]  # the stubs list each class of scalar
        encoded = self.encode(one)
        column = encoded.values if encoded.specials is None else encoded.specials
        value: int | float | str | bytes | None = column[0].as_py()
        return value


def damaged(data_type: pa.DataType, what: str) -> DataCorrupted:
    """The error for a stored value that is none of a type; whoever knows the table and column adds them."""
    return DataCorrupted(f"a stored value of type {data_type} is damaged: {what}")
