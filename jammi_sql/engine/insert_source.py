"""Where the rows of an INSERT come from, planned with the casts to the columns that they go to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from datafusion import DataFrame, SessionContext

from ..dialect import compose, quote_identifier, spliced, statements
from ..dialect.statements import Fragment
from ..errors import UndefinedColumn
from .live import bounded_relations
from .planning import Planning
from .relations import inserted_relations
from .staging import RowsRelation, Staged
from .typed import cast_of, typed

if TYPE_CHECKING:
    from .session import Session

__all__ = ["PARAMETERS", "InsertSource", "planned", "rows_source", "statement_source"]

Parameters = Mapping[str, pa.Scalar]
Default = Callable[[str], str]
"""The default of a column as an expression."""

PARAMETERS = "__parameters"
_SOURCE = "__source"
_TARGET = "__target"


@dataclass(frozen=True, slots=True)
class InsertSource:
    """A query, or VALUES, for the values of ``columns``."""

    text: Fragment
    columns: tuple[str, ...]
    query: statements.Query
    context: SessionContext
    parameters: Parameters
    is_values: bool = False
    relations: Mapping[str, Any] = field(default_factory=dict)


def statement_source(
    session: Session, statement: statements.Insert, schema: pa.Schema, default: Default, parameters: Parameters
) -> InsertSource:
    """VALUES or the query of ``statement``, with the words DEFAULT replaced. ``UndefinedColumn`` at its place."""
    columns = statement_columns(statement, schema)
    for place, column in enumerate(columns):
        if column not in schema.names:
            position = statement.column_positions[place] if statement.column_positions else statement.target.position
            raise UndefinedColumn(
                f"{'.'.join(statement.target.parts)} has no column {column}",
                position=position,
                hint=f"its columns are {', '.join(schema.names)}",
            )
    if statement.source is None:
        text = _selected([default(name) for name in columns])
        return InsertSource(text, columns, statements.Query("SELECT", text, (), frozenset()), session.world.context, {})
    source = statement.source
    if statement.row is not None and "select" in source.words:
        # DataFusion cannot compute a sub-query inside VALUES.
        values = [
            default(columns[place]) if _is_default(value) and place < len(columns) else value
            for place, (value, _) in enumerate(statement.row.values)
        ]
        return InsertSource(_selected(values), columns, source, session.world.context, parameters)
    edits = [(start, end, default(columns[place])) for start, end, place in statement.defaults if place < len(columns)]
    is_values = source.keyword == "VALUES"
    if is_values:  # bare placeholders would keep the types of their values
        edits += [
            (start, end, cast_of(session, source.body.text[start:end], parameters[key]))
            for start, end, key in statement.source_parameters
        ]
    return InsertSource(spliced(source.body, edits), columns, source, session.world.context, parameters, is_values)


@contextmanager
def rows_source(
    session: Session, statement: statements.Insert, schema: pa.Schema, default: Default, rows: pa.RecordBatchReader
) -> Iterator[InsertSource]:
    """The one row of VALUES for each row of ``rows``, whose columns are named by the keys of the parameters.

    All of them are read first: they may be needed again with the lock held, and who waits for them must not be DataFusion.
    """
    assert statement.row is not None
    columns = statement_columns(statement, schema)
    values: list[str | Fragment] = []
    for place, (value, places) in enumerate(statement.row.values):
        if _is_default(value) and place < len(columns):
            values.append(default(columns[place]))
            continue
        edits = [(start, end, f"{quote_identifier(PARAMETERS)}.{quote_identifier(key)}") for start, end, key in places]
        values.append(spliced(value, edits))
    text = compose(_selected(values), f" FROM {quote_identifier(PARAMETERS)}")
    query = statements.Query(statement.body.keyword, text, (), statement.body.words)
    with closing(Staged(rows.schema)) as given:
        for batch in rows:
            given.add(batch)
        relations = {PARAMETERS: RowsRelation(rows.schema, given.batches)}
        yield InsertSource(text, columns, query, session.world.ordered_context, {}, relations=relations)


def statement_columns(statement: statements.Insert, schema: pa.Schema) -> tuple[str, ...]:
    """The columns that the values are for."""
    return statement.columns if statement.columns is not None else tuple(schema.names)


def _is_default(value: Fragment) -> bool:
    return value.text.strip().upper() == "DEFAULT"


def _selected(values: Sequence[str | Fragment]) -> Fragment:
    """A SELECT of one row, with a name for each value: DataFusion refuses two columns of one name."""
    pieces: list[str | Fragment] = []
    for number, value in enumerate(values):
        pieces += [", (" if pieces else "SELECT (", value, f'\n) AS "__value_{number}"']
    return compose(*pieces)


def planned(
    session: Session, planning: Planning, source: InsertSource, schema: pa.Schema
) -> tuple[DataFrame, Fragment]:
    """The source's rows, cast to ``schema`` as an INSERT casts them, and the text that was planned."""
    relations = {
        **source.relations,
        **bounded_relations(session, planning, source.query, source.parameters),
        _TARGET: RowsRelation(schema),
    }
    text, parameters = compose(f"INSERT INTO {quote_identifier(_TARGET)} ", source.text), source.parameters
    if not source.is_values:
        # By itself first: DataFusion gives every VALUES inside of an INSERT the types of the target.
        alone = typed(session, source.text, source.parameters)
        with inserted_relations(session.relations, relations):
            query = session.queries.frame(planning, alone, source.parameters, source.context, reads_only=True)
            relations[_SOURCE] = query.into_view()
        text = Fragment(
            f"INSERT INTO {quote_identifier(_TARGET)} SELECT * FROM {quote_identifier(_SOURCE)}",
            ((0, source.text.origin(0)),),
        )
        parameters = {}
    with inserted_relations(session.relations, relations):
        frame = session.queries.frame(planning, text, parameters, source.context)
        return session.queries.frame_of(planning, frame.logical_plan().inputs()[0], source.context), text
