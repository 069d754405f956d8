"""The catalogue of companion tables as a Python interface."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pyarrow as pa

from ..arrow.batches import as_reader
from ..errors import InvalidParameter, UndefinedTable
from ..ports import Reader, Store
from ..tenancy import TenantId
from ..topics.definition import split_name
from .catalog import CatalogTable, TableCatalog
from .definition import MutableTableDefinition
from .rows import TableRows

__all__ = ["MutableTableRegistry"]

Named = str | MutableTableDefinition


class MutableTableRegistry:
    """Registers, finds, fills, reads and drops companion tables, each call in a transaction of its own.

    A table is named by its identifier path or by a definition; without a ``tenant`` a definition's own one is meant.
    """

    def __init__(self, store: Store, catalog: TableCatalog, rows: TableRows) -> None:
        self._store = store
        self._catalog = catalog
        self._rows = rows

    def register(self, table: MutableTableDefinition) -> MutableTableDefinition:
        """Make the table and return its definition. The same one again is a no-op, another schema ``SchemaConflict``."""
        if not isinstance(table, MutableTableDefinition):
            raise InvalidParameter(
                f"a table is given as its MutableTableDefinition, not as {type(table).__name__}",
                hint="MutableTableDefinition(name, schema, primary_key) makes one",
            )
        with self._store.begin() as transaction:
            registered, _ = self._catalog.register(transaction, table)
        return registered.definition

    def get(self, name: Named, tenant: TenantId | str | None = None) -> MutableTableDefinition | None:
        """What ``tenant`` sees under that name: its own table before a global one; ``None`` where there is none."""
        path, scope = _named(name, tenant)
        found = self._catalog.lookup(self._store, scope, *split_name(path))
        return None if found is None else found.definition

    def list(self, tenant: TenantId | str | None = None) -> list[MutableTableDefinition]:
        """What ``tenant`` sees, by name: its own tables and the global ones."""
        return [table.definition for table in self._catalog.visible(self._store, TenantId.optional(tenant))]

    def drop(self, name: Named, tenant: TenantId | str | None = None) -> None:
        """Remove a table and its rows. ``UndefinedTable`` for one that ``tenant`` does not see, ``PermissionDenied``
        for a global one under a tenant."""
        with self._store.begin() as transaction:
            table, scope = self._found(transaction, name, tenant)
            self._catalog.check_owner(table, scope)
            self._catalog.drop(transaction, table)

    def insert_batch(self, name: Named, batch: Any, tenant: TenantId | str | None = None) -> int:
        """Insert Arrow data, all or nothing, as rows of ``tenant``; returns their number.

        Columns have the table's names and types, in any order. Raises ``BatchSchemaMismatch``, ``NotNullViolation`` and
        ``UniqueViolation``.
        """
        reader = as_reader(batch)
        with self._store.begin() as transaction:
            table, scope = self._found(transaction, name, tenant)
            count, _ = self._rows.insert(transaction, table, scope, (rows for rows in reader if rows.num_rows))
        return count

    def scan(
        self, name: Named, tenant: TenantId | str | None = None, columns: Sequence[str] | None = None
    ) -> pa.RecordBatchReader:
        """The rows that ``tenant`` sees as of now, pulled batch by batch."""
        snapshot = self._store.snapshot()
        try:
            table, scope = self._found(snapshot, name, tenant)
            names = table.schema.names if columns is None else list(columns)
            schema = pa.schema([table.column(name).field for name in names])
        except BaseException:
            snapshot.close()
            raise
        batches = self._rows.scan(snapshot, table, scope, names)
        return pa.RecordBatchReader.from_batches(schema, _closing(batches, snapshot.close))

    def _found(
        self, reader: Reader, name: Named, tenant: TenantId | str | None
    ) -> tuple[CatalogTable, TenantId | None]:
        path, scope = _named(name, tenant)
        # Twice: on PostgreSQL, who waited for a table that was then made anew finds neither.
        table = self._catalog.lookup(reader, scope, *split_name(path)) or self._catalog.lookup(
            reader, scope, *split_name(path)
        )
        if table is None:
            raise UndefinedTable(f"table {path} does not exist", hint="list shows what is there")
        return table, scope


def _named(name: Named, tenant: TenantId | str | None) -> tuple[str, TenantId | None]:
    scope = TenantId.optional(tenant)
    if isinstance(name, MutableTableDefinition):
        return name.name, scope or name.tenant
    return name, scope


def _closing(batches: Iterator[pa.RecordBatch], close: Callable[[], None]) -> Iterator[pa.RecordBatch]:
    try:
        yield from batches
    finally:
        close()
