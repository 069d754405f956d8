"""A Flight SQL server, attached."""

from __future__ import annotations

from typing import ClassVar, Final

import adbc_driver_flightsql
import adbc_driver_manager
import pyarrow as pa

from ..adbc.driver import DRIVER_ERRORS
from ..errors import InvalidParameter, NotSupportedError
from .definition import SourceDefinition
from .generic import GenericSource
from .link import Link
from .options import seconds

__all__ = ["FlightSource"]

_VENDOR_NAME: Final = 0  # ADBC's code
_CATALOGS: Final = {"jammi": "jammi", "datafusion": "datafusion"}
"""By what is in the name of a server that is DataFusion: the catalog in which it looks first."""
_OPTIONS: Final = {
    "username": "username",
    "password": "password",
    "tls_skip_verify": "adbc.flight.sql.client_option.tls_skip_verify",
    "tls_override_hostname": "adbc.flight.sql.client_option.tls_override_hostname",
}


class FlightSource(GenericSource):
    """The ``Source`` over Flight SQL. Queries are pushed to servers that say they are DataFusion, and in the dialect that the
    attachment names; of others, columns are read."""

    kind: ClassVar[str] = "flight"

    def __init__(self, definition: SourceDefinition) -> None:
        super().__init__(definition)
        self.retry_for = seconds(self.kind, definition.options, "connect_timeout") or 10.0
        self._first_catalog: str | None = None

    def _open_database(self, options: dict[str, str]) -> adbc_driver_manager.AdbcDatabase:
        given = {own: options[name] for name, own in _OPTIONS.items() if name in options}
        if "token" in options:
            given["adbc.flight.sql.authorization_header"] = f"Bearer {options['token']}"
        if "tls_root_certs" in options:
            try:
                with open(options["tls_root_certs"], encoding="utf-8") as file:
                    given["adbc.flight.sql.client_option.tls_root_certs"] = file.read()
            except OSError as error:
                raise InvalidParameter(
                    f"{self.definition.name}: tls_root_certs cannot be read: {error.strerror}"
                ) from error
        for pair in filter(None, options.get("headers", "").split(",")):
            header, _, value = pair.partition("=")
            given[f"adbc.flight.sql.rpc.call_header.{header.strip().lower()}"] = value.strip()
        database: adbc_driver_manager.AdbcDatabase = adbc_driver_flightsql.connect(self.definition.uri, db_kwargs=given)
        return database

    def _open_link(self, database: adbc_driver_manager.AdbcDatabase) -> Link:
        link = super()._open_link(database)
        try:
            self._recognise(link)
        except BaseException:
            link.close()
            raise
        return link

    def _recognise(self, link: Link) -> None:
        """What the server says of itself. One that says nothing is read column by column."""
        try:
            handle = link.connection.get_info([_VENDOR_NAME])  # the driver passes on no other of the server's SqlInfo
            with pa.RecordBatchReader.from_stream(handle) as reader:
                told = {row["info_name"]: row["info_value"] for row in reader.read_all().to_pylist()}
        except DRIVER_ERRORS as error:
            found = self.translated(error, f"connecting to {self.definition.name}")
            if not isinstance(found, NotSupportedError):
                raise found from error
            return
        vendor = str(told.get(_VENDOR_NAME) or "").lower()
        self._first_catalog = next((catalog for name, catalog in _CATALOGS.items() if name in vendor), None)
        if "dialect" not in self.definition.options:
            self.dialect = None if self._first_catalog is None else "datafusion"

    def _current_catalog(self, link: Link) -> str | None:
        return super()._current_catalog(link) or self._first_catalog
