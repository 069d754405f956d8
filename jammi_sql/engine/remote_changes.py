"""Statements that change an attached database, each in a transaction of that database's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from ..dialect import compose, quote_identifier, statements
from ..dialect.statements import Fragment, Name, Query
from ..errors import DuplicateObject, FeatureNotSupported, PermissionDenied, UndefinedColumn, UndefinedTable
from ..federation.cutting import whole_select
from ..federation.said import NotSaid
from ..federation.select import Select
from ..results import CommandResult, Result
from ..sources.relation import RemoteRelation
from ..sources.source import IngestMode, Source
from ..topics.definition import CATALOG
from .federating import table_of
from .insert_source import InsertSource, planned, rows_source, statement_source
from .live import bounded_relations
from .relations import inserted_relations
from .remote_provider import dialect_of
from .source_kinds import FILES
from .staging import Staged, remaining
from .substrait import substrait_of

if TYPE_CHECKING:
    from .session import Session

__all__ = [
    "RemoteTarget",
    "change_remote",
    "copy_remote",
    "create_remote",
    "drop_remote",
    "ingest_remote",
    "insert_many_remote",
    "insert_remote",
    "remote_columns",
    "remote_target",
]

Parameters = Mapping[str, pa.Scalar]


@dataclass(frozen=True, slots=True)
class RemoteTarget:
    """A table of an attached database that a statement changes; ``relation`` is ``None`` where it is not there."""

    source: Source
    catalog: str
    schema: str
    name: str
    relation: RemoteRelation | None
    position: int

    @property
    def path(self) -> str:
        """As it is written."""
        return f"{self.catalog}.{self.schema}.{self.name}"

    def found(self) -> RemoteRelation:
        """The table; ``UndefinedTable`` where there is none."""
        if self.relation is None:
            raise UndefinedTable(
                f"{self.path} does not exist",
                position=self.position,
                hint=f"information_schema.tables lists what {self.catalog} has; REFRESH SOURCE {self.catalog} looks again",
            )
        return self.relation


def remote_target(session: Session, name: Name) -> RemoteTarget | None:
    """The table of an attached database that ``name`` means; ``None`` for a name within ``jammi``.

    ``FeatureNotSupported`` (0A000) inside of a transaction, which is the store's and cannot cover the source, and for files.
    """
    if len(name.parts) != 3 or name.parts[0] == CATALOG:
        return None
    catalog, schema, local_name = name.parts
    attachments = session.engine.attachments
    attached = attachments.catalog.lookup(session.reader, session.tenant, catalog)
    if attached is None:
        return None
    source = attachments.opened(attached.definition)
    if source.kind == FILES:
        raise FeatureNotSupported(
            f"{catalog} is made of files, which are not changed in place",
            position=name.position,
            hint="COPY (query) TO 'file.parquet' writes a file",
        )
    if attached.definition.tenant != session.tenant:
        raise PermissionDenied(
            f"source {catalog} is global: a tenant may read it, not change it",
            position=name.position,
            hint="do it in a session without a tenant, or ATTACH a source of the tenant's own",
        )
    if session.read_only:
        raise FeatureNotSupported(
            "the connection is read-only",
            sqlstate="25006",
            position=name.position,
            hint="connect without read_only to change a source",
        )
    if session.in_transaction:
        raise FeatureNotSupported(
            f"a transaction covers the store alone: it cannot change source {catalog} as well",
            position=name.position,
            hint="COMMIT or ROLLBACK first; each statement that changes a source is a transaction of its own there",
        )
    return RemoteTarget(source, catalog, schema, local_name, source.relation(schema, local_name), name.position)


# --- INSERT ---


def insert_remote(
    session: Session, target: RemoteTarget, statement: statements.Insert, parameters: Parameters
) -> Result:
    """INSERT INTO a table of a source: the rows are computed first, then written."""
    schema = remote_columns(target)
    _refuse_clauses(target, statement)
    source = statement_source(session, statement, schema, _no_default(target), parameters)
    return CommandResult(_write(session, target, source, schema))


def insert_many_remote(
    session: Session, target: RemoteTarget, statement: statements.Insert, rows: pa.RecordBatchReader
) -> int:
    """INSERT ... VALUES (...) for each row of parameters, all or nothing."""
    schema = remote_columns(target)
    _refuse_clauses(target, statement)
    with rows_source(session, statement, schema, _no_default(target), rows) as source:
        return _write(session, target, source, schema)


def remote_columns(target: RemoteTarget) -> pa.Schema:
    """The columns of the table as they are here."""
    return pa.schema([pa.field(column.name, column.type) for column in target.found().columns])


def copy_remote(session: Session, target: RemoteTarget, source: InsertSource) -> Result:
    """COPY ... FROM into a table of a source: all rows or none."""
    return CommandResult(_write(session, target, source, remote_columns(target)))


def _refuse_clauses(target: RemoteTarget, statement: statements.Insert) -> None:
    refused = {
        "ON CONFLICT": statement.on_conflict is not None,
        "RETURNING": statement.returning is not None,
        "DEFAULT VALUES": statement.default_values,
    }
    for clause, is_there in refused.items():
        if is_there:
            raise FeatureNotSupported(
                f"{clause} is not there for a table of a source",
                position=target.position,
                hint="a column that is left out of the list gets the source's own default",
            )


def _no_default(target: RemoteTarget) -> Callable[[str], str]:
    def default(column: str) -> str:
        raise FeatureNotSupported(
            "the word DEFAULT is not there for a table of a source",
            position=target.position,
            hint=f"leave {column} out of the list of columns: it gets the source's own default",
        )

    return default


def _write(session: Session, target: RemoteTarget, source: InsertSource, schema: pa.Schema) -> int:
    given = pa.schema([schema.field(name) for name in source.columns])
    with session.queries.planned(source.query.words) as planning:
        frame, text = planned(session, planning, source, given)
        rows = session.queries.run(frame, planning, text)
    batches = (
        pa.RecordBatch.from_arrays(batch.columns, schema=given) for batch in remaining(rows, session.running.check)
    )
    return _ingest(session, target, batches, given, "append")


def _ingest(
    session: Session, target: RemoteTarget, batches: Iterator[pa.RecordBatch], schema: pa.Schema, mode: IngestMode
) -> int:
    # All rows first: they may come from the very table that they go to, and a source that allows one writer waits for none.
    staged = Staged(schema)
    try:
        for batch in batches:
            staged.add(batch)
        reader = pa.RecordBatchReader.from_batches(schema, staged.batches())
        return target.source.ingest(target.schema, target.name, reader, mode, session.running.check)
    finally:
        staged.close()


def ingest_remote(session: Session, target: RemoteTarget, reader: pa.RecordBatchReader, mode: str) -> int:
    """``adbc_ingest`` into a table of a source."""
    if mode == "replace":
        raise FeatureNotSupported("mode 'replace' is not there for a table of a source", hint="drop the table first")
    if mode == "create" and target.relation is not None:
        raise DuplicateObject(f"table {target.path} exists already", hint="use mode='append'")
    if mode == "append":
        target.found()
    how: IngestMode = "append" if target.relation is not None else "create"
    return _ingest(session, target, iter(reader), reader.schema, how)


# --- CREATE and DROP ---


def create_remote(
    session: Session, target: RemoteTarget, query: Query, parameters: Parameters, *, if_not_exists: bool
) -> Result:
    """CREATE TABLE ... AS in a source, with its nearest types."""
    if target.relation is not None:
        if if_not_exists:
            return CommandResult(0)
        raise DuplicateObject(
            f"{target.path} exists already", position=target.position, hint="use IF NOT EXISTS, or INSERT INTO it"
        )
    with session.queries.planned(query.words) as planning:
        with inserted_relations(session.relations, bounded_relations(session, planning, query, parameters)):
            frame = session.queries.frame(planning, query.body, parameters, reads_only=True)
            planned_schema = session.queries.schema_of(frame, planning, query.body)
            rows = session.queries.run(frame, planning, query.body)
    schema = pa.schema(
        [field.with_nullable(True).remove_metadata() for field in planned_schema]
    )  # as everywhere in SQL
    batches = (
        pa.RecordBatch.from_arrays(batch.columns, schema=schema) for batch in remaining(rows, session.running.check)
    )
    return CommandResult(_ingest(session, target, batches, schema, "create"))


def drop_remote(session: Session, target: RemoteTarget, *, if_exists: bool) -> Result:
    """DROP TABLE of a source."""
    if target.relation is None and if_exists:
        return CommandResult()
    relation = target.found()
    kind = "VIEW" if relation.kind == "view" else "TABLE"
    if kind == "VIEW":
        raise FeatureNotSupported(
            f"{target.path} is a view of the source", position=target.position, hint="drop it there"
        )
    target.source.execute([f"DROP TABLE {dialect_of(target.source).table(relation)}"], session.running.check)
    return CommandResult()


# --- UPDATE and DELETE ---


def change_remote(
    session: Session,
    target: RemoteTarget,
    statement: statements.Update | statements.Delete,
    parameters: Parameters,
) -> Result:
    """UPDATE and DELETE whose expressions the source computes with the same meaning; ``FeatureNotSupported`` for others."""
    relation = target.found()
    if statement.source is not None or statement.returning is not None:
        raise FeatureNotSupported(
            "FROM, USING and RETURNING are not there for a table of a source",
            position=target.position,
            hint="write the condition with IN (SELECT ...) or EXISTS",
        )
    alias = statement.alias or target.name
    assignments = statement.assignments if isinstance(statement, statements.Update) else ()
    names = {column.name for column in relation.columns}
    pieces: list[str | Fragment] = ["SELECT 1 AS one"]
    for place, assignment in enumerate(assignments):
        if assignment.column not in names:
            raise UndefinedColumn(
                f"{target.path} has no column {assignment.column}", position=assignment.position,
                hint=f"its columns are {', '.join(sorted(names))}",
            )  # fmt: skip
        if assignment.value is None:
            raise FeatureNotSupported(
                "the word DEFAULT is not there for a table of a source",
                position=assignment.position,
                hint="write the value",
            )
        pieces += [", (", assignment.value, f"\n) AS value{place}"]
    path = ".".join(map(quote_identifier, (target.catalog, target.schema, target.name)))
    pieces.append(f" FROM {path} AS {quote_identifier(alias)}")
    if statement.condition is not None:
        pieces += [" WHERE ", statement.condition]
    text = compose(*pieces)
    select = _whole(session, target, Query("SELECT", text, (), statement.body.words), parameters)
    if select is None:
        return CommandResult(0)
    try:
        told = select.update([each.column for each in assignments]) if assignments else select.delete()
    except NotSaid as why:
        raise _not_there(target, str(why)) from why
    return CommandResult(target.source.execute([told], session.running.check))


def _whole(session: Session, target: RemoteTarget, query: Query, parameters: Parameters) -> Select | None:
    """``query``, all of which the source computes; ``None`` where it has no rows whatever is there."""
    with session.queries.planned(query.words) as planning:
        with inserted_relations(session.relations, bounded_relations(session, planning, query, parameters)):
            frame = session.queries.plain_frame(planning, query.body, parameters)
            try:
                plan = frame.optimized_logical_plan()
                if type(plan.to_variant()).__name__ == "EmptyRelation":
                    return None
            except Exception as error:
                raise planning.translator(query.body)(error) from error
            try:
                json = substrait_of(plan, session.world.context)
                source, select = whole_select(json, lambda names: table_of(session, planning, names))
            except NotSaid as why:
                raise _not_there(target, str(why)) from why
    if source != target.catalog:
        raise _not_there(target, "it reads another source")
    return select


def _not_there(target: RemoteTarget, why: str) -> FeatureNotSupported:
    return FeatureNotSupported(
        f"{target.catalog} cannot be told all of this change: {why}",
        position=target.position,
        hint="a change of a source is computed there: use what its EXPLAIN shows as pushed, and constants",
    )
