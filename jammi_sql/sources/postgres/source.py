"""A PostgreSQL database, attached."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import partial
from itertools import pairwise
from typing import Any, ClassVar, Final
from urllib.parse import quote, urlsplit

import adbc_driver_manager
import adbc_driver_postgresql
import pyarrow as pa

from ...adbc.driver import DRIVER_ERRORS
from ...adbc.own_sockets import with_socket
from ...adbc.postgres_url import completed, is_address_in
from ...adbc.queries import load_queries
from ...errors import Error, PermissionDenied, ReadOnlyStore
from ..attached import AttachedDatabase
from ..casting import exactly
from ..credentials import without_credentials
from ..definition import SourceDefinition
from ..errors import of_postgres
from ..guests import AMBIENT
from ..link import Link
from ..names import quoted, text_literal
from ..options import choice, seconds
from ..relation import RemoteColumn, RemoteRelation
from ..source import Check, IngestMode
from ..waiting import attended
from .ingest import write
from .types import Declared, adjusted, remote_column

__all__ = ["PostgresSource"]

_DIRECT: Final = {"adbc.postgresql.use_copy": "false"}  # a few rows, with parameters
_SCANNED: Final = {"adbc.postgresql.batch_size_hint_bytes": str(2 << 20)}
_SHARE: Final = 4 << 20  # bytes of a table that pay for a connection of their own
_LIBPQ: Final = ("password", "user", "sslmode", "sslrootcert", "sslcert", "sslkey", "sslpassword", "application_name")
_VIEWS: Final = "vm"
_NOTHING_AMBIENT: Final = {
    "password": "",  # one that is given, if empty, keeps libpq from asking the environment
    "passfile": "/dev/null/none",
    "gssencmode": "disable",
    "require_auth": "!gss,!sspi",
}


class PostgresSource(AttachedDatabase):
    """The ``Source`` over PostgreSQL, read by COPY in its binary form."""

    kind: ClassVar[str] = "postgres"
    direct: ClassVar[Mapping[str, str]] = _DIRECT
    begin: ClassVar[str] = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"

    def __init__(self, definition: SourceDefinition) -> None:
        options = definition.options
        super().__init__(definition, dialect="postgres", location=without_credentials(definition.uri))
        self.retry_for = seconds(self.kind, options, "connect_timeout") or 10.0
        self._numeric = choice(self.kind, options, "numeric", ("decimal(38,9)", "text", "double")) or "decimal(38,9)"
        self._ambient = choice(self.kind, options, AMBIENT, ("true", "false")) != "false"
        self._queries = load_queries("sources", self.kind)
        self._settings = _settings(options)

    # --- connections ---

    def _open_database(self, options: dict[str, str]) -> adbc_driver_manager.AdbcDatabase:
        given: dict[str, str] = {name: options[name] for name in _LIBPQ if name in options}
        if not self._ambient:
            without_key = {} if "sslcert" in given else {"sslcertmode": "disable"}
            given = {**_NOTHING_AMBIENT, **without_key, **given}
        given["connect_timeout"] = str(max(2, round(self.retry_for)))  # libpq takes 1 for 2
        url = completed(_with_options(self.definition.uri, given))
        database: adbc_driver_manager.AdbcDatabase = adbc_driver_postgresql.connect(url)
        return database

    def _open_link(self, database: adbc_driver_manager.AdbcDatabase) -> Link:
        doing = f"connecting to {self.definition.name}"
        try:
            connection, own = with_socket(
                lambda: adbc_driver_manager.AdbcConnection(database), partial(is_address_in, self.definition.uri)
            )
        except DRIVER_ERRORS as error:
            raise self.translated(error, doing) from (None if self._secrets.within(str(error)) else error)
        link = Link(connection, self.translated, own, self._secrets)
        try:
            link.update(self._settings, doing, _DIRECT)
        except BaseException:
            link.close()
            raise
        return link

    def _translate(self, error: BaseException, doing: str) -> Error:
        return of_postgres(error, doing)

    # --- catalogue ---

    def _schemas(self, link: Link) -> list[str]:
        return _texts(link.query(self._queries["schemas"], (), _DIRECT))

    def _relation_names(self, link: Link, schema: str) -> list[str]:
        return _texts(link.query(self._queries["relations"], (schema,), _DIRECT))

    def _relation(self, link: Link, schema: str, name: str) -> RemoteRelation | None:
        rows = link.query(self._queries["relation"], (schema, name), _DIRECT).to_pylist()
        if not rows:
            return None
        found = rows[0]
        keys: dict[int, list[str]] = {}
        for row in link.query(self._queries["keys"], (found["oid"],), _DIRECT).to_pylist():
            keys.setdefault(row["key"], []).append(row["name"])
        return RemoteRelation(
            schema,
            name,
            "view" if found["kind"] in _VIEWS else "table",
            self._columns(link, found["oid"]),
            None
            if found["kind"] == "v" or found["rows"] < 0
            else int(found["rows"]),  # -1: nobody has counted them yet
            tuple(dict.fromkeys(tuple(columns) for columns in keys.values())),
        )

    def _columns(self, link: Link, oid: int) -> tuple[RemoteColumn, ...]:
        rows = link.query(self._queries["columns"], (oid,), _DIRECT).to_pylist()
        return tuple(remote_column(_declared(row), self._numeric) for row in rows)

    def partitions(self, relation: RemoteRelation, alias: str, most: int) -> list[str]:
        """As ``Source.partitions``, by ranges of ``ctid``: shares of at least 4 MB of a table or materialised view."""
        if most < 2:
            return []
        rows = self._asked(
            lambda link: link.query(self._queries["pages"], (relation.schema, relation.name), _DIRECT)
        ).to_pylist()
        if not rows:
            return []
        pages, page = rows[0]["pages"], rows[0]["bytes"]
        shares = min(most, pages * page // _SHARE)
        if shares < 2:
            return []
        bounds = [f"{alias}.ctid {{}} '({pages * share // shares},0)'::tid" for share in range(1, shares)]
        conditions = [bounds[0].format("<")]
        conditions += [f"{low.format('>=')} AND {high.format('<')}" for low, high in pairwise(bounds)]
        return [*conditions, bounds[-1].format(">=")]  # no upper bound: pages that came meanwhile

    def _describe(self, link: Link, text: str) -> tuple[RemoteColumn, ...]:
        """By a temporary view, which tells precision and collation, and is never committed; where the role or the server
        permits none, by what the driver says of the prepared statement."""
        view, doing = "jammi_described", f"describing a query of {self.definition.name}"
        query = f"SELECT * FROM (\n{text.rstrip().removesuffix(';')}\n) AS q"
        # Prepared first: the server prepares one statement alone, where the view would be made by as many as there are.
        known = link.schema_of(query, doing, _DIRECT)
        try:
            link.update("BEGIN READ WRITE", "beginning a transaction", _DIRECT)
            try:
                link.update(f"CREATE TEMPORARY VIEW {view} AS {query}", doing, _DIRECT)
                (schema,) = _texts(link.query(self._queries["temporary_schema"], (), _DIRECT))
                rows = link.query(self._queries["relation"], (schema, view), _DIRECT).to_pylist()
                return self._columns(link, rows[0]["oid"])
            finally:
                with suppress(Error):
                    link.update("ROLLBACK", "undoing a transaction", _DIRECT)
        except (ReadOnlyStore, PermissionDenied):
            pass
        return tuple(self._told(field) for field in known)

    def _told(self, field: pa.Field[Any]) -> RemoteColumn:
        """A column of which the driver knows the type alone."""
        metadata = {key.decode(): value.decode() for key, value in (field.metadata or {}).items()}
        name = metadata.get("ADBC:postgresql:typname", "")
        if name == "numeric" or getattr(field.type, "type_name", "") == "numeric":
            declared = Declared(field.name, "numeric", False, "numeric", True, "b", "N", -1, "", False, "", True)
            return remote_column(declared, self._numeric)
        kind = field.type
        plain = (pa.types.is_boolean, pa.types.is_integer, pa.types.is_floating, pa.types.is_binary, pa.types.is_date)
        if any(test(kind) for test in plain) and not name:
            return RemoteColumn(field.name, kind, True, str(kind))
        if pa.types.is_timestamp(kind) or pa.types.is_time(kind):
            return RemoteColumn(field.name, kind, True, str(kind))
        return RemoteColumn(field.name, pa.utf8(), True, name or str(kind), "{}::text", comparable=False)

    # --- reading and writing ---

    def _batches(self, link: Link, text: str, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        for batch in link.batches(text, f"reading from {self.definition.name}", _SCANNED):
            yield exactly(batch, schema, adjusted)

    def _run(self, link: Link, text: str) -> int:
        link.schema_of(text, f"writing to {self.definition.name}", _DIRECT)  # refuses several statements in one text
        return super()._run(link, text)

    def _begin_moment(self, check: Check) -> tuple[Link, str]:
        # Beside the pool: it has to stay until all parts have begun, and the scan's last part may be begun late.
        opened: list[Link] = []

        def export() -> tuple[Link, str]:
            link = self._connected()
            opened.append(link)
            link.update("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", "beginning a scan", _DIRECT)
            (snapshot,) = _texts(link.query(self._queries["export_snapshot"], (), _DIRECT))
            return link, (
                f"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT {text_literal(snapshot)}"
            )

        def end() -> None:
            for link in opened:
                link.end()

        return attended(export, check, end=end, late=lambda found: found[0].close())

    def _ingest(self, link: Link, schema: str, name: str, rows: pa.RecordBatchReader, mode: IngestMode) -> int:
        target = None if mode == "create" else self._relation(link, schema, name)
        return write(link, schema, name, rows, target)


def _declared(row: Mapping[str, Any]) -> Declared:
    flags = ("required", "system", "element_system", "deterministic")
    values: dict[str, Any] = {name: bool(value) if name in flags else value for name, value in row.items()}
    return Declared(**values)


def _texts(table: pa.Table) -> list[str]:
    return [str(text) for text in table.column(0).to_pylist()]


def _with_options(uri: str, options: Mapping[str, str]) -> str:
    if not options:
        return uri
    added = "&".join(f"{name}={quote(value, safe='')}" for name, value in options.items())
    return f"{uri}{'&' if urlsplit(uri).query else '' if uri.endswith('?') else '?'}{added}"


def _settings(options: Mapping[str, str]) -> str:
    """What every session is told: so that texts mean the same whatever the role's defaults are."""
    timeout = seconds("postgres", options, "statement_timeout")
    path = options.get("search_path")
    settings = {
        # Only what is PostgreSQL's own is found without a schema: others could make operators that fit better.
        "search_path": "''"
        if path is None or path == "none"
        else ", ".join(quoted(p.strip()) for p in path.split(",")),
        "client_encoding": "'UTF8'",
        "standard_conforming_strings": "on",
        "TimeZone": "'UTC'",
        "DateStyle": "'ISO, YMD'",
        "IntervalStyle": "'postgres'",
        "bytea_output": "'hex'",
        "extra_float_digits": "3",
        "lc_monetary": "'C'",
        "default_transaction_read_only": "on",
        "default_transaction_isolation": "'read committed'",
        "cursor_tuple_fraction": "1",
    }
    if timeout is not None:
        settings["statement_timeout"] = str(max(1, int(timeout * 1000)))
    return "; ".join(f"SET {name} = {value}" for name, value in settings.items())
