"""One connection to a PostgreSQL server, through ADBC's low-level API."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import count
from typing import Any, Final, TypeVar

import adbc_driver_manager
import pyarrow as pa

from ..adbc.binding import bound, conformed
from ..adbc.driver import DRIVER_ERRORS, StatementCache
from ..adbc.own_sockets import with_socket
from ..adbc.postgres_errors import translated
from ..checking import current_check
from ..errors import (
    ConnectionLost,
    DataCorrupted,
    Error,
    FailedTransaction,
    InternalError,
    OperationalError,
)
from ..ports import NamedQuery, Parameters
from .transaction import gone
from .watchdog import Watchdog

__all__ = ["PostgresConnection", "PostgresStream"]

_T = TypeVar("_T")

_DIRECT: Final = {"adbc.postgresql.use_copy": "false"}  # COPY takes a third longer for few rows, and no parameters
_GIVEN_BYTES: Final = 64 << 20  # of arrays in one statement; the server takes at most 1 GB
_FIRST_ROWS: Final = 8192
_MOST_ROWS: Final = 65536
_STREAMED_BYTES: Final = 8 << 20
_PATIENCE: Final = 2.0  # seconds
_NOT_RUN: Final = "Failed to prepare query"  # the driver has a statement with parameters planned first, then runs it
_SERVER_PROCESS: Final = NamedQuery(
    "server_process", "SELECT pg_backend_pid()::BIGINT AS process", pa.schema([("process", pa.int64())])
)


class PostgresConnection:
    """A connection with its statements. For one thread at a time, but for ``cancel`` and ``sever``."""

    __slots__ = (
        "__weakref__",
        "_cancelling",
        "_closing",
        "_connection",
        "_cursors",
        "_failure",
        "_socket",
        "_statements",
        "_streams",
        "_watchdog",
        "check",
        "closed",
        "server_process",
    )

    def __init__(
        self,
        database: adbc_driver_manager.AdbcDatabase,
        settings: str,
        watchdog: Watchdog,
        is_peer: Callable[[object], bool],
    ) -> None:
        """``settings``: commands that are run first. ``watchdog`` looks after each call. ``is_peer``: whether an address may
        be the server's."""
        self.closed = False
        self.check: Callable[[], None] | None = None
        """Called now and then while a call runs; what it raises ends the call."""
        self.server_process = 0
        self._cancelling = threading.Lock()  # the driver's cancel reads what its close frees
        self._closing = False
        self._watchdog = watchdog
        self._statements = StatementCache(_DIRECT)
        self._streams: set[PostgresStream] = set()
        self._cursors = count(1)
        self._failure: Error | None = None  # of a statement in the open transaction
        try:
            self._connection, self._socket = with_socket(lambda: adbc_driver_manager.AdbcConnection(database), is_peer)
        except DRIVER_ERRORS as error:
            raise translated(error, "connecting") from error
        try:
            self.command(settings)
            self.server_process = self.query(_SERVER_PROCESS).column(0)[0].as_py()
        except BaseException:
            self.close()
            raise

    def query(self, query: NamedQuery, parameters: Parameters = ()) -> pa.Table:
        """The whole result of ``query``, with its declared schema."""
        parts = [self._fetched(query.text, given, query.name) for given in _given(parameters)]
        if not parts:
            assert query.returns is not None
            return query.returns.empty_table()
        return conformed(parts[0] if len(parts) == 1 else pa.concat_tables(parts), query)

    def stream(self, query: NamedQuery, parameters: Parameters = ()) -> PostgresStream:
        """The result batch by batch, through a cursor: so the connection is free between two batches.

        The caller is in a transaction, whose end is the end of the stream.
        """
        name = f"stream_{next(self._cursors)}"
        given = _given(parameters)
        if len(given) > 1:
            raise InternalError(f"{query.name}: too much is given to a stream")
        if given:
            self._update(f"DECLARE {name} NO SCROLL CURSOR FOR {query.text}", given[0], query.name, keep=False)
        stream = PostgresStream(query, self, name if given else None, self._streams.discard)
        self._streams.add(stream)
        return stream

    def fetch(self, cursor: str, rows: int, doing: str) -> pa.Table:
        """The next rows of a cursor."""
        return self._fetched(f"FETCH {rows} FROM {cursor}", None, doing, keep=False)

    def end_streams(self) -> None:
        """Forget the open streams: the end of the transaction closes their cursors."""
        for stream in list(self._streams):
            stream.forget()

    def execute(self, query: NamedQuery, parameters: Parameters = ()) -> int:
        """Run a statement without rows; returns how many rows it changed."""
        if query.returns is not None:
            raise InternalError(f"{query.name} declares columns: it is not for execute")
        return sum(self._update(query.text, given, query.name) for given in _given(parameters))

    def write_alone(self, query: NamedQuery, parameters: Parameters) -> pa.Table:
        """The result of a statement that writes, outside of a transaction: it is committed when this returns.

        ``ConnectionLost`` where the connection was lost before the statement was run; what comes later, and is not the
        server's own word, is 08007 as for ``commit``.
        """
        (given,) = _given(parameters)  # all of it: it is one statement
        try:
            table = self._fetched(query.text, given, query.name)
        except Error as error:
            if _NOT_RUN in str(error.__cause__) or (not isinstance(error, ConnectionLost) and _said_by_server(error)):
                raise
            self.closed = True
            raise _unknown(error) from error
        return conformed(table, query)

    def command(self, text: str) -> None:
        """Run fixed texts without parameters, ``;`` between them."""
        self._update(text, None, text.split(" ", 1)[0])

    def begin(self, text: str) -> None:
        """Begin a transaction, by ``text``."""
        self.command(text)
        self._failure = None

    def commit(self) -> None:
        """Commit the open transaction.

        ``FailedTransaction`` where a statement in it failed and was not undone: the server would roll it back without a
        word. An ``OperationalError`` with 08007 where the connection is lost meanwhile, or anything else comes that is not
        the server's own word: whether it is committed is unknown.
        """
        if self._failure is not None:
            raise FailedTransaction(
                "the transaction was rolled back: a statement in it had failed", hint="run it again"
            ) from self._failure
        try:
            self.command("COMMIT")
        except Error as error:
            if not isinstance(error, ConnectionLost) and _said_by_server(error):
                raise
            self.closed = True
            raise _unknown(error) from error

    def rollback_to(self, text: str) -> None:
        """Undo a part of the open transaction, by ``text``; what failed in it is forgotten."""
        self.command(text)
        self._failure = None

    def script(self, text: str) -> None:
        """Run a text that will not come again."""
        self._update(text, None, " ".join(text.split("(", 1)[0].split()[:6]), keep=False)

    def cancel(self) -> None:
        """As ``Watched.cancel``: the call fails with ``QueryCanceled``."""
        with self._cancelling, suppress(*DRIVER_ERRORS):
            if not self._closing:
                self._connection.cancel()

    def sever(self) -> bool:
        """As ``Watched.sever``: the call fails with ``ConnectionLost``."""
        if self._socket is None:
            return False
        with suppress(OSError):  # it is closed already
            self._socket.shutdown(socket.SHUT_RDWR)
        return True

    def rollback(self) -> None:
        """Undo the open transaction, if there is one. A connection that cannot is closed, which undoes it as well."""
        self.end_streams()
        if self.closed:
            return
        try:
            self.command("ROLLBACK")
        except Error:
            self.close()
        except BaseException:  # Ctrl-C
            self.close()
            raise

    def close(self) -> None:
        """Close; an open transaction is rolled back by it. May be called twice."""
        self.closed = True
        self.end_streams()
        self._statements.close()
        self._closing = True
        # A cancel that gets no answer keeps it until the system gives up.
        if self._cancelling.acquire(timeout=_PATIENCE):
            try:
                with suppress(RuntimeError, *DRIVER_ERRORS):
                    self._connection.close()
            finally:
                self._cancelling.release()
        if self._socket is not None:
            self._socket.close()

    def __del__(self) -> None:
        own = getattr(self, "_socket", None)
        if own is not None:  # somebody lost the connection: the driver closes its own, this is the duplicate
            own.close()

    def _fetched(self, text: str, given: pa.RecordBatch | None, doing: str, *, keep: bool = True) -> pa.Table:
        return self._run(_read, text, given, doing, keep=keep)

    def _update(self, text: str, given: pa.RecordBatch | None, doing: str, *, keep: bool = True) -> int:
        changed: int = self._run(adbc_driver_manager.AdbcStatement.execute_update, text, given, doing, keep=keep)
        return max(changed, 0)

    def _run(
        self,
        call: Callable[[adbc_driver_manager.AdbcStatement], _T],
        text: str,
        given: pa.RecordBatch | None,
        doing: str,
        *,
        keep: bool,
    ) -> _T:
        statement: adbc_driver_manager.AdbcStatement | None = None
        try:
            find = self._statements.get if keep else self._statements.make
            statement = find(self._connection, text, prepared=given is not None)
            if given is not None:
                statement.bind(given)
            with self._watchdog.watching(self, self.check or current_check()):
                return call(statement)
        except DRIVER_ERRORS as error:
            raise self._failed(error, doing) from error
        except Error:
            self._give_up()
            raise
        finally:
            if not keep and statement is not None:
                statement.close()

    def _give_up(self) -> None:
        """A call was ended by its check. The cancel that ended it may be on its way still: it must not meet another call."""
        self.closed = True
        self.sever()

    def _failed(self, error: BaseException, doing: str) -> Error:
        found = self._failure = translated(error, doing)
        if isinstance(found, ConnectionLost):
            self.closed = True
        return found


class PostgresStream:
    """An open cursor of a ``PostgresConnection``, read by whoever has the connection."""

    __slots__ = ("_closed", "_connection", "_cursor", "_ended", "_query", "_rows")

    def __init__(
        self,
        query: NamedQuery,
        connection: PostgresConnection,
        cursor: str | None,
        ended: Callable[[PostgresStream], None],
    ) -> None:
        """Without ``cursor`` it has no rows."""
        self._query = query
        self._connection = connection
        self._cursor = cursor
        self._ended = ended
        self._rows = _FIRST_ROWS
        self._closed = False

    def next_batch(self) -> pa.RecordBatch | None:
        """The next batch, ``None`` at the end. Raises ``ProgrammingError`` (24000) after ``close``."""
        if self._closed:
            raise gone()
        if self._cursor is None:
            self.close()
            return None
        table = self._connection.fetch(self._cursor, self._rows, self._query.name)
        if not table.num_rows:
            self.close()
            return None
        if table.schema.types != self._query.returns.types:  # type: ignore[union-attr] # a stream has columns
            raise DataCorrupted(f"{self._query.name}: the store's columns are {table.schema.types}")
        if table.nbytes:
            self._rows = max(1, min(_MOST_ROWS, table.num_rows * _STREAMED_BYTES // table.nbytes))
        (batch,) = table.combine_chunks().to_batches()
        return batch

    def close(self) -> None:
        """Release it. May be called twice."""
        if not self._closed:
            cursor = self._cursor
            self.forget()
            if cursor is not None and not self._connection.closed:
                with suppress(Error):  # in a transaction that failed there is no cursor any more
                    self._connection.script(f"CLOSE {cursor}")

    def forget(self) -> None:
        """It is closed already."""
        self._closed = True
        self._cursor = None
        self._ended(self)


def _read(statement: adbc_driver_manager.AdbcStatement) -> pa.Table:
    handle, _ = statement.execute_query()
    with pa.RecordBatchReader.from_stream(handle) as reader:
        return reader.read_all()


def _unknown(error: Error) -> OperationalError:
    return OperationalError(
        f"the connection was lost during the commit: {error.message}",
        sqlstate="08007",
        hint="look whether the work is there before it is done again",
    )


def _said_by_server(error: Error) -> bool:
    """Whether an error has the server's SQLSTATE; what comes from the network or from TLS has none."""
    state = (getattr(error.__cause__, "sqlstate", None) or "").strip("\0")
    return bool(state.strip("0"))


def _given(parameters: Parameters) -> Sequence[pa.RecordBatch | None]:
    """What to bind, for each time that the statement runs: none where a batch has no rows.

    A ``RecordBatch`` becomes one row of arrays, or several where it is large.
    """
    if not isinstance(parameters, pa.RecordBatch):
        return (bound(parameters),)
    rows, size = parameters.num_rows, parameters.nbytes
    if not rows:
        return ()
    step = rows if size <= _GIVEN_BYTES else max(1, rows * _GIVEN_BYTES // size)
    return [_arrays(parameters.slice(start, step)) for start in range(0, rows, step)]


def _arrays(batch: pa.RecordBatch) -> pa.RecordBatch:
    ends = pa.array([0, batch.num_rows], pa.int64())
    lists: list[Any] = [pa.LargeListArray.from_arrays(ends, column) for column in batch.columns]
    return pa.RecordBatch.from_arrays(lists, names=batch.schema.names)
