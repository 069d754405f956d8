"""ADBC's low-level API: what its calls raise, statements that are kept, how a database is closed."""

from __future__ import annotations

import gc
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

import adbc_driver_manager
import pyarrow as pa

__all__ = ["DRIVER_ERRORS", "StatementCache", "close_database"]

DRIVER_ERRORS: Final = (adbc_driver_manager.Error, pa.ArrowException, OSError)
"""What a call of a driver raises, reading its result included."""

_KEPT: Final = 256  # more than the package has fixed queries


class StatementCache:
    """The statements of a connection by their texts, those used last."""

    __slots__ = ("_options", "_statements")

    def __init__(self, options: Mapping[str, str] | None = None) -> None:
        """``options`` are the driver's, set on each statement."""
        self._options = dict(options or {})
        self._statements: dict[str, adbc_driver_manager.AdbcStatement] = {}

    def get(
        self, connection: adbc_driver_manager.AdbcConnection, text: str, *, prepared: bool = True
    ) -> adbc_driver_manager.AdbcStatement:
        """The statement of ``text``, made and kept where there is none."""
        statement = self._statements.get(text)
        if statement is None:
            statement = self.make(connection, text, prepared=prepared)
            if len(self._statements) >= _KEPT:
                self._statements.pop(next(iter(self._statements))).close()
            self._statements[text] = statement
        return statement

    def make(
        self, connection: adbc_driver_manager.AdbcConnection, text: str, *, prepared: bool
    ) -> adbc_driver_manager.AdbcStatement:
        """A statement that is the caller's, to be closed."""
        statement = adbc_driver_manager.AdbcStatement(connection)
        try:
            if self._options:
                statement.set_options(**self._options)
            statement.set_sql_query(text)
            if prepared:
                statement.prepare()
        except BaseException:
            statement.close()
            raise
        return statement

    def __len__(self) -> int:
        return len(self._statements)

    def close(self) -> None:
        """Close all."""
        while self._statements:
            self._statements.popitem()[1].close()


def close_database(database: adbc_driver_manager.AdbcDatabase) -> None:
    """Close it. Where Ctrl-C cut a call off, whose connection waits for the garbage collection, it closes with that."""
    try:
        database.close()
    except RuntimeError:
        gc.collect()
        with suppress(RuntimeError):
            database.close()
