"""Failed calls as the errors that the server raised."""

from __future__ import annotations

from typing import Any, Final

import grpc

from .. import errors
from ..flight.protocol import sql
from ..flight.status import ATTRIBUTES
from ..tenancy import TenantId

__all__ = ["error_of", "lost"]

_DETAILS: Final = "grpc-status-details-bin"
_DOMAIN: Final = "jammi_sql"
_NUMBERS: Final = frozenset({"requested", "oldest"})
_TENANTS: Final = frozenset({"topic_tenant", "publish_tenant"})


def error_of(failed: Any, uri: str) -> errors.Error:
    """The error of a failed call of gRPC: its class, SQLSTATE, message, hint and position as they were on the server.

    What the server said nothing about is ``ConnectionLost`` (08006) where the connection is gone, ``QueryCanceled`` where
    this side gave up.
    """
    for name, value in failed.trailing_metadata() or ():
        if name == _DETAILS:
            found = _detailed(value)
            if found is not None:
                return found
    code, text = failed.code(), failed.details() or ""
    match code:
        case grpc.StatusCode.UNAVAILABLE:
            return lost(uri, text)
        case grpc.StatusCode.CANCELLED:
            return errors.QueryCanceled("the statement was cancelled")
        case grpc.StatusCode.DEADLINE_EXCEEDED:
            return errors.ConnectionLost(f"{uri} did not answer in time", hint="is it a server of jammi-sql?")
        case grpc.StatusCode.RESOURCE_EXHAUSTED:
            return errors.InvalidParameter(
                f"a message is larger than {uri} takes: {text}", sqlstate="54000", hint="send less in one row"
            )
        case grpc.StatusCode.UNIMPLEMENTED:
            return errors.FeatureNotSupported(
                f"{uri} does not know what it was asked: it is no jammi-sql server, or of another version",
                hint="ATTACH reads from any server of Flight SQL",
            )
        case _:
            return errors.OperationalError(f"{uri} failed: {code.name} {text}", hint="the server's log may say more")


def lost(uri: str, why: str, *, connecting: bool = False) -> errors.ConnectionLost:
    """The connection is gone, or could not be made (08001)."""
    if connecting:
        return errors.ConnectionLost(
            f"{uri} cannot be reached: {why}", sqlstate="08001", hint="is the server running, and the port right?"
        )
    return errors.ConnectionLost(
        f"the connection to {uri} was lost: {why}",
        hint="connect again; whether a statement that was running took effect is not known",
    )


def _detailed(data: bytes) -> errors.Error | None:
    status = sql.Status.FromString(data)
    for detail in status.details:
        info = sql.ErrorInfo.FromString(detail.value)
        if info.domain == _DOMAIN:
            return _error(dict(info.metadata))
    return None


def _error(told: dict[str, str]) -> errors.Error:
    kind = _class(told.get("class", "")) or _class(told.get("kind", "")) or errors.DatabaseError
    error = kind.__new__(kind)
    position = told.get("position")
    errors.Error.__init__(  # some classes make their message of other arguments
        error,
        told.get("message", ""),
        sqlstate=told.get("sqlstate"),
        position=None if position is None else int(position),
        hint=told.get("hint"),
    )
    for name in ATTRIBUTES.get(kind.__name__, ()):
        setattr(error, name, _attribute(name, told.get(name)))
    return error


def _attribute(name: str, value: str | None) -> object:
    if value is None:
        return None
    return int(value) if name in _NUMBERS else TenantId(value) if name in _TENANTS else value


def _class(name: str) -> type[errors.Error] | None:
    found = getattr(errors, name, None) if name.isidentifier() else None
    return found if isinstance(found, type) and issubclass(found, errors.Error) else None
