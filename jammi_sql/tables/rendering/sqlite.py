"""Companion tables on SQLite: columns without a declared type, so that the store keeps every value as it is given.

A statement for rows is run once for each row of a batch. A NaN is a blob among the numbers of its column.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import pyarrow as pa
from pyarrow import types

from ...arrow.storage import ColumnCodec, Encoded
from ...errors import Error
from ...ports import Parameters
from ..column import StoredColumn
from .renderer import ID, TENANT, Stored, TableRenderer, integer_bounds, listed, quoted

__all__ = ["SqliteTables"]

_RESERVED = frozenset({ID, TENANT})


class SqliteTables(TableRenderer):
    """The ``TableRenderer`` of ``sqlite``."""

    kind = "sqlite"

    def storage_name(self, name: str, number: int) -> str:
        return f"{'t_' if name.lower().startswith('sqlite_') else ''}{name}_{number:x}"

    def physical_names(self, names: Sequence[str], taken: Iterable[str] = ()) -> list[str]:
        used = {name.lower() for name in (*taken, *_RESERVED)}  # to SQLite A and a are one name
        chosen: list[str] = []
        for name in names:
            candidate, number = name, 1
            while candidate.lower() in used:
                number += 1
                candidate = f"{name}_{number}"
            used.add(candidate.lower())
            chosen.append(candidate)
        return chosen

    def later_name(self, name: str, taken: Iterable[str], version: int) -> str:
        return self.physical_names([name], taken)[0]

    # --- values ---

    def stored_type(self, codec: ColumnCodec) -> pa.DataType:
        return codec.storage

    def encode(self, codec: ColumnCodec, array: pa.Array) -> Encoded:
        return codec.encode(array)

    def decode(self, codec: ColumnCodec, values: pa.Array, specials: pa.Array | None) -> pa.Array:
        return codec.decode(values, specials)

    def encode_value(self, codec: ColumnCodec, scalar: pa.Scalar) -> Stored:
        value = codec.encode_value(scalar)
        return None if isinstance(value, bytes) and codec.storage == pa.float64() else value

    def pieces(self, rows: pa.RecordBatch, once: Sequence[int] = ()) -> Iterator[pa.RecordBatch]:
        yield rows

    # --- parameters ---

    def parameter(self, number: int) -> str:
        return f"?{number}"

    def given(self, number: int) -> str:
        return f"?{number}"

    @staticmethod
    def _values(special: Sequence[bool], first: int) -> list[str]:
        """A parameter per column from ``?first`` on; two for a column with NaNs, whose blobs are in the second one."""
        expressions: list[str] = []
        number = first
        for has_specials in special:
            expressions.append(f"coalesce(?{number}, ?{number + 1})" if has_specials else f"?{number}")
            number += 2 if has_specials else 1
        return expressions

    # --- definition ---

    def create_table(self, storage: str, columns: Sequence[tuple[str, ColumnCodec]]) -> str:
        names = listed(name for name, _ in columns)
        return f"CREATE TABLE {quoted(storage)} ({ID} INTEGER PRIMARY KEY, {TENANT} TEXT NOT NULL, {names})"

    def add_column(self, storage: str, column: str, codec: ColumnCodec) -> str:
        return f"ALTER TABLE {quoted(storage)} ADD COLUMN {quoted(column)}"

    # --- change ---

    def _rows(self, columns: Sequence[StoredColumn], special: Sequence[bool]) -> str:
        return f"VALUES (?1, ?2, {', '.join(self._values(special, 3))})"

    def update_rows(
        self, storage: str, columns: Sequence[StoredColumn], special: Sequence[bool], *, moving: bool = False
    ) -> str:
        targets = [*([TENANT] if moving else []), *(column.physical for column in columns)]
        sources = [*(["?2"] if moving else []), *self._values(special, 3 if moving else 2)]
        pairs = ", ".join(f"{quoted(name)} = {value}" for name, value in zip(targets, sources, strict=True))
        return f"UPDATE {quoted(storage)} SET {pairs} WHERE {ID} = ?1"

    def delete_rows(self, storage: str) -> str:
        return f"DELETE FROM {quoted(storage)} WHERE {ID} = ?1"

    def change_where(
        self, storage: str, assignments: Sequence[str], conditions: Sequence[str], types: Sequence[pa.DataType]
    ) -> str:
        table = quoted(storage)
        verb = f"UPDATE {table} SET {', '.join(assignments)}" if assignments else f"DELETE FROM {table}"
        return f"{verb} WHERE {' AND '.join(conditions)}"

    def raise_data_version(self, number: int, schema_version: int) -> tuple[str, Parameters]:
        # Without parameters: to bind two takes as long as to run it.
        return (
            "UPDATE companion SET data_version = data_version + 1 "
            f"WHERE number = {number} AND schema_version = {schema_version}",
            (),
        )

    def addition(
        self, column: StoredColumn, target: StoredColumn, operator: str, number: int
    ) -> tuple[str, str] | None:
        name = quoted(column.physical)
        expression = f"{name} {operator} ?{number}"
        if types.is_floating(target.field.type):
            return expression, f"typeof({name}) = 'real' AND typeof({expression}) = 'real'"
        least, greatest = integer_bounds(target.field.type)
        return expression, f"typeof({expression}) = 'integer' AND {expression} BETWEEN {least} AND {greatest}"

    # --- reading ---

    def hold(self, storage: str) -> str | None:
        return None

    def select_by_id(self, storage: str, columns: Sequence[str]) -> str:
        return self.select_rows(storage, columns, f"{ID} = ?1")

    def select_by_key(
        self, storage: str, columns: Sequence[str], key: Sequence[StoredColumn], special: Sequence[bool]
    ) -> str:
        values = zip(key, self._values(special, 3), strict=True)
        conditions = [f"{TENANT} = ?2", *(f"{quoted(column.physical)} = {value}" for column, value in values)]
        return self.select_rows(storage, columns, " AND ".join(conditions))

    def tenant(self, *, indexed: bool) -> str:
        # Every index begins with the tenant. Where the rest of a condition cannot use one, a + keeps SQLite from taking it:
        # to fetch all rows by way of an index takes ten times as long as to read the table.
        return TENANT if indexed else f"+{TENANT}"

    def special_parts(self, column: str) -> tuple[str, str]:
        name = quoted(column)
        return f"iif(typeof({name}) = 'blob', NULL, {name})", f"iif(typeof({name}) = 'blob', {name}, NULL)"

    def is_nan(self, column: str) -> str:
        # A blob is above all numbers.
        return f"{quoted(column)} >= x'80'"

    # --- errors ---

    def is_missing(self, error: Error) -> bool:
        return "no such table" in error.message or "no such column" in error.message

    def breaks(self, error: Error, storage: str, index: str, columns: Sequence[str]) -> bool:
        return all(f"{storage}.{column}" in error.message for column in columns)

    def too_long(self, error: Error) -> str | None:
        return None
