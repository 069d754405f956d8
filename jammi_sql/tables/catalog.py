"""Companion tables as the store's catalogue has them."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson
import pyarrow as pa

from .. import faults
from ..arrow.batches import required_columns
from ..arrow.ipc import checksum, decode_schema, encode_schema
from ..arrow.storage import column_codec
from ..errors import (
    DataCorrupted,
    DataError,
    DuplicateObject,
    Error,
    NotNullViolation,
    PermissionDenied,
    ProgrammingError,
    SchemaConflict,
    UndefinedColumn,
    UndefinedObject,
    UndefinedTable,
    UniqueViolation,
)
from ..ports import Clock, NamedQuery, Reader, Transaction
from ..tenancy import TenantId
from ..topics.catalog import NAMES, tenant_text
from ..topics.definition import check_column_name, check_name, display_name, first_difference, split_name
from ..topics.remembered import Remembered
from .column import StoredColumn
from .definition import Index, MutableTableDefinition, check_key, check_table
from .rendering import TableRenderer

__all__ = ["CatalogTable", "TableCatalog"]

_REMEMBERED = 4096
_SAID = ("number", "tenant", "namespace", "name", "details", "schema_version", "checksum")
_COUNT = pa.schema([("count", pa.int64())])


@dataclass(frozen=True, slots=True, eq=False)
class CatalogTable:
    """A registered table: its row in the catalogue. ``definition`` is the user's view of it."""

    number: int
    namespace: str
    local_name: str
    definition: MutableTableDefinition
    storage: str
    columns: tuple[StoredColumn, ...]
    renderer: TableRenderer
    """What the store's SQL for it is made by."""
    required: tuple[int, ...]
    """The places of the columns in which something is NOT NULL."""
    schema_version: int
    data_version: int
    specials: frozenset[str]
    """The columns in which a NaN may be, as a blob among numbers."""

    @property
    def name(self) -> str:
        """The identifier path that leads to it."""
        return self.definition.name

    @property
    def schema(self) -> pa.Schema:
        """The user's columns."""
        return self.definition.schema

    @property
    def keys(self) -> list[tuple[str, ...]]:
        """The columns of the unique keys, the primary one first."""
        definition = self.definition
        primary = [definition.primary_key] if definition.primary_key else []
        return [*primary, *definition.unique, *(index.columns for index in definition.indexes if index.unique)]

    def broken_key(self, error: UniqueViolation) -> tuple[str, ...] | None:
        """The columns of the unique key that the store says to be broken."""
        definition = self.definition
        fixed = len(self.keys) - sum(index.unique for index in definition.indexes)
        stored = [_stored_key(self.number, place) for place in range(fixed)]
        stored += [_stored_index(self.number, index.name) for index in definition.indexes if index.unique]
        # The longest first: the columns of a shorter one may be among them.
        for columns, index in sorted(zip(self.keys, stored, strict=True), key=lambda each: len(each[0]), reverse=True):
            if self.renderer.breaks(error, self.storage, index, [self.column(name).physical for name in columns]):
                return columns
        return None

    def too_long(self, error: Error) -> DataError | None:
        """What to raise where the store says that values are too long for it; ``None`` for any other error."""
        limit = self.renderer.too_long(error)
        if limit is None:
            return None
        what = f"a row is too long for table {self.name}: {limit}"
        return DataError(what, sqlstate=error.sqlstate, hint="shorten its values, or index other columns")

    def column(self, name: str) -> StoredColumn:
        """The column of that name; ``UndefinedColumn`` where there is none."""
        for column in self.columns:
            if column.name == name:
                return column
        raise UndefinedColumn(
            f"table {self.name} has no column {name}", hint=f"its columns are {', '.join(self.schema.names)}"
        )


class TableCatalog:
    """Reads and changes the catalogue's rows. Every change happens in a transaction that the caller gives."""

    def __init__(self, queries: Mapping[str, NamedQuery], renderer: TableRenderer, clock: Clock) -> None:
        self._queries = queries
        self._renderer = renderer
        self._clock = clock
        # By all that a row says, so that what a transaction reads of its own may be kept too.
        self._known: Remembered[tuple[object, ...], CatalogTable] = Remembered(_REMEMBERED)

    # --- reading ---

    def visible(self, reader: Reader, tenant: TenantId | None) -> list[CatalogTable]:
        """What ``tenant`` sees, by name; its own hides a global one of the same name."""
        return self._nearest(reader, reader.query(self._queries["tables_visible"], (tenant_text(tenant),)))

    def named(self, reader: Reader, tenant: TenantId | None, names: Iterable[str]) -> list[CatalogTable]:
        """Of what ``tenant`` sees, the tables whose last name part is among ``names``, as of one moment."""
        text = orjson.dumps(sorted(names)).decode()
        return self._nearest(reader, reader.query(self._queries["tables_named"], (tenant_text(tenant), text)))

    def lookup(self, reader: Reader, tenant: TenantId | None, namespace: str, name: str) -> CatalogTable | None:
        """The table of that name that ``tenant`` sees."""
        return next((table for table in self.named(reader, tenant, [name]) if table.namespace == namespace), None)

    def numbered(self, reader: Reader, number: int) -> CatalogTable | None:
        """The table with that number, whoever owns it."""
        found = self._nearest(reader, reader.query(self._queries["table_numbered"], (number,)))
        return found[0] if found else None

    def data_versions(self, reader: Reader, numbers: Iterable[int]) -> dict[int, int]:
        """The data versions of some tables; those that are gone are left out."""
        rows = reader.query(self._queries["data_versions"], (orjson.dumps(sorted(numbers)).decode(),))
        return {row["number"]: row["data_version"] for row in rows.to_pylist()}

    def _nearest(self, reader: Reader, rows: pa.Table) -> list[CatalogTable]:
        # Rows come by namespace, name, tenant: '' sorts before a tenant's own row, which therefore replaces it.
        found: dict[tuple[str, str], dict[str, Any]] = {}
        for row in rows.to_pylist():
            found[row["namespace"], row["name"]] = row
        return [self._table(reader, row) for row in found.values()]

    def _table(self, reader: Reader, row: Mapping[str, Any]) -> CatalogTable:
        key = tuple(row[column] for column in _SAID)
        table = self._known.get(key)
        if table is None:
            table = self._known[key] = self._decoded(row)
        return replace(table, data_version=row["data_version"], specials=frozenset(orjson.loads(row["specials"])))

    def _decoded(self, row: Mapping[str, Any]) -> CatalogTable:
        path = display_name(row["namespace"], row["name"])
        schema = decode_schema(row["ipc"], row["checksum"], f"table {path}")
        try:
            details = orjson.loads(row["details"])
            definition = MutableTableDefinition(
                path,
                schema,
                tuple(details["primary_key"]),
                TenantId(row["tenant"]) if row["tenant"] else None,
                tuple(Index(name, tuple(columns), unique) for name, columns, unique in details["indexes"]),
                tuple(tuple(columns) for columns in details["unique"]),
                details["defaults"],
                details["options"],
            )
            physical = details["columns"]
            columns = tuple(
                StoredColumn(field, stored, column_codec(field.type), definition.defaults.get(field.name))
                for field, stored in zip(definition.schema, physical, strict=True)
            )
            orjson.loads(row["specials"])
        except (ValueError, KeyError, TypeError, ProgrammingError) as error:
            raise DataCorrupted(
                f"the catalogue row of table {path} is damaged", hint="restore the store from a backup"
            ) from error
        return CatalogTable(
            row["number"],
            row["namespace"],
            row["name"],
            definition,
            row["storage"],
            columns,
            self._renderer,
            required_columns(definition.schema),
            row["schema_version"],
            row["data_version"],
            frozenset(),
        )

    # --- changing ---

    def register(
        self, transaction: Transaction, definition: MutableTableDefinition, *, must_be_new: bool = False
    ) -> tuple[CatalogTable, bool]:
        """Make the table, and say whether it is new.

        The same columns and keys again are a no-op (``DuplicateObject`` with ``must_be_new``), others ``SchemaConflict``.
        """
        namespace, name = split_name(definition.name)
        check_name(namespace, name)
        check_table(definition)
        transaction.lock(NAMES)
        existing = self.lookup(transaction, definition.tenant, namespace, name)
        if existing is not None and existing.definition.tenant == definition.tenant:
            if must_be_new:
                raise DuplicateObject(f"table {existing.name} exists already", hint="use IF NOT EXISTS")
            if not existing.definition.same_as(definition):
                raise SchemaConflict(
                    f"table {existing.name} exists with another schema: {_difference(existing.definition, definition)}",
                    hint="ALTER TABLE changes it, or choose another name",
                )
            return existing, False
        self._check_free(transaction, definition.tenant, namespace, name)
        number = secrets.randbits(62)  # why: see the table in sql/migrations
        storage = self._renderer.storage_name(name, number)
        physical = self._renderer.physical_names(definition.schema.names)
        for index in definition.indexes:
            self._check_index_free(transaction, definition.tenant, namespace, index.name)
        ipc = encode_schema(definition.schema)
        details = _details(definition, physical)
        transaction.execute(
            self._queries["insert_table"],
            (
                number,
                tenant_text(definition.tenant),
                namespace,
                name,
                storage,
                details,
                self._clock.now_us(),
                checksum(ipc),
                ipc,
            ),
        )
        codecs = [column_codec(field.type) for field in definition.schema]
        transaction.script(self._renderer.create_table(storage, list(zip(physical, codecs, strict=True))))
        table = self._again(transaction, number)
        for place, columns in enumerate(filter(None, (definition.primary_key, *definition.unique))):
            self._make_index(transaction, table, _stored_key(number, place), columns, unique=True)
        for index in definition.indexes:
            stored = _stored_index(table.number, index.name)
            self._make_index(transaction, table, stored, index.columns, unique=index.unique)
        return table, True

    def drop(self, transaction: Transaction, table: CatalogTable) -> None:
        """Remove it with its rows."""
        # Its row in the catalogue first, which is the lock of its rows.
        if not transaction.execute(self._queries["delete_table"], (table.number,)):
            raise UndefinedTable(f"table {table.name} does not exist any more", hint="SHOW TABLES lists what is there")
        transaction.script(self._renderer.drop_table(table.storage))

    def rename(self, transaction: Transaction, table: CatalogTable, namespace: str, name: str) -> None:
        """Give it another name; ``DuplicateObject`` where that is taken."""
        check_name(namespace, name)
        transaction.lock(NAMES)
        existing = self.lookup(transaction, table.definition.tenant, namespace, name)
        if existing is not None and existing.definition.tenant == table.definition.tenant:
            raise DuplicateObject(f"table {existing.name} exists already", hint="choose another name")
        self._check_free(transaction, table.definition.tenant, namespace, name)
        transaction.execute(self._queries["rename_table"], (table.number, namespace, name))

    def add_column(
        self, transaction: Transaction, table: CatalogTable, field: pa.Field, default: str | None
    ) -> CatalogTable:
        """Append a column, NULL in every row."""
        check_column_name(field.name)
        if field.name in table.schema.names:
            raise DuplicateObject(
                f"table {table.name} has column {field.name} already", sqlstate="42701", hint="use IF NOT EXISTS"
            )
        codec = column_codec(field.type)
        definition = table.definition
        taken = [column.physical for column in table.columns]
        stored = self._renderer.later_name(field.name, taken, table.schema_version)
        defaults = dict(definition.defaults) if default is None else {**definition.defaults, field.name: default}
        transaction.script(self._renderer.add_column(table.storage, stored, codec))
        changed = replace(definition, schema=definition.schema.append(field), defaults=defaults)
        return self._alter(transaction, table, changed, [*taken, stored])

    def require(self, transaction: Transaction, table: CatalogTable, name: str) -> CatalogTable:
        """Make a column NOT NULL; ``NotNullViolation`` where a row has no value in it."""
        column = table.column(name)
        counted = self._renderer.count_rows(table.storage, self._renderer.is_null(column.physical))
        empty = NamedQuery("rows without a value", counted, _COUNT)
        if transaction.query(empty).column(0)[0].as_py():
            raise NotNullViolation(
                f"column {name} of table {table.name} cannot be NOT NULL: there are rows without a value",
                hint="give it a DEFAULT",
            )
        place = table.schema.names.index(name)
        schema = table.schema.set(place, table.schema.field(place).with_nullable(False))
        physical = [other.physical for other in table.columns]
        return self._alter(transaction, table, replace(table.definition, schema=schema), physical)

    def drop_column(self, transaction: Transaction, table: CatalogTable, name: str) -> CatalogTable:
        """Remove a column; 2BP01 where a key or an index needs it, 42P16 for the last one."""
        column = table.column(name)
        definition = table.definition
        if len(table.columns) == 1:
            raise ProgrammingError(
                f"column {name} is the only one of table {table.name}", sqlstate="42P16", hint="DROP TABLE drops it"
            )
        for what, columns in (
            ("the primary key", definition.primary_key),
            *(("a unique key", columns) for columns in definition.unique),
            *((f"index {index.name}", index.columns) for index in definition.indexes),
        ):
            if name in columns:
                raise ProgrammingError(
                    f"column {name} of table {table.name} is part of {what}",
                    sqlstate="2BP01",
                    hint="drop the index first" if what.startswith("index") else "make the table anew without it",
                )
        transaction.script(self._renderer.drop_column(table.storage, column.physical))
        place = table.schema.names.index(name)
        defaults = {key: value for key, value in definition.defaults.items() if key != name}
        changed = replace(definition, schema=definition.schema.remove(place), defaults=defaults)
        physical = [other.physical for other in table.columns if other is not column]
        return self._alter(transaction, table, changed, physical, table.specials - {name})

    def rename_column(self, transaction: Transaction, table: CatalogTable, name: str, new_name: str) -> CatalogTable:
        """Give a column another name, in keys and indexes too."""
        check_column_name(new_name)
        column = table.column(name)
        if new_name in table.schema.names:
            raise DuplicateObject(
                f"table {table.name} has column {new_name} already", sqlstate="42701", hint="choose another name"
            )
        definition = table.definition
        others = [other.physical for other in table.columns if other is not column]
        stored = self._renderer.later_name(new_name, others, table.schema_version)
        transaction.script(self._renderer.rename_column(table.storage, column.physical, stored))

        def names(columns: Sequence[str]) -> tuple[str, ...]:
            return tuple(new_name if item == name else item for item in columns)

        place = table.schema.names.index(name)
        changed = replace(
            definition,
            schema=definition.schema.set(place, definition.schema.field(place).with_name(new_name)),
            primary_key=names(definition.primary_key),
            unique=tuple(names(columns) for columns in definition.unique),
            indexes=tuple(replace(index, columns=names(index.columns)) for index in definition.indexes),
            defaults={new_name if key == name else key: value for key, value in definition.defaults.items()},
        )
        physical = [stored if other is column else other.physical for other in table.columns]
        specials = frozenset(names(sorted(table.specials)))
        return self._alter(transaction, table, changed, physical, specials)

    def create_index(self, transaction: Transaction, table: CatalogTable, index: Index) -> None:
        """Make an index; ``UniqueViolation`` where rows break a unique one."""
        check_key(table.name, table.schema, index.columns, f"index {index.name}")
        check_name(table.namespace, index.name)
        transaction.lock(NAMES)
        self._check_index_free(transaction, table.definition.tenant, table.namespace, index.name)
        stored = _stored_index(table.number, index.name)
        self._make_index(transaction, table, stored, index.columns, unique=index.unique)
        changed = replace(table.definition, indexes=(*table.definition.indexes, index))
        self._alter(transaction, table, changed, [column.physical for column in table.columns])

    def drop_index(self, transaction: Transaction, table: CatalogTable, name: str) -> None:
        """Remove an index."""
        table = self._again(transaction, table.number)  # as it is since it is locked
        if name not in {index.name for index in table.definition.indexes}:
            raise UndefinedObject(f"index {name} does not exist any more", hint="use IF EXISTS")
        transaction.script(self._renderer.drop_index(_stored_index(table.number, name)))
        kept = tuple(index for index in table.definition.indexes if index.name != name)
        changed = replace(table.definition, indexes=kept)
        self._alter(transaction, table, changed, [column.physical for column in table.columns])

    def find_index(
        self, reader: Reader, tenant: TenantId | None, namespace: str, name: str
    ) -> tuple[CatalogTable, Index] | None:
        """The index of that name in a schema, and its table."""
        for table in self.visible(reader, tenant):
            for index in table.definition.indexes:
                if table.namespace == namespace and index.name == name:
                    return table, index
        return None

    def raise_version(self, transaction: Transaction, table: CatalogTable, specials: Iterable[str] = ()) -> None:
        """Say that rows changed. ``specials`` are the columns in which NaNs were written."""
        transaction.execute(self._queries["raise_data_version"], (table.number,))
        if not table.specials.issuperset(specials):
            # Not those of ``table``: it may be older than what the same statement wrote before.
            present = self._again(transaction, table.number).specials
            transaction.execute(self._queries["set_specials"], (table.number, _names(present.union(specials))))
        faults.point("table.after_version")

    def raise_version_of(self, transaction: Transaction, table: CatalogTable) -> bool:
        """Say that rows will change, before they do: ``False``, and nothing is said, where ``table`` was altered since."""
        text, parameters = self._renderer.raise_data_version(table.number, table.schema_version)
        return bool(transaction.execute(NamedQuery(f"table {table.name}", text, None), parameters))

    def lower_version(self, transaction: Transaction, table: CatalogTable) -> None:
        """Take ``raise_version_of`` back, since no row changed."""
        transaction.execute(self._queries["lower_data_version"], (table.number,))

    @staticmethod
    def check_owner(table: CatalogTable, tenant: TenantId | None) -> None:
        """``PermissionDenied`` where ``tenant`` may use a global table but not change it for everybody."""
        if table.definition.tenant != tenant:
            raise PermissionDenied(
                f"table {table.name} is global: a tenant may read and write its rows, not change it",
                hint="do it in a session without a tenant",
            )

    def _alter(
        self,
        transaction: Transaction,
        table: CatalogTable,
        definition: MutableTableDefinition,
        physical: Sequence[str],
        specials: frozenset[str] | None = None,
    ) -> CatalogTable:
        ipc = encode_schema(definition.schema)
        kept = _names(self._again(transaction, table.number).specials if specials is None else specials)
        details = _details(definition, physical)
        transaction.execute(self._queries["alter_table"], (table.number, details, checksum(ipc), ipc, kept))
        return self._again(transaction, table.number)

    def _again(self, transaction: Transaction, number: int) -> CatalogTable:
        table = self.numbered(transaction, number)
        if table is None:
            raise UndefinedTable("the table was dropped while it was changed", hint="run the statement again")
        return table

    def _check_free(self, transaction: Transaction, tenant: TenantId | None, namespace: str, name: str) -> None:
        rows = transaction.query(self._queries["topic_of_name"], (tenant_text(tenant), namespace, name))
        if rows.column(0)[0].as_py():
            raise DuplicateObject(
                f"{display_name(namespace, name)} exists already: it is a topic or a cached table",
                hint="choose another name",
            )

    def _check_index_free(self, reader: Reader, tenant: TenantId | None, namespace: str, name: str) -> None:
        found = self.find_index(reader, tenant, namespace, name)
        if found is not None and found[0].definition.tenant == tenant:
            raise DuplicateObject(f"index {name} exists already, on table {found[0].name}", hint="use IF NOT EXISTS")

    def _make_index(
        self, transaction: Transaction, table: CatalogTable, name: str, columns: Sequence[str], *, unique: bool
    ) -> None:
        stored = [table.column(column).physical for column in columns]
        try:
            transaction.script(self._renderer.create_index(table.storage, name, stored, unique=unique))
        except UniqueViolation as error:
            raise UniqueViolation(
                f"table {table.name} has rows with the same values in ({', '.join(columns)})",
                hint="make them differ first, or CREATE INDEX without UNIQUE",
            ) from error
        except Error as error:
            raise table.too_long(error) or error from error


def _stored_key(number: int, place: int) -> str:
    """The index of the primary key, or of a UNIQUE: they are counted as the table was made with them."""
    return f"key_{number:x}_{place}"


def _stored_index(number: int, name: str) -> str:
    """The store takes names that differ in case for one, and has names of its own: so not the user's."""
    return f"index_{number:x}_{hashlib.sha256(name.encode()).hexdigest()[:16]}"


def _details(definition: MutableTableDefinition, physical: Sequence[str]) -> str:
    return orjson.dumps(
        {
            "columns": list(physical),
            "primary_key": list(definition.primary_key),
            "unique": [list(columns) for columns in definition.unique],
            "indexes": [[index.name, list(index.columns), index.unique] for index in definition.indexes],
            "defaults": dict(definition.defaults),
            "options": dict(definition.options),
        }
    ).decode()


def _names(names: Iterable[str]) -> str:
    return orjson.dumps(sorted(names)).decode()


def _difference(one: MutableTableDefinition, other: MutableTableDefinition) -> str:
    if not one.schema.equals(other.schema):
        return first_difference(one.schema, other.schema)
    if one.primary_key != other.primary_key:
        return f"its primary key is ({', '.join(one.primary_key)}) there and ({', '.join(other.primary_key)}) here"
    return "its unique keys or defaults differ"
