"""What relations and statements look like, without running anything."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from ..dialect import Parsed, compose, format_identifier_path, quote_identifier, statements
from ..errors import UndefinedTable
from ..plan.columns import sql_type
from ..topics.catalog import CatalogTopic
from ..topics.definition import CATALOG, RESERVED_NAMESPACES
from .asof import AsofJoins
from .attached_objects import attached_objects
from .catalog_provider import SYSTEM
from .live_source import LiveProvider
from .planning import Planning
from .relations import inserted_relations
from .remote_calls import remote_relations
from .staging import RowsRelation

if TYPE_CHECKING:
    from .session import Session

__all__ = ["READS", "objects", "probing", "relations", "result_schema", "table_schema"]

_OBJECTS = pa.schema(
    [  # type: ignore[arg-type] # the stubs want one kind of pair
        ("catalog", pa.string()),
        ("schema", pa.string()),
        ("table", pa.string()),
        ("table_type", pa.string()),
        ("column", pa.string()),
        ("ordinal", pa.int32()),
        ("type", pa.string()),
        ("nullable", pa.bool_()),
    ]
)

_CHANGES = (statements.Insert, statements.Update, statements.Delete, statements.Merge)
_SHOWS = (
    statements.ShowTopics,
    statements.Describe,
    statements.ShowCreateTopic,
    statements.ShowCreateTable,
    statements.ShowTenant,
    statements.ShowSetting,
)
READS: Final = frozenset({"SELECT", "WITH", "VALUES", "FROM", "TABLE", "SHOW", "DESCRIBE", "DESC", "EXPLAIN", ""})
"""First words of queries."""


def result_schema(session: Session, parsed: Parsed, parameters: Mapping[str, pa.Scalar]) -> pa.Schema | None:
    """The columns that a statement returns, ``None`` for one without rows. Values may be missing."""
    statement = parsed.statement
    unknown: pa.Scalar = pa.scalar(None, pa.null())
    values = {key: parameters.get(key, unknown) for key in parsed.parameters}
    if isinstance(statement, statements.Explain):
        return pa.schema([("plan_type", pa.string()), ("plan", pa.string())])
    if isinstance(statement, statements.Query) and statement.keyword in READS:
        return _query_schema(session, statement, values)
    if isinstance(statement, _CHANGES) and statement.returning is not None:
        return _returned_schema(session, statement, statement.returning, values)
    if isinstance(statement, _SHOWS):
        from .statements import HANDLERS  # noqa: PLC0415 - handlers refer to the session

        schema: pa.Schema | None = HANDLERS[type(statement)](session, statement, values).schema
        return schema
    return None


def _returned_schema(
    session: Session, statement: statements.Statement, columns: statements.Fragment, values: Mapping[str, pa.Scalar]
) -> pa.Schema:
    assert isinstance(statement, _CHANGES)
    found = session.names.find_relation(statement.target)
    if isinstance(found, CatalogTopic):
        relation: Any = LiveProvider(found.codec.schema)
    else:
        relation = RowsRelation(session.names.table(statement.target).schema)
    alias = statement.target_alias if isinstance(statement, statements.Merge) else statement.alias
    name = quote_identifier(alias or statement.target.parts[-1])
    query = statements.Query("SELECT", compose("SELECT ", columns, f'\nFROM "__returned" AS {name}'), (), frozenset())
    with inserted_relations(session.relations, {"__returned": relation}):
        return _query_schema(session, query, values)


def _query_schema(session: Session, query: statements.Query, values: Mapping[str, pa.Scalar]) -> pa.Schema:
    with probing(session, query, values) as planning:
        return session.queries.schema_of(session.queries.frame(planning, query.body, values), planning, query.body)


@contextmanager
def probing(session: Session, query: statements.Query, values: Mapping[str, pa.Scalar]) -> Iterator[Planning]:
    """Within, a query can be planned, and nothing of it runs."""
    from .live import subscribed_topic  # noqa: PLC0415

    probes: dict[str, Any] = {
        call.relation: LiveProvider(subscribed_topic(session, call, values).codec.schema) for call in query.subscribes
    }
    with session.queries.planned(query.words) as planning:
        probes |= remote_relations(session, planning, query, values)
        if query.asofs:
            probes |= AsofJoins(session, planning, query, values, probes).relations
        with inserted_relations(session.relations, probes):
            yield planning


def table_schema(session: Session, catalog: str | None, schema: str | None, table: str) -> pa.Schema:
    """The columns of a relation of the session's; ``UndefinedTable`` where there is none."""
    path = (catalog or CATALOG, schema or session.current_schema, table)
    text = f"SELECT * FROM {'.'.join(_quoted(part) for part in path)}"
    query = statements.Query("SELECT", statements.Fragment(text, ((0, 0),)), (), frozenset({table}))
    try:
        return _query_schema(session, query, {})
    except UndefinedTable as error:
        raise UndefinedTable(
            f"{format_identifier_path(path)} does not exist", hint="SHOW TOPICS lists topics"
        ) from error


def _quoted(part: str) -> str:
    return '"' + part.replace('"', '""') + '"'


def objects(session: Session, depth: int, catalog: str | None, schema: str | None, table: str | None) -> pa.Table:
    """The catalogue: a row per column, or per table, schema or catalog at smaller depths (4, 3, 2, 1). The patterns keep
    sources from being asked in vain; what else they exclude may be there."""
    attached = attached_objects(session, depth, catalog, schema, table)
    rows: list[dict[str, object]] = []
    if depth <= 1:
        return pa.Table.from_pylist([{"catalog": CATALOG}, *attached], schema=_OBJECTS)
    listed = relations(session) if depth > 2 else []
    namespaces = sorted({*session.relations.namespaces(), *session.world.catalog.own_relations(), "information_schema"})
    for namespace in namespaces:
        inside = [entry for entry in listed if entry[0] == namespace]
        if depth == 2 or not inside:
            rows.append({"catalog": CATALOG, "schema": namespace})
            continue
        for _, name, kind, columns in inside:
            base: dict[str, object] = {"catalog": CATALOG, "schema": namespace, "table": name, "table_type": kind}
            if depth == 3:
                rows.append(base)
                continue
            rows += [
                {
                    **base,
                    "column": field.name,
                    "ordinal": place,
                    "type": sql_type(field.type),
                    "nullable": field.nullable,
                }
                for place, field in enumerate(columns, 1)
            ]
    return pa.Table.from_pylist([*rows, *attached], schema=_OBJECTS)


def relations(session: Session) -> list[tuple[str, str, str, pa.Schema]]:
    """Schema, name, type and columns of every relation that the session sees, by name."""
    found: dict[tuple[str, str], tuple[str, pa.Schema]] = {
        (namespace, name): ("system view" if namespace == SYSTEM else "table", columns)
        for namespace, within in session.relations.listed().items()
        for name, columns in within.items()
    }
    for namespace, names in session.world.catalog.own_relations().items():
        if namespace not in RESERVED_NAMESPACES:
            for name in names:
                found[namespace, name] = ("view", table_schema(session, CATALOG, namespace, name))
    return sorted((namespace, name, kind, columns) for (namespace, name), (kind, columns) in found.items())
