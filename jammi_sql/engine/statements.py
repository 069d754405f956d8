"""Which code runs which statement."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar

import pyarrow as pa
from datafusion import DataFrame

from ..dialect import explained, statements
from ..errors import (
    AppendOnlyTopic,
    Error,
    FeatureNotSupported,
    InvalidParameter,
    PermissionDenied,
    ProgrammingError,
    UndefinedObject,
)
from ..errors_datafusion import is_pushdown_failure
from ..results import BatchResult, CommandResult, Result
from ..tables.catalog import CatalogTable
from ..tenancy import TenantId
from ..topics.catalog import CatalogTopic
from . import source_statements as sources
from . import table_statements as tables
from . import topic_statements as topics
from .access import check_external
from .cached_statements import create_cached_table, drop_cached, find_cached, refresh_table, refuse_cached
from .changes import is_own
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
from .procedures import call
from .publish import create_topic_as
from .relations import inserted_relations
from .remote_changes import change_remote, drop_remote, remote_target
from .table_merge import merge_rows
from .table_statements import drop_table
from .table_update import change_row, delete_rows, truncate_rows, update_rows
from .text_views import WORTH_ROWS, keeps_meaning
from .topic_statements import forget_after_commit

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
    with session.planned(query.words, once=query.keyword in _STREAMED) as planning:
        with inserted_relations(session.relations, bounded_relations(session, planning, query, parameters)):
            frame = session.frame(planning, query.body, parameters)
        if query.keyword == "EXPLAIN" and (planning.providers or session.may_be_cut(planning)):
            inner, analyze = explained(query)
            told = explain_sources(session, inner, parameters, analyze=analyze)
            if told is not None:
                return told
        if query.keyword in _STREAMED and not _changes_data(frame):
            try:
                return session.stream(frame, planning, query.body, _with_views(session, query, parameters, planning))
            except FeatureNotSupported as error:
                if error.__cause__ is None or not is_pushdown_failure(error.__cause__):
                    raise
                return _without_pushdown(session, query, parameters)
        plan = frame.logical_plan().to_variant()
        with whole_or_nothing(plan) if type(plan).__name__ == "CopyTo" else nullcontext():
            table = session.collect(frame, planning, query.body)
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
            return session.frame(planning, query.body, parameters)
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
    with session.planned(query.words) as planning:
        session.collect(session.frame(planning, query.body, parameters), planning, query.body)
    session.assigned(query.body.text)
    return CommandResult()


def _without_pushdown(session: Session, query: statements.Query, parameters: Parameters) -> Result:
    session.relations.takes_filters = False
    try:
        with session.planned(query.words) as planning:
            with inserted_relations(session.relations, bounded_relations(session, planning, query, parameters)):
                return session.stream(session.frame(planning, query.body, parameters), planning, query.body)
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
    if is_own(session, statement.name):
        return run_query(session, statement.body, parameters)
    found = session.find_relation(statement.name)
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
    if is_own(session, name):
        return None
    found = session.find_relation(name)
    if isinstance(found, CatalogTopic):
        raise AppendOnlyTopic(
            f"{keyword} on topic {'.'.join(name.parts)}: a topic is append-only",
            position=name.position,
            hint="publish a correcting event; TRUNCATE TOPIC ... BEFORE forgets old ones",
        )
    if found is None and session.path(name)[0] not in ("system", "information_schema"):
        refuse_cached(session, name)
        return session.table(name)  # which nobody has: DataFusion would first say what it cannot do
    return found


def _set_tenant(session: Session, statement: statements.SetTenant, parameters: Parameters) -> Result:
    _check_tenants(session, statement.value.origin(0))
    value = session.evaluate(statement.value, parameters)
    try:
        session.bind_tenant(TenantId.optional(value.as_py()))
    except InvalidParameter as error:
        error.position = statement.value.origin(0)
        raise
    return CommandResult()


def _check_tenants(session: Session, position: int | None) -> None:
    if session.access is not None and not session.access.tenants:
        raise PermissionDenied(
            "the tenant is that of who asks, and is not chosen", position=position, hint="use a token of that tenant"
        )


def _reset_tenant(session: Session, statement: statements.ResetTenant, parameters: Parameters) -> Result:
    _check_tenants(session, None)
    session.bind_tenant(None)
    return CommandResult()


def _show_tenant(session: Session, statement: statements.ShowTenant, parameters: Parameters) -> Result:
    tenant = None if session.tenant is None else str(session.tenant)
    return BatchResult.of(pa.table({"tenant": pa.array([tenant], pa.string())}))


def _create_schema(session: Session, statement: statements.CreateSchema, parameters: Parameters) -> Result:
    name = _schema_name(statement.name)
    catalog = session.engine.services.catalog
    with session.scope.writing() as transaction:
        if name in catalog.namespaces(transaction, session.tenant) and not statement.if_not_exists:
            raise ProgrammingError(
                f"schema {name} exists already",
                sqlstate="42P06",
                position=statement.name.position,
                hint="use IF NOT EXISTS",
            )
        catalog.create_namespace(transaction, session.tenant, name)
    return CommandResult()


def _drop_schema(session: Session, statement: statements.DropSchema, parameters: Parameters) -> Result:
    name = _schema_name(statement.name)
    catalog = session.engine.services.catalog
    with session.scope.writing() as transaction:
        if name not in catalog.namespaces(transaction, session.tenant):
            if statement.if_exists:
                return CommandResult()
            raise ProgrammingError(
                f"schema {name} does not exist",
                sqlstate="3F000",
                position=statement.name.position,
                hint="use IF EXISTS",
            )
        if session.tenant is not None and name not in catalog.owned_namespaces(transaction, session.tenant):
            raise PermissionDenied(
                f"schema {name} is global: a tenant may use it, not drop it",
                position=statement.name.position,
                hint="do it in a session without a tenant",
            )
        companions = session.engine.services.tables
        topics_inside = _inside(session, name, catalog.visible(transaction, session.tenant))
        tables_inside = _inside(session, name, companions.visible(transaction, session.tenant))
        caches = session.engine.services.caches.catalog
        copies_inside = [
            table
            for table in caches.visible(transaction, session.tenant)
            if table.namespace == name and table.tenant == session.tenant
        ]
        names = [f"topic {topic.name}" for topic in topics_inside]
        names += [f"table {table.name}" for table in tables_inside] + [f"table {copy.name}" for copy in copies_inside]
        if names and not statement.cascade:
            raise ProgrammingError(
                f"schema {name} is not empty: {names[0]} is in it",
                sqlstate="2BP01",
                position=statement.name.position,
                hint="drop what is in it first, or use CASCADE",
            )
        for topic in topics_inside:
            catalog.drop(transaction, topic)
            forget_after_commit(session, transaction, topic)
        for table in tables_inside:
            companions.drop(transaction, table)
        for copy in copies_inside:
            caches.drop(transaction, copy)
        catalog.drop_namespace(transaction, session.tenant, name)
    return CommandResult()


_Relation = TypeVar("_Relation", CatalogTopic, CatalogTable)


def _inside(session: Session, namespace: str, visible: Sequence[_Relation]) -> list[_Relation]:
    """What a schema has of the session's own."""
    return [
        relation
        for relation in visible
        if relation.namespace == namespace and relation.definition.tenant == session.tenant
    ]


def _schema_name(name: statements.Name) -> str:
    parts = name.parts[1:] if len(name.parts) == 2 and name.parts[0] == "jammi" else name.parts
    if len(parts) != 1:
        raise ProgrammingError(
            f"{'.'.join(name.parts)} is no schema of catalog jammi", sqlstate="3D000", position=name.position
        )
    return parts[0]


def _set_setting(session: Session, statement: statements.SetSetting, parameters: Parameters) -> Result:
    session.settings.set(statement.name, _setting_value(session, statement, parameters), statement.position)
    session.apply_setting(statement.name)
    return CommandResult()


def _setting_value(session: Session, statement: statements.SetSetting, parameters: Parameters) -> object:
    word = statement.value.text.strip()
    if word.replace("_", "a").isalnum() and not word.isdigit():
        return word
    value: object = session.evaluate(statement.value, parameters, statement.value.origin(0))
    assert isinstance(value, pa.Scalar)
    if pa.types.is_interval(value.type):
        from ..plan.arguments import idle_seconds  # noqa: PLC0415

        return f"{idle_seconds(value, statement.position):g}s"
    result: object = value.as_py()
    return result


def _show_setting(session: Session, statement: statements.ShowSetting, parameters: Parameters) -> Result:
    value = session.settings.show(statement.name, statement.position)
    return BatchResult.of(pa.table({"name": [f"jammi.{statement.name}"], "value": [value]}))


def _reset_setting(session: Session, statement: statements.ResetSetting, parameters: Parameters) -> Result:
    session.settings.reset(statement.name, statement.position)
    session.apply_setting(statement.name)
    return CommandResult()


def _begin(session: Session, statement: statements.Begin, parameters: Parameters) -> Result:
    session.scope.begin()
    return CommandResult()


def _commit(session: Session, statement: statements.Commit, parameters: Parameters) -> Result:
    session.scope.commit()
    return CommandResult()


def _rollback(session: Session, statement: statements.Rollback, parameters: Parameters) -> Result:
    session.scope.rollback()
    return CommandResult()


def _savepoint(session: Session, statement: statements.Savepoint, parameters: Parameters) -> Result:
    session.scope.savepoint(statement.name)
    return CommandResult()


def _rollback_to(session: Session, statement: statements.RollbackTo, parameters: Parameters) -> Result:
    try:
        session.scope.rollback_to(statement.name)
    except UndefinedObject as error:
        error.position = statement.position
        raise
    return CommandResult()


def _release(session: Session, statement: statements.Release, parameters: Parameters) -> Result:
    try:
        session.scope.release(statement.name)
    except UndefinedObject as error:
        error.position = statement.position
        raise
    return CommandResult()


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
        statements.CreateSchema: _create_schema,
        statements.DropSchema: _drop_schema,
        statements.Attach: sources.attach,
        statements.Detach: sources.detach,
        statements.ShowSources: sources.show_sources,
        statements.RefreshSource: sources.refresh_source,
        statements.SetTenant: _set_tenant,
        statements.ResetTenant: _reset_tenant,
        statements.ShowTenant: _show_tenant,
        statements.SetSetting: _set_setting,
        statements.ShowSetting: _show_setting,
        statements.ResetSetting: _reset_setting,
        statements.Begin: _begin,
        statements.Commit: _commit,
        statements.Rollback: _rollback,
        statements.Savepoint: _savepoint,
        statements.RollbackTo: _rollback_to,
        statements.Release: _release,
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
