"""The store's SQL for one table, made by pure functions from its definition.

Names are quoted in one place, values are always parameters. The physical table has ``_id``, the identity of a row, and
``_tenant``, then a column without declared type per column, so that the store keeps every value as it is given.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..dialect import quote_identifier

__all__ = [
    "ID",
    "TENANT",
    "add_column",
    "change_where",
    "count_rows",
    "create_index",
    "create_table",
    "delete_rows",
    "drop_column",
    "drop_index",
    "drop_table",
    "insert_rows",
    "is_null",
    "last_id",
    "move_rows",
    "physical_names",
    "quoted",
    "rename_column",
    "select_rows",
    "update_rows",
    "values",
]

ID = "_id"
TENANT = "_tenant"
_RESERVED = frozenset({ID, TENANT})


def physical_names(names: Sequence[str], taken: Iterable[str] = ()) -> list[str]:
    """A stored name per column: the column's own, unless the store, to which A and a are one name, has it already."""
    used = {name.lower() for name in (*taken, *_RESERVED)}
    chosen: list[str] = []
    for name in names:
        candidate, number = name, 1
        while candidate.lower() in used:
            number += 1
            candidate = f"{name}_{number}"
        used.add(candidate.lower())
        chosen.append(candidate)
    return chosen


def quoted(name: str) -> str:
    """A name as the store reads it."""
    return quote_identifier(name)


def _list(names: Iterable[str]) -> str:
    return ", ".join(map(quoted, names))


def create_table(storage: str, columns: Sequence[str]) -> str:
    """The physical table; its keys are indexes."""
    return f"CREATE TABLE {quoted(storage)} ({ID} INTEGER PRIMARY KEY, {TENANT} TEXT NOT NULL, {_list(columns)})"


def drop_table(storage: str) -> str:
    """Remove the physical table with its indexes."""
    return f"DROP TABLE {quoted(storage)}"


def create_index(storage: str, name: str, columns: Sequence[str], *, unique: bool) -> str:
    """An index of the rows of each tenant apart, so that a unique one holds within a tenant."""
    kind = "UNIQUE INDEX" if unique else "INDEX"
    return f"CREATE {kind} {quoted(name)} ON {quoted(storage)} ({_list([TENANT, *columns])})"


def drop_index(name: str) -> str:
    """Remove an index."""
    return f"DROP INDEX {quoted(name)}"


def add_column(storage: str, column: str) -> str:
    """A column that is NULL in every row."""
    return f"ALTER TABLE {quoted(storage)} ADD COLUMN {quoted(column)}"


def drop_column(storage: str, column: str) -> str:
    """Remove a column and its values."""
    return f"ALTER TABLE {quoted(storage)} DROP COLUMN {quoted(column)}"


def rename_column(storage: str, column: str, new_name: str) -> str:
    """Give a column another stored name."""
    return f"ALTER TABLE {quoted(storage)} RENAME COLUMN {quoted(column)} TO {quoted(new_name)}"


def values(special: Sequence[bool], first: int) -> list[str]:
    """A parameter per column from ``?first`` on; two for a column with NaNs, whose blobs are in the second one."""
    expressions: list[str] = []
    number = first
    for has_specials in special:
        expressions.append(f"coalesce(?{number}, ?{number + 1})" if has_specials else f"?{number}")
        number += 2 if has_specials else 1
    return expressions


def insert_rows(
    storage: str,
    columns: Sequence[str],
    special: Sequence[bool],
    *,
    key: Sequence[str] | None = None,
    update: Sequence[str] = (),
) -> str:
    """``?1`` id, ``?2`` tenant, then the columns' values.

    With ``key`` a row that is there already, with the same values in these columns (in those of any key where there are
    none), gets the new values of ``update``, or is left as it is where nothing is to be updated.
    """
    conflict = ""
    if key is not None:
        pairs = ", ".join(f"{quoted(name)} = excluded.{quoted(name)}" for name in update)
        what = f" ({_list([TENANT, *key])})" if key else ""
        conflict = f" ON CONFLICT{what} DO " + (f"UPDATE SET {pairs}" if pairs else "NOTHING")
    return (
        f"INSERT INTO {quoted(storage)} ({_list([ID, TENANT, *columns])}) "
        f"VALUES (?1, ?2, {', '.join(values(special, 3))}){conflict}"
    )


def update_rows(storage: str, columns: Sequence[str], special: Sequence[bool], *, moving: bool = False) -> str:
    """``?1`` id, then the columns' values; with ``moving`` ``?2`` is a tenant that the row is put under meanwhile."""
    targets = [*([TENANT] if moving else []), *columns]
    sources = [*(["?2"] if moving else []), *values(special, 3 if moving else 2)]
    pairs = ", ".join(f"{quoted(name)} = {value}" for name, value in zip(targets, sources, strict=True))
    return f"UPDATE {quoted(storage)} SET {pairs} WHERE {ID} = ?1"


def move_rows(storage: str) -> str:
    """Put all rows under tenant ``?1`` under ``?2``."""
    return f"UPDATE {quoted(storage)} SET {TENANT} = ?2 WHERE {TENANT} = ?1"


def delete_rows(storage: str, *, all_of_tenant: bool = False) -> str:
    """``?1`` is an id, or with ``all_of_tenant`` the tenant whose rows go."""
    return f"DELETE FROM {quoted(storage)} WHERE {TENANT if all_of_tenant else ID} = ?1"


def change_where(storage: str, assignments: Sequence[str], conditions: Sequence[str]) -> str:
    """An UPDATE, or without assignments a DELETE, of the rows that fulfil all conditions."""
    verb = f"UPDATE {quoted(storage)} SET {', '.join(assignments)}" if assignments else f"DELETE FROM {quoted(storage)}"
    return f"{verb} WHERE {' AND '.join(conditions)}"


def raise_data_version(number: int, schema_version: int) -> str:
    """An UPDATE of a table's row in the catalogue, if it has that version. Without parameters: to bind two takes as long as
    to run it."""
    return (
        "UPDATE companion SET data_version = data_version + 1 "
        f"WHERE number = {number} AND schema_version = {schema_version}"
    )


def last_id(storage: str) -> str:
    """The greatest id, 0 where there is no row."""
    return f"SELECT coalesce(max({ID}), 0) AS last FROM {quoted(storage)}"


def is_null(column: str) -> str:
    """The rows that have no value in a column."""
    return f"{quoted(column)} IS NULL"


def count_rows(storage: str, condition: str) -> str:
    """How many rows fulfil ``condition``."""
    return f"SELECT count(*) AS count FROM {quoted(storage)} WHERE {condition}"


def select_rows(storage: str, columns: Sequence[str], condition: str, *, ordered: bool = False) -> str:
    """Stored columns of the rows that fulfil ``condition``, each an expression of the store, named by their places.

    ``ordered``: by identity, which is the table's own order. Without it SQLite may read an index that has all columns that
    are asked for, in the order of its keys.
    """
    chosen = ", ".join(f'{column} AS "{place}"' for place, column in enumerate(columns))
    order = f" ORDER BY {ID}" if ordered else ""
    return f"SELECT {chosen} FROM {quoted(storage)} WHERE {condition}{order}"
