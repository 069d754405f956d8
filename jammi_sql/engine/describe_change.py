"""EXPLAIN of INSERT, UPDATE, DELETE and MERGE: what is computed where, without doing it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import pyarrow as pa
from datafusion import DataFrame

from ..dialect import statements
from ..dialect.statements import Fragment
from ..tables.catalog import CatalogTable
from ..topics.catalog import CatalogTopic
from .changes import Change, change_schema, check_columns
from .direct import direct_rows, is_direct
from .insert import default_values, insert_target, target_schema
from .insert_source import planned, statement_source
from .live import bounded_relations
from .planning import Planning
from .staging import ROWS_PER_BATCH
from .table_update import deleted, updated

if TYPE_CHECKING:
    from .session import Session

__all__ = ["describe_change", "describe_insert"]

Parameters = Mapping[str, pa.Scalar]
Lines = list[tuple[str, str]]


def describe_change(
    session: Session, statement: statements.Update | statements.Delete | statements.Merge, parameters: Parameters
) -> Lines:
    """The steps of a statement that changes rows."""
    verb = type(statement).__name__
    table = session.names.find_relation(statement.target)
    if not isinstance(table, CatalogTable):
        return [("jammi_plan", verb)]
    what = f"{verb}: table {table.name},"
    if isinstance(statement, statements.Merge):
        step = f"{what} a change set for each of {len(statement.clauses)} clauses, computed by DataFusion"
        return [("jammi_plan", step)]
    if is_direct(session, statement):
        what += " by one statement of the store where the condition has a whole key, else"
    lines: Lines = [("jammi_plan", f"{what} a change set computed by DataFusion, applied by the identity of rows")]
    alias = statement.alias or statement.target.parts[-1]
    with session.queries.planned(statement.body.words) as planning:
        relations = bounded_relations(session, planning, statement.body, parameters)
        change = Change(session, planning, table, alias, parameters, relations)
        if isinstance(statement, statements.Update):
            names = check_columns(table, statement.assignments)
            frame, text = change.frame(updated(change, statement), change_schema(table, names))
        else:
            frame, text = change.frame(deleted(change, statement), change_schema(table, ()))
        return lines + _plans(session, planning, frame, text)


def describe_insert(session: Session, statement: statements.Insert, parameters: Parameters) -> Lines:
    """The steps of an INSERT: the source's plans and where its rows go."""
    if session.names.own(statement.target) is not None:
        return [("jammi_plan", "Insert: an in-memory table, by DataFusion")]
    target = insert_target(session, statement)
    rows = f", one batch per {ROWS_PER_BATCH} rows" if isinstance(target, CatalogTopic) else ""
    kind = "Publish: topic" if isinstance(target, CatalogTopic) else "Insert: table"
    step = f"{kind} {target.name}{rows}, one transaction"
    if session.settings.pushdown and direct_rows(session, statement, target, parameters) is not None:
        return [("jammi_plan", f"{step}, without a planner")]
    source = statement_source(session, statement, target_schema(target), default_values(target), parameters)
    schema = pa.schema([target_schema(target).field(name).with_nullable(True) for name in source.columns])
    with session.queries.planned(source.query.words) as planning:
        frame, text = planned(session, planning, source, schema)
        return [("jammi_plan", step), *_plans(session, planning, frame, text)]


def _plans(session: Session, planning: Planning, frame: DataFrame, text: Fragment) -> Lines:
    try:
        return [
            ("logical_plan", frame.optimized_logical_plan().display_indent()),
            ("physical_plan", frame.execution_plan().display_indent()),
        ]
    except Exception as error:
        raise planning.translator(text)(error) from error
