"""Attachments as the store's catalogue has them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any

import orjson

from ..errors import DataCorrupted, ProgrammingError
from ..ports import Clock, NamedQuery, Reader, Transaction
from ..tenancy import TenantId
from .definition import SourceDefinition

__all__ = ["AttachedSource", "SourceCatalog"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NAMES = "sources"
"""What a transaction locks that attaches or detaches."""


@dataclass(frozen=True, slots=True)
class AttachedSource:
    """A row of the catalogue."""

    definition: SourceDefinition
    attached_at: datetime


class SourceCatalog:
    """Reads and changes the rows. Every change happens in a transaction that the caller gives."""

    def __init__(self, queries: Mapping[str, NamedQuery], clock: Clock) -> None:
        self._queries = queries
        self._clock = clock

    def visible(self, reader: Reader, tenant: TenantId | None) -> list[AttachedSource]:
        """What ``tenant`` sees, by name; its own hides a global one of the same name."""
        rows = reader.query(self._queries["sources_visible"], (_text(tenant),))
        found = {row["name"]: row for row in rows.to_pylist()}  # '' sorts before a tenant's own row, which replaces it
        return [_attached(row) for row in found.values()]

    def lookup(self, reader: Reader, tenant: TenantId | None, name: str) -> AttachedSource | None:
        """The one of that name that ``tenant`` sees."""
        return next((each for each in self.visible(reader, tenant) if each.definition.name == name), None)

    def attach(self, transaction: Transaction, definition: SourceDefinition) -> bool:
        """Keep it; false where the tenant has one of that name."""
        transaction.lock(NAMES)
        existing = self.lookup(transaction, definition.tenant, definition.name)
        if existing is not None and existing.definition.tenant == definition.tenant:
            return False
        transaction.execute(
            self._queries["insert_source"],
            (
                _text(definition.tenant),
                definition.name,
                definition.kind,
                definition.uri,
                orjson.dumps(dict(definition.options)).decode(),
                self._clock.now_us(),
            ),
        )
        return True

    def detach(self, transaction: Transaction, definition: SourceDefinition) -> None:
        """Forget it."""
        transaction.lock(NAMES)
        transaction.execute(self._queries["delete_source"], (_text(definition.tenant), definition.name))


def _text(tenant: TenantId | None) -> str:
    return "" if tenant is None else str(tenant)


def _attached(row: Mapping[str, Any]) -> AttachedSource:
    try:
        options = orjson.loads(row["options"])
        if not isinstance(options, dict) or not all(isinstance(value, str) for value in options.values()):
            raise ValueError("not an object of texts")
        tenant = TenantId(row["tenant"]) if row["tenant"] else None
    except (ValueError, ProgrammingError) as error:
        raise DataCorrupted(
            f"the catalogue row of source {row['name']} is damaged", hint="DETACH it and ATTACH it again"
        ) from error
    definition = SourceDefinition(row["name"], row["kind"], row["uri"], MappingProxyType(options), tenant)
    return AttachedSource(definition, _EPOCH + timedelta(microseconds=row["attached_us"]))
