"""Changes of rows: INSERT, COPY ... FROM, UPDATE, DELETE, MERGE and TRUNCATE."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from .fragment import Fragment, Name
from .query import Query

__all__ = [
    "Assignment",
    "CopyFrom",
    "Delete",
    "Insert",
    "InsertRow",
    "Merge",
    "MergeClause",
    "OnConflict",
    "TruncateTable",
    "Update",
]


@dataclass(frozen=True, slots=True)
class InsertRow:
    """The one row of ``INSERT INTO target head VALUES (values)``, which ``executemany`` fills many times.

    ``values`` has, for each column, the expression and the places of the placeholders in its text (start, end, key).
    """

    head: Fragment
    values: tuple[tuple[Fragment, tuple[tuple[int, int, str], ...]], ...]


@dataclass(frozen=True, slots=True)
class Assignment:
    """``column = value`` after SET; ``value`` is ``None`` for the word DEFAULT.

    ``column`` is without the table's name or alias that may stand before it.
    """

    column: str
    value: Fragment | None
    position: int


@dataclass(frozen=True, slots=True)
class OnConflict:
    """``ON CONFLICT [(columns)] DO NOTHING | DO UPDATE SET assignments [WHERE condition]``.

    ``columns`` is ``None`` where none are named: any key for DO NOTHING, the only one for DO UPDATE. The row that was to be
    inserted is called ``excluded`` in the expressions.
    """

    columns: tuple[str, ...] | None
    action: Literal["nothing", "update"]
    assignments: tuple[Assignment, ...]
    condition: Fragment | None
    position: int


@dataclass(frozen=True, slots=True)
class Insert:
    """``INSERT INTO target [AS alias] [(columns)] source [ON CONFLICT ...] [RETURNING ...]``.

    ``body`` is the text from the columns up to ON CONFLICT or RETURNING, so that the planner may put another relation
    in the target's place. ``parameters`` are the places of the placeholders in ``body.body.text`` (start, end, key),
    which the planner wraps in ``arrow_cast``, since DataFusion does not cast bare ones in VALUES. ``row`` is there where
    the source is VALUES with one row. ``returning`` is the select list.

    ``source`` is ``body`` without the columns, with ``source_parameters`` in it; ``None`` for DEFAULT VALUES, where
    ``default_values`` is true. ``defaults`` are the words DEFAULT that are a value of a VALUES row: start and end in
    ``source.body.text`` and the index of the value in its row. The subscribes of ``body`` and ``source`` are those of the
    whole statement.
    """

    target: Name
    body: Query
    parameters: tuple[tuple[int, int, str], ...]
    row: InsertRow | None
    returning: Fragment | None
    alias: str | None
    columns: tuple[str, ...] | None
    column_positions: tuple[int, ...]
    source: Query | None
    source_parameters: tuple[tuple[int, int, str], ...]
    defaults: tuple[tuple[int, int, int], ...]
    default_values: bool
    on_conflict: OnConflict | None


@dataclass(frozen=True, slots=True)
class CopyFrom:
    """``COPY target [(columns)] FROM 'file' | stdin [(option value, ...)]``.

    ``source`` is a string literal or a placeholder; ``None`` for stdin. ``position`` is that of the source.
    """

    target: Name
    columns: tuple[str, ...] | None
    column_positions: tuple[int, ...]
    source: Fragment | None
    position: int
    options: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Update:
    """``UPDATE target [[AS] alias] SET assignments [FROM source] [WHERE condition] [RETURNING returning]``.

    ``body`` is the whole statement, here and in the other changes, for relations of DataFusion's own; its subscribes
    are those of all the fragments.
    """

    target: Name
    alias: str | None
    assignments: tuple[Assignment, ...]
    source: Fragment | None
    condition: Fragment | None
    returning: Fragment | None
    body: Query


@dataclass(frozen=True, slots=True)
class Delete:
    """``DELETE FROM target [[AS] alias] [USING source] [WHERE condition] [RETURNING returning]``."""

    target: Name
    alias: str | None
    source: Fragment | None
    condition: Fragment | None
    returning: Fragment | None
    body: Query


@dataclass(frozen=True, slots=True)
class MergeClause:
    """``WHEN kind [AND condition] THEN action``.

    ``assignments`` are those of UPDATE SET. ``columns`` (``None`` where none are named) and ``values`` are those of
    INSERT, a value ``None`` for the word DEFAULT; INSERT DEFAULT VALUES has no values at all.
    """

    kind: Literal["matched", "not matched", "not matched by source"]
    condition: Fragment | None
    action: Literal["update", "delete", "insert", "nothing"]
    assignments: tuple[Assignment, ...]
    columns: tuple[str, ...] | None
    values: tuple[Fragment | None, ...]
    position: int


@dataclass(frozen=True, slots=True)
class Merge:
    """``MERGE INTO target [[AS] alias] USING source [[AS] alias [(columns)]] ON condition clauses [RETURNING ...]``.

    ``source`` is a name or a query in parentheses, without its alias. A ``subscribe(...)`` without an alias has the
    alias ``subscribe``.
    """

    target: Name
    target_alias: str | None
    source: Fragment
    source_alias: str | None
    source_columns: tuple[str, ...] | None
    on: Fragment
    clauses: tuple[MergeClause, ...]
    returning: Fragment | None
    body: Query


@dataclass(frozen=True, slots=True)
class TruncateTable:
    """``TRUNCATE [TABLE] name``."""

    name: Name
    body: Query
