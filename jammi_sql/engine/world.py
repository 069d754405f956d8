"""What a session has of DataFusion's, for one tenant."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from datafusion import SessionConfig, SessionContext

from ..topics.definition import CATALOG, DEFAULT_NAMESPACE
from .catalog_provider import JammiCatalog, Relations

__all__ = ["World"]

_SMALL_SIDE = 1 << 30


class World:
    """DataFusion's contexts of a session while it speaks for one tenant, with its views, in-memory tables and prepared
    statements: what was made under a tenant is not there under another. ``shared`` is that without a tenant, whose views
    and tables are there under all.

    ``prepare`` makes a new context ready: functions and settings.
    """

    def __init__(
        self, relations: Relations, prepare: Callable[[SessionContext], None], shared: World | None = None
    ) -> None:
        self.catalog: JammiCatalog = JammiCatalog(relations, None if shared is None else shared.catalog)
        self._prepare = prepare
        self._contexts: dict[str, SessionContext] = {}

    @property
    def context(self) -> SessionContext:
        """The context for queries, with as many partitions as there are cores."""
        return self._context("", {})

    @property
    def ordered_context(self) -> SessionContext:
        """A context with one partition, which keeps rows in the order in which they are read."""
        return self._context("ordered", {"datafusion.execution.target_partitions": "1"})

    @property
    def building_context(self) -> SessionContext:
        """A context whose joins hold the side in memory that is known to be small, if it is."""
        return self._context(
            "building",
            {
                "datafusion.optimizer.hash_join_single_partition_threshold": str(_SMALL_SIDE),
                "datafusion.optimizer.hash_join_single_partition_threshold_rows": str(_SMALL_SIDE),
            },
        )

    @property
    def merging_context(self) -> SessionContext:
        """A context whose joins sort both sides and hold neither in memory."""
        return self._context("merging", {"datafusion.optimizer.prefer_hash_join": "false"})

    @property
    def contexts(self) -> Iterable[SessionContext]:
        """Those that were made."""
        return self._contexts.values()

    def _context(self, name: str, own: Mapping[str, str]) -> SessionContext:
        context = self._contexts.get(name)
        if context is None:
            context = self._contexts[name] = self._new_context(own)
        return context

    def _new_context(self, own: Mapping[str, str]) -> SessionContext:
        options = {
            "datafusion.sql_parser.map_string_types_to_utf8view": "false",
            "datafusion.execution.parquet.schema_force_view_types": "false",
            "datafusion.execution.time_zone": "UTC",
            **own,
        }
        config = (
            SessionConfig(options)
            .with_default_catalog_and_schema(CATALOG, DEFAULT_NAMESPACE)
            .with_create_default_catalog_and_schema(False)
            .with_information_schema(True)
        )
        context = SessionContext(config).enable_url_table()  # SELECT ... FROM 'file.parquet'
        context.register_catalog_provider(CATALOG, self.catalog)
        self._prepare(context)
        return context
