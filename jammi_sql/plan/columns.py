"""SQL column types to Arrow types, as DataFusion reads them, and back."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pyarrow as pa
from datafusion import SessionConfig, SessionContext

from ..dialect import quote_identifier
from ..dialect.statements import ColumnDefinition
from ..errors import Error, FeatureNotSupported
from ..errors_datafusion import translate

__all__ = ["COMMENT", "columns_to_schema", "sql_type"]

COMMENT = b"comment"

# DataFusion's own default would be nanoseconds.
_ZONED = re.compile(r"\bTIMESTAMP\s+WITH\s+TIME\s+ZONE\b", re.IGNORECASE)
_TIMESTAMPTZ = re.compile(r"\bTIMESTAMPTZ\b(\s*\(\s*\d+\s*\))?", re.IGNORECASE)


def columns_to_schema(columns: Sequence[ColumnDefinition]) -> pa.Schema:
    """The Arrow schema of column definitions; comments go into the fields' metadata.

    Raises ``FeatureNotSupported`` for a type that DataFusion cannot have in a column.
    """
    return pa.schema([_field(column) for column in columns])


def _field(column: ColumnDefinition) -> pa.Field:
    metadata = None if column.comment is None else {COMMENT: column.comment.encode()}
    return pa.field(column.name, _arrow_type(column), column.nullable, metadata)


def _arrow_type(column: ColumnDefinition) -> pa.DataType:
    text = column.type_text.text
    precise = _ZONED.sub("TIMESTAMP(6) WITH TIME ZONE", text)
    precise = _TIMESTAMPTZ.sub(lambda found: f"TIMESTAMP{found[1] or '(6)'} WITH TIME ZONE", precise)
    context = SessionContext(
        SessionConfig(
            {
                "datafusion.sql_parser.map_string_types_to_utf8view": "false",
                "datafusion.execution.time_zone": "UTC",
            }
        )
    )
    prefix = "CREATE TABLE probe (value "
    try:
        context.sql(f"{prefix}{precise})")
        schema = context.table("probe").schema()
    except Exception as error:
        if "nsupported SQL type" in str(error) or "not implemented" in str(error):
            raise FeatureNotSupported(
                f"a column cannot have the type {text}",
                position=column.position,
                hint="use TIMESTAMP for DATETIME, VARCHAR for UUID and JSON, a struct or a list for the rest",
            ) from error
        raise _placed(translate(error, text), column) from error
    if len(schema) != 1:
        raise FeatureNotSupported(f"{text} is not one type", position=column.position)
    data_type: pa.DataType = schema.field(0).type
    return data_type


def _placed(error: Error, column: ColumnDefinition) -> Error:
    error.position = column.type_text.origin(0)
    return error


_NAMES: dict[pa.DataType, str] = {
    pa.bool_(): "BOOLEAN",
    pa.int8(): "TINYINT",
    pa.int16(): "SMALLINT",
    pa.int32(): "INT",
    pa.int64(): "BIGINT",
    pa.uint8(): "TINYINT UNSIGNED",
    pa.uint16(): "SMALLINT UNSIGNED",
    pa.uint32(): "INT UNSIGNED",
    pa.uint64(): "BIGINT UNSIGNED",
    pa.float32(): "REAL",
    pa.float64(): "DOUBLE",
    pa.string(): "VARCHAR",
    pa.binary(): "BYTEA",
    pa.date32(): "DATE",
    pa.time64("ns"): "TIME",
    pa.month_day_nano_interval(): "INTERVAL",
}
_PRECISION = {"s": 0, "ms": 3, "us": 6, "ns": 9}


def sql_type(data_type: pa.DataType) -> str:
    """The type as ``CREATE TOPIC`` takes it; for a type that SQL has no name for, Arrow's name in double quotes."""
    if data_type in _NAMES:
        return _NAMES[data_type]
    if pa.types.is_timestamp(data_type):
        precision = _PRECISION[data_type.unit]
        if data_type.tz is None:
            return "TIMESTAMP" if data_type.unit == "ns" else f"TIMESTAMP({precision})"
        if data_type.tz == "UTC":
            return "TIMESTAMP WITH TIME ZONE" if data_type.unit == "us" else f"TIMESTAMP({precision}) WITH TIME ZONE"
    if pa.types.is_decimal128(data_type) or pa.types.is_decimal256(data_type):
        return f"DECIMAL({data_type.precision}, {data_type.scale})"
    if pa.types.is_list(data_type):
        return f"{sql_type(data_type.value_type)}[]"
    if pa.types.is_fixed_size_list(data_type):
        return f"{sql_type(data_type.value_type)}[{data_type.list_size}]"
    if pa.types.is_struct(data_type):
        inner = ", ".join(
            f"{quote_identifier(data_type.field(index).name)} {sql_type(data_type.field(index).type)}"
            for index in range(data_type.num_fields)
        )
        return f"STRUCT<{inner}>"
    return f'"{data_type}"'
