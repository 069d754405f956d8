"""INSERT: into a topic, a companion table, or an in-memory table of the session's own; for one row or for many."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from datafusion import SessionContext

from ..arrow.batches import upgrade
from ..dialect import Parsed, compose, quote_identifier, statements
from ..dialect.statements import Fragment
from ..errors import AppendOnlyTopic, FeatureNotSupported, UndefinedTable
from ..results import CommandResult, Result
from ..shutdown import calling
from ..tables.catalog import CatalogTable
from ..topics.catalog import CatalogTopic
from .cached_statements import refuse_cached
from .changes import changing, default_of
from .direct import change_directly, direct_rows, is_direct
from .insert_source import Default, InsertSource, planned, rows_source, statement_source
from .live import bounded_relations
from .publish import publish_known, publish_rows, published_rows
from .relations import inserted_relations
from .remote_changes import insert_many_remote, insert_remote, remote_target
from .staging import remaining
from .table_insert import insert_batches, insert_rows
from .table_provider import TableProvider
from .typed import typed

if TYPE_CHECKING:
    from .session import Session

__all__ = ["default_values", "insert", "insert_from", "insert_many", "insert_target", "target_schema"]

Parameters = Mapping[str, pa.Scalar]
Target = CatalogTopic | CatalogTable
TARGET = "__target"
_FILLED = "__filled"


def insert(session: Session, statement: statements.Insert, parameters: Parameters) -> Result:
    """INSERT INTO a topic, a companion table, an in-memory table of the session's own, or a table of a source."""
    remote = remote_target(session, statement.target)
    if remote is not None:
        return insert_remote(session, remote, statement, parameters)
    if session.names.own(statement.target) is not None:
        body = typed(session, statement.body.body, parameters)
        return _into_own(session, statement, body, parameters, {}, session.world.context)
    found_inside = session.scope.has_written
    plain = session.settings.pushdown and statement.returning is None and statement.on_conflict is None
    if plain and found_inside:
        known = session.known.relation(session.tenant, session.names.path(statement.target))
        rows = direct_rows(session, statement, known, parameters) if isinstance(known, CatalogTopic) else None
        if rows is not None and isinstance(known, CatalogTopic) and publish_known(session, known, rows):
            return CommandResult(rows.num_rows)
    target = insert_target(session, statement)
    if plain:
        rows = direct_rows(session, statement, target, parameters)
        if rows is not None and isinstance(target, CatalogTable):
            count = insert_batches(session, statement.target, target, iter((rows,)))
            if count is not None:
                return CommandResult(count)
            target = insert_target(session, statement)
        elif rows is not None and isinstance(target, CatalogTopic):
            return CommandResult(publish_rows(session, target, iter((rows,)), found_inside=found_inside).rows)
    source = statement_source(session, statement, target_schema(target), default_values(target), parameters)
    return insert_from(session, statement, target, source, parameters)


def insert_many(session: Session, parsed: Parsed, rows: pa.RecordBatchReader) -> int:
    """Run a statement for each row of ``rows``, all or nothing.

    ``INSERT ... VALUES (...)`` as one INSERT of them all.
    """
    statement = parsed.statement
    if isinstance(statement, statements.Insert) and _is_one_row(parsed, statement):
        assert statement.row is not None
        remote = remote_target(session, statement.target)
        if remote is not None:
            return insert_many_remote(session, remote, statement, rows)
        if session.names.own(statement.target) is not None:
            with rows_source(session, statement, pa.schema([]), lambda _: "NULL", rows) as source:
                body = compose(statement.row.head, " ", source.text)
                return _into_own(session, statement, body, {}, source.relations, source.context).rowcount
        target = insert_target(session, statement)
        with rows_source(session, statement, target_schema(target), default_values(target), rows) as source:
            return insert_from(session, statement, target, source, {}).rowcount
    own = isinstance(statement, (statements.Update, statements.Delete)) and session.names.is_own(statement.target)
    if isinstance(statement, (statements.Update, statements.Delete)) and not own and is_direct(session, statement):
        return _changed_directly(session, parsed, statement, rows)
    return _one_by_one(session, parsed, rows)


def target_schema(target: Target) -> pa.Schema:
    """The columns that an INSERT may name."""
    return target.schema if isinstance(target, CatalogTable) else target.codec.schema


def default_values(target: Target) -> Default:
    """What the word DEFAULT stands for: of a topic's columns NULL."""
    return (lambda name: default_of(target, name)) if isinstance(target, CatalogTable) else (lambda _: "NULL")


def insert_from(
    session: Session, statement: statements.Insert, target: Target, source: InsertSource, parameters: Parameters
) -> Result:
    """The rows of ``source`` into ``target``, for ``statement``."""
    if isinstance(target, CatalogTable):
        return insert_rows(session, statement, target, source, parameters)
    # Without NOT NULL, which DataFusion checks for VALUES alone and by names of its own: publishing names the column.
    every = pa.schema([field.with_nullable(True) for field in target.codec.schema])
    given = pa.schema([every.field(name) for name in source.columns])
    with session.queries.planned(source.query.words) as planning:
        frame, text = planned(session, planning, source, given)
        result = session.queries.stream(frame, planning, text)
    rows = (
        upgrade(pa.RecordBatch.from_arrays(batch.columns, schema=given), every)
        for batch in remaining(result, session.running.check)
    )
    if statement.returning is None:
        return CommandResult(publish_rows(session, target, rows).rows)
    with _atomic(session):  # what RETURNING cannot compute was never published
        return published_rows(session, target, publish_rows(session, target, rows), statement, parameters)


def insert_target(session: Session, statement: statements.Insert) -> Target:
    """The topic or companion table that the rows go to. ``FeatureNotSupported`` for what a topic does not have."""
    namespace, local_name = session.names.path(statement.target)
    if namespace in ("system", "information_schema"):
        raise AppendOnlyTopic(
            f"{namespace}.{local_name} is a system view",
            position=statement.target.position,
            hint="it shows what the engine knows",
        )
    target = session.names.find_relation(statement.target)
    if target is None:
        refuse_cached(session, statement.target)
        raise UndefinedTable(
            f"{'.'.join(statement.target.parts)} does not exist",
            position=statement.target.position,
            hint="CREATE TOPIC or CREATE TABLE makes one, SHOW TABLES lists what is there",
        )
    if isinstance(target, CatalogTopic):
        _refuse_clauses(statement)
    return target


def _refuse_clauses(statement: statements.Insert) -> None:
    """What companion tables have and topics have not."""
    if statement.on_conflict is not None:
        raise FeatureNotSupported(
            "ON CONFLICT is for companion tables: topics and in-memory tables have no keys",
            position=statement.on_conflict.position,
            hint="leave it out, or CREATE TABLE with a PRIMARY KEY",
        )
    if statement.default_values:
        raise FeatureNotSupported(
            "DEFAULT VALUES is for companion tables: a topic's columns have no defaults",
            position=statement.target.position,
            hint="give the values",
        )


def _into_own(
    session: Session,
    statement: statements.Insert,
    body: Fragment,
    parameters: Parameters,
    relations: Mapping[str, Any],
    context: SessionContext,
) -> Result:
    """INSERT INTO an in-memory table; ``body`` is what comes after the table's name.

    DataFusion adds rows to such a table part by part, and what stops it leaves some. So the rows are computed first, and
    added in a statement that takes no time and that nothing stops.
    """
    _refuse_clauses(statement)
    if statement.returning is not None:
        raise FeatureNotSupported(
            "RETURNING from an in-memory table",
            position=statement.returning.origin(0),
            hint="select from it afterwards",
        )
    text = compose(f"INSERT INTO {quote_identifier(TARGET)} ", body)
    with session.queries.planned(statement.body.words) as planning:
        own = session.names.own(statement.target)
        bounded = bounded_relations(session, planning, statement.body, parameters)
        with inserted_relations(session.relations, {TARGET: own, **relations, **bounded}):
            (source,) = session.queries.frame(planning, text, parameters, context).logical_plan().inputs()
            rows = session.queries.collect(session.queries.frame_of(planning, source, context), planning, text)
    filled = Fragment(f'INSERT INTO {quote_identifier(TARGET)} SELECT * FROM "{_FILLED}"', ((0, text.origin(0)),))
    with session.queries.planned(frozenset()) as planning:
        with inserted_relations(session.relations, {TARGET: own, _FILLED: TableProvider(rows.schema, lambda: rows)}):
            frame = session.queries.frame(planning, filled, {}, context)
            try:
                with calling():
                    frame.collect()
            except Exception as error:  # a view takes no rows
                raise planning.translator(filled)(error) from error
    return CommandResult(rows.num_rows)


def _is_one_row(parsed: Parsed, statement: statements.Insert) -> bool:
    """Whether all parameters are in the one row of VALUES, so that many rows of them are one INSERT."""
    if statement.row is None or statement.returning is not None:
        return False
    return set(parsed.parameters) == {key for _, places in statement.row.values for _, _, key in places}


def _changed_directly(
    session: Session,
    parsed: Parsed,
    statement: statements.Update | statements.Delete,
    rows: Iterable[pa.RecordBatch],
) -> int:
    """A change of one row by its key, for each row of parameters; batch by batch where that is plain enough."""
    target = session.names.find_relation(statement.target)
    total = 0
    with _atomic(session):
        for batch in rows:
            changed: int | None = None
            if isinstance(target, CatalogTable):
                changed = _try_directly(session, statement, batch)
            total += _one_by_one(session, parsed, (batch,)) if changed is None else changed
    return total


def _try_directly(
    session: Session, statement: statements.Update | statements.Delete, batch: pa.RecordBatch
) -> int | None:
    try:
        with changing(session, statement.target) as (transaction, current):
            changed = change_directly(session, transaction, current, statement, batch)
            if changed is None:
                raise _NotDirect
            return changed
    except _NotDirect:  # what was changed is undone
        return None


class _NotDirect(Exception):
    """A batch of parameters that must be taken one by one."""


def _one_by_one(session: Session, parsed: Parsed, rows: Iterable[pa.RecordBatch]) -> int:
    from .statements import HANDLERS  # noqa: PLC0415 - the table of handlers names this module

    total = 0
    with _atomic(session):
        for batch in rows:
            for index in range(batch.num_rows):
                values = {name: batch.column(name)[index] for name in batch.schema.names}
                result = HANDLERS[type(parsed.statement)](session, parsed.statement, values)
                while result.next_batch() is not None:
                    pass
                result.close()
                total += max(0, result.rowcount)
    return total


@contextmanager
def _atomic(session: Session) -> Iterator[None]:
    """All of it or nothing: a transaction where none is open, a part of the open one otherwise."""
    if session.scope.is_open:
        with session.scope.writing():
            yield
        return
    session.scope.begin()
    try:
        yield
    except BaseException:
        session.scope.rollback()
        raise
    session.scope.commit()
