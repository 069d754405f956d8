"""Connections: PEP 249 with ADBC's extensions, over a session."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from os import PathLike
from types import TracebackType
from typing import Any, NoReturn, Self
from uuid import UUID
from weakref import WeakSet

import pyarrow as pa
from adbc_driver_manager import dbapi as adbc

from .. import errors
from ..ctrl_c import let_go
from ..finalizing import finalize, ready
from ..results import INTERRUPT_INTERVAL, Progress
from ..tenancy import TenantId
from .buffer import RowBuffer
from .cursor import Cursor
from .info import connection_info
from .objects import TABLE_TYPES, ObjectFilter, nested_objects
from .port import Observed, SessionPort

__all__ = ["Connection"]


class _Exceptions:
    """PEP 249's optional extension: the exceptions as attributes of a connection."""

    Warning = errors.Warning
    Error = errors.Error
    InterfaceError = errors.InterfaceError
    DatabaseError = errors.DatabaseError
    DataError = errors.DataError
    OperationalError = errors.OperationalError
    IntegrityError = errors.IntegrityError
    InternalError = errors.InternalError
    ProgrammingError = errors.ProgrammingError
    NotSupportedError = errors.NotSupportedError


class Connection(_Exceptions, adbc.Connection):  # type: ignore[misc] # the exceptions are ours
    """A PEP 249 connection; ``jammi_sql.connect()`` or ``engine.session()`` makes it.

    It is a subclass of the ADBC manager's connection because pandas and polars take no other for an Arrow-native one.
    It holds no ADBC handle: every method is answered by the session.

    Threads may share it; statements then run one after the other, in one transaction if one is open, while results are
    read side by side. ``adbc_cancel`` and ``close`` may come from any thread at any time.
    """

    # polars asks for the name of the class's module to begin with "adbc_" before it reads Arrow data instead of rows;
    # "adbc_driver_<database>.dbapi" is ADBC's own convention for the name of a driver's module.
    __module__ = "adbc_driver_jammi.dbapi"

    def __init__(self, session: SessionPort, *, owns_engine: bool = False) -> None:
        # Not super().__init__(): it wants a database handle.
        ready()
        self._closed = False
        self._port = session
        self._owns_engine = owns_engine  # whether the engine closes with this connection
        # Two locks, so that close() does not wait for the end of another thread's tenant_scope block.
        self._turn = threading.RLock()  # whose statements run: one call's, or those of a tenant_scope block
        self._lock = threading.RLock()  # one call at a time into the session; taken after _turn
        self._results: WeakSet[RowBuffer] = WeakSet()
        self._results_lock = threading.RLock()  # a set that grows while it is listed raises RuntimeError
        self._in_block = False

    def __repr__(self) -> str:
        return f"<jammi_sql.Connection {'closed' if self._closed else 'open'}>"

    # --- PEP 249 ------------------------------------------------------------------------------------

    def cursor(self, *, adbc_stmt_kwargs: Mapping[str, Any] | None = None) -> Cursor:  # type: ignore[override]
        """A new cursor. ``adbc_stmt_kwargs`` is there for ADBC's signature; there are no such options."""
        self._check_open()
        if adbc_stmt_kwargs:
            raise errors.NotSupportedError(f"there are no statement options: {', '.join(adbc_stmt_kwargs)}")
        return Cursor(self)

    def execute(  # type: ignore[override]
        self,
        operation: str,
        parameters: object = None,
        *,
        adbc_stmt_kwargs: Mapping[str, Any] | None = None,
        stdin: object = None,
    ) -> Cursor:
        """Run one statement on a new cursor, and return that; ``stdin`` as for ``Cursor.execute``."""
        return self.cursor(adbc_stmt_kwargs=adbc_stmt_kwargs).execute(operation, parameters, stdin=stdin)

    def commit(self) -> None:
        """Commit the open transaction; nothing happens when there is none."""
        self._check_outside_block("commit()")
        with self._session() as session:
            if session.in_transaction:
                session.commit()

    def rollback(self) -> None:
        """Undo the open transaction; nothing happens when there is none."""
        self._check_outside_block("rollback()")
        with self._session() as session:
            if session.in_transaction:
                session.rollback()

    def close(self) -> None:
        """Cancel what runs, undo the open transaction and release everything. May be called again."""
        if self._closed:
            return
        self._closed = True
        self._cancel_all()
        with self._lock:
            for result in self._open_results():
                result.close()
            self._port.close()
            if self._owns_engine:
                self._port.engine.close()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        let_go(error)
        self.close()

    def __del__(self) -> None:
        # Interpreter shutdown tears the engine down in no order: nothing can be released any more.
        if not getattr(self, "_closed", True) and not sys.is_finalizing():
            finalize(self.close)

    @property
    def closed(self) -> bool:
        """Whether it was closed, here or with its engine."""
        return self._closed or self._port.closed

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open."""
        with self._session() as session:
            return session.in_transaction

    @property
    def autocommit(self) -> bool:
        """Whether a statement outside ``BEGIN`` commits by itself; otherwise the first one opens a transaction.

        Switching it on commits the transaction that is open, as ADBC and ``sqlite3`` do; where that fails, it stays
        off.
        """
        return self._port.autocommit

    @autocommit.setter
    def autocommit(self, on: bool) -> None:
        with self._session() as session:
            if on and not session.autocommit and session.in_transaction:
                self._check_outside_block("autocommit = True")
                session.commit()
            session.set_autocommit(on)

    # --- Jammi --------------------------------------------------------------------------------------

    @property
    def engine(self) -> Any:
        """The engine: topics, publisher, subscriber, broker."""
        return self._port.engine

    @property
    def tenant(self) -> TenantId | None:
        """The tenant that this session speaks for."""
        return self._port.tenant

    @contextmanager
    def tenant_scope(self, tenant: str | UUID | TenantId | None) -> Iterator[Self]:
        """Speak for another tenant inside a ``with`` block; the one before is restored at its end, however it ends.

        The block belongs to the thread that opened it: statements of other threads on this connection wait until it
        ends, so that none of them runs under its tenant. Reading results, ``adbc_cancel`` and ``close`` do not wait.
        Tasks of one event loop share a thread: give each a connection of its own (``engine.session(tenant)``).
        """
        bound = TenantId.optional(tenant)
        with self._taking_turn():
            with self._session() as session:
                before = session.tenant
                session.bind_tenant(bound)
            try:
                yield self
            finally:
                with self._lock:
                    if not self.closed:
                        self._port.bind_tenant(before)

    @contextmanager
    def transaction(self) -> Iterator[Self]:
        """A transaction for a ``with`` block: committed at its end, undone when it raises.

        ``commit()`` and ``rollback()`` are refused inside; a block inside another, or inside ``BEGIN``, is
        ``ActiveTransaction`` (25001).
        """
        with self._session() as session:
            session.begin()
            self._in_block = True
        try:
            yield self
        except BaseException:
            self._end_block(commit=False)
            raise
        self._end_block(commit=True)

    def backup(self, path: str | PathLike[str]) -> None:
        """Write a consistent copy of the store, which ``connect`` opens, while work goes on."""
        with self._session() as session:
            session.backup(path)

    def progress(self) -> Progress:
        """How far the statement is that runs in another thread: what its scans have read."""
        return self._port.progress() if isinstance(self._port, Observed) else Progress()

    # --- ADBC ---------------------------------------------------------------------------------------

    def adbc_cancel(self) -> None:
        """Cancel, from any thread, whatever runs or is being read: it raises ``QueryCanceled`` (57014) there."""
        self._check_open()
        self._cancel_all()

    def adbc_get_info(self) -> dict[str | int, Any]:
        """Names and versions of the database and of this driver."""
        self._check_open()
        return connection_info()

    def adbc_get_objects(
        self,
        *,
        depth: str = "all",
        catalog_filter: str | None = None,
        db_schema_filter: str | None = None,
        table_name_filter: str | None = None,
        table_types_filter: Sequence[str] | None = None,
        column_name_filter: str | None = None,
    ) -> pa.RecordBatchReader:
        """Catalogs, schemas, tables and columns in ADBC's nested form; the filters are LIKE patterns."""
        wanted = ObjectFilter.of(
            depth, catalog_filter, db_schema_filter, table_name_filter, table_types_filter, column_name_filter
        )
        with self._session() as session:
            flat = session.metadata.objects(wanted.depth, wanted.catalog, wanted.schema, wanted.table)
        return nested_objects(flat, wanted)

    def adbc_get_table_schema(
        self, table_name: str, *, catalog_filter: str | None = None, db_schema_filter: str | None = None
    ) -> pa.Schema:
        """The columns of a topic, table or view; ``UndefinedTable`` (42P01) when there is none."""
        with self._session() as session:
            return session.metadata.table_schema(catalog_filter, db_schema_filter, table_name)

    def adbc_get_table_types(self) -> list[str]:
        """``table`` (topics are among them), ``view`` and ``system view``."""
        self._check_open()
        return list(TABLE_TYPES)

    @property
    def adbc_current_catalog(self) -> str:
        """The catalog in which names without one are looked up."""
        with self._session() as session:
            return session.current_catalog

    @adbc_current_catalog.setter
    def adbc_current_catalog(self, catalog: str) -> None:
        with self._session() as session:
            session.current_catalog = catalog

    @property
    def adbc_current_db_schema(self) -> str:
        """The schema in which names without one are looked up."""
        with self._session() as session:
            return session.current_schema

    @adbc_current_db_schema.setter
    def adbc_current_db_schema(self, db_schema: str) -> None:
        with self._session() as session:
            session.current_schema = db_schema

    def adbc_clone(self) -> NoReturn:
        """Not here: ``engine.session()`` opens another session."""
        raise errors.NotSupportedError("a connection cannot be cloned", hint="use connection.engine.session()")

    def adbc_get_statistics(self, **filters: object) -> NoReturn:
        """There are none: ``NotSupportedError``."""
        raise errors.NotSupportedError("there are no statistics", hint="jammi.system.topics has row counts and sizes")

    def adbc_get_statistic_names(self) -> NoReturn:
        """There are none: ``NotSupportedError``."""
        raise errors.NotSupportedError("there are no statistics", hint="jammi.system.topics has row counts and sizes")

    @property
    def adbc_connection(self) -> NoReturn:
        """There is no ADBC handle underneath: ``AttributeError``, so that ``hasattr`` says so."""
        raise AttributeError("adbc_connection: there is no ADBC handle underneath")

    @property
    def adbc_database(self) -> NoReturn:
        """There is no ADBC handle underneath: ``AttributeError``, so that ``hasattr`` says so."""
        raise AttributeError("adbc_database: there is no ADBC handle underneath")

    # --- inside, for Cursor -------------------------------------------------------------------------

    @contextmanager
    def _session(self) -> Iterator[SessionPort]:
        """The session, for one call; Ctrl-C in it cancels the statement that runs."""
        with self._taking_turn(), self._lock:
            try:
                self._check_open()
                yield self._port
            except KeyboardInterrupt:
                self._port.cancel()
                raise

    @contextmanager
    def _taking_turn(self) -> Iterator[None]:
        while not self._turn.acquire(timeout=INTERRUPT_INTERVAL):
            self._check_open()  # another thread's statement is running, or its tenant_scope block
        try:
            yield
        finally:
            self._turn.release()

    def _check_open(self) -> None:
        if self.closed:
            raise errors.ConnectionClosed("the connection is closed")

    def _check_outside_block(self, what: str) -> None:
        if self._in_block:
            raise errors.ProgrammingError(
                f"{what} inside a transaction() block",
                sqlstate="25001",
                hint="the block commits at its end; raise an exception to undo it",
            )

    def _end_block(self, *, commit: bool) -> None:
        with self._lock:
            self._in_block = False
            if self.closed or not self._port.in_transaction:
                return  # the block ended it itself
            if commit:
                self._port.commit()
            else:
                self._port.rollback()

    def _cancel_call(self) -> None:
        self._port.cancel()

    def _cancel_all(self) -> None:
        self._port.cancel()
        for result in self._open_results():
            result.cancel()

    def _keep(self, result: RowBuffer) -> None:
        with self._results_lock:
            self._results.add(result)

    def _open_results(self) -> list[RowBuffer]:
        with self._results_lock:
            return list(self._results)
