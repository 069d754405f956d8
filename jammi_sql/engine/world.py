"""What a session has of DataFusion's, for one tenant."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Protocol

from datafusion import RuntimeEnvBuilder, SessionConfig, SessionContext

from ..ctrl_c import CtrlCHeld
from ..topics.definition import CATALOG, DEFAULT_NAMESPACE
from .attached_catalog import Catalogs
from .catalog_provider import JammiCatalog
from .file_access import PLAIN_TEXT
from .workers import keep_spare

if TYPE_CHECKING:
    from .relations import SessionRelations

__all__ = ["FLATTENING", "World"]

_SMALL_SIDE = 1 << 30
_IN_GIVEN_ORDER = " in given order"
FLATTENING = "eliminate_cross_join"
"""The rule of DataFusion's that puts inner joins into a row."""

keep_spare()


class Prepare(Protocol):
    """Makes a new context ready; without ``limited`` its memory is limited already."""

    def __call__(self, context: SessionContext, *, limited: bool) -> None: ...


class Options(Protocol):
    """DataFusion's options that a new context begins with."""

    def __call__(self) -> Mapping[str, str]: ...


class World:
    """DataFusion's contexts of a session while it speaks for one tenant, with its views, in-memory tables and prepared
    statements: what was made under a tenant is not there under another. ``shared`` is that without a tenant, whose views
    and tables are there under all.

    A new context begins with ``options``, and ``prepare`` makes it ready: functions, and what is set by statements.
    ``files``: whether a query may name any file.
    """

    def __init__(
        self,
        relations: SessionRelations,
        options: Options,
        prepare: Prepare,
        shared: World | None = None,
        *,
        files: bool = True,
    ) -> None:
        self.catalog: JammiCatalog = JammiCatalog(relations, None if shared is None else shared.catalog)
        self._catalogs = Catalogs(self.catalog, relations)
        self._begins_with = options
        self._prepare = prepare
        self._files = files
        self._contexts: dict[str, SessionContext] = {}
        self._options: dict[str, Mapping[str, str]] = {}

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

    def merging_context(self, memory_limit: int | None) -> SessionContext:
        """A new context whose joins sort both sides and hold neither in memory, for one statement."""
        # Each part sorts its share of both sides at once. In many parts, with much kept back for each or with large
        # batches that is more than a small limit has; in one part alone DataFusion would not merge. Its usual pool lets
        # one sort have all of the memory, and the others fail.
        own = {
            "datafusion.optimizer.prefer_hash_join": "false",
            "datafusion.execution.target_partitions": "2",
            "datafusion.execution.sort_spill_reservation_bytes": str(2 << 20),
        }
        runtime = None if memory_limit is None else RuntimeEnvBuilder().with_fair_spill_pool(memory_limit)
        context = self._new_context(own, runtime)
        context.sql("SET datafusion.execution.batch_size = 1024")
        return context

    def in_given_order(self, context: SessionContext) -> SessionContext | None:
        """One like ``context`` that makes joins in the order which a plan has: DataFusion has a rule that puts inner joins
        into a row, in the order of their tables, whose results may be the largest ones, and that makes = of IS NOT DISTINCT
        FROM on the way (of DataFusion 55). ``None`` for a context that is none of these."""
        for name, own in self._contexts.items():
            if own is context:
                if name.endswith(_IN_GIVEN_ORDER):
                    return own
                twin = self._context(f"{name}{_IN_GIVEN_ORDER}", self._options[name])
                twin.remove_optimizer_rule(FLATTENING)
                return twin
        return None

    @property
    def contexts(self) -> Iterable[SessionContext]:
        """Those that were made."""
        return self._contexts.values()

    def _context(self, name: str, own: Mapping[str, str]) -> SessionContext:
        context = self._contexts.get(name)
        if context is None:
            with CtrlCHeld():  # DataFusion asks Python meanwhile, and takes no error for an answer
                context = self._contexts[name] = self._new_context(own)
                self._options[name] = own
        return context

    def _new_context(self, own: Mapping[str, str], runtime: RuntimeEnvBuilder | None = None) -> SessionContext:
        options = {
            **PLAIN_TEXT,
            "datafusion.execution.time_zone": "UTC",
            **self._begins_with(),
            **own,
        }
        config = (
            SessionConfig(options)
            .with_default_catalog_and_schema(CATALOG, DEFAULT_NAMESPACE)
            .with_create_default_catalog_and_schema(False)
            .with_information_schema(True)
        )
        context = SessionContext(config, runtime)
        context.register_catalog_provider_list(self._catalogs)  # before the next line, which wraps the list
        if self._files:
            context = context.enable_url_table()  # SELECT ... FROM 'file.parquet'
        self._prepare(context, limited=runtime is None)
        return context
