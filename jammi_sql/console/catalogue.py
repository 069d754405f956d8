"""What there is to name, looked up for the prompt when it is first needed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from ..dbapi import Connection
from ..dialect import format_identifier_path, parse_identifier_path
from ..errors import Error

__all__ = ["Catalogue"]

OWN = "jammi"

_ATTACHED = """
    SELECT table_schema, table_name FROM information_schema.tables
    WHERE table_catalog = ? AND table_schema <> 'information_schema' ORDER BY table_schema, table_name
"""


class Catalogue:
    """Relations, columns and functions of a session, kept until ``forget``.

    The completer asks it from a thread of its own. What cannot be found out, because a source is away or a transaction
    has failed, is empty: nobody asked for more than a suggestion.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()
        self._known: dict[tuple[str, ...], list[str]] = {}
        self._functions: list[str] | None = None
        self._asking = False

    def forget(self) -> None:
        """Look everything up anew: a statement may have changed it."""
        self._known = {}

    def abandon(self) -> None:
        """End a look-up that runs: the person wants something else."""
        if self._asking:
            self._connection.adbc_cancel()

    def catalogs(self) -> list[str]:
        """The engine's own and the attached ones, which are not connected to for it."""
        return self._look(("catalogs",), self._catalogs)

    def schemas(self, catalog: str) -> list[str]:
        """The schemas of a catalog, all of them."""
        return self._look(("schemas", catalog), lambda: sorted(self._objects(catalog)))

    def relations(self, catalog: str, schema: str) -> list[str]:
        """Topics, tables and views of a schema."""
        return self._look(("relations", catalog, schema), lambda: self._objects(catalog).get(schema, []))

    def topics(self) -> list[str]:
        """Topics that the session sees, with their schema where it is not ``public``."""
        return self._look(("topics",), self._topics)

    def columns(self, path: str) -> list[str]:
        """The columns of a relation, ``path`` as it would be written."""
        return self._look(("columns", path), lambda: self._columns(path))

    def functions(self) -> list[str]:
        """Functions, those of the language included."""
        if self._functions is None:
            found = self._look(("functions",), self._routines)
            self._functions = found or None
            return found
        return self._functions

    def settings(self) -> list[str]:
        """What SET, SHOW and RESET take: the session's settings, and DataFusion's."""
        return self._look(("settings",), self._settings)

    def _look(self, key: tuple[str, ...], find: Callable[[], Sequence[str]]) -> list[str]:
        with self._lock:
            known = self._known
            if key not in known:
                self._asking = True
                try:
                    known[key] = list(find())
                except Error:
                    known[key] = []
                finally:
                    self._asking = False
            return known[key]

    def _catalogs(self) -> list[str]:
        with self._connection.execute("SHOW SOURCES") as cursor:
            return [OWN, *sorted(str(name) for (name, *_) in cursor)]

    def _objects(self, catalog: str) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        if catalog == OWN:
            listed = self._connection.adbc_get_objects(depth="tables", catalog_filter=OWN).read_all().to_pylist()
            for schema in (schema for each in listed for schema in each["catalog_db_schemas"]):
                found[schema["db_schema_name"]] = [table["table_name"] for table in schema["db_schema_tables"]]
            return found
        with self._connection.execute(_ATTACHED, (catalog,)) as cursor:
            for schema, name in cursor:
                found.setdefault(schema, []).append(name)
        return found

    def _topics(self) -> list[str]:
        with self._connection.execute("SHOW TOPICS") as cursor:
            found = cursor.fetch_arrow_table()
        pairs = zip(found.column("schema").to_pylist(), found.column("name").to_pylist(), strict=True)
        return sorted(format_identifier_path([str(schema), str(name)][schema == "public" :]) for schema, name in pairs)

    def _columns(self, path: str) -> list[str]:
        parts = parse_identifier_path(path)
        catalog, schema, name = (None, None, *parts)[-3:]
        found = self._connection.adbc_get_table_schema(str(name), catalog_filter=catalog, db_schema_filter=schema)
        return sorted(found.names, key=lambda name: name.startswith("_"))  # the engine's come last: few ask for them

    def _settings(self) -> list[str]:
        with self._connection.execute("SELECT name FROM jammi.system.settings") as cursor:
            own = [str(name) for (name,) in cursor]
        with self._connection.execute("SELECT name FROM information_schema.df_settings") as cursor:
            return ["tenant", *sorted(own), *sorted(str(name) for (name,) in cursor)]

    def _routines(self) -> list[str]:
        with self._connection.execute("SELECT DISTINCT routine_name FROM information_schema.routines") as cursor:
            return sorted({str(name) for (name,) in cursor} | {"remote_query", "subscribe"})
