"""Which code runs which statement."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from datafusion import DataFrame, SessionContext

from ..dialect import explained, statements
from ..errors import (
    AppendOnlyTopic,
    Error,
    FeatureNotSupported,
    PermissionDenied,
)
from ..errors_datafusion import is_pushdown_failure
from ..results import BatchResult, CommandResult, Result
from ..tables.catalog import CatalogTable
from ..topics.catalog import CatalogTopic
from . import schema_statements as schemas
from . import setting_statements as settings
from . import source_statements as sources
from . import table_statements as tables
from . import topic_statements as topics
from . import transaction_statements as transactions
from .access import check_external
from .cached_statements import create_cached_table, drop_cached, find_cached, refresh_table, refuse_cached
from .copy import copy_from
from .copy_to import whole_or_nothing
from .direct import select_directly
from .explain import explain
from .explain_sources import explain_sources
from .insert import insert
from .kill import kill
from .live import bounded_relations, run_subscribing
from .own_tables import create_own_table
from .planning import Planning
from .prepared import KEPT_TWICE, execution_context, keep_twice
from .procedures import call
from .publish import create_topic_as
from .relations import inserted_relations
from .remote_changes import change_remote, drop_remote, remote_target
from .table_merge import merge_rows
from .table_statements import drop_table
from .table_update import change_row, delete_rows, truncate_rows, update_rows
from .text_views import WORTH_ROWS, keeps_meaning

if TYPE_CHECKING:
    from .session import Session

__all__ = ["HANDLERS", "OPENS_NO_TRANSACTION", "run_query"]

Parameters = Mapping[str, pa.Scalar]

# First words of statements whose rows are what the user wants, pulled as they are read.
_CREATES_VIEW = re.compile(r"\s*CREATE\s+(OR\s+REPLACE\s+)?(MATERIALIZED\s+)?VIEW\b", re.IGNORECASE)
_VIEWED = frozenset({"SELECT", "WITH"})
_STREAMED = frozenset(
    {"SELECT", "WITH", "VALUES", "FROM", "TABLE", "SHOW", "DESCRIBE", "DESC", "EXPLAIN", "EXECUTE", ""}
)


def run_query(session: Session, query: statements.Query, parameters: Parameters) -> Result:
    """A statement that DataFusion runs by itself, or a query with ``subscribe``."""
    if session.access is not None:
        check_external(session.access, query.body.text)
    if query.subscribes and query.keyword in _STREAMED:
        return run_subscribing(session, query, parameters)
    if query.keyword == "SELECT":
        looked_up = select_directly(session, query.body.text, parameters)
        if looked_up is not None:
            return looked_up
    if query.keyword in ("SET", "RESET"):
        return _assign(session, query, parameters)
    if (query.subscribes or query.asofs) and (query.keyword == "PREPARE" or _CREATES_VIEW.match(query.body.text)):
        what = "a prepared statement" if query.keyword == "PREPARE" else "a view"
        if query.subscribes:
            raise FeatureNotSupported(
                f"{what} cannot read subscribe",
                position=query.subscribes[0].position,
                hint="let it read the topic itself",
            )
        raise FeatureNotSupported(
            f"{what} cannot have an as-of join",
            position=query.asofs[0].position,
            hint="write the join in the statement that reads it",
        )
    created = create_own_table(session, query, parameters) if query.keyword == "CREATE" else None
    if created is not None:
        return created
    with session.queries.planned(query.words, once=query.keyword in _STREAMED) as planning:
        with inserted_relations(session.relations, bounded_relations(session, planning, query, parameters)):
            where = execution_context(session, query.body) if query.keyword == "EXECUTE" else None
            frame = session.queries.frame(planning, query.body, parameters, where)
            if query.keyword in KEPT_TWICE:
                keep_twice(session, planning, query.body)
        if query.keyword == "EXPLAIN" and (planning.providers or session.queries.may_be_cut(planning)):
            inner, analyze = explained(query)
            told = explain_sources(session, inner, parameters, analyze=analyze)
            if told is not None:
                return told
        if query.keyword == "SELECT" or (query.keyword in _STREAMED and not _changes_data(frame)):
            try:
                viewed = _with_views(session, query, parameters, planning)
                return session.queries.stream(frame, planning, query.body, viewed)
            except FeatureNotSupported as error:
                if error.__cause__ is None or not is_pushdown_failure(error.__cause__):
                    raise
                return _without_pushdown(session, query, parameters, where)
        plan = frame.logical_plan().to_variant()
        with whole_or_nothing(plan) if type(plan).__name__ == "CopyTo" else nullcontext():
            table = session.queries.collect(frame, planning, query.body)
    if table.num_columns == 1 and table.schema.names == ["count"] and table.num_rows == 1:
        return CommandResult(int(table.column(0)[0].as_py()))
    return BatchResult.of(table) if table.num_columns else CommandResult()


def _with_views(
    session: Session, query: statements.Query, parameters: Parameters, planning: Planning
) -> DataFrame | None:
    """The same query with views of text in its scans of files; ``None`` where that is not worth it, or not the same."""
    if (
        query.asofs
        or query.keyword not in _VIEWED
        or planning.scanned_rows < WORTH_ROWS
        or not keeps_meaning(query.body.text)
    ):
        return None
    planning.views = True
    try:
        with inserted_relations(session.relations, bounded_relations(session, planning, query, parameters)):
            return session.queries.frame(planning, query.body, parameters)
    except Error:
        return None
    finally:
        planning.views = False


def _assign(session: Session, query: statements.Query, parameters: Parameters) -> Result:
    """SET and RESET of DataFusion's options, for all contexts of the session."""
    if {"datafusion", "catalog"} <= query.words:
        raise FeatureNotSupported(
            "the default catalog and schema are not set as DataFusion options",
            position=query.body.origin(0),
            hint="write schema.name, or set the connection's adbc_current_db_schema",
        )
    if session.access is not None and {"datafusion", "runtime"} <= query.words:
        raise PermissionDenied(
            "memory and files of the server are not for clients to set",
            position=query.body.origin(0),
            hint="SET jammi.memory_limit = '...' asks for less",
        )
    with session.queries.planned(query.words) as planning:
        session.queries.collect(session.queries.frame(planning, query.body, parameters), planning, query.body)
    session.worlds.assigned(query.body.text)
    return CommandResult()


def _without_pushdown(
    session: Session, query: statements.Query, parameters: Parameters, where: SessionContext | None
) -> Result:
    session.relations.takes_filters = False
    try:
        with session.queries.planned(query.words) as planning:
            with inserted_relations(session.relations, bounded_relations(session, planning, query, parameters)):
                frame = session.queries.frame(planning, query.body, parameters, where)
                return session.queries.stream(frame, planning, query.body)
    finally:
        session.relations.takes_filters = True


def _changes_data(frame: Any) -> bool:
    return type(frame.logical_plan().to_variant()).__name__ in ("DmlStatement", "CopyTo")


def _update(session: Session, statement: statements.Update, parameters: Parameters) -> Result:
    remote = remote_target(session, statement.target)
    if remote is not None:
        return change_remote(session, remote, statement, parameters)
    done = change_row(session, statement, parameters)
    if done is not None:
        return done
    table = _changed(session, statement.target, "UPDATE")
    if table is None:
        return run_query(session, statement.body, parameters)
    return update_rows(session, statement, parameters)


def _delete(session: Session, statement: statements.Delete, parameters: Parameters) -> Result:
    remote = remote_target(session, statement.target)
    if remote is not None:
        return change_remote(session, remote, statement, parameters)
    done = change_row(session, statement, parameters)
    if done is not None:
        return done
    table = _changed(session, statement.target, "DELETE")
    if table is None:
        return run_query(session, statement.body, parameters)
    return delete_rows(session, statement, parameters)


def _merge(session: Session, statement: statements.Merge, parameters: Parameters) -> Result:
    _refuse_remote(session, "MERGE", statement.target)
    table = _changed(session, statement.target, "MERGE")
    if table is None:
        return run_query(session, statement.body, parameters)
    return merge_rows(session, statement, parameters)


def _refuse_remote(session: Session, what: str, name: statements.Name) -> None:
    if remote_target(session, name) is not None:
        raise FeatureNotSupported(
            f"{what} is not there for a table of a source",
            position=name.position,
            hint="INSERT, UPDATE and DELETE are; the rest is done in the source itself",
        )


def _truncate(session: Session, statement: statements.TruncateTable, parameters: Parameters) -> Result:
    _refuse_remote(session, "TRUNCATE", statement.name)
    table = _changed(session, statement.name, "TRUNCATE")
    return run_query(session, statement.body, parameters) if table is None else truncate_rows(session, statement.name)


def _drop_table(session: Session, statement: statements.DropTable, parameters: Parameters) -> Result:
    remote = remote_target(session, statement.name)
    if remote is not None:
        return drop_remote(session, remote, if_exists=statement.if_exists)
    if session.names.is_own(statement.name):
        return run_query(session, statement.body, parameters)
    found = session.names.find_relation(statement.name)
    if isinstance(found, CatalogTopic):
        raise AppendOnlyTopic(f"{found.name} is a topic", position=statement.name.position, hint="DROP TOPIC drops it")
    if found is None and find_cached(session, statement.name) is not None:
        return drop_cached(session, statement.name)
    if found is None:
        return run_query(session, statement.body, parameters)
    return drop_table(session, statement, parameters)


def _changed(session: Session, name: statements.Name, keyword: str) -> CatalogTable | None:
    """The companion table that is changed; ``None`` for a relation of DataFusion's own.

    ``AppendOnlyTopic`` for a topic.
    """
    if session.names.is_own(name):
        return None
    found = session.names.find_relation(name)
    if isinstance(found, CatalogTopic):
        raise AppendOnlyTopic(
            f"{keyword} on topic {'.'.join(name.parts)}: a topic is append-only",
            position=name.position,
            hint="publish a correcting event; TRUNCATE TOPIC ... BEFORE forgets old ones",
        )
    if found is None and session.names.path(name)[0] not in ("system", "information_schema"):
        refuse_cached(session, name)
        return session.names.table(name)  # which nobody has: DataFusion would first say what it cannot do
    return found


def _unsupported(session: Session, statement: statements.Unsupported, parameters: Parameters) -> Result:
    raise FeatureNotSupported(f"{statement.what} is not built yet", position=statement.position, hint=statement.hint)


Handler = Callable[..., Result]

HANDLERS: Mapping[type, Handler] = MappingProxyType(
    {
        statements.Query: run_query,
        statements.Explain: explain,
        statements.CreateTopic: topics.create_topic,
        statements.CreateTopicAs: create_topic_as,
        statements.AlterTopicAddColumn: topics.add_column,
        statements.AlterTopicSet: topics.set_options,
        statements.AlterTopicReset: topics.reset_options,
        statements.AlterTopicRename: topics.rename_topic,
        statements.TruncateTopic: topics.truncate_topic,
        statements.DropTopic: topics.drop_topic,
        statements.ShowTopics: topics.show_topics,
        statements.Describe: topics.describe,
        statements.ShowCreateTopic: topics.show_create_topic,
        statements.ShowCreateTable: topics.show_create_table,
        statements.Call: call,
        statements.Kill: kill,
        statements.Insert: insert,
        statements.CopyFrom: copy_from,
        statements.Update: _update,
        statements.Delete: _delete,
        statements.Merge: _merge,
        statements.TruncateTable: _truncate,
        statements.CreateTable: tables.create_table,
        statements.CreateTableAs: tables.create_table_as,
        statements.CreateCachedTable: create_cached_table,
        statements.RefreshTable: refresh_table,
        statements.CreateIndex: tables.create_index,
        statements.DropIndex: tables.drop_index,
        statements.AlterTableAddColumn: tables.add_table_column,
        statements.AlterTableDropColumn: tables.drop_table_column,
        statements.AlterTableRenameColumn: tables.rename_table_column,
        statements.AlterTableRename: tables.rename_table,
        statements.DropTable: _drop_table,
        statements.CreateSchema: schemas.create_schema,
        statements.DropSchema: schemas.drop_schema,
        statements.Attach: sources.attach,
        statements.Detach: sources.detach,
        statements.ShowSources: sources.show_sources,
        statements.RefreshSource: sources.refresh_source,
        statements.SetTenant: settings.set_tenant,
        statements.ResetTenant: settings.reset_tenant,
        statements.ShowTenant: settings.show_tenant,
        statements.SetSetting: settings.set_setting,
        statements.ShowSetting: settings.show_setting,
        statements.ResetSetting: settings.reset_setting,
        statements.Begin: transactions.begin,
        statements.Commit: transactions.commit,
        statements.Rollback: transactions.rollback,
        statements.Savepoint: transactions.savepoint,
        statements.RollbackTo: transactions.rollback_to,
        statements.Release: transactions.release,
        statements.Unsupported: _unsupported,
    }
)

OPENS_NO_TRANSACTION = (
    statements.Begin,
    statements.Call,
    statements.Commit,
    statements.CreateCachedTable,
    statements.Kill,
    statements.RefreshTable,
    statements.Rollback,
    statements.SetTenant,
    statements.ResetTenant,
    statements.ShowTenant,
    statements.SetSetting,
    statements.ShowSetting,
    statements.ResetSetting,
)
