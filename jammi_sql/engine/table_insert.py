"""INSERT INTO a companion table, with defaults, ON CONFLICT and RETURNING; CREATE TABLE ... AS."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..arrow.batches import upgrade
from ..dialect import compose, quote_identifier, statements
from ..dialect.statements import Name
from ..errors import ProgrammingError
from ..ports import Transaction
from ..results import CommandResult, Result
from ..tables.catalog import CatalogTable
from ..tables.rows import NUMBER, ROW_ID, Conflict
from .changes import (
    TARGET,
    Change,
    assigned,
    change_schema,
    changing,
    check_columns,
    check_once,
    checked,
    condition,
    default_of,
    returned_rows,
)
from .insert_source import InsertSource, planned
from .relations import inserted_relations
from .staging import RowsRelation, Staged, remaining, staging
from .table_update import read_rows

if TYPE_CHECKING:
    from .session import Session

__all__ = ["insert_batches", "insert_rows", "insert_schema"]

Parameters = Mapping[str, pa.Scalar]
_GIVEN = "__given"
_EXISTING = "__existing"
_INCOMING = "__incoming"


def insert_rows(
    session: Session, statement: statements.Insert, table: CatalogTable, source: InsertSource, parameters: Parameters
) -> Result:
    """Run the INSERT. Its rows are computed before the write lock is taken, unless they are computed from tables."""
    staged = _computed(session, table, source)
    with ExitStack() as stack:
        rows: Staged | None = None if staged is None else stack.enter_context(staged)
        transaction, current = stack.enter_context(changing(session, statement.target))
        if rows is None or not _is_same(current, table):  # altered while the lock was waited for
            rows = stack.enter_context(_computed(session, current, source, locked=True))
        return _write(session, transaction, current, statement, rows, parameters)


def _computed(session: Session, table: CatalogTable, source: InsertSource, *, locked: bool = False) -> Any:
    """The rows of the table, defaults included; ``None`` where they must be computed with the lock held."""
    with session.queries.planned(source.query.words) as planning:
        given = list(source.columns)
        frame, text = planned(session, planning, source, insert_schema(table, given))
        added = [column.name for column in table.columns if column.default is not None and column.name not in given]
        if added:
            text = compose(
                f"INSERT INTO {quote_identifier(TARGET)} SELECT ",
                ", ".join(f"{quote_identifier(_GIVEN)}.{quote_identifier(name)}" for name in given),
                *(f', ({default_of(table, name)}\n) AS "__default_{place}"' for place, name in enumerate(added)),
                f" FROM {quote_identifier(_GIVEN)}",
            )
            whole = insert_schema(table, [*given, *added])
            relations = {_GIVEN: frame.into_view(), TARGET: RowsRelation(whole)}
            with inserted_relations(session.relations, relations):
                frame = session.queries.frame(planning, text, {}, source.context)
                frame = session.queries.frame_of(planning, frame.logical_plan().inputs()[0], source.context)
        rows = session.queries.run(frame, planning, text)
        if planning.reads_tables and not locked:  # known once the scans are planned
            rows.close()
            return None
    names = [*given, *added]
    return staging(_whole(remaining(rows, session.running.check), names, table), table.schema, table.name, "table")


def insert_schema(table: CatalogTable, names: Sequence[str]) -> pa.Schema:
    """Without NOT NULL, which DataFusion checks for VALUES alone and by names of its own: writing names the column."""
    return pa.schema([table.column(name).field.with_nullable(True) for name in names])


def _whole(batches: Iterator[pa.RecordBatch], names: Sequence[str], table: CatalogTable) -> Iterator[pa.RecordBatch]:
    schema = insert_schema(table, names)
    every = insert_schema(table, table.schema.names)
    for batch in batches:
        yield upgrade(pa.RecordBatch.from_arrays(batch.columns, schema=schema), every)


def insert_batches(session: Session, name: Name, table: CatalogTable, batches: Iterator[pa.RecordBatch]) -> int | None:
    """Insert Arrow data, all or nothing; returns the number of rows, ``None`` where the table was altered meanwhile."""
    with staging(batches, table.schema, table.name, "table") as staged:
        with changing(session, name) as (transaction, current):
            if not _is_same(current, table):
                return None
            count, _ = session.engine.services.rows.insert(
                transaction, current, session.tenant, checked(session, staged.batches())
            )
            return count


def _is_same(one: CatalogTable, other: CatalogTable) -> bool:
    return (one.number, one.schema_version) == (other.number, other.schema_version)


# --- writing ---


def _write(
    session: Session,
    transaction: Transaction,
    table: CatalogTable,
    statement: statements.Insert,
    staged: Staged,
    parameters: Parameters,
) -> Result:
    alias = statement.alias or statement.target.parts[-1]
    rows = session.engine.services.rows
    conflict = statement.on_conflict
    if conflict is None:
        count, ids = rows.insert(transaction, table, session.tenant, checked(session, staged.batches()))
    elif conflict.action == "nothing":
        passed_over = Conflict(_conflict_key(table, conflict) or ())
        count, ids = rows.insert(
            transaction, table, session.tenant, checked(session, staged.batches()), conflict=passed_over
        )
    elif statement.returning is None and (replaced := _replaced(session, table, conflict)) is not None:
        return CommandResult(_replace(session, transaction, table, replaced, staged, conflict.position))
    else:
        count, ids = _upsert(session, transaction, table, conflict, staged, parameters, alias)
    if statement.returning is None:
        return CommandResult(count)
    present = read_rows(session, transaction, table, [ids])  # those that were passed over have no row
    return returned_rows(session, statement.returning, parameters, present, alias)


def _conflict_key(table: CatalogTable, conflict: statements.OnConflict) -> tuple[str, ...] | None:
    if conflict.columns is None:
        return None if conflict.action == "nothing" else _only_key(table, conflict)
    for key in table.keys:
        if set(key) == set(conflict.columns):
            return key
    raise ProgrammingError(
        f"table {table.name} has no unique key ({', '.join(conflict.columns)})",
        sqlstate="42P10",
        position=conflict.position,
        hint="name the columns of the primary key, of a UNIQUE constraint or of a unique index",
    )


def _only_key(table: CatalogTable, conflict: statements.OnConflict) -> tuple[str, ...]:
    """The key that DO UPDATE means without naming it: with several, which row is to change would be a guess."""
    if len(table.keys) == 1:
        return table.keys[0]
    found = " and ".join(f"({', '.join(key)})" for key in table.keys)
    raise ProgrammingError(
        f"table {table.name} has {f'the keys {found}' if found else 'no key'}: ON CONFLICT DO UPDATE needs one",
        sqlstate="42P10",
        position=conflict.position,
        hint="write ON CONFLICT (columns) DO UPDATE with the columns of a primary key, a UNIQUE or a unique index",
    )


_EXCLUDED = re.compile(r"\s*excluded\s*\.\s*([a-z_][a-z0-9_]*)\s*", re.IGNORECASE | re.ASCII)


def _replaced(session: Session, table: CatalogTable, conflict: statements.OnConflict) -> Conflict | None:
    """``SET a = excluded.a, ...`` of columns that are in no key, which the store does by itself; ``None`` for more."""
    key = _conflict_key(table, conflict)
    names = check_columns(table, conflict.assignments)
    if not session.settings.pushdown or conflict.condition is not None:
        return None
    if any(name in columns for columns in table.keys for name in names):
        return None
    for assignment in conflict.assignments:
        found = None if assignment.value is None else _EXCLUDED.fullmatch(assignment.value.text)
        if found is None or found[1].lower() != assignment.column:
            return None
    return Conflict(key or (), tuple(names))


def _replace(
    session: Session,
    transaction: Transaction,
    table: CatalogTable,
    conflict: Conflict,
    staged: Staged,
    position: int | None,
) -> int:
    _check_keys(staged.batches(), conflict.key, position)
    rows = session.engine.services.rows
    return rows.insert(transaction, table, session.tenant, staged.batches(), conflict=conflict)[0]


def _upsert(
    session: Session,
    transaction: Transaction,
    table: CatalogTable,
    conflict: statements.OnConflict,
    staged: Staged,
    parameters: Parameters,
    alias: str,
) -> tuple[int, pa.Array]:
    """ON CONFLICT DO UPDATE. Returns the number of rows that were inserted or changed, and their identities."""
    key = _conflict_key(table, conflict)
    assert key is not None
    names = check_columns(table, conflict.assignments)
    rows = session.engine.services.rows
    touched: list[pa.Array] = []
    count = 0
    for batch in staged.batches():
        session.running.check()
        table = session.engine.services.tables.numbered(transaction, table.number) or table  # it may have got NaNs
        existing = rows.by_key(transaction, table, session.tenant, key, batch, [ROW_ID, *table.schema.names])
        found = existing.column(NUMBER)
        matched = pc.is_in(_numbers(batch.num_rows), value_set=found)
        fresh = batch.filter(pc.invert(matched))
        check_once([*touched, existing.column(ROW_ID)], "ON CONFLICT DO UPDATE", conflict.position)
        _check_keys((fresh,), key, conflict.position)
        inserted, ids = rows.insert(transaction, table, session.tenant, iter((fresh,)))
        changed = _changes(session, table, conflict, names, existing, batch, parameters, alias)
        with changed as changes:
            updated = [each.column(0) for each in changes.batches()]
            count += inserted + rows.update(transaction, table, session.tenant, checked(session, changes.batches()))
        touched += [ids, *updated]
    whole = pa.concat_arrays(touched) if touched else pa.array([], pa.int64())
    return count, whole


@contextmanager
def _changes(
    session: Session,
    table: CatalogTable,
    conflict: statements.OnConflict,
    names: Sequence[str],
    existing: pa.RecordBatch,
    incoming: pa.RecordBatch,
    parameters: Parameters,
    alias: str,
) -> Iterator[Staged]:
    """The change set of the rows that are there already, from them (``alias``) and from what came (``excluded``)."""
    numbered = pa.RecordBatch.from_arrays(
        [_numbers(incoming.num_rows), *incoming.columns], names=[NUMBER, *incoming.schema.names]
    )
    relations = {
        _EXISTING: RowsRelation(existing.schema, lambda: iter((existing,))),
        _INCOMING: RowsRelation(numbered.schema, lambda: iter((numbered,))),
    }
    quoted = quote_identifier(alias)
    with session.queries.planned(frozenset()) as planning:
        change = Change(session, planning, table, alias, parameters, relations)
        query = compose(
            f"SELECT {change.row_id}", *assigned(table, conflict.assignments),
            f' FROM "{_EXISTING}" AS {quoted} JOIN "{_INCOMING}" AS "excluded"'
            f' ON {quoted}."{NUMBER}" = "excluded"."{NUMBER}"',
            *condition(conflict.condition),
        )  # fmt: skip
        staged = change.compute(query, change_schema(table, names))
    try:
        yield staged
    finally:
        staged.close()


def _without_negative_zeros(rows: pa.RecordBatch) -> pa.RecordBatch:
    """To a key, -0.0 and 0.0 are one value."""
    columns: list[pa.Array] = [
        pc.add(column, _zero(column.type)) if pa.types.is_floating(column.type) else column for column in rows.columns
    ]
    return pa.RecordBatch.from_arrays(columns, schema=rows.schema)


def _zero(data_type: pa.DataType) -> Any:
    return pa.scalar(0.0).cast(data_type)


def _numbers(count: int) -> pa.Array:
    return pa.array(np.arange(count, dtype=np.int64))


def _check_keys(batches: Iterable[pa.RecordBatch], key: Sequence[str], position: int | None) -> None:
    """21000 where two of the rows that are to be inserted have one key."""
    selected = [_without_negative_zeros(batch.select(list(key))) for batch in batches]
    if sum(batch.num_rows for batch in selected) < 2:
        return
    keys = pa.Table.from_batches(selected)
    counts = keys.drop_null().group_by(list(key)).aggregate([([], "count_all")])
    most = pc.max(counts.column("count_all")).as_py()
    if most is not None and most > 1:
        raise ProgrammingError(
            "ON CONFLICT DO UPDATE has two rows with one key",
            sqlstate="21000",
            position=position,
            hint="let the source have one row for each key",
        )
