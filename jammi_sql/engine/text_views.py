"""Text in DataFusion's own layout, for statements that read many rows of segments.

The columns of topics are plain text (``Utf8``), which every client takes. DataFusion groups and compares its *views* of text
(``Utf8View``) in two thirds of the time. So a statement over large segments is planned twice: as it is, which says what types
its columns have, and with views in the scans of files, which is what is run; views in its result become text again.
"""

from __future__ import annotations

import re

import pyarrow as pa

__all__ = ["WORTH_ROWS", "keeps_meaning", "with_views"]

WORTH_ROWS = 200_000
"""Rows of segments for which it is worth to plan twice."""

_CALL = re.compile(r"(\w+)\s*\(")
# Names in quotes and comments, behind which a call would not be seen.
_HIDES_CALLS = re.compile(r'"\s*\(|/\*|--')
# Calls that are known to make the same of either layout, and words before a parenthesis that is none of a call.
# fmt: off
_KNOWN = frozenset({
    "abs", "avg", "bit_length", "btrim", "ceil", "char_length", "coalesce", "concat", "contains", "count",
    "date_bin", "date_part", "date_trunc", "ends_with", "exp",
    "extract", "floor", "greatest", "least", "left", "length", "ln", "log", "lower", "lpad", "ltrim", "max",
    "median", "min", "mod", "nullif", "octet_length", "power", "replace",
    "reverse", "right", "round", "row_number", "rpad", "rtrim", "signum", "sqrt", "starts_with", "stddev", "strpos",
    "substr", "sum", "trim", "upper", "var",
    "all", "and", "any", "as", "between", "by", "case", "cast", "distinct", "else", "exists", "filter", "from",
    "group", "having", "in", "into", "is", "join", "like", "limit", "not", "on", "or",
    "order", "over", "partition", "select", "then", "try_cast", "union", "using", "values", "when", "where", "with",
    "within",
})
# fmt: on


def keeps_meaning(text: str) -> bool:
    """Whether all that a query calls gives the same for either layout of text."""
    return not _HIDES_CALLS.search(text) and all(name.lower() in _KNOWN for name in _CALL.findall(text))


def with_views(schema: pa.Schema) -> pa.Schema:
    """``schema`` with views for its columns of plain text."""
    fields = [field.with_type(pa.string_view()) if pa.types.is_string(field.type) else field for field in schema]
    return pa.schema(fields, metadata=schema.metadata)  # type: ignore[arg-type] # invariant in the stubs
