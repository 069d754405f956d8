"""CALL: the engine's procedures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import pyarrow as pa

from ..dialect import parse_identifier_path, statements
from ..errors import (
    InvalidParameter,
    PermissionDenied,
    ProgrammingError,
    StatementSyntaxError,
    TopicNotFound,
    UndefinedFunction,
)
from ..results import BatchResult, Result
from ..topics.catalog import CatalogTopic

if TYPE_CHECKING:
    from .session import Session

__all__ = ["call"]

Parameters = Mapping[str, pa.Scalar]

_COLUMNS: dict[str, pa.DataType] = {"topic": pa.string(), "segments": pa.int64(), "rows": pa.int64()}
_COMPACTED = pa.schema(_COLUMNS)


def call(session: Session, statement: statements.Call, parameters: Parameters) -> Result:
    """Run a procedure. ``UndefinedFunction`` (42883) for one that is not there."""
    name = ".".join(statement.procedure.parts)
    if name != "jammi.compact":
        raise UndefinedFunction(
            f"there is no procedure {name}",
            position=statement.procedure.position,
            hint="there is jammi.compact('topic')",
        )
    return _compact(session, statement, parameters)


def _compact(session: Session, statement: statements.Call, parameters: Parameters) -> Result:
    """Move the log of a topic, or of all the session's own, into segments. A row per topic: segments and rows made."""
    if session.in_transaction:
        raise ProgrammingError(
            "a compaction is no part of a transaction",
            sqlstate="25001",
            position=statement.procedure.position,
            hint="COMMIT first",
        )
    services = session.engine.services
    done = []
    for topic in _topics(session, statement, parameters):
        try:
            services.catalog.check_owner(topic, session.tenant)
        except PermissionDenied as error:
            error.position = statement.arguments[0].origin(0)
            raise
        try:
            compacted = services.segments.compactor.compact(topic, session.running.check)
        except TopicNotFound:
            if statement.arguments:
                raise
            continue  # dropped while the others were compacted
        done.append((topic.name, compacted.segments, compacted.rows))
    columns = [pa.array([row[place] for row in done], field.type) for place, field in enumerate(_COMPACTED)]
    return BatchResult.of(pa.Table.from_arrays(columns, schema=_COMPACTED))


def _topics(session: Session, statement: statements.Call, parameters: Parameters) -> list[CatalogTopic]:
    if len(statement.arguments) > 1:
        raise ProgrammingError(
            f"jammi.compact takes one topic, {len(statement.arguments)} came",
            sqlstate="42883",
            position=statement.arguments[1].origin(0),
            hint="call it once per topic, or without an argument for all of them",
        )
    services = session.engine.services
    if not statement.arguments:
        visible = services.catalog.visible(session.reader, session.tenant)
        return [topic for topic in visible if topic.definition.tenant == session.tenant]
    (argument,) = statement.arguments
    position = argument.origin(0)
    value = session.queries.evaluate(argument, parameters).as_py()
    if not isinstance(value, str):
        raise InvalidParameter(
            "jammi.compact takes the topic's name as text", position=position, hint="write jammi.compact('events')"
        )
    try:
        name = statements.Name(parse_identifier_path(value), position)
    except StatementSyntaxError as error:
        raise InvalidParameter(
            f"{value!r} is no name: {error.message}", position=position, hint='write "Odd.Name" in double quotes'
        ) from error
    return [session.names.topic(name)]
