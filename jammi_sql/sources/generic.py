"""A database behind any ADBC driver, attached: what ADBC itself says of it."""

from __future__ import annotations

import importlib
import importlib.util
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Final

import adbc_driver_manager
import pyarrow as pa

from ..adbc.driver import DRIVER_ERRORS
from ..errors import Error, FeatureNotSupported, InvalidParameter
from .attached import AttachedDatabase
from .credentials import without_credentials
from .definition import SourceDefinition
from .errors import of_other
from .link import Link
from .names import quoted
from .options import choice
from .outgoing import Outgoing
from .relation import RemoteColumn, RemoteRelation
from .source import IngestMode

__all__ = ["GenericSource"]

_OURS: Final = frozenset({"driver", "entrypoint", "dialect", "quote", "pool_size"})
_PLAIN: Final = (pa.types.is_boolean, pa.types.is_integer, pa.types.is_date, pa.types.is_decimal)
_CATALOG: Final = "adbc.connection.catalog"
_DIALECTS: Final = ("datafusion", "postgres", "sqlite", "duckdb")

Place = tuple[str | None, str | None]
"""The catalog and the schema of a relation, as the driver has them."""


class GenericSource(AttachedDatabase):
    """The ``Source`` over a driver of which nothing is known but the standard.

    Its catalogue comes by GetObjects, types are those that the driver gives, transactions are ADBC's own.
    """

    kind: ClassVar[str] = "adbc"

    def __init__(self, definition: SourceDefinition) -> None:
        options = definition.options
        dialect = choice(self.kind, options, "dialect", _DIALECTS)
        super().__init__(definition, dialect=dialect, location=without_credentials(definition.uri) or definition.name)
        self.quote = options.get("quote", '"')
        if len(self.quote) != 1:
            raise InvalidParameter("quote is one character", hint="quote '\"' or quote '`'")
        if self.kind == "adbc" and "driver" not in options:
            raise InvalidParameter(
                "a source of type adbc needs a driver",
                hint="(TYPE adbc, driver 'adbc_driver_sqlite', ...), or the path of a shared library",
            )
        self._catalogs: dict[str, Place] = {}
        """What a schema's name stands for: drivers without schemas have catalogs alone, and the other way round."""
        self._current: str | None = None
        """The catalog in which the server looks for what is named without one, where it says so."""

    # --- connections ---

    def _open_database(self, options: dict[str, str]) -> adbc_driver_manager.AdbcDatabase:
        given = {_own_name(name): value for name, value in options.items() if name not in _OURS}
        if self.definition.uri:
            given["uri"] = self.definition.uri
        if "entrypoint" in options:
            given["entrypoint"] = options["entrypoint"]
        return adbc_driver_manager.AdbcDatabase(driver=_library(options["driver"]), **given)

    def _open_link(self, database: adbc_driver_manager.AdbcDatabase) -> Link:
        try:
            connection = adbc_driver_manager.AdbcConnection(database)
        except DRIVER_ERRORS as error:
            cause = None if self._secrets.within(str(error)) else error
            raise self.translated(error, f"connecting to {self.definition.name}") from cause
        return Link(connection, self.translated, None, self._secrets)

    def _translate(self, error: BaseException, doing: str) -> Error:
        return of_other(error, doing)

    # --- a transaction that writes ---

    def begin_writing(self, link: Link) -> None:
        """By ADBC's own means. ``FeatureNotSupported`` where the driver has no transactions."""
        try:
            link.connection.set_autocommit(False)
        except DRIVER_ERRORS as error:
            raise FeatureNotSupported(
                f"{self.definition.name} is not written to: its driver has no transactions",
                hint="write to it with its own client",
            ) from error

    def commit(self, link: Link) -> None:
        """By ADBC's own means."""
        self._ended(link, link.connection.commit, "committing")

    def undo(self, link: Link) -> None:
        """By ADBC's own means."""
        self._ended(link, link.connection.rollback, "undoing a transaction")

    def _ended(self, link: Link, end: Any, doing: str) -> None:
        try:
            end()
            link.connection.set_autocommit(True)
        except DRIVER_ERRORS as error:
            raise self.translated(error, doing) from error

    # --- catalogue ---

    def _schemas(self, link: Link) -> list[str]:
        places = [place for place, _ in self._objects(link, adbc_driver_manager.GetObjectsDepth.DB_SCHEMAS)]
        names = Counter(_schema_of(place) for place in places)
        self._current = self._current_catalog(link)
        self._catalogs = {
            _schema_of(place)
            if names[_schema_of(place)] == 1 or place[0] == self._current
            else ".".join(part for part in place if part): place
            for place in places
        }
        return sorted(self._catalogs)

    def _current_catalog(self, link: Link) -> str | None:
        """Where names without a catalog lead; ``None`` where the driver does not say."""
        try:
            found: str = link.connection.get_option(_CATALOG)
        except DRIVER_ERRORS:
            return None
        return found

    def _relation_names(self, link: Link, schema: str) -> list[str]:
        return sorted(name for name, _ in self._tables(link, schema))

    def _tables(self, link: Link, schema: str) -> list[tuple[str, str]]:
        """Names and kinds of a schema's tables."""
        if schema not in self._catalogs:
            self._schemas(link)
        if schema not in self._catalogs:
            return []
        catalog, own = self._catalogs[schema]
        depth = adbc_driver_manager.GetObjectsDepth.TABLES
        return [
            (row["table_name"], row["table_type"] or "")
            for place, rows in self._objects(link, depth, catalog=catalog, db_schema=own)
            if place == (catalog, own)
            for row in rows
            if "system" not in (row["table_type"] or "").lower()
        ]

    def _objects(self, link: Link, depth: Any, **only: Any) -> Iterator[tuple[Place, list[Any]]]:
        """Schemas and their tables."""
        doing = f"looking at {self.definition.name}"
        try:
            handle = link.connection.get_objects(depth, **only)
            with pa.RecordBatchReader.from_stream(handle) as reader:
                catalogs = reader.read_all().to_pylist()
        except DRIVER_ERRORS as error:
            raise self.translated(error, doing) from error
        for catalog in catalogs:
            for schema in catalog["catalog_db_schemas"] or ():
                place = (catalog["catalog_name"], schema["db_schema_name"])
                yield place, schema["db_schema_tables"] or []

    def _relation(self, link: Link, schema: str, name: str) -> RemoteRelation | None:
        kinds = dict(self._tables(link, schema))
        if name not in kinds:
            return None
        catalog, own = self._catalogs[schema]
        try:
            handle: Any = link.connection.get_table_schema(catalog or None, own or None, name)
            found = pa.schema(handle)
        except DRIVER_ERRORS as error:
            raise self.translated(error, f"looking at {schema}.{name}") from error
        kind = "view" if "view" in kinds[name].lower() else "table"
        columns = tuple(self._column(field) for field in found)
        path = (schema, name) if self._is_plain(schema) else tuple(part for part in (catalog, own, name) if part)
        return RemoteRelation(schema, name, "view" if kind == "view" else "table", columns, path=path)

    def _is_plain(self, schema: str) -> bool:
        """Whether a schema is reached by its name alone."""
        place = self._catalogs[schema]
        return schema == _schema_of(place) and (self._current is None or place[0] in (None, "", self._current))

    def _column(self, field: pa.Field[Any]) -> RemoteColumn:
        kind: Any = field.type
        if isinstance(kind, pa.BaseExtensionType):
            kind = kind.storage_type
        if pa.types.is_dictionary(kind):
            kind = kind.value_type
        unreadable = f"{kind} has no place in a query" if pa.types.is_union(kind) else None
        # Of texts and floats nobody says how they are compared; DataFusion does as it is done here. Whole numbers are
        # compared alike by all.
        plain = any(test(kind) for test in (_PLAIN if self.dialect is not None else (pa.types.is_integer,)))
        comparable = plain or self.dialect == "datafusion"
        declared = str(field.type)
        return RemoteColumn(field.name, kind, field.nullable, declared, None, comparable, None, unreadable)

    def _describe(self, link: Link, text: str) -> tuple[RemoteColumn, ...]:
        query = text.rstrip().removesuffix(";")
        doing = f"describing a query of {self.definition.name}"
        try:
            schema = link.schema_of(query, doing)
        except Error:  # a driver that cannot; what is wrong with the query is said again
            schema = link.table(f"SELECT * FROM (\n{query}\n) AS q WHERE 1 = 0", doing).schema
        return tuple(self._column(field) for field in schema)

    # --- writing ---

    def _ingest(self, link: Link, schema: str, name: str, rows: pa.RecordBatchReader, mode: IngestMode) -> int:
        if schema not in self._catalogs:
            self._schemas(link)
        catalog, own = self._catalogs.get(schema, (None, schema))
        outgoing = Outgoing(rows, rows.schema.types, [None] * len(rows.schema))
        text = None if mode == "create" else self._insertion(link, schema, name, rows.schema.names)
        options = {"adbc.ingest.target_table": name, "adbc.ingest.mode": f"adbc.ingest.mode.{mode}"}
        if own:
            options["adbc.ingest.target_db_schema"] = own
        if catalog and (not self._is_plain(schema) if own else catalog != "main"):
            options["adbc.ingest.target_catalog"] = catalog
        try:
            link.ingest(outgoing.reader(never_empty=True), f"writing to {schema}.{name}", {} if text else options, text)
        except Exception:
            outgoing.raise_failure()
            raise
        return outgoing.count

    def _insertion(self, link: Link, schema: str, name: str, columns: Sequence[str]) -> str | None:
        """The statement that writes some of a table's columns, where the rest is to have its default and its dialect is known;
        else the driver's bulk ingestion has its own way."""
        found = self._relation(link, schema, name)
        if self.dialect is None or found is None or len(columns) == len(found.columns):
            return None
        place = ".".join(quoted(part) for part in found.path)
        mark = "?{}" if self.dialect == "sqlite" else "${}"
        marks = ", ".join(mark.format(number) for number in range(1, len(columns) + 1))
        return f"INSERT INTO {place} ({', '.join(map(quoted, columns))}) VALUES ({marks})"


def _schema_of(place: Place) -> str:
    """The name of a schema, where it is the only one with that name."""
    return place[1] or place[0] or "main"


def _own_name(name: str) -> str:
    """The driver's name of an option: ``db.x`` is ``x`` even where that is one of ours."""
    return name.removeprefix("db.")


def _library(name: str) -> str:
    """The driver's shared library: of a Python package of that name, or as it is."""
    if name.isidentifier() and name.startswith("adbc_driver_") and importlib.util.find_spec(name) is not None:
        package = importlib.import_module(name)
        finder = getattr(package, "driver_path", None) or getattr(package, "_driver_path", None)
        if finder is not None:
            return str(finder())
    return name
