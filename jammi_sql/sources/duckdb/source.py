"""A DuckDB file, attached: through the ADBC driver that DuckDB's own library is."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import ClassVar

import adbc_driver_manager
import pyarrow as pa

from ...errors import Error
from ..attached_file import AttachedFile
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


class DuckdbSource(AttachedFile):
    """The ``Source`` over a file, opened read-only but for what writes; then nobody else may have it open."""

    kind: ClassVar[str] = "duckdb"
    begin: ClassVar[str] = "BEGIN TRANSACTION"
    title: ClassVar[str] = "DuckDB"

    def __init__(self, definition: SourceDefinition) -> None:
        importlib.import_module("duckdb")
        super().__init__(definition)

    # --- connections ---

    def _open_file(self, *, writable: bool) -> adbc_driver_manager.AdbcDatabase:
        library = str(importlib.import_module("_duckdb").__file__)
        options = self.definition.options
        settings = {name: options[name] for name in ("memory_limit", "threads") if name in options}
        return adbc_driver_manager.AdbcDatabase(
            driver=library,
            entrypoint="duckdb_adbc_init",
            path=str(self._path),
            access_mode="READ_WRITE" if writable else "READ_ONLY",
            **{"threads": "2", **settings},
        )

    def _beginning(self) -> tuple[str, ...]:
        # A query of a user's must not read other files of this machine.
        return ("SET TimeZone = 'UTC'", "SET enable_external_access = false")

    def take_for_writing(self, check: Check) -> Link:
        """A connection of its own. DuckDB lets a process have a file open in one mode: the readers' is given up first."""
        self._require_open()
        self._release()
        return super().take_for_writing(check)

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
            tuple(keys),
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
        found = None if mode == "create" else self._relation(link, schema, name)
        columns = [] if found is None else [column.name for column in found.columns]
        return write(link, schema, name, rows, mode, columns)


def _here(column_name: str, schema: str) -> str:
    return f"database_name = current_database() AND {column_name} = {text_literal(schema)}"
