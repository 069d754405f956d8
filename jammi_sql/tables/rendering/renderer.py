"""What the SQL of companion tables is made of, and what a kind of store must say for itself.

Names are quoted in one place, values are always parameters. The physical table has ``_id``, the identity of a row, and
``_tenant``, then a column per column.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence

import pyarrow as pa

from ...arrow.storage import ColumnCodec, Encoded
from ...dialect import quote_identifier
from ...errors import Error
from ...ports import Parameters
from ..column import StoredColumn

__all__ = ["ID", "TENANT", "Stored", "TableRenderer", "quoted"]

ID = "_id"
TENANT = "_tenant"
Stored = int | float | str | bytes | None
"""A value as a store's column holds it."""


def quoted(name: str) -> str:
    """A name as every store reads it."""
    return quote_identifier(name)


def integer_bounds(data_type: pa.DataType) -> tuple[int, int]:
    """The least and the greatest integer of a type."""
    bits = data_type.bit_width
    return (0, 2**bits - 1) if pa.types.is_unsigned_integer(data_type) else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


def listed(names: Iterable[str]) -> str:
    """Names, quoted, with commas."""
    return ", ".join(map(quoted, names))


class TableRenderer(ABC):
    """The statements of companion tables for one kind of store, made by pure functions from a table's definition.

    A statement for values is run once, with a parameter (``parameter``) for each of a tuple. A statement for rows is run for
    each row of a batch, whatever the store makes of that, and means a column of the batch by ``given``. Both count from 1.
    """

    kind: str
    """The store's."""

    # --- names ---

    @abstractmethod
    def storage_name(self, name: str, number: int) -> str:
        """The physical table of the one with that name and number; no other has it."""

    @abstractmethod
    def physical_names(self, names: Sequence[str], taken: Iterable[str] = ()) -> list[str]:
        """A stored name per column: the column's own, unless the store has or takes no such one beside those ``taken``."""

    @abstractmethod
    def later_name(self, name: str, taken: Iterable[str], version: int) -> str:
        """A stored name beside those ``taken``, for a column that a table gets at that version of its schema."""

    # --- values ---

    @abstractmethod
    def stored_type(self, codec: ColumnCodec) -> pa.DataType:
        """What a column holds: ``int64``, ``float64``, ``utf8`` or ``binary``."""

    @abstractmethod
    def encode(self, codec: ColumnCodec, array: pa.Array) -> Encoded:
        """The values of a column as this store's table takes them. Raises as ``ColumnCodec.encode``."""

    @abstractmethod
    def decode(self, codec: ColumnCodec, values: pa.Array, specials: pa.Array | None) -> pa.Array:
        """The way back. Raises ``DataCorrupted``."""

    @abstractmethod
    def encode_value(self, codec: ColumnCodec, scalar: pa.Scalar) -> Stored:
        """One valid value, of a comparable column, for a comparison with what is stored; ``None`` for NaN."""

    @abstractmethod
    def pieces(self, rows: pa.RecordBatch, once: Sequence[int] = ()) -> Iterator[pa.RecordBatch]:
        """``rows`` in the batches in which a statement for rows takes them, in their order.

        ``once``: columns (from 0) which together name a row of the table, where to change the same row twice must mean to
        change it by the first, then by the second.
        """

    # --- parameters ---

    @abstractmethod
    def parameter(self, number: int) -> str:
        """A parameter of a statement for values."""

    @abstractmethod
    def given(self, number: int) -> str:
        """A column of the batch, in a statement for rows."""

    # --- definition ---

    @abstractmethod
    def create_table(self, storage: str, columns: Sequence[tuple[str, ColumnCodec]]) -> str:
        """The physical table; its keys are indexes."""

    @abstractmethod
    def add_column(self, storage: str, column: str, codec: ColumnCodec) -> str:
        """A column that is NULL in every row."""

    def drop_table(self, storage: str) -> str:
        """Remove the physical table with its indexes."""
        return f"DROP TABLE {quoted(storage)}"

    def create_index(self, storage: str, name: str, columns: Sequence[str], *, unique: bool) -> str:
        """An index of the rows of each tenant apart, so that a unique one holds within a tenant."""
        kind = "UNIQUE INDEX" if unique else "INDEX"
        return f"CREATE {kind} {quoted(name)} ON {quoted(storage)} ({listed([TENANT, *columns])})"

    def drop_index(self, name: str) -> str:
        """Remove an index."""
        return f"DROP INDEX {quoted(name)}"

    def drop_column(self, storage: str, column: str) -> str:
        """Remove a column and its values."""
        return f"ALTER TABLE {quoted(storage)} DROP COLUMN {quoted(column)}"

    def rename_column(self, storage: str, column: str, new_name: str) -> str:
        """Give a column another stored name."""
        return f"ALTER TABLE {quoted(storage)} RENAME COLUMN {quoted(column)} TO {quoted(new_name)}"

    # --- change ---

    def insert_rows(
        self,
        storage: str,
        columns: Sequence[StoredColumn],
        special: Sequence[bool],
        *,
        key: Sequence[str] | None = None,
        update: Sequence[str] = (),
    ) -> str:
        """For rows of an id, a tenant, then the columns' values.

        ``special``: for each column whether its specials follow its values as a column of the batch. With ``key`` a row
        that is there already, with the same values in these columns (in those of any key where there are none), gets the
        new values of ``update``, or is left as it is where nothing is to be updated.
        """
        conflict = ""
        if key is not None:
            pairs = ", ".join(f"{quoted(name)} = excluded.{quoted(name)}" for name in update)
            what = f" ({listed([TENANT, *key])})" if key else ""
            conflict = f" ON CONFLICT{what} DO " + (f"UPDATE SET {pairs}" if pairs else "NOTHING")
        names = listed([ID, TENANT, *(column.physical for column in columns)])
        return f"INSERT INTO {quoted(storage)} ({names}) {self._rows(columns, special)}{conflict}"

    @abstractmethod
    def _rows(self, columns: Sequence[StoredColumn], special: Sequence[bool]) -> str:
        """What ``insert_rows`` inserts: VALUES, or a query."""

    @abstractmethod
    def update_rows(
        self, storage: str, columns: Sequence[StoredColumn], special: Sequence[bool], *, moving: bool = False
    ) -> str:
        """For rows of an id, then the columns' values; with ``moving`` a tenant before these, under which the row is put
        meanwhile."""

    @abstractmethod
    def delete_rows(self, storage: str) -> str:
        """For rows of an id."""

    @abstractmethod
    def change_where(
        self, storage: str, assignments: Sequence[str], conditions: Sequence[str], types: Sequence[pa.DataType]
    ) -> str:
        """For rows of columns of ``types``: an UPDATE, or without assignments a DELETE, of what fulfils all conditions."""

    def clear_rows(self, storage: str) -> str:
        """For a tenant, whose rows go."""
        return f"DELETE FROM {quoted(storage)} WHERE {TENANT} = {self.parameter(1)}"

    def move_rows(self, storage: str) -> str:
        """For two tenants: put all rows of the first under the second."""
        return f"UPDATE {quoted(storage)} SET {TENANT} = {self.parameter(2)} WHERE {TENANT} = {self.parameter(1)}"

    @abstractmethod
    def raise_data_version(self, number: int, schema_version: int) -> tuple[str, Parameters]:
        """An UPDATE of a table's row in the catalogue, if it has that version."""

    @abstractmethod
    def addition(
        self, column: StoredColumn, target: StoredColumn, operator: str, number: int
    ) -> tuple[str, str] | None:
        """``column`` and what is given as ``number``, added or subtracted for ``target``, and the condition under which that
        is DataFusion's; ``None`` where the store cannot do it.

        Both columns are ``float64``, or both integers that the store holds as they are.
        """

    # --- reading ---

    def last_id(self, storage: str) -> str:
        """The greatest id, 0 where there is no row."""
        return f"SELECT coalesce(max({ID}), 0) AS last FROM {quoted(storage)}"

    def is_null(self, column: str) -> str:
        """The rows that have no value in a column."""
        return f"{quoted(column)} IS NULL"

    def count_rows(self, storage: str, condition: str) -> str:
        """How many rows fulfil ``condition``."""
        return f"SELECT count(*) AS count FROM {quoted(storage)} WHERE {condition}"

    def select_rows(self, storage: str, columns: Sequence[str], condition: str, *, ordered: bool = False) -> str:
        """Stored columns of the rows that fulfil ``condition``, each an expression of the store, named by their places.

        ``ordered``: by identity, which is the table's own order. Without it the store may read an index that has all columns
        that are asked for, in the order of its keys.
        """
        order = f" ORDER BY {ID}" if ordered else ""
        return f"SELECT {self.chosen(columns)} FROM {quoted(storage)} WHERE {condition}{order}"

    @staticmethod
    def chosen(columns: Sequence[str]) -> str:
        """A select list of expressions, named by their places."""
        return ", ".join(f'{column} AS "{place}"' for place, column in enumerate(columns))

    @abstractmethod
    def hold(self, storage: str) -> str | None:
        """A query of ``_id`` without rows, after which nobody changes what the physical table is until the reader's snapshot
        ends; ``None`` where a snapshot keeps that too."""

    @abstractmethod
    def select_by_id(self, storage: str, columns: Sequence[str]) -> str:
        """For rows of an id: what is there, in the order of the batch."""

    @abstractmethod
    def select_by_key(
        self, storage: str, columns: Sequence[str], key: Sequence[StoredColumn], special: Sequence[bool]
    ) -> str:
        """For rows of a number that rises, a tenant, then the values of ``key``: what is there, in the order of the batch."""

    @abstractmethod
    def tenant(self, *, indexed: bool) -> str:
        """The tenant of a row, for a condition whose rest can use an index or cannot."""

    @abstractmethod
    def special_parts(self, column: str) -> tuple[str, str]:
        """Expressions for the values and for the specials of a column that has some."""

    @abstractmethod
    def is_nan(self, column: str) -> str:
        """The rows that have a NaN in a column; others may be among them."""

    # --- errors ---

    @abstractmethod
    def is_missing(self, error: Error) -> bool:
        """Whether the store says that a table or column is not there."""

    @abstractmethod
    def breaks(self, error: Error, storage: str, index: str, columns: Sequence[str]) -> bool:
        """Whether a unique violation is one of the index of that stored name, on these stored columns."""

    @abstractmethod
    def too_long(self, error: Error) -> str | None:
        """What to tell a user whose values are too long or too many for the store; ``None`` for any other error."""
