"""ATTACH, DETACH, SHOW SOURCES and REFRESH SOURCE."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

import pyarrow as pa

from ..dialect import statements
from ..errors import DuplicateObject, Error, InvalidParameter, PermissionDenied, UndefinedObject
from ..ports import Transaction
from ..results import BatchResult, CommandResult, Result
from ..sources.catalog import AttachedSource
from ..sources.definition import SourceDefinition
from ..topics.definition import CATALOG, RESERVED_NAMESPACES
from .access import checked_source
from .attached_catalog import list_again
from .source_kinds import checked_definition

if TYPE_CHECKING:
    from .session import Session

__all__ = ["attach", "detach", "refresh_source", "show_sources"]

Parameters = Mapping[str, pa.Scalar]
_SHOWN = pa.schema([("name", pa.string()), ("type", pa.string()), ("uri", pa.string())])
_RESERVED = frozenset({CATALOG, "datafusion", *RESERVED_NAMESPACES})


def attach(session: Session, statement: statements.Attach, parameters: Parameters) -> Result:
    """Keep a source under a name. Nothing is connected to: what is wrong with an address is said when it is first used."""
    if statement.name in _RESERVED:
        raise InvalidParameter(
            f"a source cannot be called {statement.name}",
            sqlstate="42939",
            position=statement.name_position,
            hint="choose another name",
        )
    uri = session.queries.evaluate(statement.uri, parameters, statement.position).as_py()
    if not isinstance(uri, str) or not uri:
        raise InvalidParameter("the address of a source is text", position=statement.position, hint="write '...'")
    try:
        definition = checked_definition(
            SourceDefinition(
                statement.name, statement.kind or "", uri, MappingProxyType(dict(statement.options)), session.tenant
            )
        )
        if session.access is not None:
            definition = checked_source(session.access, definition)
    except Error as error:
        if error.position is None:
            error.position = statement.position
        raise
    with session.scope.writing() as transaction:
        if session.engine.attachments.catalog.attach(transaction, definition):
            session.scope.after_rollback(lambda: session.engine.attachments.close_undone(session.reader, definition))
        elif not statement.if_not_exists:
            raise DuplicateObject(
                f"source {statement.name} exists already",
                position=statement.name_position,
                hint="DETACH it first, or use IF NOT EXISTS",
            )
    return CommandResult()


def detach(session: Session, statement: statements.Detach, parameters: Parameters) -> Result:
    """Forget a source. What it holds is untouched."""
    attachments = session.engine.attachments
    with session.scope.writing() as transaction:
        found = _find(session, transaction, statement.name)
        if found is None:
            if statement.if_exists:
                return CommandResult()
            raise UndefinedObject(
                f"there is no source {statement.name}",
                position=statement.position,
                hint="SHOW SOURCES lists them, and IF EXISTS passes over one that is not there",
            )
        if found.definition.tenant != session.tenant:
            raise PermissionDenied(
                f"source {statement.name} is global: a tenant may read it, not detach it",
                position=statement.position,
                hint="do it in a session without a tenant",
            )
        attachments.catalog.detach(transaction, found.definition)
        transaction.after_commit(lambda: attachments.forget(found.definition))
    return CommandResult()


def _find(session: Session, transaction: Transaction, name: str) -> AttachedSource | None:
    return session.engine.attachments.catalog.lookup(transaction, session.tenant, name)


def show_sources(session: Session, statement: statements.ShowSources, parameters: Parameters) -> Result:
    """Name, type and address of each."""
    rows = [
        {"name": each.definition.name, "type": each.definition.kind, "uri": each.definition.uri}
        for each in session.engine.attachments.visible(session.reader, session.tenant)
    ]
    return BatchResult.of(pa.Table.from_pylist(rows, schema=_SHOWN))


def refresh_source(session: Session, statement: statements.RefreshSource, parameters: Parameters) -> Result:
    """Forget what is remembered of a source's catalogue."""
    source = session.engine.attachments.source(session.reader, session.tenant, statement.name, statement.position)
    source.refresh()
    list_again(source)
    return CommandResult()
