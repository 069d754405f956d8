"""Named queries: the package's fixed SQL, read from ``jammi_sql.sql``.

An area's queries are in ``queries/<area>.sql`` (every store) and ``queries/<area>.<store>.sql`` (that store; a query
there replaces one of the same name in the first file). A file is a row of

.. code-block:: sql

    -- name: newest_batch
    -- returns: offset int64, tenant utf8, payload binary
    SELECT ...;

``-- name:`` begins a query, ``-- returns:`` stands where the query has rows, ``-- locks:`` says what a transaction adds
to it, other comments are free. Types are
Arrow's: int64, float64, utf8, binary. The final ``;`` and the comments around the text are left out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import Final

import pyarrow as pa

from ..errors import InternalError
from ..ports import NamedQuery

__all__ = ["load_queries", "parse_queries"]

_TYPES: Final[Mapping[str, pa.DataType]] = {
    "int64": pa.int64(),
    "float64": pa.float64(),
    "utf8": pa.utf8(),
    "binary": pa.binary(),
}
_NAME: Final = re.compile(r"^--\s*name:\s*(\w+)\s*$")
_RETURNS: Final = re.compile(r"^--\s*returns:\s*(.+?)\s*$")
_LOCKS: Final = re.compile(r"^--\s*locks:\s*(.+?)\s*$")


@cache
def load_queries(area: str, store: str) -> Mapping[str, NamedQuery]:
    """The queries of ``area`` for the store kind ``store`` (``sqlite`` or ``postgres``), by name.

    Raises ``InternalError`` when there is no file for the area, or a file breaks the rules above.
    """
    folder = resources.files("jammi_sql.sql") / "queries"
    found: dict[str, NamedQuery] = {}
    files = 0
    for file_name in (f"{area}.sql", f"{area}.{store}.sql"):
        file = folder / file_name
        if file.is_file():
            files += 1
            found.update(parse_queries(file.read_text(encoding="utf-8"), file_name))
    if not files:
        raise InternalError(f"there are no queries for {area} on {store}")
    return MappingProxyType(found)


def parse_queries(text: str, source: str) -> dict[str, NamedQuery]:
    """The queries in the text of one file; ``source`` is its name, for messages."""
    queries: dict[str, NamedQuery] = {}
    name: str | None = None
    returns: pa.Schema | None = None
    lock = ""
    lines: list[str] = []

    def finish() -> None:
        if name is None:
            return
        body = "\n".join(lines).strip().removesuffix(";").rstrip()
        if not body:
            raise InternalError(f"{source}: query {name} has no text")
        if name in queries:
            raise InternalError(f"{source}: query {name} is there twice")
        queries[name] = NamedQuery(name, body, returns, lock)

    for line in text.splitlines():
        if begin := _NAME.match(line):
            finish()
            name, returns, lock, lines = begin.group(1), None, "", []
        elif declared := _RETURNS.match(line):
            returns = _schema(declared.group(1), f"{source}: query {name}")
        elif locks := _LOCKS.match(line):
            lock = locks.group(1)
        elif line.lstrip().startswith("--"):
            continue
        elif name is not None:
            lines.append(line)
        elif line.strip():
            raise InternalError(f"{source}: text before the first '-- name:'")
    finish()
    return queries


def _schema(text: str, what: str) -> pa.Schema:
    fields: list[tuple[str, pa.DataType]] = []
    for column in text.split(","):
        match column.split():
            case [field_name, type_name] if type_name in _TYPES:
                fields.append((field_name, _TYPES[type_name]))
            case _:
                raise InternalError(
                    f"{what}: {column.strip()!r} is no column; write a name and one of {', '.join(_TYPES)}"
                )
    return pa.schema(fields)
