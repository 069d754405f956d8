"""One connection to the SQLite file, through ADBC's low-level API.

The low-level API is what makes a small query cost 15 µs: ADBC's DB-API layer imports slowly and prepares anew for
each call.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import adbc_driver_manager
import pyarrow as pa

from ..errors import Error, InternalError
from ..ports import NamedQuery, Parameters
from .binding import bound, conformed
from .sqlite_errors import DRIVER_ERRORS, translated

__all__ = ["SqliteConnection"]

_STATEMENTS: Final = 256  # prepared ones kept per connection; more than the package has fixed queries


class SqliteConnection:
    """A connection with its prepared statements. For one thread at a time; nothing stays open after a call."""

    __slots__ = ("_connection", "_statements", "closed")

    def __init__(self, database: adbc_driver_manager.AdbcDatabase, pragmas: Sequence[str]) -> None:
        self.closed = False
        try:
            self._connection = adbc_driver_manager.AdbcConnection(database)
        except DRIVER_ERRORS as error:
            raise translated(error, "opening the store") from error
        self._statements: dict[str, adbc_driver_manager.AdbcStatement] = {}
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
            statement = self._prepared(query.text)
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

    def execute(self, query: NamedQuery, parameters: Parameters = ()) -> None:
        """Run a statement without rows."""
        if query.returns is not None:
            raise InternalError(f"{query.name} declares columns: it is not for execute")
        batch = bound(parameters)
        if batch is not None and batch.num_rows == 0:
            return
        try:
            statement = self._prepared(query.text)
            if batch is not None:
                statement.bind(batch)
            statement.execute_update()
        except DRIVER_ERRORS as error:
            raise translated(error, query.name) from error

    def command(self, text: str) -> None:
        """Run a fixed text without parameters and rows, such as COMMIT; it is kept prepared."""
        try:
            self._prepared(text).execute_update()
        except DRIVER_ERRORS as error:
            raise translated(error, text) from error

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
        while self._statements:
            self._statements.popitem()[1].close()
        self._connection.close()

    def _prepared(self, text: str) -> adbc_driver_manager.AdbcStatement:
        statement = self._statements.get(text)
        if statement is None:
            statement = adbc_driver_manager.AdbcStatement(self._connection)
            try:
                statement.set_sql_query(text)
                statement.prepare()
            except BaseException:
                statement.close()
                raise
            if len(self._statements) >= _STATEMENTS:
                self._statements.pop(next(iter(self._statements))).close()
            self._statements[text] = statement
        return statement


def _opening(text: str) -> str:
    """The first words of a DDL text, for a message: enough to find it, too few for a literal to be in it."""
    return " ".join(text.split("(", 1)[0].split()[:6])
