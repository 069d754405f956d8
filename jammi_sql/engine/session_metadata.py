"""What a session's user can see: catalogs, schemas, relations and keys."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pyarrow as pa

from ..tables.catalog import CatalogTable
from .attached_listing import attached_relations, attached_schemas
from .describe import objects, relations, table_schema

if TYPE_CHECKING:
    from .session import Session

__all__ = ["SessionMetadata"]


class SessionMetadata:
    """The answers to metadata calls of drivers. Each may be cancelled as a statement may."""

    def __init__(self, session: Session) -> None:
        self._session = session

    @contextmanager
    def _asked(self) -> Iterator[Session]:
        with self._session.exclusively():
            yield self._session

    def objects(
        self, depth: int, catalog: str | None = None, schema: str | None = None, table: str | None = None
    ) -> pa.Table:
        """The catalogue, one row per column (or per table, schema, catalog at smaller depths)."""
        with self._asked() as session:
            return objects(session, depth, catalog, schema, table)

    def table_schema(self, catalog: str | None, schema: str | None, table: str) -> pa.Schema:
        """The columns of a relation; ``UndefinedTable`` (42P01) when there is none."""
        with self._asked() as session:
            return table_schema(session, catalog, schema, table)

    def listing(self) -> list[tuple[str, str, str, pa.Schema]]:
        """Schema, name, type and columns of every relation of the own catalog, by name."""
        with self._asked() as session:
            return relations(session)

    def source_names(self) -> list[str]:
        """The names of the attached sources, each of which is a catalog."""
        with self._asked() as session:
            return sorted(session.relations.source_names())

    def source_schemas(self, catalog: str | None = None) -> list[tuple[str, str]]:
        """Catalog and schema of the attached sources, or of one."""
        with self._asked() as session:
            return attached_schemas(session, catalog)

    def source_listing(
        self, catalog: str | None, in_schema: Callable[[str], bool], called: Callable[[str], bool]
    ) -> list[tuple[str, str, str, str, pa.Schema]]:
        """Catalog, schema, name, type and columns of the relations of attached sources whose schema and name are wanted."""
        with self._asked() as session:
            return list(attached_relations(session, catalog, in_schema, called))

    def primary_keys(self, schema: str | None, table: str) -> list[tuple[str, tuple[str, ...]]]:
        """The schemas and key columns of the companion tables of that name that have a key."""
        with self._asked() as session:
            visible = session.engine.services.tables.visible(session.reader, session.tenant)
        own: dict[str, CatalogTable] = {}
        for found in visible:  # a tenant's own table comes before a global one
            if found.local_name == table and schema in (None, found.namespace):
                hidden = own.get(found.namespace)
                if hidden is None or found.definition.tenant is not None:
                    own[found.namespace] = found
        keys = [(namespace, found.definition.primary_key) for namespace, found in sorted(own.items())]
        return [(namespace, key) for namespace, key in keys if key]
