"""The store's rows about cached tables."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Mapping
from typing import Any, NamedTuple

import pyarrow as pa

from ...arrow.ipc import checksum, decode_schema, encode_schema
from ...errors import DuplicateObject
from ...ports import Clock, NamedQuery, Reader, Transaction
from ...tenancy import TenantId
from ...topics.catalog import NAMES, tenant_text
from ...topics.definition import check_name, display_name
from .table import CachedTable, Copy

__all__ = ["CachedCatalog", "DroppedCopy"]


class DroppedCopy(NamedTuple):
    """A file that is no table's copy any more, and since when (microseconds)."""

    path: str
    dropped_us: int


class CachedCatalog:
    """Reads and changes the rows. Every change happens in a transaction that the caller gives."""

    def __init__(self, queries: Mapping[str, NamedQuery], clock: Clock) -> None:
        self._queries = queries
        self._clock = clock

    # --- reading ---

    def visible(self, reader: Reader, tenant: TenantId | None) -> list[CachedTable]:
        """What ``tenant`` sees, by name; its own hides a global one of the same name."""
        return self._nearest(reader.query(self._queries["cached_visible"], (tenant_text(tenant),)))

    def lookup(self, reader: Reader, tenant: TenantId | None, namespace: str, name: str) -> CachedTable | None:
        """The cached table of that name that ``tenant`` sees."""
        found = self._nearest(reader.query(self._queries["cached_of_name"], (tenant_text(tenant), namespace, name)))
        return found[0] if found else None

    def numbered(self, reader: Reader, number: int) -> CachedTable | None:
        """The cached table with that number, whoever owns it."""
        found = self._nearest(reader.query(self._queries["cached_numbered"], (number,)))
        return found[0] if found else None

    def kept(self, reader: Reader) -> list[CachedTable]:
        """Those of all tenants that are made anew by themselves, first the one whose last refresh is the longest ago."""
        return [_table(row) for row in reader.query(self._queries["cached_kept"]).to_pylist()]

    def dropped(self, reader: Reader) -> list[DroppedCopy]:
        """The files that are no copies any more, the oldest first."""
        rows = reader.query(self._queries["dropped_copies"]).to_pylist()
        return [DroppedCopy(row["path"], row["dropped_us"]) for row in rows]

    def known_paths(self, reader: Reader) -> set[str]:
        """Every path that the store knows of."""
        return {str(path) for path in reader.query(self._queries["known_copies"]).column(0).to_pylist()}

    def folders(self, reader: Reader) -> set[str]:
        """The folders of this store's tables."""
        return {str(folder) for folder in reader.query(self._queries["copy_folders"]).column(0).to_pylist()}

    def _nearest(self, rows: pa.Table) -> list[CachedTable]:
        # Rows come by namespace, name, tenant: '' sorts before a tenant's own row, which therefore replaces it.
        found: dict[tuple[str, str], dict[str, Any]] = {}
        for row in rows.to_pylist():
            found[row["namespace"], row["name"]] = row
        return [_table(row) for row in found.values()]

    # --- changing ---

    @staticmethod
    def new_folder() -> str:
        """For the copies of a table to come."""
        return str(uuid.uuid4())

    def insert(self, transaction: Transaction, table: CachedTable) -> None:
        """Make it, with its first copy; its number is given here. ``DuplicateObject`` (42P07) where its name is taken."""
        check_name(table.namespace, table.local_name)
        transaction.lock(NAMES)
        owner = tenant_text(table.tenant)
        named = (owner, table.namespace, table.local_name)
        existing = self.lookup(transaction, table.tenant, table.namespace, table.local_name)
        mine = existing is not None and existing.tenant == table.tenant
        if mine or transaction.query(self._queries["name_is_taken"], named).column(0)[0].as_py():
            raise DuplicateObject(
                f"{display_name(table.namespace, table.local_name)} exists already", hint="choose another name"
            )
        ipc = encode_schema(table.copy.schema)
        transaction.execute(
            self._queries["insert_cached"],
            (
                secrets.randbits(62), *named, table.query, table.home, table.folder, table.refresh_us, table.topic,
                self._clock.now_us(), table.copy.path, table.copy.format, table.copy.rows, table.copy.size,
                table.refreshed_us, table.seen_offset, table.attempted_us, "", checksum(ipc), ipc,
            ),
        )  # fmt: skip

    def move(
        self, transaction: Transaction, table: CachedTable, copy: Copy, refreshed_us: int, seen_offset: int
    ) -> bool:
        """Let ``copy`` take the place of the one that ``table`` has; false where that is not its copy any more."""
        ipc = encode_schema(copy.schema)
        values = (
            table.number, table.copy.path, copy.path, copy.format, copy.rows, copy.size, refreshed_us, seen_offset,
            self._clock.now_us(), checksum(ipc), ipc,
        )  # fmt: skip
        if transaction.execute(self._queries["move_cached"], values) != 1:
            return False
        self._drop(transaction, table.copy.path)
        return True

    def note_failure(self, transaction: Transaction, table: CachedTable, failure: str) -> None:
        """The last refresh did not go well."""
        transaction.execute(self._queries["note_failure"], (table.number, self._clock.now_us(), failure))

    def drop(self, transaction: Transaction, table: CachedTable) -> bool:
        """Remove it; false where it is gone already. Its file waits for its readers."""
        now = self.numbered(transaction, table.number)
        if now is None or transaction.execute(self._queries["delete_cached"], (table.number,)) != 1:
            return False
        self._drop(transaction, now.copy.path)
        return True

    def _drop(self, transaction: Transaction, path: str) -> None:
        transaction.execute(self._queries["note_dropped_copy"], (path, self._clock.now_us()))

    def forget_dropped(self, transaction: Transaction, path: str) -> None:
        """The file is deleted."""
        transaction.execute(self._queries["forget_dropped_copy"], (path,))

    def settle(self, transaction: Transaction) -> None:
        """Of a copied store: it has no files that were dropped."""
        transaction.execute(self._queries["forget_all_dropped_copies"])


def _table(row: Mapping[str, Any]) -> CachedTable:
    shown = display_name(row["namespace"], row["name"])
    schema = decode_schema(row["ipc"], row["checksum"], f"cached table {shown}")
    return CachedTable(
        row["number"],
        TenantId(row["tenant"]) if row["tenant"] else None,
        row["namespace"],
        row["name"],
        row["query"],
        row["home"],
        row["folder"],
        row["refresh_us"],
        row["topic"],
        Copy(row["path"], row["format"], schema, row["row_count"], row["file_bytes"]),
        row["refreshed_us"],
        row["seen_offset"],
        row["attempted_us"],
        row["failure"],
    )
