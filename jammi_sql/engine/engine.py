"""The engine: a store, a broker, and the sessions on them."""

from __future__ import annotations

import os
import threading
import weakref
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from ..adbc.queries import load_queries
from ..brokers import optional
from ..brokers.jetstream import JetStreamBroker
from ..brokers.memory import InMemoryBroker, PollingBroker
from ..ctrl_c import let_go
from ..errors import ConnectionClosed, FeatureNotSupported, InvalidParameter
from ..ports import Broker, Clock, Store
from ..sources.catalog import SourceCatalog
from ..stores import SqliteStore, is_postgres_url
from ..tables.cache import TableCache
from ..tables.cached import CachedCatalog
from ..tables.catalog import TableCatalog
from ..tables.registry import MutableTableRegistry
from ..tables.rendering import renderer_of
from ..tables.rows import TableRows
from ..tenancy import TenantId
from ..topics.catalog import TopicCatalog
from ..topics.feeder import CrowdFeeder
from ..topics.log import Log
from ..topics.publisher import Publisher
from ..topics.repo import TopicRepo
from ..topics.retention import RetentionKeeper
from ..topics.segments.catalog import SegmentCatalog
from ..topics.segments.compactor import SegmentSize
from ..topics.segments.reader import SegmentReader
from ..topics.subscriber import Subscriber
from ..topics.watch import HeadWatch
from .attachments import Attachments
from .caching import CacheKeeper, Caches
from .functions import FunctionLibrary
from .segment_scan import SegmentScans
from .segmenting import SegmentOptions, Segments, segment_storage
from .services import Services, SystemClock
from .texts import Texts

if TYPE_CHECKING:
    from .access import Access
    from .metering import Metering
    from .session import Session

__all__ = ["Engine"]

MEMORY = ":memory:"
_TABLE_CACHE_BYTES = 512 << 20
_SEGMENT = SegmentSize()
_FOLDER_OPTIONS = ("lock_timeout", "max_bytes")
_SERVER_OPTIONS = ("lock_timeout", "schema", "pool_size", "retry_timeout")


class Engine:
    """Topics on one store. Several sessions share an engine; several engines and processes may share a store.

    ``Engine.open(target)`` makes one. ``topic_repo``, ``publisher``, ``subscriber``, ``broker`` and
    ``mutable_tables`` are the Python interface; ``session()`` is the SQL one.
    """

    def __init__(
        self,
        store: Store,
        broker: Broker,
        *,
        clock: Clock | None = None,
        udfs: Path | None = None,
        table_cache_bytes: int = _TABLE_CACHE_BYTES,
        segments: SegmentOptions | None = None,
        metrics: object = None,
    ) -> None:
        metering: Metering | None = None
        if metrics is not None:
            from .metering import Metering  # noqa: PLC0415 - nothing of it where no metrics are wanted

            metering = Metering(metrics, store, broker)
            store = metering.store
        clock = clock or SystemClock()
        options = segments or SegmentOptions()
        queries = load_queries("topics", store.kind)
        segment_catalog = SegmentCatalog(load_queries("segments", store.kind))
        storage = segment_storage(store, segment_catalog, options.location)
        files = SegmentReader(segment_catalog, storage)
        log = Log(queries, segment_catalog, files)
        catalog = TopicCatalog(queries, segment_catalog, clock)
        tables = TableCatalog(load_queries("tables", store.kind), renderer_of(store.kind), clock)
        rows = TableRows(tables)
        watch = HeadWatch(store, log, lambda: optional.heal_interval(broker), CrowdFeeder(store, catalog, log))
        self.clock: Clock = clock
        self.broker: Broker = broker
        self.publisher: Publisher
        if metering is None:
            self.publisher = Publisher(store, catalog, log, broker, watch, clock)
            self.subscriber = Subscriber(store, catalog, log, broker, watch)
        else:
            self.publisher = metering.publisher(catalog, log, broker, watch, clock)
            self.subscriber = metering.subscriber(catalog, log, broker, watch)
        self.topic_repo = TopicRepo(store, catalog, broker)
        self.mutable_tables = MutableTableRegistry(store, tables, rows)
        self.attachments = Attachments(SourceCatalog(load_queries("attachments", store.kind), clock))
        self._retention = RetentionKeeper(store, catalog, log, clock, self.subscriber.needed)
        functions = FunctionLibrary.load(udfs)
        self.services = Services(
            store,
            catalog,
            tables,
            rows,
            TableCache(table_cache_bytes),
            log,
            broker,
            watch,
            self.publisher,
            self.subscriber,
            functions,
            Segments.of(
                store, catalog, log, segment_catalog, storage, files, clock, options,
                on_segment=None if metering is None else metering.recorder.moved,
            ),
            SegmentScans(storage),
            Caches(
                store, CachedCatalog(load_queries("cached", store.kind), clock), catalog, storage, clock, options.grace
            ),
            Texts(functions.defaults),
        )  # fmt: skip
        self._metering = metering
        if metering is not None:  # last: an engine that could not be made is not observed
            metering.observe(self.subscriber)
        self._sessions: weakref.WeakSet[Session] = weakref.WeakSet()
        self._changing = threading.Lock()
        self.access: Access | None = None
        self.closed = False
        kept = options.background and not store.read_only and self.services.caches.storage.exists
        self._cache_keeper = CacheKeeper(self.services.caches, self.sql_session) if kept else None

    @classmethod
    def open(
        cls,
        target: str | os.PathLike[str] | None = None,
        broker: Broker | str | None = None,
        *,
        read_only: bool = False,
        clock: Clock | None = None,
        udfs: str | os.PathLike[str] | None = None,
        table_cache_bytes: int = _TABLE_CACHE_BYTES,
        segments: str | None = None,
        segment_rows: int = _SEGMENT.rows,
        segment_bytes: int = _SEGMENT.size,
        segment_grace: float = 600.0,
        compaction: bool = True,
        metrics: object = None,
        **options: Any,
    ) -> Engine:
        """The engine on ``target``: a folder, made if missing, ``":memory:"`` or ``None`` for a temporary one, or a
        ``postgresql://`` URL.

        ``broker`` is an object with the ``Broker`` contract, ``"memory"``, or a URL ``nats://host:4222`` or
        ``tls://host:4222``; without one, publishes of other processes on the same store arrive too. ``udfs`` is a
        folder of functions. ``table_cache_bytes`` is how much of companion tables is kept in memory for scans that
        repeat.

        ``segments`` is where the segments of topics are kept, a folder or the URL of an object store; without it, in
        the store's folder, or where they were before. A stretch of the log becomes a segment at ``segment_rows`` rows
        or ``segment_bytes`` bytes, in the background unless ``compaction`` is false. The file of a segment that was
        dropped stays for ``segment_grace`` seconds, for those who read it.

        ``metrics`` is where they are kept: ``"prometheus"`` (the default registry), ``"opentelemetry"`` (the global
        meter provider), a ``prometheus_client.CollectorRegistry``, an OpenTelemetry ``MeterProvider`` or ``Meter``, or
        an object with the contract ``jammi_sql.metrics.Metrics``; ``None``: nothing is measured.

        ``options`` are the store's: of a folder ``lock_timeout`` in seconds and ``max_bytes``, of a server ``lock_timeout``,
        ``schema``, ``pool_size`` and ``retry_timeout`` (see ``SqliteStore.open`` and ``PostgresStore.open``).
        """
        kept = SegmentOptions(segments, SegmentSize(segment_rows, segment_bytes), segment_grace, compaction)
        chosen = _broker(broker)
        try:
            store = _store(None if target is None else os.fspath(target), read_only=read_only, options=options)
        except BaseException:
            if chosen is not broker:
                chosen.close()
            raise
        try:
            return cls(
                store,
                chosen,
                clock=clock,
                udfs=None if udfs is None else Path(udfs),
                table_cache_bytes=table_cache_bytes,
                segments=kept,
                metrics=metrics,
            )
        except BaseException:
            store.close()
            if chosen is not broker:
                chosen.close()
            raise

    def session(self, tenant: TenantId | str | None = None) -> Any:
        """A new connection on this engine; closing it leaves the engine open."""
        from ..dbapi import Connection  # noqa: PLC0415 - the DB-API stands on the engine, not the engine on it

        return Connection(self.sql_session(tenant))

    def sql_session(
        self,
        tenant: TenantId | str | None = None,
        *,
        autocommit: bool = True,
        owns_engine: bool = False,
        access: Access | None = None,
    ) -> Session:
        """A new SQL session, as the faces use it. With ``owns_engine`` the engine closes with it.

        ``access`` is what its user may do, ``None`` for everything.
        """
        from .session import Session  # noqa: PLC0415 - a session refers to its engine

        if self.closed:
            raise ConnectionClosed("the engine is closed")
        on_close = self.close if owns_engine else None
        kind = Session if self._metering is None else self._metering.session
        access = access or self.access
        session = kind(self, TenantId.optional(tenant), autocommit=autocommit, on_close=on_close, access=access)
        with self._changing:
            self._sessions.add(session)
        return session

    @property
    def sessions(self) -> list[Session]:
        """The sessions that are open."""
        with self._changing:
            return [session for session in self._sessions if not session.closed]

    def restrict(self, access: Access) -> None:
        """Give sessions that are made from now on ``access``, and open only attached files that it allows: its users are not
        who runs the process."""
        self.access = access
        self.attachments.restrict(access.files)

    def close(self) -> None:
        """End sessions and subscriptions and release the store. May be called twice."""
        if self.closed:
            return
        self.closed = True
        if self._metering is not None:
            self._metering.close()
        if self._cache_keeper is not None:  # it has sessions of its own
            self._cache_keeper.close()
        for session in self.sessions:
            session.close()
        self.subscriber.close()
        self.services.watch.close()
        self._retention.close()
        self.services.segments.close()
        self.attachments.close()
        optional.close(self.broker)
        self.services.store.close()

    def __enter__(self) -> Engine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        let_go(error)
        self.close()


def _store(target: str | None, *, read_only: bool, options: dict[str, Any]) -> Store:
    if target is None or target == MEMORY:
        if read_only:
            raise InvalidParameter("a temporary store cannot be read-only")
        if options:
            raise InvalidParameter(f"a temporary store takes no option {', '.join(sorted(options))}")
        return SqliteStore.temporary()
    if is_postgres_url(target):
        _check_options(options, _SERVER_OPTIONS, "a PostgreSQL server")
        return _postgres(target, read_only=read_only, options=options)
    if "://" in target:
        raise FeatureNotSupported(
            f"{target.split('://', 1)[0]}:// is no store that an engine in this process could open",
            hint="give a folder, a postgresql:// URL, or ':memory:' for a temporary store; connect() takes grpc:// too",
        )
    _check_options(options, _FOLDER_OPTIONS, "a folder")
    return SqliteStore.open(target, read_only=read_only, **options)


def _postgres(url: str, *, read_only: bool, options: dict[str, Any]) -> Store:
    try:
        from ..stores.postgres import PostgresStore  # noqa: PLC0415 - its driver is an extra
    except ImportError as error:
        raise FeatureNotSupported(
            "the driver for PostgreSQL is not installed", hint="pip install 'jammi-sql[postgres]'"
        ) from error
    return PostgresStore.open(url, read_only=read_only, **options)


def _check_options(options: dict[str, Any], known: tuple[str, ...], what: str) -> None:
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise InvalidParameter(
            f"there is no option {unknown[0]}", hint=f"{what} takes {', '.join(known[:-1])} and {known[-1]}"
        )


def _broker(broker: Broker | str | None) -> Broker:
    if broker is None:
        return PollingBroker()
    if not isinstance(broker, str):
        return broker
    if broker == "memory":
        return InMemoryBroker()
    scheme = broker.split("://", 1)[0]
    if scheme in ("nats", "tls") and scheme != broker:
        return JetStreamBroker(broker)
    raise FeatureNotSupported(
        f"there is no broker {scheme if scheme != broker else repr(broker)}",
        hint="give 'memory', nats://host:4222, a Broker object, or nothing for the polling one",
    )
