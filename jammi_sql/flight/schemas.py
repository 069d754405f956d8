"""The results of metadata commands as Flight SQL prescribes them, nullability included.

https://arrow.apache.org/docs/format/FlightSql.html and the comments in its protocol definition.
"""

from __future__ import annotations

from typing import Final

import pyarrow as pa

__all__ = [
    "CATALOGS",
    "DB_SCHEMAS",
    "FOREIGN_KEYS",
    "PRIMARY_KEYS",
    "SQL_INFO",
    "SQL_INFO_VALUE",
    "TABLES",
    "TABLES_WITH_SCHEMA",
    "TABLE_TYPES",
    "TYPE_INFO",
]


def _schema(*fields: tuple[str, pa.DataType, bool]) -> pa.Schema:
    """Name, type, and whether it may be NULL."""
    return pa.schema([pa.field(name, data_type, nullable) for name, data_type, nullable in fields])


_TEXT, _INT = pa.utf8(), pa.int32()

CATALOGS: Final = _schema(("catalog_name", _TEXT, False))
DB_SCHEMAS: Final = _schema(("catalog_name", _TEXT, True), ("db_schema_name", _TEXT, False))
TABLE_TYPES: Final = _schema(("table_type", _TEXT, False))
TABLES: Final = _schema(
    ("catalog_name", _TEXT, True),
    ("db_schema_name", _TEXT, True),
    ("table_name", _TEXT, False),
    ("table_type", _TEXT, False),
)
TABLES_WITH_SCHEMA: Final = TABLES.append(pa.field("table_schema", pa.binary(), nullable=False))
PRIMARY_KEYS: Final = _schema(
    ("catalog_name", _TEXT, True),
    ("db_schema_name", _TEXT, True),
    ("table_name", _TEXT, False),
    ("column_name", _TEXT, False),
    ("key_name", _TEXT, True),
    ("key_sequence", _INT, False),
)
FOREIGN_KEYS: Final = _schema(
    ("pk_catalog_name", _TEXT, True),
    ("pk_db_schema_name", _TEXT, True),
    ("pk_table_name", _TEXT, False),
    ("pk_column_name", _TEXT, False),
    ("fk_catalog_name", _TEXT, True),
    ("fk_db_schema_name", _TEXT, True),
    ("fk_table_name", _TEXT, False),
    ("fk_column_name", _TEXT, False),
    ("key_sequence", _INT, False),
    ("fk_key_name", _TEXT, True),
    ("pk_key_name", _TEXT, True),
    ("update_rule", pa.uint8(), False),
    ("delete_rule", pa.uint8(), False),
)
SQL_INFO_VALUE: Final = pa.dense_union(
    [
        pa.field("string_value", _TEXT),
        pa.field("bool_value", pa.bool_()),
        pa.field("bigint_value", pa.int64()),
        pa.field("int32_bitmask", _INT),
        pa.field("string_list", pa.list_(_TEXT)),
        pa.field("int32_to_int32_list_map", pa.map_(_INT, pa.list_(_INT))),
    ]
)
SQL_INFO: Final = pa.schema(
    [pa.field("info_name", pa.uint32(), nullable=False), pa.field("value", SQL_INFO_VALUE, nullable=False)]
)
TYPE_INFO: Final = _schema(
    ("type_name", _TEXT, False),
    ("data_type", _INT, False),
    ("column_size", _INT, True),
    ("literal_prefix", _TEXT, True),
    ("literal_suffix", _TEXT, True),
    ("create_params", pa.list_(pa.field("item", _TEXT, nullable=False)), True),
    ("nullable", _INT, False),
    ("case_sensitive", pa.bool_(), False),
    ("searchable", _INT, False),
    ("unsigned_attribute", pa.bool_(), True),
    ("fixed_prec_scale", pa.bool_(), False),
    ("auto_increment", pa.bool_(), True),
    ("local_type_name", _TEXT, True),
    ("minimum_scale", _INT, True),
    ("maximum_scale", _INT, True),
    ("sql_data_type", _INT, False),
    ("datetime_subcode", _INT, True),
    ("num_prec_radix", _INT, True),
    ("interval_precision", _INT, True),
)
