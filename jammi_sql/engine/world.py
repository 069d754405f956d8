"""What a session has of DataFusion's, for one tenant."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from datafusion import SessionConfig, SessionContext

from ..topics.definition import CATALOG, DEFAULT_NAMESPACE
from .attached_catalog import Catalogs
from .catalog_provider import JammiCatalog

if TYPE_CHECKING:
    from .relations import SessionRelations

__all__ = ["World"]


class World:
    """DataFusion's contexts of a session while it speaks for one tenant, with its views, in-memory tables and prepared
    statements: what was made under a tenant is not there under another. ``shared`` is that without a tenant, whose views
    and tables are there under all.

    ``prepare`` makes a new context ready: functions and settings.
    """

    def __init__(
        self, relations: SessionRelations, prepare: Callable[[SessionContext], None], shared: World | None = None
    ) -> None:
        self.catalog: JammiCatalog = JammiCatalog(relations, None if shared is None else shared.catalog)
        self._catalogs = Catalogs(self.catalog, relations)
        self._prepare = prepare
        self._contexts: dict[int | None, SessionContext] = {}

    @property
    def context(self) -> SessionContext:
        """The context for queries, with as many partitions as there are cores."""
        return self._context(None)

    @property
    def ordered_context(self) -> SessionContext:
        """A context with one partition, which keeps rows in the order in which they are read."""
        return self._context(1)

    @property
    def contexts(self) -> Iterable[SessionContext]:
        """Those that were made."""
        return self._contexts.values()

    def _context(self, partitions: int | None) -> SessionContext:
        context = self._contexts.get(partitions)
        if context is None:
            context = self._contexts[partitions] = self._new_context(partitions)
        return context

    def _new_context(self, partitions: int | None) -> SessionContext:
        options = {
            "datafusion.sql_parser.map_string_types_to_utf8view": "false",
            "datafusion.execution.parquet.schema_force_view_types": "false",
            "datafusion.execution.time_zone": "UTC",
        }
        if partitions is not None:
            options["datafusion.execution.target_partitions"] = str(partitions)
        config = (
            SessionConfig(options)
            .with_default_catalog_and_schema(CATALOG, DEFAULT_NAMESPACE)
            .with_create_default_catalog_and_schema(False)
            .with_information_schema(True)
        )
        context = SessionContext(config)
        context.register_catalog_provider_list(self._catalogs)  # before the next line, which wraps the list
        context = context.enable_url_table()  # SELECT ... FROM 'file.parquet'
        self._prepare(context)
        return context
