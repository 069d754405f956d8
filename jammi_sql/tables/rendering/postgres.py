"""Companion tables on PostgreSQL: columns of four types, and statements that take all rows of a batch at once.

* Text is kept as the bytes of its UTF-8: PostgreSQL's own text refuses U+0000 and compares by a collation, while bytes
  compare as DataFusion compares text.
* A ``double precision`` keeps the bits of a NaN, so that no column has specials. All NaNs are one value there, above all
  numbers.
* A batch comes as one array for each column, which ``unnest`` makes rows again. Their names, ``_1`` and so on, cannot be
  those of a user's columns. A set of rows is changed at once: where one may come twice it is cut into batches in which none
  does, so that the second change sees the first.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types

from ...arrow.floats import joined_nans, parted_nans
from ...arrow.storage import ColumnCodec, Encoded
from ...errors import Error, UndefinedColumn, UndefinedTable
from ...ports import Parameters
from ..column import StoredColumn
from .renderer import ID, TENANT, Stored, TableRenderer, integer_bounds, quoted

__all__ = ["PostgresTables"]

_LONGEST_NAME = 63  # bytes: PostgreSQL cuts off the rest without a word
_RESERVED = frozenset({ID, TENANT, "ctid", "xmin", "xmax", "cmin", "cmax", "tableoid", "oid"})
_TYPES = {pa.int64(): "bigint", pa.float64(): "double precision", pa.binary(): "bytea", pa.utf8(): "text"}
_PIECE = 16 << 20  # bytes: a message to the server, and an array in it, may have 1 GB
_TOO_LARGE = "54000"


class PostgresTables(TableRenderer):
    """The ``TableRenderer`` of ``postgres``."""

    kind = "postgres"

    def storage_name(self, name: str, number: int) -> str:
        ending = f"_{number:x}"
        return _cut(name, _LONGEST_NAME - len(ending)) + ending

    def physical_names(self, names: Sequence[str], taken: Iterable[str] = ()) -> list[str]:
        used = {*taken, *_RESERVED}
        chosen: list[str] = []
        for name in names:
            candidate, number = _cut(name, _LONGEST_NAME), 1
            while candidate in used:
                number += 1
                ending = f"_{number}"
                candidate = _cut(name, _LONGEST_NAME - len(ending)) + ending
            used.add(candidate)
            chosen.append(candidate)
        return chosen

    def later_name(self, name: str, taken: Iterable[str], version: int) -> str:
        # Never one that another column had: who reads a snapshot of the catalogue and rows finds the columns as they are
        # now. No user's column begins with _.
        return _cut(f"_{version}_{name}", _LONGEST_NAME)

    # --- values ---

    def stored_type(self, codec: ColumnCodec) -> pa.DataType:
        return pa.binary() if codec.storage == pa.utf8() else codec.storage

    def encode(self, codec: ColumnCodec, array: pa.Array) -> Encoded:
        encoded = codec.encode(array)
        if encoded.specials is not None:
            return Encoded(joined_nans(encoded))
        return Encoded(encoded.values.view(pa.binary())) if codec.storage == pa.utf8() else encoded

    def decode(self, codec: ColumnCodec, values: pa.Array, specials: pa.Array | None) -> pa.Array:
        if codec.storage == pa.utf8():
            return codec.decode(values.view(pa.utf8()))
        if codec.storage == pa.float64():
            parted = parted_nans(values)
            return codec.decode(parted.values, parted.specials)
        return codec.decode(values)

    def encode_value(self, codec: ColumnCodec, scalar: pa.Scalar) -> Stored:
        value = codec.encode_value(scalar)
        if isinstance(value, str):
            return value.encode()
        return None if isinstance(value, bytes) and codec.storage == pa.float64() else value

    def pieces(self, rows: pa.RecordBatch, once: Sequence[int] = ()) -> Iterator[pa.RecordBatch]:
        ends = [rows.num_rows] if not once or rows.num_rows < 2 else _runs(rows, once)
        start = 0
        for end in ends:
            yield from _halved(rows.slice(start, end - start))
            start = end

    # --- parameters ---

    def parameter(self, number: int) -> str:
        return f"${number}"

    def given(self, number: int) -> str:
        return f"_{number}"

    @staticmethod
    def _batch(data_types: Sequence[pa.DataType], ordinality: str = "") -> str:
        """The rows of the batch, as a table reference; with ``ordinality`` a column of that name that counts them."""
        arrays = ", ".join(f"${number}::{_TYPES[each]}[]" for number, each in enumerate(data_types, 1))
        names = [f"_{number}" for number in range(1, len(data_types) + 1)]
        if ordinality:
            return f"unnest({arrays}) WITH ORDINALITY AS _given({', '.join([*names, ordinality])})"
        return f"unnest({arrays}) AS _given({', '.join(names)})"

    def _types(self, columns: Sequence[StoredColumn]) -> list[pa.DataType]:
        return [self.stored_type(column.codec) for column in columns]

    # --- definition ---

    def create_table(self, storage: str, columns: Sequence[tuple[str, ColumnCodec]]) -> str:
        names = ", ".join(f"{quoted(name)} {_TYPES[self.stored_type(codec)]}" for name, codec in columns)
        own = f'{ID} bigint PRIMARY KEY, {TENANT} text COLLATE "C" NOT NULL'
        return f"CREATE TABLE {quoted(storage)} ({own}, {names})"

    def add_column(self, storage: str, column: str, codec: ColumnCodec) -> str:
        return f"ALTER TABLE {quoted(storage)} ADD COLUMN {quoted(column)} {_TYPES[self.stored_type(codec)]}"

    # --- change ---

    def _rows(self, columns: Sequence[StoredColumn], special: Sequence[bool]) -> str:
        return f"SELECT * FROM {self._batch([pa.int64(), pa.utf8(), *self._types(columns)])}"

    def update_rows(
        self, storage: str, columns: Sequence[StoredColumn], special: Sequence[bool], *, moving: bool = False
    ) -> str:
        targets = [*([TENANT] if moving else []), *(column.physical for column in columns)]
        pairs = ", ".join(f"{quoted(name)} = _{number}" for number, name in enumerate(targets, 2))
        rows = self._batch([pa.int64(), *([pa.utf8()] if moving else []), *self._types(columns)])
        return f"UPDATE {quoted(storage)} SET {pairs} FROM {rows} WHERE {ID} = _1"

    def delete_rows(self, storage: str) -> str:
        return f"DELETE FROM {quoted(storage)} USING {self._batch([pa.int64()])} WHERE {ID} = _1"

    def change_where(
        self, storage: str, assignments: Sequence[str], conditions: Sequence[str], types: Sequence[pa.DataType]
    ) -> str:
        table, rows, where = quoted(storage), self._batch(types), " AND ".join(conditions)
        if assignments:
            return f"UPDATE {table} SET {', '.join(assignments)} FROM {rows} WHERE {where}"
        return f"DELETE FROM {table} USING {rows} WHERE {where}"

    def raise_data_version(self, number: int, schema_version: int) -> tuple[str, Parameters]:
        return (
            "UPDATE companion SET data_version = data_version + 1 WHERE number = $1 AND schema_version = $2",
            (number, schema_version),
        )

    def addition(
        self, column: StoredColumn, target: StoredColumn, operator: str, number: int
    ) -> tuple[str, str] | None:
        if types.is_floating(target.field.type):
            return None  # past the greatest number PostgreSQL raises an error where DataFusion has infinity
        name = quoted(column.physical)
        least, greatest = integer_bounds(target.field.type)
        # As numeric, which has room for every sum: as integers they would raise an error past the greatest.
        guard = f"{name}::numeric {operator} _{number} BETWEEN {least} AND {greatest}"
        return f"{name} {operator} _{number}", guard

    # --- reading ---

    def hold(self, storage: str) -> str | None:
        return f"SELECT {ID} FROM {quoted(storage)} LIMIT 0"

    def select_by_id(self, storage: str, columns: Sequence[str]) -> str:
        rows = self._batch([pa.int64()], "_place")
        return f"SELECT {self.chosen(columns)} FROM {rows} JOIN {quoted(storage)} ON {ID} = _1 ORDER BY _place"

    def select_by_key(
        self, storage: str, columns: Sequence[str], key: Sequence[StoredColumn], special: Sequence[bool]
    ) -> str:
        rows = self._batch([pa.int64(), pa.utf8(), *self._types(key)])
        values = (f"{quoted(column.physical)} = _{number}" for number, column in enumerate(key, 3))
        conditions = " AND ".join([f"{TENANT} = _2", *values])
        return f"SELECT {self.chosen(columns)} FROM {rows} JOIN {quoted(storage)} ON {conditions} ORDER BY _1"

    def tenant(self, *, indexed: bool) -> str:
        return TENANT

    def special_parts(self, column: str) -> tuple[str, str]:
        return quoted(column), "NULL::bytea"

    def is_nan(self, column: str) -> str:
        return f"{quoted(column)} = 'NaN'"

    # --- errors ---

    def is_missing(self, error: Error) -> bool:
        return isinstance(error, UndefinedTable | UndefinedColumn)

    def breaks(self, error: Error, storage: str, index: str, columns: Sequence[str]) -> bool:
        return f'"{index}"' in error.message

    def too_long(self, error: Error) -> str | None:
        if error.sqlstate != _TOO_LARGE:
            return None
        if "index" in error.message:
            return "PostgreSQL has room for some 2,700 bytes in the columns of a key or an index"
        return "PostgreSQL has room for some 8,000 bytes in a row, in which every long text or bytes takes 18 of them"


def _cut(name: str, size: int) -> str:
    """As much of ``name`` as fits into ``size`` bytes."""
    return name.encode()[:size].decode(errors="ignore")


def _halved(rows: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    if rows.num_rows < 2 or rows.nbytes <= _PIECE:
        yield rows
        return
    half = rows.num_rows // 2
    yield from _halved(rows.slice(0, half))
    yield from _halved(rows.slice(half))


def _runs(rows: pa.RecordBatch, once: Sequence[int]) -> list[int]:
    """Where the runs end in which no two rows have the same values in the columns ``once``."""
    codes = _codes(rows, once)
    if len(np.unique(codes)) == len(codes):
        return [len(codes)]
    ends: list[int] = []
    seen: set[int] = set()
    for place, code in enumerate(codes.tolist()):
        if code in seen:
            ends.append(place)
            seen.clear()
        seen.add(code)
    return [*ends, len(codes)]


def _codes(rows: pa.RecordBatch, once: Sequence[int]) -> npt.NDArray[np.int64]:
    """Numbers that are the same for rows with the same values. A null is like no other, as in a unique index."""
    codes = np.zeros(rows.num_rows, np.int64)
    apart = np.zeros(rows.num_rows, np.bool_)
    for place in once:
        column = rows.column(place)
        plain = pc.add(column, 0.0) if types.is_floating(column.type) else column  # -0.0 is 0.0
        indices = plain.dictionary_encode().indices
        apart |= indices.is_null().to_numpy(zero_copy_only=False)
        numbers = indices.fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
        codes = np.unique(codes * (int(numbers.max()) + 1) + numbers, return_inverse=True)[1].astype(np.int64)
    codes[apart] = np.arange(-1, -1 - int(apart.sum()), -1)
    return codes
