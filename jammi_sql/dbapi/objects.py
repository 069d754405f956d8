"""``adbc_get_objects``: the catalogue in the nested form that the ADBC standard prescribes.

https://arrow.apache.org/adbc/current/format/specification.html#metadata, of ADBC 1.1.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Literal

import pyarrow as pa

from ..engine.name_pattern import name_pattern
from ..errors import InvalidParameter

__all__ = ["OBJECTS_NESTED_SCHEMA", "TABLE_TYPES", "ObjectFilter", "nested_objects"]

Depth = Literal["all", "catalogs", "db_schemas", "tables", "columns"]

TABLE_TYPES = ("table", "view", "system view")

_DEPTHS = {"catalogs": 1, "db_schemas": 2, "tables": 3, "columns": 4, "all": 4}
_SCHEMAS, _TABLES, _COLUMNS = 2, 3, 4

_USAGE = pa.struct(
    [
        pa.field("fk_catalog", pa.string()),
        pa.field("fk_db_schema", pa.string()),
        pa.field("fk_table", pa.string(), nullable=False),
        pa.field("fk_column_name", pa.string(), nullable=False),
    ]
)
_CONSTRAINT = pa.struct(
    [
        pa.field("constraint_name", pa.string()),
        pa.field("constraint_type", pa.string(), nullable=False),
        pa.field("constraint_column_names", pa.list_(pa.string()), nullable=False),
        pa.field("constraint_column_usage", pa.list_(_USAGE)),
    ]
)
_COLUMN = pa.struct(
    [
        pa.field("column_name", pa.string(), nullable=False),
        pa.field("ordinal_position", pa.int32()),
        pa.field("remarks", pa.string()),
        pa.field("xdbc_data_type", pa.int16()),
        pa.field("xdbc_type_name", pa.string()),
        pa.field("xdbc_column_size", pa.int32()),
        pa.field("xdbc_decimal_digits", pa.int16()),
        pa.field("xdbc_num_prec_radix", pa.int16()),
        pa.field("xdbc_nullable", pa.int16()),
        pa.field("xdbc_column_def", pa.string()),
        pa.field("xdbc_sql_data_type", pa.int16()),
        pa.field("xdbc_datetime_sub", pa.int16()),
        pa.field("xdbc_char_octet_length", pa.int32()),
        pa.field("xdbc_is_nullable", pa.string()),
        pa.field("xdbc_scope_catalog", pa.string()),
        pa.field("xdbc_scope_schema", pa.string()),
        pa.field("xdbc_scope_table", pa.string()),
        pa.field("xdbc_is_autoincrement", pa.bool_()),
        pa.field("xdbc_is_generatedcolumn", pa.bool_()),
    ]
)
_TABLE = pa.struct(
    [
        pa.field("table_name", pa.string(), nullable=False),
        pa.field("table_type", pa.string(), nullable=False),
        pa.field("table_columns", pa.list_(_COLUMN)),
        pa.field("table_constraints", pa.list_(_CONSTRAINT)),
    ]
)
_DB_SCHEMA = pa.struct([pa.field("db_schema_name", pa.string()), pa.field("db_schema_tables", pa.list_(_TABLE))])
OBJECTS_NESTED_SCHEMA = pa.schema(
    [pa.field("catalog_name", pa.string()), pa.field("catalog_db_schemas", pa.list_(_DB_SCHEMA))]
)


@dataclass(frozen=True, slots=True)
class ObjectFilter:
    """What to list: a depth (see ``port.OBJECTS_SCHEMA``), LIKE patterns for names, and table types."""

    depth: int
    catalog: str | None
    schema: str | None
    table: str | None
    types: Sequence[str] | None
    column: str | None

    @classmethod
    def of(  # the arguments of ADBC's own method
        cls,
        depth: str,
        catalog: str | None,
        schema: str | None,
        table: str | None,
        types: Sequence[str] | None,
        column: str | None,
    ) -> ObjectFilter:
        """``InvalidParameter`` (22023) when the depth is none of ADBC's words."""
        if depth not in _DEPTHS:
            raise InvalidParameter(f"there is no depth {depth!r}", hint=f"one of {', '.join(_DEPTHS)}")
        return cls(_DEPTHS[depth], catalog, schema, table, types, column)


def nested_objects(flat: pa.Table, wanted: ObjectFilter) -> pa.RecordBatchReader:
    """Rows of ``port.OBJECTS_SCHEMA`` as ADBC nests them, without what the filter excludes.

    A level that was not asked for is NULL, a level without members an empty list.
    """
    matches_catalog, matches_schema = name_pattern(wanted.catalog), name_pattern(wanted.schema)
    rows = flat.to_pylist()
    catalogs: list[dict[str, Any]] = []
    for catalog, below in _groups(rows, "catalog"):
        if not matches_catalog(catalog):
            continue
        schemas = None
        if wanted.depth >= _SCHEMAS:
            schemas = [
                {
                    "db_schema_name": schema,
                    "db_schema_tables": list(_tables(members, wanted)) if wanted.depth >= _TABLES else None,
                }
                for schema, members in _groups(below, "schema")
                if matches_schema(schema)
            ]
        catalogs.append({"catalog_name": catalog, "catalog_db_schemas": schemas})
    table = pa.Table.from_pylist(catalogs, schema=OBJECTS_NESTED_SCHEMA)
    return table.to_reader()


def _tables(rows: Iterable[dict[str, Any]], wanted: ObjectFilter) -> Iterator[dict[str, Any]]:
    matches = name_pattern(wanted.table)
    for name, members in _groups(rows, "table"):
        kind = members[0]["table_type"]
        if matches(name) and (wanted.types is None or kind in wanted.types):
            deep = wanted.depth >= _COLUMNS
            yield {
                "table_name": name,
                "table_type": kind,
                "table_columns": list(_columns(members, wanted)) if deep else None,
                "table_constraints": [] if deep else None,
            }


def _columns(rows: Iterable[dict[str, Any]], wanted: ObjectFilter) -> Iterator[dict[str, Any]]:
    matches = name_pattern(wanted.column)
    for row in rows:
        if row["column"] is not None and matches(row["column"]):
            yield {
                "column_name": row["column"],
                "ordinal_position": row["ordinal"],
                "xdbc_type_name": row["type"],
                "xdbc_nullable": int(row["nullable"]),
                "xdbc_is_nullable": "YES" if row["nullable"] else "NO",
            }


def _groups(rows: Iterable[dict[str, Any]], level: str) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    for name, members in groupby(rows, key=lambda row: row[level]):
        if name is not None:
            yield name, list(members)
