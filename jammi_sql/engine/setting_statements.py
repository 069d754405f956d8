"""SET, SHOW and RESET of the session: its tenant and its settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import pyarrow as pa

from ..dialect import statements
from ..errors import InvalidParameter, PermissionDenied
from ..results import BatchResult, CommandResult, Result
from ..tenancy import TenantId

if TYPE_CHECKING:
    from .session import Session

__all__ = ["reset_setting", "reset_tenant", "set_setting", "set_tenant", "show_setting", "show_tenant"]

Parameters = Mapping[str, pa.Scalar]


def set_tenant(session: Session, statement: statements.SetTenant, parameters: Parameters) -> Result:
    _check_tenants(session, statement.value.origin(0))
    value = session.queries.evaluate(statement.value, parameters)
    try:
        session.bind_tenant(TenantId.optional(value.as_py()))
    except InvalidParameter as error:
        error.position = statement.value.origin(0)
        raise
    return CommandResult()


def reset_tenant(session: Session, statement: statements.ResetTenant, parameters: Parameters) -> Result:
    _check_tenants(session, None)
    session.bind_tenant(None)
    return CommandResult()


def show_tenant(session: Session, statement: statements.ShowTenant, parameters: Parameters) -> Result:
    tenant = None if session.tenant is None else str(session.tenant)
    return BatchResult.of(pa.table({"tenant": pa.array([tenant], pa.string())}))


def _check_tenants(session: Session, position: int | None) -> None:
    if session.access is not None and not session.access.tenants:
        raise PermissionDenied(
            "the tenant is that of who asks, and is not chosen", position=position, hint="use a token of that tenant"
        )


def set_setting(session: Session, statement: statements.SetSetting, parameters: Parameters) -> Result:
    session.settings.set(statement.name, _setting_value(session, statement, parameters), statement.position)
    session.worlds.apply(statement.name)
    return CommandResult()


def show_setting(session: Session, statement: statements.ShowSetting, parameters: Parameters) -> Result:
    value = session.settings.show(statement.name, statement.position)
    return BatchResult.of(pa.table({"name": [f"jammi.{statement.name}"], "value": [value]}))


def reset_setting(session: Session, statement: statements.ResetSetting, parameters: Parameters) -> Result:
    session.settings.reset(statement.name, statement.position)
    session.worlds.apply(statement.name)
    return CommandResult()


def _setting_value(session: Session, statement: statements.SetSetting, parameters: Parameters) -> object:
    word = statement.value.text.strip()
    if word.replace("_", "a").isalnum() and not word.isdigit():
        return word
    value: object = session.queries.evaluate(statement.value, parameters, statement.value.origin(0))
    assert isinstance(value, pa.Scalar)
    if pa.types.is_interval(value.type):
        from ..plan.arguments import idle_seconds  # noqa: PLC0415

        return f"{idle_seconds(value, statement.position):g}s"
    result: object = value.as_py()
    return result
