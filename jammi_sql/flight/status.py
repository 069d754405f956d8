"""Errors as the statuses of gRPC."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

import grpc

from ..errors import Error
from .protocol import sql

__all__ = ["ATTRIBUTES", "code_of", "details_of", "text_of", "trailers_of"]

ATTRIBUTES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "OffsetEvicted": ("topic", "requested", "oldest"),
        "PublishTenantMismatch": ("topic", "topic_tenant", "publish_tenant"),
    }
)
"""What errors have beside SQLSTATE, position and hint, by their class."""

_KINDS: Final = frozenset(
    {"DataError", "DatabaseError", "Error", "IntegrityError", "InterfaceError", "InternalError"}
    | {"NotSupportedError", "OperationalError", "ProgrammingError"}
)

_CODES: Final[dict[str, Any]] = {
    # the longest prefix of the SQLSTATE that is here
    "": grpc.StatusCode.UNKNOWN,
    "07": grpc.StatusCode.INVALID_ARGUMENT,
    "08": grpc.StatusCode.UNAVAILABLE,
    "08003": grpc.StatusCode.FAILED_PRECONDITION,
    "0A": grpc.StatusCode.UNIMPLEMENTED,
    "21": grpc.StatusCode.INVALID_ARGUMENT,
    "22": grpc.StatusCode.INVALID_ARGUMENT,
    "23": grpc.StatusCode.INVALID_ARGUMENT,
    "24": grpc.StatusCode.FAILED_PRECONDITION,
    "25": grpc.StatusCode.FAILED_PRECONDITION,
    "28": grpc.StatusCode.UNAUTHENTICATED,
    "2B": grpc.StatusCode.FAILED_PRECONDITION,
    "3D": grpc.StatusCode.NOT_FOUND,
    "3F": grpc.StatusCode.NOT_FOUND,
    "40": grpc.StatusCode.ABORTED,
    "42": grpc.StatusCode.INVALID_ARGUMENT,
    "42501": grpc.StatusCode.PERMISSION_DENIED,
    "42704": grpc.StatusCode.NOT_FOUND,
    "42P01": grpc.StatusCode.NOT_FOUND,
    "42P06": grpc.StatusCode.ALREADY_EXISTS,
    "42P07": grpc.StatusCode.ALREADY_EXISTS,
    "53": grpc.StatusCode.RESOURCE_EXHAUSTED,
    "54": grpc.StatusCode.INVALID_ARGUMENT,
    "55": grpc.StatusCode.UNAVAILABLE,
    "57014": grpc.StatusCode.CANCELLED,
    "57P01": grpc.StatusCode.UNAVAILABLE,
    "58": grpc.StatusCode.INTERNAL,
    "HY": grpc.StatusCode.UNKNOWN,
    "XX": grpc.StatusCode.INTERNAL,
}


def code_of(error: Error) -> Any:
    """The ``grpc.StatusCode``, by SQLSTATE."""
    state = error.sqlstate
    return next(_CODES[state[:length]] for length in range(len(state), -1, -1) if state[:length] in _CODES)


def text_of(error: Error) -> str:
    """What a client shows: the SQLSTATE, the message and the hint. Clients of ADBC have no other place for them."""
    return f"[{error.sqlstate}] {error}"


def details_of(error: Error) -> bytes:
    """A ``google.rpc.Status`` with an ``ErrorInfo``: ``reason`` is the SQLSTATE; ``class``, ``kind`` (its class in PEP 249),
    ``message``, ``position`` and ``hint`` are metadata."""
    kind = next(base.__name__ for base in type(error).__mro__ if base.__name__ in _KINDS)
    metadata = {"sqlstate": error.sqlstate, "class": type(error).__name__, "kind": kind, "message": error.message}
    for name in ATTRIBUTES.get(type(error).__name__, ()):
        value = getattr(error, name)
        if value is not None:
            metadata[name] = str(value)
    if error.hint:
        metadata["hint"] = error.hint
    if error.position is not None:
        metadata["position"] = str(error.position)
    info = sql.ErrorInfo(reason=error.sqlstate, domain="jammi_sql", metadata=metadata)
    detail = sql.Wrapped(type_url="type.googleapis.com/google.rpc.ErrorInfo", value=info.SerializeToString())
    status = sql.Status(code=code_of(error).value[0], message=text_of(error), details=[detail])
    data: bytes = status.SerializeToString()
    return data


def trailers_of(error: Error) -> tuple[tuple[str, str | bytes], ...]:
    """The trailing metadata of a failed call: its details, and the SQLSTATE for those who read no details."""
    return (("grpc-status-details-bin", details_of(error)), ("sqlstate", error.sqlstate))
