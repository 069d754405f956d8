"""One connection to the SQLite file, through ADBC's low-level API.

The low-level API is what makes a small query cost 15 µs: ADBC's DB-API layer imports slowly and prepares anew for
each call.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import lru_cache
from typing import Any, Final

import adbc_driver_manager
import pyarrow as pa

from ..adbc.binding import bound, conformed
from ..adbc.driver import DRIVER_ERRORS, StatementCache
from ..errors import DataCorrupted, Error, InternalError
from ..ports import NamedQuery, Parameters
from .sqlite_errors import translated
from .transaction import gone

__all__ = ["SqliteConnection", "SqliteStream"]

_STREAMED_ROWS: Final = 8192  # per batch, as many as DataFusion likes; the driver's 1,024 take a third longer
_SAMPLES: Final = {pa.int64(): "0", pa.float64(): "0.0", pa.utf8(): "''", pa.binary(): "x''"}


class SqliteConnection:
    """A connection with its prepared statements. For one thread at a time; nothing stays open after a call."""

    __slots__ = ("__weakref__", "_connection", "_statements", "_streams", "closed")

    def __init__(self, database: adbc_driver_manager.AdbcDatabase, pragmas: Sequence[str]) -> None:
        self.closed = False
        try:
            self._connection = adbc_driver_manager.AdbcConnection(database)
        except DRIVER_ERRORS as error:
            raise translated(error, "opening the store") from error
        self._statements = StatementCache()
        self._streams: set[SqliteStream] = set()
        try:
            for pragma in pragmas:
                self.script(pragma)
        except BaseException:
            self.close()
            raise

    def query(self, query: NamedQuery, parameters: Parameters = ()) -> pa.Table:
        """The whole result of ``query``, with its declared schema."""
        batch = bound(parameters)
        if batch is not None and batch.num_rows == 0 and query.returns is not None:
            return query.returns.empty_table()
        reader: pa.RecordBatchReader | None = None
        try:
            statement = self._statements.get(self._connection, query.text)
            if batch is not None:
                statement.bind(batch)
            handle, _ = statement.execute_query()
            reader = pa.RecordBatchReader.from_stream(handle)
            table = reader.read_all()
        except DRIVER_ERRORS as error:
            raise translated(error, query.name) from error
        finally:
            # At once, not when the last reference goes: an open stream pins a snapshot, and an exception keeps
            # references.
            if reader is not None:
                reader.close()
        return conformed(table, query)

    def stream(self, query: NamedQuery, parameters: Parameters = ()) -> SqliteStream:
        """The result batch by batch. Its statement stays open until its end, its ``close`` or ``end_streams``."""
        statement = adbc_driver_manager.AdbcStatement(self._connection)  # its own: the same text may be open twice
        try:
            statement.set_options(**{"adbc.sqlite.query.batch_rows": str(_STREAMED_ROWS)})
            batch = bound(parameters)
            # Run once per row, the statement has its row of samples as often: a column of its own tells them.
            repeated = batch is not None and batch.num_rows != 1
            statement.set_sql_query(_typed(query, marked=repeated))
            if batch is not None and batch.num_rows == 0:  # the driver would end the process
                reader = pa.RecordBatchReader.from_batches(pa.schema([]), ())
            else:
                if batch is not None:
                    statement.prepare()
                    statement.bind(batch)
                handle, _ = statement.execute_query()
                reader = pa.RecordBatchReader.from_stream(handle)
            stream = SqliteStream(query, statement, reader, self._streams.discard, marked=repeated)
        except DRIVER_ERRORS as error:
            statement.close()
            raise translated(error, query.name) from error
        except BaseException:
            statement.close()
            raise
        self._streams.add(stream)
        return stream

    def end_streams(self) -> None:
        """Close the open streams: they keep a transaction from ending."""
        for stream in list(self._streams):
            stream.close()

    def execute(self, query: NamedQuery, parameters: Parameters = ()) -> int:
        """Run a statement without rows; returns how many rows it changed."""
        if query.returns is not None:
            raise InternalError(f"{query.name} declares columns: it is not for execute")
        batch = bound(parameters)
        if batch is not None and batch.num_rows == 0:
            return 0
        try:
            statement = self._statements.get(self._connection, query.text)
            if batch is not None:
                statement.bind(batch)
            changed: int = statement.execute_update()
        except DRIVER_ERRORS as error:
            raise translated(error, query.name) from error
        return changed

    def command(self, text: str) -> None:
        """Run a fixed text without parameters and rows, such as COMMIT; it is kept prepared."""
        try:
            self._statements.get(self._connection, text).execute_update()
        except DRIVER_ERRORS as error:
            raise translated(error, text) from error

    def commit(self) -> None:
        """Commit the open transaction."""
        self.command("COMMIT")

    def rollback_to(self, text: str) -> None:
        """Undo a part of the open transaction, by ``text``."""
        self.command(text)

    def script(self, text: str) -> None:
        """Run a text that will not come again."""
        statement = adbc_driver_manager.AdbcStatement(self._connection)
        try:
            statement.set_sql_query(text)
            statement.execute_update()
        except DRIVER_ERRORS as error:
            raise translated(error, _opening(text)) from error
        finally:
            statement.close()

    def rollback(self) -> None:
        """Undo the open transaction, if there is one. A connection that cannot is closed, which undoes it as well."""
        self.end_streams()
        try:
            self.command("ROLLBACK")
        except Error as error:
            if "no transaction is active" not in error.message:
                self.close()
        except BaseException:  # Ctrl-C
            self.close()
            raise

    def close(self) -> None:
        """Close; an open transaction is rolled back by it. May be called twice."""
        self.closed = True
        self.end_streams()
        self._statements.close()
        # Ctrl-C may have cut a call off, and its statement waits for the garbage collection: the connection closes with it.
        with suppress(RuntimeError):
            self._connection.close()


class SqliteStream:
    """An open result of a ``SqliteConnection``, read by whoever has the connection."""

    __slots__ = ("_closed", "_ended", "_is_first", "_marked", "_query", "_reader", "_statement")

    def __init__(
        self,
        query: NamedQuery,
        statement: adbc_driver_manager.AdbcStatement,
        reader: pa.RecordBatchReader,
        ended: Callable[[SqliteStream], None],
        *,
        marked: bool,
    ) -> None:
        self._query = query
        self._statement = statement
        self._reader = reader
        self._ended = ended
        self._marked = marked
        self._is_first = True
        self._closed = False

    def next_batch(self) -> pa.RecordBatch | None:
        """The next batch, ``None`` at the end. Raises ``ProgrammingError`` (24000) after ``close``."""
        if self._closed:
            raise gone()
        try:
            batch = self._reader.read_next_batch()
        except StopIteration:
            self.close()
            return None
        except DRIVER_ERRORS as error:
            raise translated(error, self._query.name) from error
        if self._marked:
            mark: Any = batch.column(batch.num_columns - 1).cast(pa.bool_())
            batch = batch.filter(mark).select(range(batch.num_columns - 1))
        elif self._is_first:
            self._is_first = False
            batch = batch.slice(1)
        if batch.schema.types != self._query.returns.types:  # type: ignore[union-attr] # a stream has columns
            raise DataCorrupted(f"{self._query.name}: the store's columns are {batch.schema.types}")
        return batch

    def close(self) -> None:
        """Release it. May be called twice."""
        if not self._closed:
            self._closed = True
            self._reader.close()
            self._statement.close()
            self._ended(self)


@lru_cache(maxsize=512)
def _typed(query: NamedQuery, *, marked: bool) -> str:
    """The query with a row before its own that has a value of the declared type in every column.

    ADBC guesses the columns' types from the first rows, and takes int64 where these are NULL. ``marked`` adds a column
    that is 0 in that row and 1 in the others.
    """
    if query.returns is None:
        raise InternalError(f"{query.name} declares no columns: it is for execute")
    samples = ", ".join(_SAMPLES[kind] for kind in query.returns.types)
    if marked:
        return f"SELECT {samples}, 0 UNION ALL SELECT *, 1 FROM ({query.text})"
    return f"SELECT {samples} UNION ALL SELECT * FROM ({query.text})"


def _opening(text: str) -> str:
    """The first words of a DDL text, for a message: enough to find it, too few for a literal to be in it."""
    return " ".join(text.split("(", 1)[0].split()[:6])
