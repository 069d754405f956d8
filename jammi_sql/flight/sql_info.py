"""What the server says of itself, ``CommandGetSqlInfo``."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Final

import pyarrow as pa

from .options import Limits
from .schemas import SQL_INFO, SQL_INFO_VALUE

__all__ = ["sql_info"]

Value = str | bool | int | list[str] | dict[int, list[int]]

_LIMITS: Final = frozenset(range(541, 562)) - {556}
"""Infos that say how long, wide or many something may be."""
_BIGINTS: Final = _LIMITS | {503, 505, 507, 562}
"""Infos whose numbers are 64 bits wide; all other numbers are 32. The last four are 32 bits by the protocol's comments,
but the drivers of ODBC (503, 505, 507) and JDBC (562) read them as 64, and nobody else reads them."""


def _values(limits: Limits, *, read_only: bool) -> Mapping[int, Value]:
    """The infos by number, named as in the protocol's enum ``SqlInfo``."""
    try:
        ours = version("jammi-sql")
    except PackageNotFoundError:  # a checkout on the path, never installed
        ours = "unknown"
    return {
        0: "Jammi SQL",  # FLIGHT_SQL_SERVER_NAME
        1: ours,  # ..._VERSION
        2: pa.__version__,  # ..._ARROW_VERSION
        3: read_only,  # ..._READ_ONLY
        4: True,  # ..._SQL
        5: False,  # ..._SUBSTRAIT
        8: 2,  # ..._TRANSACTION: with savepoints
        9: True,  # ..._CANCEL
        10: True,  # ..._BULK_INGESTION
        11: True,  # ..._INGEST_TRANSACTIONS_SUPPORTED
        100: 0,  # ..._STATEMENT_TIMEOUT, of prepared statements
        101: int(limits.transaction_timeout * 1000),  # ..._TRANSACTION_TIMEOUT
        500: False,  # SQL_DDL_CATALOG
        501: True,  # SQL_DDL_SCHEMA
        502: True,  # SQL_DDL_TABLE
        503: 3,  # SQL_IDENTIFIER_CASE: lower
        504: '"',  # SQL_IDENTIFIER_QUOTE_CHAR
        505: 0,  # SQL_QUOTED_IDENTIFIER_CASE: there is no number for "kept as it is"
        506: True,  # SQL_ALL_TABLES_ARE_SELECTABLE
        507: 0,  # SQL_NULL_ORDERING: as if greater than everything
        **dict.fromkeys(_LIMITS, 0),  # SQL_MAX_...: no limit, or none that is known; drivers of JDBC fail where one is missing
        508: [  # SQL_KEYWORDS: those that are not of SQL-92
            "ASOF", "ATTACH", "CACHED", "DETACH", "IDLE_TIMEOUT", "LATEST", "MUTABLE", "REFRESH", "SUBSCRIBE", "TOPIC",
            "TOPICS",
        ],
        509: [  # SQL_NUMERIC_FUNCTIONS, these four as ODBC and JDBC call them
            "ABS", "ACOS", "ASIN", "ATAN", "ATAN2", "COS", "COT", "DEGREES", "EXP", "FLOOR", "LOG", "LOG10", "PI", "POWER",
            "RADIANS", "RAND", "ROUND", "SIN", "SQRT", "TAN",
        ],
        510: [  # SQL_STRING_FUNCTIONS
            "ASCII", "BIT_LENGTH", "CHAR_LENGTH", "CHARACTER_LENGTH", "CONCAT", "LEFT", "LENGTH", "LTRIM", "OCTET_LENGTH",
            "POSITION", "REPEAT", "REPLACE", "RIGHT", "RTRIM", "SUBSTRING",
        ],
        511: ["IFNULL"],  # SQL_SYSTEM_FUNCTIONS
        512: ["CURRENT_DATE", "CURRENT_TIME", "CURRENT_TIMESTAMP", "EXTRACT", "NOW"],  # SQL_DATETIME_FUNCTIONS
        513: "\\",  # SQL_SEARCH_STRING_ESCAPE
        514: "",  # SQL_EXTRA_NAME_CHARACTERS
        515: True,  # SQL_SUPPORTS_COLUMN_ALIASING
        516: True,  # SQL_NULL_PLUS_NULL_IS_NULL
        517: {},  # SQL_SUPPORTS_CONVERT: there is no function CONVERT, but CAST
        518: True,  # SQL_SUPPORTS_TABLE_CORRELATION_NAMES
        519: False,  # SQL_SUPPORTS_DIFFERENT_TABLE_CORRELATION_NAMES
        520: True,  # SQL_SUPPORTS_EXPRESSIONS_IN_ORDER_BY
        521: True,  # SQL_SUPPORTS_ORDER_BY_UNRELATED
        522: 3,  # SQL_SUPPORTED_GROUP_BY
        523: False,  # SQL_SUPPORTS_LIKE_ESCAPE_CLAUSE
        524: True,  # SQL_SUPPORTS_NON_NULLABLE_COLUMNS
        525: 1,  # SQL_SUPPORTED_GRAMMAR: minimum
        526: 1,  # SQL_ANSI92_SUPPORTED_LEVEL: entry
        527: False,  # SQL_SUPPORTS_INTEGRITY_ENHANCEMENT_FACILITY
        # SQL_OUTER_JOINS_SUPPORT_LEVEL: limited and full. A number by the protocol's comments, but every driver looks at bits.
        528: 6,
        529: "schema",  # SQL_SCHEMA_TERM
        530: "procedure",  # SQL_PROCEDURE_TERM
        531: "catalog",  # SQL_CATALOG_TERM
        532: True,  # SQL_CATALOG_AT_START
        533: 0,  # SQL_SCHEMAS_SUPPORTED_ACTIONS: there are no procedures, indexes and privileges
        534: 0,  # SQL_CATALOGS_SUPPORTED_ACTIONS
        535: 0,  # SQL_SUPPORTED_POSITIONED_COMMANDS
        536: False,  # SQL_SELECT_FOR_UPDATE_SUPPORTED
        537: False,  # SQL_STORED_PROCEDURES_SUPPORTED
        538: 7,  # SQL_SUPPORTED_SUBQUERIES: in comparisons, EXISTS and IN
        539: True,  # SQL_CORRELATED_SUBQUERIES_SUPPORTED
        540: 3,  # SQL_SUPPORTED_UNIONS
        556: False,  # SQL_MAX_ROW_SIZE_INCLUDES_BLOBS
        562: 2,  # SQL_DEFAULT_TRANSACTION_ISOLATION: READ COMMITTED
        563: True,  # SQL_TRANSACTIONS_SUPPORTED
        564: 4,  # SQL_SUPPORTED_TRANSACTIONS_ISOLATION_LEVELS: READ COMMITTED
        565: False,  # SQL_DATA_DEFINITION_CAUSES_TRANSACTION_COMMIT
        566: False,  # SQL_DATA_DEFINITIONS_IN_TRANSACTIONS_IGNORED
        567: 2,  # SQL_SUPPORTED_RESULT_SET_TYPES: forward only
        568: 0,  # SQL_SUPPORTED_CONCURRENCIES_FOR_RESULT_SET_UNSPECIFIED
        569: 2,  # ..._FORWARD_ONLY: read only
        570: 0,  # ..._SCROLL_SENSITIVE
        571: 0,  # ..._SCROLL_INSENSITIVE
        572: True,  # SQL_BATCH_UPDATES_SUPPORTED
        573: True,  # SQL_SAVEPOINTS_SUPPORTED
        574: False,  # SQL_NAMED_PARAMETERS_SUPPORTED: in calls of procedures
        575: False,  # SQL_LOCATORS_UPDATE_COPY
        576: False,  # SQL_STORED_FUNCTIONS_USING_CALL_SYNTAX_SUPPORTED
    }  # fmt: skip


def sql_info(wanted: Collection[int], limits: Limits, *, read_only: bool) -> pa.Table:
    """The infos with the numbers ``wanted``, all for none; those that there are not are left out."""
    values = _values(limits, read_only=read_only)
    chosen = [number for number in (wanted or values) if number in values]
    kinds = [_kind(number, values[number]) for number in chosen]
    children: list[list[Value]] = [[] for _ in range(SQL_INFO_VALUE.num_fields)]
    offsets = []
    for number, kind in zip(chosen, kinds, strict=True):
        offsets.append(len(children[kind]))
        children[kind].append(values[number])
    fields = [SQL_INFO_VALUE.field(place) for place in range(SQL_INFO_VALUE.num_fields)]
    arrays = [pa.array(child, field.type) for child, field in zip(children, fields, strict=True)]
    union = pa.UnionArray.from_dense(
        pa.array(kinds, pa.int8()), pa.array(offsets, pa.int32()), arrays, [field.name for field in fields]
    )
    return pa.Table.from_arrays([pa.array(chosen, pa.uint32()), union], schema=SQL_INFO)


def _kind(number: int, value: Value) -> int:
    """Which child of the union a value is in."""
    match value:
        case str():
            return 0
        case bool():
            return 1
        case int():
            return 2 if number in _BIGINTS else 3
        case list():
            return 4
        case _:
            return 5
