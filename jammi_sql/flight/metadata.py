"""The catalogue as Flight SQL shows it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

import pyarrow as pa

from ..dbapi.objects import TABLE_TYPES as KINDS
from ..engine.session import Session
from ..plan.columns import sql_type
from ..topics.definition import CATALOG
from .framing import ipc_schema
from .options import Limits
from .schemas import CATALOGS, DB_SCHEMAS, FOREIGN_KEYS, PRIMARY_KEYS, SQL_INFO, TABLE_TYPES, TABLES, TABLES_WITH_SCHEMA
from .schemas import TYPE_INFO as TYPES
from .sql_info import sql_info
from .type_info import type_info

__all__ = ["METADATA", "metadata", "metadata_schema"]

_KINDS: Final[Mapping[str, str]] = MappingProxyType({"base table": "table", "system table": "system view"})
"""What clients call types of tables that have other names here: Grafana, and drivers of ODBC."""


def metadata_schema(command: Any) -> pa.Schema:
    """The columns of the answer to a metadata command."""
    name = command.DESCRIPTOR.name
    return TABLES_WITH_SCHEMA if name == "CommandGetTables" and command.include_schema else METADATA[name]


def metadata(command: Any, session: Session, limits: Limits) -> pa.Table:
    """The answer to a metadata command."""
    name = command.DESCRIPTOR.name
    if name == "CommandGetSqlInfo":
        return sql_info(command.info, limits, read_only=session.read_only)
    answer = _ANSWERS.get(name)
    rows = [] if answer is None else answer(command, session)
    if name == "CommandGetXdbcTypeInfo":
        return type_info(_given(command, "data_type"))
    return pa.Table.from_pylist(rows, schema=metadata_schema(command))


def _catalogs(command: Any, session: Session) -> list[dict[str, object]]:
    return [{"catalog_name": name} for name in sorted({CATALOG, *session.metadata.source_names()})]


def _db_schemas(command: Any, session: Session) -> list[dict[str, object]]:
    catalog, matches = _given(command, "catalog"), _like(_given(command, "db_schema_filter_pattern"))
    found: set[tuple[str, str]] = set(session.metadata.source_schemas(catalog))
    if catalog in (None, CATALOG):
        found |= {(CATALOG, row["schema"]) for row in session.metadata.objects(2, CATALOG).to_pylist()}
    return [{"catalog_name": name, "db_schema_name": schema} for name, schema in sorted(found) if matches(schema)]


def _tables(command: Any, session: Session) -> list[dict[str, object]]:
    catalog = _given(command, "catalog")
    in_schema = _like(_given(command, "db_schema_filter_pattern"))
    called = _like(_given(command, "table_name_filter_pattern"))
    kinds = {_KINDS.get(kind.lower(), kind.lower()) for kind in command.table_types}
    found = session.metadata.source_listing(catalog, in_schema, called)
    if catalog in (None, CATALOG):
        found += [(CATALOG, *own) for own in session.metadata.listing() if in_schema(own[0]) and called(own[1])]
    rows: list[dict[str, object]] = []
    for name, schema, table, kind, columns in sorted(found, key=lambda each: each[:4]):
        if not kinds or kind in kinds:
            row: dict[str, object] = {
                "catalog_name": name,
                "db_schema_name": schema,
                "table_name": table,
                "table_type": kind,
            }
            if command.include_schema:
                row["table_schema"] = ipc_schema(_described(columns, name, schema, table))
            rows.append(row)
    return rows


def _described(columns: pa.Schema, catalog: str, schema: str, table: str) -> pa.Schema:
    """Columns with what clients look for in their metadata."""
    return pa.schema(
        [
            field.with_metadata(
                {
                    "ARROW:FLIGHT:SQL:CATALOG_NAME": catalog,
                    "ARROW:FLIGHT:SQL:DB_SCHEMA_NAME": schema,
                    "ARROW:FLIGHT:SQL:TABLE_NAME": table,
                    "ARROW:FLIGHT:SQL:TYPE_NAME": sql_type(field.type),
                    "ARROW:FLIGHT:SQL:IS_AUTO_INCREMENT": "0",
                    "ARROW:FLIGHT:SQL:IS_CASE_SENSITIVE": "1" if pa.types.is_string(field.type) else "0",
                    "ARROW:FLIGHT:SQL:IS_READ_ONLY": "1" if field.name.startswith("_") else "0",
                    "ARROW:FLIGHT:SQL:IS_SEARCHABLE": "1",
                    **_precision(field.type),
                }
            )
            for field in columns
        ]
    )


def _precision(data_type: pa.DataType) -> dict[bytes | str, bytes | str]:
    if not pa.types.is_decimal(data_type):
        return {}
    return {
        "ARROW:FLIGHT:SQL:PRECISION": str(data_type.precision),
        "ARROW:FLIGHT:SQL:SCALE": str(data_type.scale),
    }


def _table_types(command: Any, session: Session) -> list[dict[str, object]]:
    return [{"table_type": kind} for kind in sorted(KINDS)]


def _primary_keys(command: Any, session: Session) -> list[dict[str, object]]:
    if _given(command, "catalog") not in (None, CATALOG):
        return []
    return [
        {
            "catalog_name": CATALOG,
            "db_schema_name": schema,
            "table_name": command.table,
            "column_name": column,
            "key_name": None,
            "key_sequence": place,
        }
        for schema, key in session.metadata.primary_keys(_given(command, "db_schema"), command.table)
        for place, column in enumerate(key, 1)
    ]


def _given(command: Any, name: str) -> Any:
    """An optional field of a command, ``None`` where it was left out."""
    return getattr(command, name) if command.HasField(name) else None


def _like(pattern: str | None) -> Callable[[str], bool]:
    """``%`` and ``_`` as in LIKE, with a backslash before those that are meant."""
    if pattern is None:
        return lambda name: True
    parts = re.findall(r"\\[%_\\]|.", pattern, re.DOTALL)
    text = "".join({"%": ".*", "_": "."}.get(part, re.escape(part[-1])) for part in parts)
    expression = re.compile(text, re.DOTALL)
    return lambda name: name == pattern or expression.fullmatch(name) is not None


METADATA: Final[Mapping[str, pa.Schema]] = MappingProxyType(
    {
        "CommandGetCatalogs": CATALOGS,
        "CommandGetDbSchemas": DB_SCHEMAS,
        "CommandGetTables": TABLES,
        "CommandGetTableTypes": TABLE_TYPES,
        "CommandGetPrimaryKeys": PRIMARY_KEYS,
        "CommandGetExportedKeys": FOREIGN_KEYS,
        "CommandGetImportedKeys": FOREIGN_KEYS,
        "CommandGetCrossReference": FOREIGN_KEYS,
        "CommandGetSqlInfo": SQL_INFO,
        "CommandGetXdbcTypeInfo": TYPES,
    }
)
"""The columns of the answers, by the name of the command. Of foreign keys there are none."""

_ANSWERS: Final[Mapping[str, Callable[[Any, Session], list[dict[str, object]]]]] = MappingProxyType(
    {
        "CommandGetCatalogs": _catalogs,
        "CommandGetDbSchemas": _db_schemas,
        "CommandGetTables": _tables,
        "CommandGetTableTypes": _table_types,
        "CommandGetPrimaryKeys": _primary_keys,
    }
)
