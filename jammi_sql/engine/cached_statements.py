"""CREATE CACHED TABLE, REFRESH TABLE, and what cannot be done with a cached table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import pyarrow as pa

from ..dialect import parse_identifier_path, statements
from ..dialect.statements import Name
from ..errors import (
    ActiveTransaction,
    DuplicateObject,
    Error,
    FeatureNotSupported,
    InvalidParameter,
    PermissionDenied,
    ProgrammingError,
    StatementSyntaxError,
    UndefinedTable,
)
from ..results import CommandResult, Result
from ..tables.cached import CachedTable
from ..tables.cached.table import NO_TOPIC
from ..tenancy import TenantId
from ..topics.definition import CATALOG, check_name
from ..topics.retention import parse_age
from .caching import OpenSession
from .topic_statements import check_own_free

if TYPE_CHECKING:
    from .session import Session

__all__ = ["CACHED_OPTIONS", "create_cached_table", "drop_cached", "find_cached", "refresh_table", "refuse_cached"]

Parameters = Mapping[str, pa.Scalar]
CACHED_OPTIONS: Mapping[str, str] = {
    "refresh": "an interval, the age at which the copy is made anew, or `'manual'`, the default",
    "on_change": "a topic: the copy is made anew when it has new batches, once a second at most",
}
"""What WITH takes, with a line on each."""
_MANUAL = "manual"


def find_cached(session: Session, name: Name) -> CachedTable | None:
    """The cached table of that name that the session sees."""
    if len(name.parts) == 3 and name.parts[0] != CATALOG:
        return None
    namespace, local_name = session.names.path(name)
    return session.engine.services.caches.catalog.lookup(session.reader, session.tenant, namespace, local_name)


def refuse_cached(session: Session, name: Name) -> None:
    """``ProgrammingError`` (42809) where the name is that of a cached table, which nobody writes but its query."""
    if find_cached(session, name) is not None:
        raise ProgrammingError(
            f"{'.'.join(name.parts)} is a cached table, which is read-only",
            sqlstate="42809",
            position=name.position,
            hint="change what its query reads, then REFRESH TABLE; DROP TABLE and CREATE CACHED TABLE make another one",
        )


def create_cached_table(session: Session, statement: statements.CreateCachedTable, parameters: Parameters) -> Result:
    """CREATE CACHED TABLE: its query is run with the session's tenant's eyes, in a session of its own."""
    _refuse_in_transaction(session, "CREATE CACHED TABLE")
    name = statement.name
    namespace, local_name = session.names.path(name)
    refresh_us, topic = _options(session, statement)
    try:
        check_name(namespace, local_name)
        check_own_free(session, namespace, local_name, name.position)
    except Error as error:
        error.position = name.position
        raise
    if find_cached(session, name) is not None and statement.if_not_exists:
        return CommandResult(0)
    if find_cached(session, name) is not None or session.names.find_relation(name) is not None:
        raise DuplicateObject(
            f"{'.'.join(name.parts)} exists already", position=name.position, hint="use IF NOT EXISTS, or another name"
        )
    caches = session.engine.services.caches
    with caches.refreshing(session.running.check):
        try:
            folder, copy, began, offset = caches.first_copy(
                statement.query, session.current_schema, session.tenant, topic, session.running.check, _opener(session)
            )
        except Error as error:
            raise _of_the_query(session, statement, error) from error
        table = CachedTable(
            0, session.tenant, namespace, local_name, statement.query, session.current_schema, folder, refresh_us, topic,
            copy, began, offset, session.engine.clock.now_us(), "",
        )  # fmt: skip
        try:
            with session.scope.writing() as transaction:
                caches.catalog.insert(transaction, table)
        except BaseException as error:
            caches.forget(copy)
            if isinstance(error, DuplicateObject):
                if statement.if_not_exists:  # somebody was quicker
                    return CommandResult(0)
                error.position = name.position
            raise
    return CommandResult(copy.rows)


def refresh_table(session: Session, statement: statements.RefreshTable, parameters: Parameters) -> Result:
    """REFRESH TABLE: when this returns, the copy is of a moment after it was called."""
    _refuse_in_transaction(session, "REFRESH TABLE")
    table = _own_cached(session, statement.name)
    caches = session.engine.services.caches
    with caches.refreshing(session.running.check):
        now = caches.catalog.numbered(session.engine.services.store, table.number)
        if now is None:
            raise _undefined(statement.name)
        try:
            copy = caches.refresh(now, session.running.check, _opener(session))
        except Error as error:
            error.position = None  # it is one in the query's text
            raise
    return CommandResult(copy.rows)


def drop_cached(session: Session, name: Name) -> Result:
    """DROP TABLE of a cached table."""
    table = _own_cached(session, name)
    with session.scope.writing() as transaction:
        if not session.engine.services.caches.catalog.drop(transaction, table):
            raise _undefined(name)
    return CommandResult()


def _own_cached(session: Session, name: Name) -> CachedTable:
    found = find_cached(session, name)
    if found is None:
        if session.names.find_relation(name) is not None:
            raise ProgrammingError(
                f"{'.'.join(name.parts)} is no cached table",
                sqlstate="42809",
                position=name.position,
                hint="a topic or a table has nothing to refresh; REFRESH SOURCE is for attached databases",
            )
        raise _undefined(name)
    if found.tenant != session.tenant:
        raise PermissionDenied(
            f"cached table {found.name} is global: a tenant may read it, not change it",
            position=name.position,
            hint="do it in a session without a tenant",
        )
    return found


def _undefined(name: Name) -> UndefinedTable:
    return UndefinedTable(
        f"cached table {'.'.join(name.parts)} does not exist",
        position=name.position,
        hint="jammi.system.tables lists them",
    )


def _refuse_in_transaction(session: Session, what: str) -> None:
    if session.scope.is_open:
        raise ActiveTransaction(
            f"{what} inside a transaction: the query would not see what that wrote", hint="commit first"
        )


def _opener(session: Session) -> OpenSession:
    def open_session(tenant: TenantId | None) -> Session:
        return session.engine.sql_session(tenant)

    return open_session


def _options(session: Session, statement: statements.CreateCachedTable) -> tuple[int, int]:
    """Microseconds between two refreshes, and the number of the topic that is followed."""
    for key in statement.options:
        if key not in CACHED_OPTIONS:
            raise InvalidParameter(
                f"a cached table has no option {key}",
                position=statement.options_position,
                hint=f"there are {', '.join(CACHED_OPTIONS)}",
            )
    refresh = statement.options.get("refresh", _MANUAL)
    age = 0
    if refresh.strip().lower() != _MANUAL:
        try:
            parsed = parse_age(refresh, "refresh")
        except InvalidParameter:
            parsed = None
        if parsed is None or parsed < 1_000_000:
            raise InvalidParameter(
                f"refresh cannot be {refresh!r}",
                position=statement.options_position,
                hint="write INTERVAL '10 minutes', one second or more, or 'manual'",
            )
        age = parsed
    followed = statement.options.get("on_change")
    if followed is None:
        return age, NO_TOPIC
    try:
        path = parse_identifier_path(followed)
    except StatementSyntaxError as error:
        raise InvalidParameter(
            f"on_change cannot be {followed!r}", position=statement.options_position, hint="name a topic: 'events'"
        ) from error
    return age, session.names.topic(Name(path, statement.options_position)).number


def _of_the_query(session: Session, statement: statements.CreateCachedTable, error: Error) -> Error:
    """The position of an error in the query as one in the statement; a name that only this session knows is said to be so."""
    own = {name for names in session.world.catalog.own_relations().values() for name in names}
    if isinstance(error, UndefinedTable) and own & statement.words:
        return FeatureNotSupported(
            f"a cached table cannot read {', '.join(sorted(own & statement.words))}, a view or an in-memory table of this "
            "session: it is refreshed when the session is over",
            position=statement.query_position,
            hint="make it a companion table: CREATE TABLE name AS query",
        )
    error.position = statement.query_position + (error.position or 0)
    return error
