"""A DuckDB file, attached: through the ADBC driver that DuckDB's own library is."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar
from urllib.parse import unquote

import adbc_driver_manager
import pyarrow as pa

from ...adbc.driver import DRIVER_ERRORS
from ...errors import Error, InvalidParameter, OperationalError
from ..attached import AttachedDatabase
from ..casting import exactly
from ..definition import SourceDefinition
from ..errors import of_duckdb
from ..link import Link
from ..moments import within_range
from ..names import quoted, text_literal
from ..relation import RemoteColumn, RemoteRelation
from ..source import Check, IngestMode
from .ingest import write
from .types import column

__all__ = ["DuckdbSource"]


class DuckdbSource(AttachedDatabase):
    """The ``Source`` over a file, opened read-only but for what writes; then nobody else may have it open."""

    kind: ClassVar[str] = "duckdb"
    begin: ClassVar[str] = "BEGIN TRANSACTION"
    local: ClassVar[bool] = True

    def __init__(self, definition: SourceDefinition) -> None:
        importlib.import_module("duckdb")
        self._path = _path(definition.uri)
        super().__init__(definition, dialect="duckdb", location=str(self._path))

    # --- connections ---

    def _open_database(self, options: dict[str, str]) -> adbc_driver_manager.AdbcDatabase:
        return self._database_in("READ_ONLY", options)

    def _database_in(self, mode: str, options: dict[str, str]) -> adbc_driver_manager.AdbcDatabase:
        if not self._path.is_file():
            raise OperationalError(
                f"{self.definition.name}: there is no file {self._path}",
                sqlstate="58030",
                hint="duckdb:///file is relative to the working folder, duckdb:////file begins at the root",
            )
        library = str(importlib.import_module("_duckdb").__file__)
        settings = {name: options[name] for name in ("memory_limit", "threads") if name in options}
        return adbc_driver_manager.AdbcDatabase(
            driver=library,
            entrypoint="duckdb_adbc_init",
            path=str(self._path),
            access_mode=mode,
            **{"threads": "2", **settings},
        )

    def _open_link(self, database: adbc_driver_manager.AdbcDatabase) -> Link:
        doing = f"opening {self.definition.name}"
        try:
            link = Link(adbc_driver_manager.AdbcConnection(database), self.translated)
        except DRIVER_ERRORS as error:
            raise self.translated(error, doing) from error
        try:
            link.update("SET TimeZone = 'UTC'", doing)
            # A query of a user's must not read other files of this machine.
            link.update("SET enable_external_access = false", doing)
        except BaseException:
            link.close()
            raise
        return link

    def take_for_writing(self, check: Check) -> Link:
        """A connection of its own. DuckDB lets a process have a file open in one mode: the readers' is given up first."""
        self._require_open()
        self._release()
        try:
            database = self._database_in("READ_WRITE", dict(self.definition.options))
        except DRIVER_ERRORS as error:
            raise self.translated(error, f"opening {self.definition.name}") from error
        link = self._open_link(database)
        link.own(database)
        return link

    def _translate(self, error: BaseException, doing: str) -> Error:
        return of_duckdb(error, doing)

    # --- catalogue ---

    def _schemas(self, link: Link) -> list[str]:
        text = (
            "SELECT DISTINCT schema_name FROM duckdb_schemas()"
            " WHERE database_name = current_database() AND NOT internal ORDER BY 1"
        )
        found = {str(name) for name in link.table(text, "listing schemas").column(0).to_pylist()}
        return sorted(found | {"main"})

    def _relation_names(self, link: Link, schema: str) -> list[str]:
        text = (
            f"SELECT table_name FROM duckdb_tables() WHERE {_here('schema_name', schema)}"
            f" UNION ALL SELECT view_name FROM duckdb_views() WHERE {_here('schema_name', schema)} AND NOT internal"
        )
        return sorted(str(name) for name in link.table(text, "listing tables").column(0).to_pylist())

    def _relation(self, link: Link, schema: str, name: str) -> RemoteRelation | None:
        doing = f"looking at {schema}.{name}"
        named = f"{_here('schema_name', schema)} AND table_name = {text_literal(name)}"
        tables = link.table(f"SELECT estimated_size, sql FROM duckdb_tables() WHERE {named}", doing).to_pylist()
        text = f"SELECT column_name, data_type, is_nullable FROM duckdb_columns() WHERE {named} ORDER BY column_index"
        rows = link.table(text, doing).to_pylist()
        if not rows:
            return None
        plain_text = all("COLLATE" not in (row["sql"] or "").upper() for row in tables)
        arrow = link.schema_of(f"SELECT * FROM {quoted(schema)}.{quoted(name)}", doing)
        columns = tuple(
            column(
                row["column_name"],
                row["data_type"],
                field.type,
                nullable=bool(row["is_nullable"]),
                plain_text=plain_text,
            )
            for row, field in zip(rows, arrow, strict=True)
        )
        kind = "table" if tables else "view"
        never_null = {each.name for each in columns if not each.nullable}
        text = (
            f"SELECT constraint_column_names AS names FROM duckdb_constraints() WHERE {named}"
            " AND constraint_type IN ('PRIMARY KEY', 'UNIQUE') ORDER BY constraint_type"
        )
        keys = (tuple(row["names"]) for row in link.table(text, doing).to_pylist())
        return RemoteRelation(
            schema,
            name,
            "table" if kind == "table" else "view",
            columns,
            int(tables[0]["estimated_size"]) if tables else None,
            tuple(key for key in keys if set(key) <= never_null),
        )

    def _describe(self, link: Link, text: str) -> tuple[RemoteColumn, ...]:
        doing = f"describing a query of {self.definition.name}"
        query = f"SELECT * FROM (\n{text.rstrip().removesuffix(';')}\n) AS q"
        rows = link.table(f"DESCRIBE {query}", doing).to_pylist()
        arrow = link.schema_of(query, doing)
        return tuple(
            column(row["column_name"], row["column_type"], field.type, nullable=True, plain_text=False)
            for row, field in zip(rows, arrow, strict=True)
        )

    # --- reading and writing ---

    def _batches(self, link: Link, text: str, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        for batch in link.batches(text, f"reading from {self.definition.name}"):
            yield exactly(batch, schema, within_range)

    def _ingest(self, link: Link, schema: str, name: str, rows: pa.RecordBatchReader, mode: IngestMode) -> int:
        return write(link, schema, name, rows, mode)


def _here(column_name: str, schema: str) -> str:
    return f"database_name = current_database() AND {column_name} = {text_literal(schema)}"


def _path(uri: str) -> Path:
    scheme, mark, rest = uri.partition("://")
    if not mark:
        return Path(uri)
    host, slash, path = rest.partition("/")
    if scheme.lower() != "duckdb" or host or not slash or not path:
        raise InvalidParameter(
            "the URI of a DuckDB file cannot be read", hint="duckdb:///file or duckdb:////folder/file"
        )
    return Path(unquote(path.partition("?")[0]))
