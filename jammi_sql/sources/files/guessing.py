"""The types of a CSV file's columns, guessed from its first rows.

DataFusion's own guess takes a line end within quotes for the end of a row. The types are the ones that it would find.
"""

from __future__ import annotations

from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["guessed_type"]

_MOMENT: Final = r"^\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d"
_PATTERNS: Final[tuple[tuple[pa.DataType, str], ...]] = (
    (pa.bool_(), r"^(?i:true|false)$"),
    (pa.int64(), r"^-?\d{1,18}$"),
    (pa.float64(), r"^-?(?:\d*\.\d+|\d+\.\d*|\d+)(?:[eE][-+]?\d+)?$|^(?i:-?inf|nan)$"),
    (pa.date32(), r"^\d{4}-\d\d-\d\d$"),
    (pa.timestamp("s"), _MOMENT + r"$"),
    (pa.timestamp("ms"), _MOMENT + r"(?:\.\d{1,3})?$"),
    (pa.timestamp("us"), _MOMENT + r"(?:\.\d{1,6})?$"),
    (pa.timestamp("ns"), _MOMENT + r"(?:\.\d{1,9})?$"),
)
"""Types, the narrowest first, and what their values look like."""


def guessed_type(values: pa.ChunkedArray, null: str | None) -> pa.DataType:
    """The first type that all values look like, else text; NULL for a column without a value. ``null`` is none."""
    kept = values.drop_null()
    if null:
        kept = kept.filter(pc.not_equal(kept, pa.scalar(null)))
    if not len(kept):
        return pa.null()
    for data_type, pattern in _PATTERNS:
        if pc.all(pc.match_substring_regex(kept, pattern)).as_py():
            return data_type
    return pa.string()
