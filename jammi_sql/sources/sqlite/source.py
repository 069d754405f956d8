"""A SQLite file, attached."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, ClassVar, Final
from urllib.parse import quote

import adbc_driver_manager
import adbc_driver_sqlite
import pyarrow as pa

from ...adbc.queries import load_queries
from ...errors import DataError, Error, InvalidParameter
from ..attached_file import AttachedFile
from ..casting import exactly
from ..definition import SourceDefinition
from ..errors import of_sqlite
from ..link import Link
from ..names import quoted
from ..options import seconds
from ..relation import RemoteColumn, RemoteRelation
from ..source import IngestMode
from .ingest import write
from .types import declared_column, sample, sampled

__all__ = ["SqliteSource"]

_SCHEMA: Final = "main"
_ROWS: Final = {"adbc.sqlite.query.batch_rows": "8192"}
_MISMATCH: Final = re.compile(r"Type mismatch in column (\d+)")
_FIRST: Final = {"integer": "INTEGER", "real": "REAL", "text": "TEXT", "blob": "BLOB"}


class SqliteSource(AttachedFile):
    """The ``Source`` over a file, opened read-only but for what writes.

    The driver cannot end a statement that runs: one that is cancelled ends with its next batch.
    """

    kind: ClassVar[str] = "sqlite"
    begin: ClassVar[str] = "BEGIN IMMEDIATE"
    title: ClassVar[str] = "SQLite"

    def __init__(self, definition: SourceDefinition) -> None:
        super().__init__(definition)
        self._queries = load_queries("sources", self.kind)
        self._patience = seconds(self.kind, definition.options, "busy_timeout") or 0.0

    # --- connections ---

    def _open_file(self, *, writable: bool) -> adbc_driver_manager.AdbcDatabase:
        address = f"file:{quote(str(self._path))}?mode={'rw' if writable else 'ro'}"
        database: adbc_driver_manager.AdbcDatabase = adbc_driver_sqlite.connect(address)
        return database

    def _beginning(self) -> tuple[str, ...]:
        return (f"PRAGMA busy_timeout = {int(self._patience * 1000)}",)

    def _translate(self, error: BaseException, doing: str) -> Error:
        return of_sqlite(error, doing)

    # --- catalogue ---

    def _schemas(self, link: Link) -> list[str]:
        return [_SCHEMA]

    def _relation_names(self, link: Link, schema: str) -> list[str]:
        if schema != _SCHEMA:
            return []
        return [str(name) for name in link.query(self._queries["relations"]).column(0).to_pylist()]

    def _relation(self, link: Link, schema: str, name: str) -> RemoteRelation | None:
        if schema != _SCHEMA:
            return None
        found = link.query(self._queries["relation"], (schema, name)).to_pylist()
        if not found:
            return None
        is_view = found[0]["kind"] == "view"
        columns = self._columns(link, schema, name, strict=bool(found[0]["strict"]))
        return RemoteRelation(
            schema,
            name,
            "view" if is_view else "table",
            columns,
            None if is_view else self._rows(link, name, counted=bool(found[0]["rowid"])),
            () if is_view else self._keys(link, schema, name),
        )

    def _columns(self, link: Link, schema: str, name: str, *, strict: bool) -> tuple[RemoteColumn, ...]:
        unicode = link.query(self._queries["encoding"]).column(0)[0].as_py() == "UTF-8"
        rows = link.query(self._queries["columns"], (schema, name)).to_pylist()
        alone = sum(row["key"] > 0 for row in rows) == 1
        return tuple(
            declared_column(
                row["name"],
                row["declared"],
                # The number of the row: the one key column that cannot be NULL though nobody says so.
                nullable=not row["required"] and not (alone and row["key"] and row["declared"].upper() == "INTEGER"),
                strict=strict,
                unicode=unicode,
            )
            for row in rows
        )

    def _keys(self, link: Link, schema: str, name: str) -> tuple[tuple[str, ...], ...]:
        keys: dict[int, list[str]] = {}
        rows = link.query(self._queries["columns"], (schema, name)).to_pylist()
        primary = [row["name"] for row in sorted(rows, key=lambda row: row["key"]) if row["key"]]
        if primary:
            keys[-1] = primary
        for row in link.query(self._queries["keys"], (schema, name)).to_pylist():
            keys.setdefault(row["key"], []).append(row["name"])
        names = {row["name"] for row in rows}  # of an expression, and of the row's number, an index has none
        found = (tuple(key) for key in keys.values())
        return tuple(dict.fromkeys(key for key in found if set(key) <= names))

    def _rows(self, link: Link, name: str, *, counted: bool) -> int | None:
        """By ANALYZE, else the highest number of a row, which is too high where rows were deleted."""
        if link.query(self._queries["has_statistics"]).column(0)[0].as_py():
            known = link.query(self._queries["statistics"], (name,)).column(0).to_pylist()
            if known:
                return int(known[0] or 0)
        if not counted:
            return None
        with suppress(Error):  # a virtual table, or one with a column of that name
            (most,) = link.table(f"SELECT max(_rowid_) FROM {quoted(name)}", "estimating").column(0).to_pylist()
            return int(most or 0)
        return None

    def _describe(self, link: Link, text: str) -> tuple[RemoteColumn, ...]:
        """By a view of the connection's own. A column that is computed has no declared type: the class of its first value
        counts, for which the query is run as far as its first row."""
        doing = f"describing a query of {self.definition.name}"
        query = f"SELECT * FROM (\n{text.rstrip().removesuffix(';')}\n)"
        link.update(f"CREATE TEMPORARY VIEW jammi_described AS {query}", doing)
        try:
            columns = self._columns(link, "temp", "jammi_described", strict=False)
        finally:
            with suppress(Error):
                link.update("DROP VIEW temp.jammi_described", doing)
        if all(column.declared for column in columns):
            return columns
        classes = ", ".join(f"coalesce(typeof({quoted(column.name)}), '')" for column in columns)
        rows = link.table(f"SELECT {classes} FROM (\n{text.rstrip().removesuffix(';')}\n) LIMIT 1", doing)
        first = [str(column[0].as_py()) for column in rows.columns] if rows.num_rows else [""] * len(columns)
        return tuple(
            column
            if column.declared or kind not in _FIRST
            else declared_column(column.name, _FIRST[kind], nullable=True, strict=False, unicode=column.comparable)
            for column, kind in zip(columns, first, strict=True)
        )

    # --- reading and writing ---

    def _batches(self, link: Link, text: str, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        samples = ", ".join(sample(kind) for kind in schema.types)
        wanted = [sampled(kind) for kind in schema.types]
        first = True
        try:
            for batch in link.batches(
                f"SELECT {samples} UNION ALL SELECT * FROM (\n{text}\n)", f"reading from {self.definition.name}", _ROWS
            ):
                for field, have, want in zip(schema, batch.schema.types, wanted, strict=True):
                    if have != want:
                        raise _other_class(field)
                yield exactly(batch.slice(1) if first else batch, schema)
                first = False
        except Error as error:
            found = _MISMATCH.search(error.message)
            if found is None:
                raise
            raise _other_class(schema.field(int(found[1]))) from error

    def _ingest(self, link: Link, schema: str, name: str, rows: pa.RecordBatchReader, mode: IngestMode) -> int:
        if schema != _SCHEMA:
            raise InvalidParameter(f"a SQLite file has one schema, {_SCHEMA}, not {schema}")
        return write(link, name, rows, create=mode == "create")


def _other_class(field: Any) -> DataError:
    return DataError(
        f"column {field.name} has a value of another storage class than its declared type, {field.type} here",
        sqlstate="22000",
        hint="SQLite keeps any value in any column: correct it there, or read it as text with remote_query and CAST",
    )
