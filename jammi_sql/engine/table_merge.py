"""MERGE INTO a companion table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from ..dialect import compose, parse_identifier_path, quote_identifier, statements
from ..dialect.statements import Fragment, MergeClause
from ..errors import ProgrammingError, StatementSyntaxError
from ..ports import Transaction
from ..results import CommandResult, Result
from ..tables.catalog import CatalogTable
from ..tables.rows import NUMBER, ROW_ID
from .changes import (
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
from .live import bounded_relations
from .relations import inserted_relations
from .staging import RowsRelation, Staged, remaining
from .table_update import read_rows

if TYPE_CHECKING:
    from .planning import Planning
    from .session import Session

__all__ = ["merge_rows"]

Parameters = Mapping[str, pa.Scalar]
_SOURCE = "__source"


def merge_rows(session: Session, statement: statements.Merge, parameters: Parameters) -> Result:
    """MERGE INTO name USING source ON condition WHEN ... THEN ... [RETURNING ...].

    The source is read once. Each row goes by the first clause whose condition it fulfils; all clauses see the table as it
    was before the statement. Returns the number of rows that were inserted, changed and deleted.
    """
    with changing(session, statement.target) as (transaction, current), ExitStack() as stack:
        with session.queries.planned(statement.body.words) as planning:
            merge = _Merge(session, planning, current, statement, parameters)
            stack.callback(merge.close)
            merge.compute()
        return merge.apply(transaction)


class _Merge:
    """One MERGE, from its source to its change sets."""

    def __init__(
        self,
        session: Session,
        planning: Planning,
        table: CatalogTable,
        statement: statements.Merge,
        parameters: Parameters,
    ) -> None:
        self._session = session
        self._planning = planning
        self._table = table
        self._statement = statement
        self._parameters = parameters
        self._alias = statement.target_alias or statement.target.parts[-1]
        relations = bounded_relations(session, planning, statement.body, parameters)
        self._source = self._read_source(relations)
        self._change = Change(session, planning, table, self._alias, parameters, relations)
        schema = self._source.schema
        self._change.add(_SOURCE, RowsRelation(schema, self._source.batches))
        self._updates: list[Staged] = []
        self._inserts: list[Staged] = []
        self._deletes: list[pa.Array] = []

    def close(self) -> None:
        """Forget the rows."""
        for staged in (self._source, *self._updates, *self._inserts):
            staged.close()

    def _read_source(self, relations: Mapping[str, object]) -> Staged:
        """The rows of the source, numbered."""
        statement, session = self._statement, self._session
        columns = statement.source_columns
        renamed = "" if columns is None else f"({', '.join(map(quote_identifier, columns))})"
        text = compose("SELECT * FROM ", statement.source, f"\n AS {quote_identifier(self._source_name)}{renamed}")
        with inserted_relations(session.relations, relations):
            frame = session.queries.frame(self._planning, text, self._parameters, reads_only=True)
            rows = session.queries.run(frame, self._planning, text)
        schema = pa.schema([pa.field(NUMBER, pa.int64()), *rows.schema])
        staged = Staged(schema)
        first = 0
        for batch in remaining(rows, session.running.check):
            numbers = pa.array(range(first, first + batch.num_rows), pa.int64())
            staged.add(pa.RecordBatch.from_arrays([numbers, *batch.columns], schema=schema))
            first += batch.num_rows
        return staged

    @property
    def _source_name(self) -> str:
        return self._statement.source_alias or _last_part(self._statement.source)

    @property
    def _joined(self) -> list[str | Fragment]:
        """The pairs of target and source that match."""
        source = quote_identifier(self._source_name)
        return [f' FROM {self._change.rows} JOIN "{_SOURCE}" AS {source} ON (', self._statement.on, "\n)"]

    # --- what is to be done ---

    def compute(self) -> None:
        """The change sets of all clauses."""
        matched: list[MergeClause] = []
        unmatched: list[MergeClause] = []
        missing: list[MergeClause] = []
        kinds = {"matched": matched, "not matched": unmatched, "not matched by source": missing}
        for clause in self._statement.clauses:
            kinds[clause.kind].append(clause)
        pairs = self._pairs() if matched or unmatched or missing else None
        if pairs is None:
            return
        ids, numbers = pairs
        if matched:
            self._matched(matched, self._joined, [])
        if unmatched:
            self._unmatched(unmatched, numbers)
        if missing:
            self._missing(missing, ids)
        acted = [batch.column(0) for staged in self._updates for batch in staged.batches()]
        check_once([*acted, *self._deletes], "MERGE", self._statement.target.position)

    def _pairs(self) -> tuple[pa.ChunkedArray, pa.ChunkedArray]:
        """The rows of the target, and those of the source, that have a match."""
        source = quote_identifier(self._source_name)
        query = compose(f'SELECT {self._change.row_id}, {source}."{NUMBER}"', *self._joined)
        staged = self._change.compute(query, pa.schema([pa.field(ROW_ID, pa.int64()), pa.field(NUMBER, pa.int64())]))
        batches = list(staged.batches())
        staged.close()
        chunks = [pa.chunked_array([batch.column(place) for batch in batches], pa.int64()) for place in (0, 1)]
        return chunks[0], chunks[1]

    def _matched(
        self, clauses: Sequence[MergeClause], rows: Sequence[str | Fragment], besides: Sequence[str | Fragment]
    ) -> None:
        """UPDATE and DELETE of the rows that ``rows`` joins."""
        for clause, conditions in _in_turn(clauses):
            where = [*besides, *conditions]
            if clause.action == "update":
                names = check_columns(self._table, clause.assignments)
                query = compose(
                    f"SELECT {self._change.row_id}",
                    *assigned(self._table, clause.assignments),
                    *rows,
                    *condition(*where),
                )
                self._updates.append(self._change.compute(query, change_schema(self._table, names)))
            elif clause.action == "delete":
                query = compose(f"SELECT {self._change.row_id}", *rows, *condition(*where))
                staged = self._change.compute(query, change_schema(self._table, ()))
                self._deletes += [batch.column(0) for batch in staged.batches()]
                staged.close()

    def _missing(self, clauses: Sequence[MergeClause], matched: pa.ChunkedArray) -> None:
        """WHEN NOT MATCHED BY SOURCE: rows of the target without a match."""
        ids = pa.Table.from_arrays([pc.unique(matched)], names=["id"])
        self._change.add("__matched", RowsRelation(ids.schema, lambda: iter(ids.to_batches())))
        besides = f'{self._change.row_id} NOT IN (SELECT "id" FROM "__matched")'
        self._matched(clauses, [f" FROM {self._change.rows}"], [besides])

    def _unmatched(self, clauses: Sequence[MergeClause], matched: pa.ChunkedArray) -> None:
        """WHEN NOT MATCHED: rows of the source without a match are inserted."""
        numbers = pc.unique(matched)
        name = quote_identifier(self._source_name)

        def batches() -> Iterator[pa.RecordBatch]:
            for batch in self._source.batches():
                yield batch.filter(pc.invert(pc.is_in(batch.column(0), value_set=numbers)))

        self._change.add("__unmatched", RowsRelation(self._source.schema, batches))
        for clause, conditions in _in_turn(clauses):
            if clause.action != "insert":
                continue
            columns, values = self._inserted(clause)
            pieces: list[str | Fragment] = []
            for number, value in enumerate(values):
                pieces += [", (" if pieces else "(", value, f'\n) AS "__value_{number}"']
            query = compose("SELECT ", *pieces, f' FROM "__unmatched" AS {name}', *condition(*conditions))
            schema = pa.schema([self._table.column(column).field.with_nullable(True) for column in columns])
            self._inserts.append(self._change.compute(query, schema))

    def _inserted(self, clause: MergeClause) -> tuple[list[str], list[str | Fragment]]:
        """All columns of the table, and the value of each."""
        table = self._table
        named = table.schema.names if clause.columns is None else list(clause.columns)
        for column in named:
            try:
                table.column(column)
            except ProgrammingError as error:
                error.position = clause.position
                raise
        if clause.values and len(clause.values) != len(named):
            raise StatementSyntaxError(
                f"INSERT names {len(named)} columns and has {len(clause.values)} values",
                position=clause.position,
                hint="give one value for each column",
            )
        given = dict(zip(named, clause.values, strict=True)) if clause.values else {}
        values = [given.get(column) or default_of(table, column) for column in table.schema.names]
        return table.schema.names, values

    # --- doing it ---

    def apply(self, transaction: Transaction) -> Result:
        """Change the rows: deletes first, then updates, then inserts, so that a key may go from one row to another."""
        session, table = self._session, self._table
        rows = session.engine.services.rows
        returning = self._statement.returning
        gone = read_rows(session, transaction, table, self._deletes) if returning is not None else None
        count = rows.delete(transaction, table, checked(session, self._deletes))
        touched: list[pa.Array] = []
        updates = (batch for staged in self._updates for batch in staged.batches())
        count += rows.update(
            transaction, table, session.tenant, checked(session, updates)
        )  # as one: clauses may swap keys
        touched += [batch.column(0) for staged in self._updates for batch in staged.batches()]
        for staged in self._inserts:
            inserted, ids = rows.insert(transaction, table, session.tenant, checked(session, staged.batches()))
            count += inserted
            touched.append(ids)
        if returning is None or gone is None:
            return CommandResult(count)
        present = read_rows(session, transaction, table, touched)
        whole: pa.RecordBatch = pa.concat_batches([gone, present])  # type: ignore[attr-defined] # the stubs lack it
        return returned_rows(session, returning, self._parameters, whole, self._alias)


def _in_turn(clauses: Sequence[MergeClause]) -> Iterator[tuple[MergeClause, list[str | Fragment]]]:
    """Each clause with the conditions of its rows: its own, and that none before it had its own fulfilled."""
    passed: list[str | Fragment] = []
    for clause in clauses:
        yield clause, [*passed, *([] if clause.condition is None else [clause.condition])]
        if clause.condition is None:
            return  # the ones after it are never reached
        passed = [*passed, compose("NOT coalesce((", clause.condition, "\n), false)")]


def _last_part(source: Fragment) -> str:
    try:
        return parse_identifier_path(source.text.strip())[-1]
    except ProgrammingError as error:
        raise StatementSyntaxError(
            "the source of a MERGE that is a query needs a name",
            position=source.origin(0),
            hint="write USING (SELECT ...) AS s",
        ) from error
