"""What is looked at: a database, through one connection."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from ...adbc.postgres_url import completed
from ...errors import FeatureNotSupported, OperationalError
from ..secrets import Address

__all__ = ["Database", "Session", "connected"]


class Session(Protocol):
    """One connection. Every query is a transaction of its own, and reads."""

    def rows(self, text: str, parameters: Sequence[str] = ()) -> list[dict[str, Any]]:
        """The rows, by column. ``parameters`` stand for ``$1``, ``$2``, ...; raises ``OperationalError``."""
        ...

    def twice(self, text: str) -> None:
        """Prepare a statement and run it in two transactions; raises as ``rows``."""
        ...


@dataclass(frozen=True, slots=True)
class Database:
    """The session, where it leads, and the schema in which the store is, or is to be."""

    session: Session
    address: Address
    schema: str

    def value(self, text: str, *parameters: str) -> Any:
        """The one value of a query."""
        (row,) = self.session.rows(text, parameters)
        (value,) = row.values()
        return value

    def setting(self, name: str) -> str:
        """A setting of the server, as it is in force for this user."""
        return str(self.value("SELECT current_setting($1) AS value", name))


class _AdbcSession:
    """A ``Session`` through ADBC."""

    def __init__(self, connection: Any, address: Address) -> None:
        self._connection = connection
        self._address = address

    def rows(self, text: str, parameters: Sequence[str] = ()) -> list[dict[str, Any]]:
        """As ``Session.rows``."""
        with _errors(self._address), self._connection.cursor() as cursor:
            cursor.execute(text, tuple(parameters) or None)
            rows: list[dict[str, Any]] = cursor.fetch_arrow_table().to_pylist()
            return rows

    def twice(self, text: str) -> None:
        """As ``Session.twice``."""
        with _errors(self._address), self._connection.cursor() as cursor:
            cursor.adbc_prepare(text)
            for _ in range(2):
                cursor.execute(text)
                cursor.fetch_arrow_table()


@contextmanager
def connected(address: Address, schema: str) -> Iterator[Database]:
    """The database of a ``postgresql://`` URL.

    Raises ``FeatureNotSupported`` without the driver, ``OperationalError`` where nobody answers within ten seconds or the
    server refuses.
    """
    try:
        from adbc_driver_postgresql import dbapi  # noqa: PLC0415 - optional
    except ImportError as error:
        raise FeatureNotSupported(
            "postgresql:// needs a library that is not installed: adbc-driver-postgresql",
            hint="pip install 'jammi-sql[postgres]'",
        ) from error
    with _errors(address):
        connection = dbapi.connect(completed(address.url), autocommit=True)
    try:
        yield Database(_AdbcSession(connection, address), address, schema)
    finally:
        connection.close()


@contextmanager
def _errors(address: Address) -> Iterator[None]:
    """Errors of the driver as this package's own, without secrets."""
    import adbc_driver_manager  # noqa: PLC0415 - loaded with the driver

    try:
        yield
    except adbc_driver_manager.Error as error:
        text = address.redacted(" ".join(str(error).split()))
        raise OperationalError(text, sqlstate=getattr(error, "sqlstate", None) or None) from None
