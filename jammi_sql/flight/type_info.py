"""The types that a column may have, as JDBC and ODBC see them: ``CommandGetXdbcTypeInfo``."""

from __future__ import annotations

from typing import Any, Final

import pyarrow as pa

from .schemas import TYPE_INFO

__all__ = ["type_info"]

_BASIC, _FULL = 2, 3  # what a WHERE clause may do with it: everything but LIKE, everything

# name, type, size, prefix and suffix of literals, parameters, unsigned, scales, type and subcode of times, radix
_TYPES: Final[tuple[tuple[Any, ...], ...]] = (
    ("BOOLEAN", -7, 1, None, None, None, None, None, None, None, None),
    ("TINYINT", -6, 3, None, None, None, False, 0, 0, None, 10),
    ("TINYINT UNSIGNED", -6, 3, None, None, None, True, 0, 0, None, 10),
    ("BIGINT", -5, 19, None, None, None, False, 0, 0, None, 10),
    ("BIGINT UNSIGNED", -5, 20, None, None, None, True, 0, 0, None, 10),
    ("BYTEA", -3, None, "X'", "'", None, None, None, None, None, None),
    ("DECIMAL", 3, 38, None, None, ["precision", "scale"], False, 0, 38, None, 10),
    ("INT", 4, 10, None, None, None, False, 0, 0, None, 10),
    ("INT UNSIGNED", 4, 10, None, None, None, True, 0, 0, None, 10),
    ("SMALLINT", 5, 5, None, None, None, False, 0, 0, None, 10),
    ("SMALLINT UNSIGNED", 5, 5, None, None, None, True, 0, 0, None, 10),
    ("FLOAT", 7, 24, None, None, None, False, None, None, None, 2),
    ("DOUBLE", 8, 53, None, None, None, False, None, None, None, 2),
    ("VARCHAR", 12, None, "'", "'", None, None, None, None, None, None),
    ("DATE", 91, 10, "DATE '", "'", None, None, None, None, 1, None),
    ("TIME", 92, 18, "TIME '", "'", None, None, 9, 9, 2, None),
    ("TIMESTAMP", 93, 29, "TIMESTAMP '", "'", ["precision"], None, 0, 9, 3, None),
    ("TIMESTAMP WITH TIME ZONE", 93, 35, "TIMESTAMP '", "'", ["precision"], None, 0, 9, 5, None),
)
_TIMES: Final = frozenset({91, 92, 93})
_DATETIME, _TEXT = 9, 12


def type_info(data_type: int | None) -> pa.Table:
    """All types, or those with that number; sorted by number and name."""
    rows = []
    for name, number, size, prefix, suffix, parameters, unsigned, least, most, subcode, radix in sorted(
        _TYPES, key=lambda row: (row[1], row[0])
    ):
        if data_type not in (None, number):
            continue
        rows.append(
            {
                "type_name": name,
                "data_type": number,
                "column_size": size,
                "literal_prefix": prefix,
                "literal_suffix": suffix,
                "create_params": parameters,
                "nullable": 1,
                "case_sensitive": number == _TEXT,
                "searchable": _FULL if number == _TEXT else _BASIC,
                "unsigned_attribute": unsigned,
                "fixed_prec_scale": False,
                "auto_increment": None if unsigned is None else False,
                "local_type_name": name,
                "minimum_scale": least,
                "maximum_scale": most,
                "sql_data_type": _DATETIME if number in _TIMES else number,
                "datetime_subcode": subcode,
                "num_prec_radix": radix,
                "interval_precision": None,
            }
        )
    return pa.Table.from_pylist(rows, schema=TYPE_INFO)
