"""CREATE SCHEMA and DROP SCHEMA."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

import pyarrow as pa

from ..dialect import statements
from ..errors import PermissionDenied, ProgrammingError
from ..results import CommandResult, Result
from ..tables.catalog import CatalogTable
from ..topics.catalog import CatalogTopic
from .topic_statements import forget_after_commit

if TYPE_CHECKING:
    from .session import Session

__all__ = ["create_schema", "drop_schema"]

Parameters = Mapping[str, pa.Scalar]


def create_schema(session: Session, statement: statements.CreateSchema, parameters: Parameters) -> Result:
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


def drop_schema(session: Session, statement: statements.DropSchema, parameters: Parameters) -> Result:
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
