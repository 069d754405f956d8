"""What the statements that change rows of companion tables have in common.

Each is computed by DataFusion as a query over ``__changed``, the rows that may be changed with their identities, inside
the write transaction; the answer is the change set, which is complete before the first row is changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import pyarrow as pa
import pyarrow.compute as pc
from datafusion import DataFrame

from ..dialect import compose, quote_identifier
from ..dialect.statements import Assignment, Fragment, Name
from ..errors import ProgrammingError, UndefinedTable
from ..ports import Transaction
from ..results import BatchResult
from ..tables.catalog import CatalogTable
from ..tables.rows import ROW_ID
from .planning import Planning
from .relations import inserted_relations
from .staging import RowsRelation, Staged, remaining
from .typed import typed

if TYPE_CHECKING:
    from .session import Session

__all__ = [
    "CHANGED",
    "Change",
    "assigned",
    "change_schema",
    "changing",
    "check_columns",
    "check_once",
    "checked",
    "condition",
    "default_of",
    "returned",
    "returned_rows",
]

Parameters = Mapping[str, pa.Scalar]
_Item = TypeVar("_Item")
CHANGED = "__changed"
TARGET = "__target"
RETURNED = "__returned"
_QUERY = "__query"


@contextmanager
def changing(session: Session, name: Name) -> Iterator[tuple[Transaction, CatalogTable]]:
    """The write transaction of a statement, and the table of that name in it, whatever it was before."""
    with session.scope.changing() as transaction:
        table = session.names.find_relation(name, transaction, tables_first=True)
        if table is None:  # on PostgreSQL, who waited for a table that was then made anew finds neither
            table = session.names.find_relation(name, transaction, tables_first=True)
        if not isinstance(table, CatalogTable):
            raise UndefinedTable(
                f"table {'.'.join(name.parts)} was dropped or renamed while the statement waited",
                position=name.position,
                hint="SHOW TABLES lists what is there",
            )
        yield transaction, table


class Change:
    """A statement that is computed while its transaction is open: several queries over the same relations."""

    def __init__(
        self,
        session: Session,
        planning: Planning,
        table: CatalogTable,
        alias: str,
        parameters: Parameters,
        relations: Mapping[str, Any],
    ) -> None:
        """``alias`` is what the statement calls the table, ``relations`` are further ones by name."""
        self.session = session
        self.table = table
        self.alias = quote_identifier(alias)
        self._planning = planning
        self._parameters = parameters
        self._relations: dict[str, Any] = {
            CHANGED: session.relations.table_provider(table, planning, changing=True),
            **relations,
        }

    @property
    def rows(self) -> str:
        """The rows that may be changed, as a table reference."""
        return f'"{CHANGED}" AS {self.alias}'

    @property
    def row_id(self) -> str:
        """Their identity, as a column."""
        return f'{self.alias}."{ROW_ID}"'

    def add(self, name: str, relation: Any) -> None:
        """Let ``name`` lead to ``relation``."""
        self._relations[name] = relation

    def frame(self, query: Fragment, schema: pa.Schema) -> tuple[DataFrame, Fragment]:
        """``query`` planned with its columns cast to those of ``schema``, as an INSERT casts them."""
        session = self.session
        relations = {**self._relations, TARGET: RowsRelation(_loose(schema))}
        # By itself first: DataFusion gives every VALUES inside of an INSERT the types of the target.
        alone = typed(session, query, self._parameters)
        with inserted_relations(session.relations, relations):
            relations[_QUERY] = session.queries.frame(self._planning, alone, self._parameters).into_view()
        text = Fragment(f'INSERT INTO "{TARGET}" SELECT * FROM "{_QUERY}"', ((0, query.origin(0)),))
        with inserted_relations(session.relations, relations):
            inserted = session.queries.frame(self._planning, text, {}).logical_plan()
            return session.queries.frame_of(self._planning, inserted.inputs()[0], session.world.context), text

    def compute(self, query: Fragment, schema: pa.Schema) -> Staged:
        """All rows of ``query``; the caller closes them."""
        frame, text = self.frame(query, schema)
        with inserted_relations(self.session.relations, self._relations):
            result = self.session.queries.run(frame, self._planning, text)
        staged = Staged(schema)
        try:
            for batch in remaining(result, self.session.running.check):
                staged.add(pa.RecordBatch.from_arrays(batch.columns, schema=_loose(schema)))
        except BaseException:
            staged.close()
            raise
        return staged


def _loose(schema: pa.Schema) -> pa.Schema:
    return pa.schema([field.with_nullable(True) for field in schema])


def change_schema(table: CatalogTable, names: Sequence[str]) -> pa.Schema:
    """A row's identity and the columns to set; that they are NOT NULL is looked at when they are written."""
    return pa.schema([pa.field(ROW_ID, pa.int64()), *(table.column(name).field.with_nullable(True) for name in names)])


def check_columns(table: CatalogTable, assignments: Sequence[Assignment]) -> list[str]:
    """The assigned columns; ``UndefinedColumn`` at its place for one that the table does not have."""
    for assignment in assignments:
        try:
            table.column(assignment.column)
        except ProgrammingError as error:
            error.position = assignment.position
            raise
    return [assignment.column for assignment in assignments]


def assigned(table: CatalogTable, assignments: Sequence[Assignment]) -> list[str | Fragment]:
    """``, (expression) AS "__set_0", ...``: the new values, each under a name of its own."""
    pieces: list[str | Fragment] = []
    for number, assignment in enumerate(assignments):
        value = assignment.value
        pieces += [", (", default_of(table, assignment.column) if value is None else value]
        pieces.append(f'\n) AS "__set_{number}"')
    return pieces


def default_of(table: CatalogTable, column: str) -> str:
    """The column's default as an expression."""
    default = table.column(column).default
    return "NULL" if default is None else default


def condition(*conditions: Fragment | str | None) -> list[str | Fragment]:
    """`` WHERE (a) AND (b)`` of those that are there."""
    pieces: list[str | Fragment] = []
    for each in conditions:
        if each is not None:
            pieces += [" AND (" if pieces else " WHERE (", each, "\n)"]
    return pieces


def checked(session: Session, items: Iterable[_Item]) -> Iterator[_Item]:
    """``items``, and before each whether the statement was cancelled or ran into its time limit."""
    for item in items:
        session.running.check()
        yield item


def check_once(ids: Sequence[pa.Array], what: str, position: int | None) -> None:
    """21000 where a row is among the changes more than once."""
    chunks = pa.chunked_array(list(ids), pa.int64())
    if len(chunks) and pc.count_distinct(chunks).as_py() != len(chunks):
        raise ProgrammingError(
            f"{what} matches a row of its target more than once",
            sqlstate="21000",
            position=position,
            hint="let the source have one row for each row of the target",
        )


def returned(
    session: Session,
    columns: Fragment,
    parameters: Parameters,
    relation: Callable[[Planning], Any],
    alias: str,
) -> pa.Table:
    """The select list of a RETURNING over ``relation``, which the statement calls ``alias``."""
    text = compose("SELECT ", columns, f'\n FROM "{RETURNED}" AS {quote_identifier(alias)}')
    with session.queries.planned(frozenset()) as planning:
        with inserted_relations(session.relations, {RETURNED: relation(planning)}):
            frame = session.queries.frame(planning, text, parameters, session.world.ordered_context, reads_only=True)
            return session.queries.collect(frame, planning, text)


def returned_rows(
    session: Session, columns: Fragment, parameters: Parameters, rows: pa.RecordBatch, alias: str
) -> BatchResult:
    """The result of a RETURNING over ``rows``."""
    relation = RowsRelation(rows.schema, lambda: iter((rows,)))
    return BatchResult.of(returned(session, columns, parameters, lambda _: relation, alias))
