"""The actions of the protocol, each with a name and a message."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from ..errors import Error, FeatureNotSupported, InvalidParameter, PermissionDenied
from ..tenancy import TenantId
from .calls import Call, going_down
from .framing import ipc_schema
from .protocol import flight, session, sql, unwrap, wrap
from .protocol.headers import ACTION

if TYPE_CHECKING:
    from .service import Service

__all__ = ["ACTIONS", "act"]

_BEGINNINGS: Final = frozenset({"CreatePreparedStatement", "BeginTransaction", "BeginSavepoint"})
_COMMIT, _ROLLBACK = 1, 2
_CANCELLED = 1
_CLOSED = 1


async def act(service: Service, call: Call, action: Any) -> bytes | None:
    """Do an action, and return the body of its result, where it has one."""
    known = ACTIONS.get(action.type)
    if known is None:
        raise FeatureNotSupported(f"there is no action {action.type}", hint=", ".join(ACTIONS))
    if service.door.closed and action.type in _BEGINNINGS:
        raise going_down()
    run, _, message = known
    if isinstance(message, str):
        try:
            request = unwrap(action.body)
        except ValueError as error:
            raise InvalidParameter(f"the body of {action.type} is no {message}") from error
        if request.DESCRIPTOR.name != message:
            raise InvalidParameter(f"the body of {action.type} is no {message}")
    else:
        try:
            request = message.FromString(action.body)
        except Exception as error:  # protobuf's own error has no public name in every implementation of it
            raise InvalidParameter(f"the body of {action.type} is not what it must be") from error
    return await run(service, call, request)


async def _prepare(service: Service, call: Call, request: Any) -> bytes:
    prepared = await service.statements.prepare(call, request.query, _transaction(request))
    result = sql.ActionCreatePreparedStatementResult(
        prepared_statement_handle=prepared.handle, is_update=prepared.is_update
    )
    if prepared.schema is not None:
        result.dataset_schema = ipc_schema(prepared.schema)
    if prepared.keys:
        result.parameter_schema = ipc_schema(prepared.parameters)
    return wrap(result)


async def _close_prepared(service: Service, call: Call, request: Any) -> None:
    service.clients.close_prepared(request.prepared_statement_handle, call.identity)


async def _begin(service: Service, call: Call, request: Any) -> bytes:
    return wrap(sql.ActionBeginTransactionResult(transaction_id=await service.transactions.begin(call)))


async def _end(service: Service, call: Call, request: Any) -> None:
    if request.action not in (_COMMIT, _ROLLBACK):
        raise InvalidParameter("a transaction ends by commit or rollback")
    await service.transactions.end(call, request.transaction_id, commit=request.action == _COMMIT)


async def _begin_savepoint(service: Service, call: Call, request: Any) -> bytes:
    handle = await service.transactions.savepoint(call, request.transaction_id, request.name)
    return wrap(sql.ActionBeginSavepointResult(savepoint_id=handle))


async def _end_savepoint(service: Service, call: Call, request: Any) -> None:
    if request.action not in (_COMMIT, _ROLLBACK):
        raise InvalidParameter("a savepoint ends by release or rollback")
    await service.transactions.end_savepoint(call, request.savepoint_id, release=request.action == _COMMIT)


async def _cancel_query(service: Service, call: Call, request: Any) -> bytes:
    service.cancel(call, flight.FlightInfo.FromString(request.info))
    return wrap(sql.ActionCancelQueryResult(result=_CANCELLED))


async def _cancel_info(service: Service, call: Call, request: Any) -> bytes:
    service.cancel(call, request.info)
    data: bytes = flight.CancelFlightInfoResult(status=_CANCELLED).SerializeToString()
    return data


async def _set_options(service: Service, call: Call, request: Any) -> bytes:
    errors: dict[str, Any] = {}
    seat, session = call.client.seat, call.client.session

    def assign(name: str, value: str | None) -> None:
        match name:
            case "catalog":
                session.current_catalog = value or "jammi"
            case "schema":
                session.current_schema = value or "public"
            case "tenant":
                if session.access is not None and not session.access.tenants:
                    raise PermissionDenied("the tenant is that of the token")
                session.bind_tenant(TenantId.optional(value or None))

    for name, given in request.session_options.items():
        kind = given.WhichOneof("option_value")
        if name not in ("catalog", "schema", "tenant"):
            errors[name] = flight.SetSessionOptionsResult.Error(value=1)
        elif kind not in (None, "string_value"):
            errors[name] = flight.SetSessionOptionsResult.Error(value=2)
        else:
            value = given.string_value or None
            try:
                await service.work.run(seat, lambda name=name, value=value: assign(name, value))  # type: ignore[misc]
            except PermissionDenied:
                errors[name] = flight.SetSessionOptionsResult.Error(value=3)
            except Error:
                errors[name] = flight.SetSessionOptionsResult.Error(value=2)
    data: bytes = flight.SetSessionOptionsResult(errors=errors).SerializeToString()
    return data


async def _get_options(service: Service, call: Call, request: Any) -> bytes:
    session = call.client.session
    values = {"catalog": session.current_catalog, "schema": session.current_schema}
    if session.tenant is not None:
        values["tenant"] = str(session.tenant)
    options = {name: flight.SessionOptionValue(string_value=value) for name, value in values.items()}
    data: bytes = flight.GetSessionOptionsResult(session_options=options).SerializeToString()
    return data


async def _session(service: Service, call: Call, request: Any) -> bytes | None:
    return await service.sessions.answer(call, request)


async def _close_session(service: Service, call: Call, request: Any) -> bytes:
    await service.drop(call.client)
    data: bytes = flight.CloseSessionResult(status=_CLOSED).SerializeToString()
    return data


def _transaction(request: Any) -> bytes | None:
    return bytes(request.transaction_id) if request.HasField("transaction_id") and request.transaction_id else None


_Act = Callable[["Service", Call, Any], Awaitable[bytes | None]]

ACTIONS: Final[Mapping[str, tuple[_Act, str, Any]]] = MappingProxyType(
    {
        "CreatePreparedStatement": (_prepare, "Prepare a statement", "ActionCreatePreparedStatementRequest"),
        "ClosePreparedStatement": (_close_prepared, "Forget a prepared one", "ActionClosePreparedStatementRequest"),
        "BeginTransaction": (_begin, "Open a transaction", "ActionBeginTransactionRequest"),
        "EndTransaction": (_end, "Commit or roll back", "ActionEndTransactionRequest"),
        "BeginSavepoint": (_begin_savepoint, "Set a savepoint", "ActionBeginSavepointRequest"),
        "EndSavepoint": (_end_savepoint, "Release it, or roll back to it", "ActionEndSavepointRequest"),
        "CancelQuery": (_cancel_query, "Cancel a statement", "ActionCancelQueryRequest"),
        "CancelFlightInfo": (_cancel_info, "Cancel a statement", flight.CancelFlightInfoRequest),
        "SetSessionOptions": (_set_options, "Choose schema and tenant", flight.SetSessionOptionsRequest),
        "GetSessionOptions": (_get_options, "Say which they are", flight.GetSessionOptionsRequest),
        ACTION: (_session, "Do what jammi_sql.connect asks for", session.Request),
        "CloseSession": (_close_session, "Forget this client", flight.CloseSessionRequest),
    }
)
"""What to do, a line about it, and the message that comes: the name of one of Flight SQL, wrapped, or a class of Flight's."""
