"""Two tables with the values on which databases differ, in PostgreSQL and in SQLite, made from one list of rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import adbc_driver_sqlite.dbapi
import psycopg
import pyarrow as pa

__all__ = ["ROWS", "make_postgres", "make_sqlite"]

_INF, _NAN = float("inf"), float("nan")
# fmt: off
_TEXTS = ["", "a", "A", "b", "B", "aa", "ab", "é", "É", "z", "Z", "ß", "it's", "100%", "a_b", "a\\b", " a", "a ", "日本", "x*y", "[q]", None]
_FLOATS = [0.0, -0.0, 1.5, -1.5, 1e308, -1e308, 5e-324, _INF, -_INF, _NAN, 0.1, 3.0, None]
_INTS = [0, 1, -1, 2, 3, 7, 2**31 - 1, -(2**31), None]
_BIGS = [0, 1, -1, 5, 10, 2**63 - 1, -(2**63) + 1, 2**53 + 1, None]
_DECIMALS = ["0.00", "-0.01", "1.10", "1.10", "99999999.99", "-99999999.99", "2.50", "3.05", None]
_DATES = ["0001-01-01", "1970-01-01", "1969-12-31", "2000-02-29", "2024-12-31", "9999-12-31", "1995-03-15", None]
_TIMES = ["0001-01-01 00:00:00", "1970-01-01 00:00:00.000001", "1999-12-31 23:59:59.999999", "2024-02-29 12:30:00", "2024-03-31 02:30:00", None]
_BYTES = [b"", b"\x00", b"a", b"\xff\x00", b"ab", None]
# fmt: on
_BOOLS = [True, False, None]


def _rows(count: int, step: int) -> list[dict[str, Any]]:
    def pick(values: list[Any], place: int) -> Any:
        return values[(place * step + place // len(values)) % len(values)]

    return [
        {
            "id": place,
            "k": pick(_INTS, place),
            "big": pick(_BIGS, place + 1),
            "f": pick(_FLOATS, place + 2),
            "d": pick(_DECIMALS, place),
            "t": pick(_TEXTS, place),
            "Mixed Case": pick(_TEXTS, place + 5),
            "dt": pick(_DATES, place),
            "ts": pick(_TIMES, place),
            "tz": pick(_TIMES, place + 1),
            "b": pick(_BOOLS, place),
            "by": pick(_BYTES, place),
        }
        for place in range(count)
    ]


ROWS = {"one": _rows(60, 1), "two": _rows(45, 5)}
"""By the table's name; ``id`` is its key."""

_POSTGRES = (
    'id int8 PRIMARY KEY, k int4, big int8, f float8, d numeric(10, 2), t text, "Mixed Case" varchar(20), dt date, '
    "ts timestamp, tz timestamptz, b bool, by bytea"
)
_SQLITE = (
    'id INTEGER PRIMARY KEY, k INT, big BIGINT, f REAL, d DECIMAL(10, 2), t TEXT, "Mixed Case" VARCHAR(20), dt DATE, '
    "ts TIMESTAMP, tz TEXT, b BOOLEAN, by BLOB"
)


def make_postgres(url: str) -> None:
    """The tables, in the schema ``public``."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET timezone = 'UTC'")
        for name, rows in ROWS.items():
            connection.execute(f"CREATE TABLE {name} ({_POSTGRES})")
            marks = ", ".join(["%s"] * len(rows[0]))
            with connection.cursor() as cursor:
                cursor.executemany(f"INSERT INTO {name} VALUES ({marks})", [tuple(row.values()) for row in rows])
        connection.execute("VACUUM ANALYZE")


def make_sqlite(path: Path) -> None:
    """The tables, in the file. SQLite has no NaN: there it is NULL."""
    connection = adbc_driver_sqlite.dbapi.connect(str(path))
    try:
        with connection.cursor() as cursor:
            for name, rows in ROWS.items():
                cursor.execute(f"CREATE TABLE {name} ({_SQLITE})")
                for row in rows:
                    values = [_stored(value) for value in row.values()]
                    marks = ", ".join(f"?{place + 1}" for place in range(len(values)))
                    arrays = [pa.array([value], pa.null() if value is None else None) for value in values]
                    batch = pa.RecordBatch.from_arrays(arrays, names=[f"p{place}" for place in range(len(arrays))])
                    cursor.execute(f"INSERT INTO {name} VALUES ({marks})", batch)
            cursor.execute("ANALYZE")
        connection.commit()
    finally:
        connection.close()


def _stored(value: Any) -> Any:
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, float) and value != value:
        return None
    return value
