"""KILL: the end of a statement of another session."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import pyarrow as pa

from ..dialect import statements
from ..errors import InvalidParameter, UndefinedObject
from ..results import CommandResult, Result
from .activity import executions

if TYPE_CHECKING:
    from .session import Session

__all__ = ["kill"]


def kill(session: Session, statement: statements.Kill, parameters: Mapping[str, pa.Scalar]) -> Result:
    """End a statement that the session may see; ``UndefinedObject`` (42704) where there is none of that id.

    The id of the subscription that a statement follows is as good as its own: ``jammi.system.subscriptions`` shows it.
    It says the same of another tenant's statement and of one that is over.
    """
    position = statement.query.origin(0)
    value = session.queries.evaluate(statement.query, parameters, position).as_py()
    if not isinstance(value, str):
        raise InvalidParameter(
            "KILL takes the id of a query as text",
            position=position,
            hint="SELECT id, statement FROM jammi.system.queries lists them",
        )
    for owner, execution in executions(session, session.tenant):
        if value in (execution.id, execution.subscription) and owner.running.kill(execution):
            return CommandResult()
    raise UndefinedObject(
        "there is no such query: it is over, or the id is another",
        position=position,
        hint="SELECT id, statement FROM jammi.system.queries lists those that run",
    )
