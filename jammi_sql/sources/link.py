"""One connection to an attached database, through ADBC's low-level API."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from typing import Any, Final

import adbc_driver_manager
import pyarrow as pa
from adbc_driver_manager._reader import AdbcRecordBatchReader

from ..adbc.binding import bound, conformed
from ..adbc.driver import DRIVER_ERRORS
from ..errors import Error
from ..ports import NamedQuery, Parameters
from .credentials import Secrets

__all__ = ["Link", "Translate"]

Translate = Callable[[BaseException, str], Error]
"""The error to raise for one of the driver's; the text says what was being done."""

_PATIENCE: Final = 1.0  # seconds


class Link:
    """A connection. For one thread at a time, but for ``end``, which ends what another thread waits for."""

    __slots__ = (
        "__weakref__",
        "_closing",
        "_connection",
        "_mutex",
        "_owned",
        "_secrets",
        "_socket",
        "_statement",
        "_translate",
        "closed",
    )

    def __init__(
        self,
        connection: adbc_driver_manager.AdbcConnection,
        translate: Translate,
        own_socket: socket.socket | None = None,
        secrets: Secrets | None = None,
    ) -> None:
        """``own_socket``: a duplicate of the connection's, by which a call can be ended that nobody answers. ``secrets``: what
        the driver's own errors might have in them."""
        self.closed = False
        self._connection = connection
        self._translate = translate
        self._secrets = secrets or Secrets()
        self._socket = own_socket
        self._statement: adbc_driver_manager.AdbcStatement | None = None  # that is being run
        self._mutex = threading.Lock()  # a driver's cancel reads what its close frees
        self._closing = False
        self._owned: adbc_driver_manager.AdbcDatabase | None = None

    def own(self, database: adbc_driver_manager.AdbcDatabase) -> None:
        """Close that database with the connection, which is its only one."""
        self._owned = database

    @property
    def connection(self) -> adbc_driver_manager.AdbcConnection:
        """The driver's own, for what is not a statement."""
        return self._connection

    def update(self, text: str, doing: str, options: Mapping[str, str] | None = None) -> int:
        """Run statements without rows; how many rows were written, -1 where the driver does not tell."""
        with self._running(text, doing, options) as statement:
            rows: int = statement.execute_update()
            return rows

    def query(
        self, query: NamedQuery, parameters: Parameters = (), options: Mapping[str, str] | None = None
    ) -> pa.Table:
        """The whole result of one of the package's own queries, with its declared schema."""
        given = bound(parameters)
        with self._running(query.text, query.name, options) as statement:
            if given is not None:
                statement.prepare()
                statement.bind(given)
            table = _read(statement)
        return conformed(table, query)

    def table(self, text: str, doing: str, options: Mapping[str, str] | None = None) -> pa.Table:
        """The whole result of a small query, as the driver gives it."""
        with self._running(text, doing, options) as statement:
            return _read(statement)

    def schema_of(self, text: str, doing: str, options: Mapping[str, str] | None = None) -> pa.Schema:
        """The columns of a query as the driver would give them, without running it."""
        with self._running(text, doing, options) as statement:
            handle: Any = statement.execute_schema()
            return pa.schema(handle)

    def batches(self, text: str, doing: str, options: Mapping[str, str] | None = None) -> Iterator[pa.RecordBatch]:
        """The result of a query, batch by batch as the driver gives it, in its thread of reading."""
        with self._running(text, doing, options) as statement:
            handle, _ = statement.execute_query()
            # ADBC's own reader: PyArrow's loses the SQLSTATE of an error that comes after the first batch.
            with closing(AdbcRecordBatchReader._import_from_c(handle.address)) as reader:
                while True:
                    try:
                        batch = reader.read_next_batch()
                    except StopIteration:
                        return
                    yield batch

    def ingest(
        self, rows: pa.RecordBatchReader, doing: str, options: Mapping[str, str] | None = None, text: str | None = None
    ) -> int:
        """Write rows by the driver's bulk ingestion, whose options say where to; with ``text``, which has parameters, by
        running that for each row."""
        with self._running(text, doing, options) as statement:
            if text is not None:
                statement.prepare()
            statement.bind_stream(rows)
            written: int = statement.execute_update()
            return written

    @contextmanager
    def _running(
        self, text: str | None, doing: str, options: Mapping[str, str] | None
    ) -> Iterator[adbc_driver_manager.AdbcStatement]:
        statement: adbc_driver_manager.AdbcStatement | None = None
        try:
            statement = adbc_driver_manager.AdbcStatement(self._connection)
            if options:
                statement.set_options(**options)
            if text is not None:
                statement.set_sql_query(text)
            self._statement = statement
            yield statement
        except (*DRIVER_ERRORS, UnicodeDecodeError) as error:
            raise self._translate(error, doing) from self._cause(error)
        finally:
            with self._mutex:
                self._statement = None
            if statement is not None:
                with suppress(*DRIVER_ERRORS):
                    statement.close()

    def _cause(self, error: BaseException) -> BaseException | None:
        return None if self._secrets.within(str(error)) else error

    def end(self) -> None:
        """End what runs, there too, and be of no more use. From any thread; never blocks, never raises."""
        self.closed = True
        threading.Thread(target=self._end, name="jammi-source-end", daemon=True).start()

    def _end(self) -> None:
        cancelling = threading.Thread(target=self._cancel, name="jammi-source-cancel", daemon=True)
        cancelling.start()  # to a server that is silent it takes as long as the call itself
        cancelling.join(_PATIENCE)
        own = self._socket
        if own is not None:
            with suppress(OSError):  # it is closed already
                own.shutdown(socket.SHUT_RDWR)

    def _cancel(self) -> None:
        with self._mutex:
            if self._closing:
                return
            with suppress(*DRIVER_ERRORS):  # SQLite's driver has none
                (self._statement or self._connection).cancel()

    def close(self) -> None:
        """Close. May be called twice. A call that runs in another thread is the other thread's: ``end`` it first."""
        self.closed = True
        if self._closing:
            return
        # A cancel that gets no answer keeps the lock until the system gives up: then the connection is left to the
        # garbage collection.
        if self._mutex.acquire(timeout=2 * _PATIENCE):
            try:
                self._closing = True
                with suppress(RuntimeError, *DRIVER_ERRORS):
                    self._connection.close()
                    if self._owned is not None:
                        self._owned.close()
            finally:
                self._mutex.release()
        own, self._socket = self._socket, None
        if own is not None:
            own.close()

    def __del__(self) -> None:
        own = getattr(self, "_socket", None)
        if own is not None:  # somebody lost the connection: the driver closes its own, this is the duplicate
            own.close()


def _read(statement: adbc_driver_manager.AdbcStatement) -> pa.Table:
    handle, _ = statement.execute_query()
    with closing(AdbcRecordBatchReader._import_from_c(handle.address)) as reader:
        table: pa.Table = reader.read_all()
        return table
