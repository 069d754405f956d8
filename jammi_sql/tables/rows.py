"""The rows of companion tables: how they are read from the store and written to it."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
import pyarrow as pa

from .. import faults
from ..arrow.batches import conform, required_columns
from ..errors import DataCorrupted, Error, UndefinedTable, UniqueViolation
from ..ports import NamedQuery, Reader, Transaction
from ..tenancy import TenantId
from ..topics.catalog import tenant_text
from .catalog import CatalogTable, TableCatalog
from .column import StoredColumn
from .condition import Condition, Value
from .rendering import TableRenderer
from .rendering.renderer import ID, TENANT, quoted

__all__ = ["NUMBER", "ROW_ID", "Conflict", "TableRows", "Whose"]

Whose = Literal["visible", "own", "every"]
"""Whose rows are read: those that a tenant sees, those that it may change, or those of all tenants."""
ROW_ID = f"__id_{secrets.token_hex(6)}"
"""The name under which a statement that changes rows sees their identity. Nobody can guess it: what a user computes must
not depend on it, for the rows of all tenants are numbered together."""

NUMBER = "__number"
"""The name of the column that says which of the given keys a row has."""

_COUNT = pa.schema([("count", pa.int64())])
_ID = pa.schema([(ID, pa.int64())])
_LAST = pa.schema([("last", pa.int64())])
_MOVING = "moving:"


@dataclass(frozen=True, slots=True)
class Conflict:
    """What becomes of a row whose ``key`` (any, where it is empty) another row has: it gives that row its values in the
    columns ``update``, or is passed over where there are none."""

    key: tuple[str, ...] = ()
    update: tuple[str, ...] = ()


class TableRows:
    """Reads and changes rows. A tenant sees its own rows and the global ones, and changes its own."""

    def __init__(self, catalog: TableCatalog) -> None:
        self._catalog = catalog

    # --- reading ---

    def hold(self, reader: Reader, table: CatalogTable) -> None:
        """Wait for whoever changes the table's definition, and keep others from it until ``reader``, a snapshot, ends.

        For reads that must not wait themselves: a scan that waits keeps a thread of DataFusion's, of which there are as
        many as cores, and whoever is waited for may need one.
        """
        text = table.renderer.hold(table.storage)
        if text is not None and reader.committed:
            with _named(table):
                reader.query(NamedQuery(f"table {table.name}", text, _ID))

    def count(self, reader: Reader, table: CatalogTable, tenant: TenantId | None, *, whose: Whose = "visible") -> int:
        """How many rows there are."""
        condition, parameters = _visible(table.renderer, tenant, whose, indexed=False)
        query = NamedQuery(f"table {table.name}", table.renderer.count_rows(table.storage, condition), _COUNT)
        with _named(table):
            count: int = reader.query(query, parameters).column(0)[0].as_py()
        return count

    def scan(
        self,
        reader: Reader,
        table: CatalogTable,
        tenant: TenantId | None,
        columns: Sequence[str],
        condition: Condition | None = None,
        *,
        whose: Whose = "visible",
    ) -> Iterator[pa.RecordBatch]:
        """Batches of some columns, at least one, ``ROW_ID`` among them where it is asked for.

        ``condition`` leaves out rows that cannot be wanted; others may be left out by the caller. Without one rows come in
        the same order whatever the columns are: columns of several scans are kept together.
        """
        shape = _Shape.of(table, columns)
        visible, parameters = _visible(
            table.renderer, tenant, whose, indexed=condition is not None and condition.indexed
        )
        text: str = visible
        bind: tuple[Value, ...] = parameters
        if condition is not None and condition.terms:
            text = f"{visible} AND {condition.text(table.renderer, len(parameters) + 1)}"
            bind = (*parameters, *condition.values)
        selected = table.renderer.select_rows(table.storage, shape.expressions, text, ordered=condition is None)
        query = NamedQuery(f"table {table.name}", selected, shape.stored)
        with _named(table):
            if condition is not None and condition.narrow:
                for batch in reader.query(query, bind).to_batches():  # its statement is kept prepared
                    yield shape.decoded(batch)
                return
            for batch in reader.stream(query, bind):
                yield shape.decoded(batch)

    def by_id(self, reader: Reader, table: CatalogTable, ids: pa.Array, columns: Sequence[str]) -> pa.RecordBatch:
        """The rows with these identities, in their order; those that are gone are left out."""
        shape = _Shape.of(table, columns)
        text = table.renderer.select_by_id(table.storage, shape.expressions)
        query = NamedQuery(f"table {table.name}", text, shape.stored)
        return self._looked_up(reader, table, shape, query, pa.record_batch([ids], names=["id"]))

    def by_key(
        self,
        reader: Reader,
        table: CatalogTable,
        tenant: TenantId | None,
        key: Sequence[str],
        rows: pa.RecordBatch,
        columns: Sequence[str],
    ) -> pa.RecordBatch:
        """The tenant's own rows that have the keys of ``rows``, with the row's number in ``rows`` as first column."""
        shape = _Shape.of(table, columns, numbered=True)
        columns_of_key = [table.column(name) for name in key]
        values, special = _encoded(table.renderer, columns_of_key, rows, set())
        text = table.renderer.select_by_key(table.storage, shape.expressions, columns_of_key, special)
        query = NamedQuery(f"table {table.name}", text, shape.stored)
        tenants = pa.repeat(pa.scalar(tenant_text(tenant)), rows.num_rows)
        bind = _bound([_run(0, rows.num_rows), tenants, *values])
        return self._looked_up(reader, table, shape, query, bind)

    @staticmethod
    def _looked_up(
        reader: Reader, table: CatalogTable, shape: _Shape, query: NamedQuery, bind: pa.RecordBatch
    ) -> pa.RecordBatch:
        with _named(table):
            found = [
                shape.decoded(batch) for piece in table.renderer.pieces(bind) for batch in reader.stream(query, piece)
            ]
        whole: pa.RecordBatch = pa.concat_batches(found) if found else shape.empty()  # type: ignore[attr-defined]
        return whole

    # --- changing ---

    def insert(
        self,
        transaction: Transaction,
        table: CatalogTable,
        tenant: TenantId | None,
        batches: Iterable[pa.RecordBatch],
        *,
        conflict: Conflict | None = None,
    ) -> tuple[int, pa.Array]:
        """Write rows with the table's columns. Returns how many were written and the identities that were given out.

        ``conflict`` says what becomes of rows that are there already, in the table or earlier in ``batches``.
        Raises ``NotNullViolation`` and ``UniqueViolation``; then some rows may be there, and the caller undoes the statement.
        """
        count, specials = 0, set[str]()
        key = None if conflict is None else [table.column(name).physical for name in conflict.key]
        update = [] if conflict is None else [table.column(name).physical for name in conflict.update]
        renderer = table.renderer
        once = [2 + table.schema.names.index(name) for name in conflict.key] if conflict and conflict.update else []
        with _named(table):
            query = NamedQuery(f"table {table.name}", table.renderer.last_id(table.storage), _LAST)
            first: int = transaction.query(query).column(0)[0].as_py() + 1
            following = first
            for batch in batches:
                rows = conform(batch, table.schema, table.required, f"table {table.name}")
                ids = _run(following, rows.num_rows)
                following += rows.num_rows
                arrays, special = _encoded(renderer, table.columns, rows, specials)
                text = renderer.insert_rows(table.storage, table.columns, special, key=key, update=update)
                query = NamedQuery(f"table {table.name}", text, None)
                bind = _bound([ids, pa.repeat(pa.scalar(tenant_text(tenant)), rows.num_rows), *arrays])
                for piece in renderer.pieces(bind, once):
                    count += transaction.execute(query, piece)
                faults.point("table.after_insert")
        if count:
            self._catalog.raise_version(transaction, table, specials)
        return count, _run(first, following - first)

    def update(
        self,
        transaction: Transaction,
        table: CatalogTable,
        tenant: TenantId | None,
        changes: Iterable[pa.RecordBatch],
    ) -> int:
        """Set columns of rows: each batch has ``ROW_ID`` first, then the columns to set. Returns the number of rows.

        Keys may change places among the rows: uniqueness is asked for when all are changed.
        """
        count, specials, moved = 0, set[str](), False
        keys = {name for key in table.keys for name in key}
        moving = _MOVING + tenant_text(tenant)
        with _named(table):
            for batch in changes:
                names = batch.schema.names[1:]
                schema = pa.schema([table.schema.field(name) for name in names])
                rows = conform(batch.select(names), schema, required_columns(schema), f"table {table.name}")
                columns = [table.column(name) for name in names]
                arrays, special = _encoded(table.renderer, columns, rows, specials)
                moves = not keys.isdisjoint(names)
                moved = moved or moves
                text = table.renderer.update_rows(table.storage, columns, special, moving=moves)
                query = NamedQuery(f"table {table.name}", text, None)
                tenants = [pa.repeat(pa.scalar(moving), rows.num_rows)] if moves else []
                for piece in table.renderer.pieces(_bound([batch.column(0), *tenants, *arrays]), (0,)):
                    count += transaction.execute(query, piece)
                faults.point("table.after_update")
            if moved:
                back = NamedQuery(f"table {table.name}", table.renderer.move_rows(table.storage), None)
                transaction.execute(back, (moving, tenant_text(tenant)))
        if count:
            self._catalog.raise_version(transaction, table, specials)
        return count

    def delete(self, transaction: Transaction, table: CatalogTable, ids: Iterable[pa.Array]) -> int:
        """Remove rows by their identity; returns their number."""
        query = NamedQuery(f"table {table.name}", table.renderer.delete_rows(table.storage), None)
        with _named(table):
            count = 0
            for each in ids:
                for piece in table.renderer.pieces(_bound([each])):
                    count += transaction.execute(query, piece)
                faults.point("table.after_delete")
        if count:
            self._catalog.raise_version(transaction, table)
        return count

    def clear(self, transaction: Transaction, table: CatalogTable, tenant: TenantId | None) -> int:
        """Remove all of the tenant's own rows; returns their number."""
        query = NamedQuery(f"table {table.name}", table.renderer.clear_rows(table.storage), None)
        with _named(table):
            count = transaction.execute(query, (tenant_text(tenant),))
        if count:
            self._catalog.raise_version(transaction, table)
        return count


class _Shape:
    """Some columns of a table as expressions of the store, and the way back to Arrow."""

    __slots__ = ("_decoders", "_schema", "expressions", "stored")

    def __init__(self, table: CatalogTable, names: Sequence[str], *, numbered: bool) -> None:
        self.expressions: list[str] = []
        stored: list[tuple[str, pa.DataType]] = []
        self._decoders: list[Callable[[pa.RecordBatch], pa.Array]] = []
        fields: list[pa.Field] = []

        def add(expression: str, data_type: pa.DataType) -> int:
            self.expressions.append(expression)
            stored.append((str(len(stored)), data_type))
            return len(stored) - 1

        def plain(expression: str, name: str) -> None:
            place = add(expression, pa.int64())
            self._decoders.append(lambda batch: batch.column(place))
            fields.append(pa.field(name, pa.int64(), nullable=False))

        renderer = table.renderer
        if numbered:
            plain(renderer.given(1), NUMBER)
        for name in names:
            if name == ROW_ID:
                plain(ID, ROW_ID)
                continue
            column = table.column(name)
            stored_type = renderer.stored_type(column.codec)
            if name in table.specials:
                expressions = renderer.special_parts(column.physical)
                values, specials = add(expressions[0], stored_type), add(expressions[1], pa.binary())
                self._decoders.append(_decoder(table, column, values, specials))
            else:
                values = add(quoted(column.physical), stored_type)
                self._decoders.append(_decoder(table, column, values, None))
            fields.append(column.field)
        self.stored = pa.schema(stored)
        self._schema = pa.schema(fields)

    @classmethod
    def of(cls, table: CatalogTable, names: Sequence[str], *, numbered: bool = False) -> _Shape:
        return cls(table, names, numbered=numbered)

    def decoded(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        return pa.RecordBatch.from_arrays([decode(batch) for decode in self._decoders], schema=self._schema)

    def empty(self) -> pa.RecordBatch:
        return pa.RecordBatch.from_pylist([], schema=self._schema)


def _decoder(
    table: CatalogTable, column: StoredColumn, values: int, specials: int | None
) -> Callable[[pa.RecordBatch], pa.Array]:
    def decode(batch: pa.RecordBatch) -> pa.Array:
        try:
            return table.renderer.decode(
                column.codec, batch.column(values), None if specials is None else batch.column(specials)
            )
        except DataCorrupted as error:
            raise DataCorrupted(
                f"table {table.name}, column {column.name}: {error.message}", hint="restore the store from a backup"
            ) from error

    return decode


def _visible(
    renderer: TableRenderer, tenant: TenantId | None, whose: Whose, *, indexed: bool
) -> tuple[str, tuple[str, ...]]:
    """Whose rows are meant, as a condition and its parameters; ``indexed``: the rest of the condition can use an index."""
    if whose == "every":
        return f"{TENANT} IS NOT NULL", ()
    column, parameter = renderer.tenant(indexed=indexed), renderer.parameter(1)
    if whose == "own" or tenant is None:
        return f"{column} = {parameter}", (tenant_text(tenant),)
    return f"{column} IN ('', {parameter})", (tenant_text(tenant),)


def _encoded(
    renderer: TableRenderer, columns: Sequence[StoredColumn], rows: pa.RecordBatch, specials: set[str]
) -> tuple[list[pa.Array], list[bool]]:
    """The stored values of ``rows``, and for each column whether its NaNs come in an array of their own."""
    arrays: list[pa.Array] = []
    special: list[bool] = []
    for column in columns:
        encoded = renderer.encode(column.codec, rows.column(column.name))
        arrays.append(encoded.values)
        special.append(encoded.specials is not None)
        if encoded.specials is not None:
            arrays.append(encoded.specials)
            specials.add(column.name)
    return arrays, special


def _run(first: int, count: int) -> pa.Array:
    """``first``, ``first + 1``, and so on."""
    return pa.array(np.arange(first, first + count, dtype=np.int64))


def _bound(arrays: Sequence[pa.Array]) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays(list(arrays), names=_numbers(len(arrays)))


@lru_cache(maxsize=256)
def _numbers(count: int) -> list[str]:
    return [str(number) for number in range(1, count + 1)]


@contextmanager
def _named(table: CatalogTable) -> Iterator[None]:
    """Errors of the store in the user's words: it knows tables and columns by other names."""
    try:
        yield
    except UniqueViolation as error:
        raise UniqueViolation(_broken_key(table, error), hint="use ON CONFLICT, or another key") from error
    except Error as error:
        if table.renderer.is_missing(error):
            raise UndefinedTable(
                f"table {table.name} was changed or dropped while it was used", hint="run the statement again"
            ) from error
        too_long = table.too_long(error)
        if too_long is None:
            raise
        raise too_long from error


def _broken_key(table: CatalogTable, error: UniqueViolation) -> str:
    key = table.broken_key(error)
    if key is None:
        return f"table {table.name} has a row with this key already"
    what = "the primary key" if key == table.definition.primary_key else "a unique key"
    return f"table {table.name} has a row with this key already: {what} is ({', '.join(key)})"
