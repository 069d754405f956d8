"""UPDATE, DELETE and TRUNCATE of companion tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import pyarrow as pa

from ..dialect import compose, statements
from ..dialect.statements import Fragment, Name
from ..ports import Transaction
from ..results import BatchResult, CommandResult, Result
from ..tables.catalog import CatalogTable
from .changes import (
    Change,
    assigned,
    change_schema,
    changing,
    check_columns,
    check_once,
    checked,
    condition,
    returned_rows,
)
from .direct import change_directly, is_direct
from .live import bounded_relations
from .staging import Staged

if TYPE_CHECKING:
    from .session import Session

__all__ = ["change_row", "delete_rows", "deleted", "read_rows", "truncate_rows", "update_rows", "updated"]

Parameters = Mapping[str, pa.Scalar]


def change_row(
    session: Session, statement: statements.Update | statements.Delete, parameters: Parameters
) -> Result | None:
    """Change one row by its key in one statement of the store, where that means the same; ``None`` for any other change.

    The table is looked up inside of the transaction, where nobody else alters it, unless it still is what it was known as.
    """
    if session.names.is_own(statement.target) or not is_direct(session, statement):
        return None
    path = session.names.path(statement.target)
    with session.scope.trying() as transaction:
        known = session.known.relation(session.tenant, path)
        if isinstance(known, CatalogTable):
            changed = change_directly(session, transaction, known, statement, parameters)
            if changed is not None:
                return CommandResult(changed)
        table = session.names.find_relation(statement.target, transaction, tables_first=True)
        if not isinstance(table, CatalogTable):
            return None
        session.known.keep(transaction, session.tenant, path, table)
        changed = change_directly(session, transaction, table, statement, parameters)
        if changed is not None:
            return CommandResult(changed)
        if isinstance(statement, statements.Update):
            return update_rows(session, statement, parameters)
        return delete_rows(session, statement, parameters)


def update_rows(session: Session, statement: statements.Update, parameters: Parameters) -> Result:
    """UPDATE name SET ... [FROM ...] [WHERE ...] [RETURNING ...]."""
    alias = statement.alias or statement.target.parts[-1]
    rows = session.engine.services.rows
    with changing(session, statement.target) as (transaction, current):
        names = check_columns(current, statement.assignments)
        with session.queries.planned(statement.body.words) as planning:
            relations = bounded_relations(session, planning, statement.body, parameters)
            change = Change(session, planning, current, alias, parameters, relations)
            staged = change.compute(updated(change, statement), change_schema(current, names))
        try:
            ids = _ids(staged)
            if statement.source is not None:
                check_once(ids, "UPDATE ... FROM", statement.target.position)
            count = rows.update(transaction, current, session.tenant, checked(session, staged.batches()))
        finally:
            staged.close()
        if statement.returning is None:
            return CommandResult(count)
        return _returning(session, transaction, current, ids, statement.returning, parameters, alias)


def updated(change: Change, statement: statements.Update) -> Fragment:
    """The query for the rows that an UPDATE changes, and their new values."""
    source: list[str | Fragment] = [] if statement.source is None else [", ", statement.source, "\n"]
    return compose(
        f"SELECT {change.row_id}", *assigned(change.table, statement.assignments),
        f" FROM {change.rows}", *source, *condition(statement.condition),
    )  # fmt: skip


def delete_rows(session: Session, statement: statements.Delete, parameters: Parameters) -> Result:
    """DELETE FROM name [USING ...] [WHERE ...] [RETURNING ...]."""
    alias = statement.alias or statement.target.parts[-1]
    rows = session.engine.services.rows
    with changing(session, statement.target) as (transaction, current):
        if statement.source is None and statement.condition is None and statement.returning is None:
            return CommandResult(rows.clear(transaction, current, session.tenant))
        with session.queries.planned(statement.body.words) as planning:
            relations = bounded_relations(session, planning, statement.body, parameters)
            change = Change(session, planning, current, alias, parameters, relations)
            staged = change.compute(deleted(change, statement), change_schema(current, ()))
        with_ids = _ids(staged)
        staged.close()
        result: Result | None = None
        if statement.returning is not None:
            result = _returning(session, transaction, current, with_ids, statement.returning, parameters, alias)
        count = rows.delete(transaction, current, checked(session, with_ids))
        return result or CommandResult(count)


def deleted(change: Change, statement: statements.Delete) -> Fragment:
    """The query for the rows that a DELETE removes."""
    source: list[str | Fragment] = [] if statement.source is None else [", ", statement.source, "\n"]
    distinct = "" if statement.source is None else "DISTINCT "
    return compose(f"SELECT {distinct}{change.row_id} FROM {change.rows}", *source, *condition(statement.condition))


def truncate_rows(session: Session, name: Name) -> Result:
    """TRUNCATE TABLE: all rows that the session may change."""
    with changing(session, name) as (transaction, current):
        session.engine.services.rows.clear(transaction, current, session.tenant)
    return CommandResult()


def _ids(staged: Staged) -> list[pa.Array]:
    return [batch.column(0) for batch in staged.batches()]


def _returning(
    session: Session,
    transaction: Transaction,
    table: CatalogTable,
    ids: list[pa.Array],
    columns: Fragment,
    parameters: Parameters,
    alias: str,
) -> BatchResult:
    rows = read_rows(session, transaction, table, ids)
    return returned_rows(session, columns, parameters, rows, alias)


def read_rows(session: Session, transaction: Transaction, table: CatalogTable, ids: list[pa.Array]) -> pa.RecordBatch:
    """The rows with these identities, in their order."""
    table = session.engine.services.tables.numbered(transaction, table.number) or table  # it may have got NaNs
    whole = pa.concat_arrays(ids) if ids else pa.array([], pa.int64())
    return session.engine.services.rows.by_id(transaction, table, whole, table.schema.names)
