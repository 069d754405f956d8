"""BEGIN, COMMIT, ROLLBACK and savepoints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import pyarrow as pa

from ..dialect import statements
from ..errors import UndefinedObject
from ..results import CommandResult, Result

if TYPE_CHECKING:
    from .session import Session

__all__ = ["begin", "commit", "release", "rollback", "rollback_to", "savepoint"]

Parameters = Mapping[str, pa.Scalar]


def begin(session: Session, statement: statements.Begin, parameters: Parameters) -> Result:
    session.scope.begin()
    return CommandResult()


def commit(session: Session, statement: statements.Commit, parameters: Parameters) -> Result:
    session.scope.commit()
    return CommandResult()


def rollback(session: Session, statement: statements.Rollback, parameters: Parameters) -> Result:
    session.scope.rollback()
    return CommandResult()


def savepoint(session: Session, statement: statements.Savepoint, parameters: Parameters) -> Result:
    session.scope.savepoint(statement.name)
    return CommandResult()


def rollback_to(session: Session, statement: statements.RollbackTo, parameters: Parameters) -> Result:
    try:
        session.scope.rollback_to(statement.name)
    except UndefinedObject as error:
        error.position = statement.position
        raise
    return CommandResult()


def release(session: Session, statement: statements.Release, parameters: Parameters) -> Result:
    try:
        session.scope.release(statement.name)
    except UndefinedObject as error:
        error.position = statement.position
        raise
    return CommandResult()
