"""Jammi SQL: durable event topics, tables and attached databases in one SQL session, on DataFusion.

``connect`` gives a PEP 249 connection; ``Engine`` is the Python interface to topics.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .dbapi import (
        BINARY,
        DATETIME,
        NUMBER,
        ROWID,
        STRING,
        Binary,
        Connection,
        Cursor,
        Date,
        DateFromTicks,
        Time,
        TimeFromTicks,
        Timestamp,
        TimestampFromTicks,
        apilevel,
        paramstyle,
        threadsafety,
    )
    from .dbapi.port import SessionPort
    from .engine import Engine
    from .errors import (
        DatabaseError,
        DataError,
        Error,
        IntegrityError,
        InterfaceError,
        InternalError,
        NotSupportedError,
        OperationalError,
        ProgrammingError,
        Warning,  # noqa: A004 - PEP 249 fixes the name
    )
    from .ports import Broker
    from .tenancy import TenantId

__all__ = [
    "BINARY",
    "DATETIME",
    "NUMBER",
    "ROWID",
    "STRING",
    "Binary",
    "Connection",
    "Cursor",
    "DataError",
    "DatabaseError",
    "Date",
    "DateFromTicks",
    "Engine",
    "Error",
    "IntegrityError",
    "InterfaceError",
    "InternalError",
    "NotSupportedError",
    "OperationalError",
    "ProgrammingError",
    "Time",
    "TimeFromTicks",
    "Timestamp",
    "TimestampFromTicks",
    "Warning",
    "apilevel",
    "connect",
    "paramstyle",
    "threadsafety",
]

__version__ = "0.1.0"

# The engine takes a second to import, which `jammi-sql --help` and a program that may never connect should not pay:
# names are looked up when they are first asked for (PEP 562).
_MODULES = ("dbapi", "engine", "errors", "tenancy")
_PACKAGES = frozenset(
    {"adbc", "arrow", "brokers", "dbapi", "engine", "errors", "logs"}
    | {"metrics", "ports", "results", "tables", "tenancy", "topics"}
)


def __getattr__(name: str) -> Any:
    if name in _PACKAGES:
        return import_module(f".{name}", __name__)
    if name in __all__:
        for module in map(import_module, (f"{__name__}.{each}" for each in reversed(_MODULES))):
            if name in module.__all__:
                return globals().setdefault(name, getattr(module, name))
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def connect(
    target: str | os.PathLike[str] | None = None,
    *,
    tenant: TenantId | str | None = None,
    broker: Broker | str | None = None,
    read_only: bool = False,
    autocommit: bool = True,
    **options: Any,
) -> Connection:
    """Open a session on ``target`` with an engine of its own, which closes with it.

    ``target``: a folder, made if missing; ``":memory:"`` or ``None`` for a private temporary store; a
    ``postgresql://`` URL; ``grpc://host:port`` or ``grpc+tls://host:port`` for a server of ``jammi-sql serve``, whose
    engine it is then. ``broker``: an object with the ``Broker`` contract, or ``"memory"``; without one, publishes of
    other processes on the same store arrive too. ``options``: ``udfs`` (a folder of functions), ``lock_timeout``
    (seconds), ``max_bytes``; of a server ``token``, ``tls_root_certs`` and others.
    """
    from .dbapi import Connection  # noqa: PLC0415 - with the first use, see above

    if isinstance(target, str) and target.startswith(("grpc://", "grpc+tcp://", "grpc+tls://")):
        return Connection(_remote(target, tenant, broker, read_only=read_only, autocommit=autocommit, options=options))
    from .engine import Engine  # noqa: PLC0415

    engine = Engine.open(target, broker, read_only=read_only, **options)
    try:
        return Connection(engine.sql_session(tenant, autocommit=autocommit, owns_engine=True))
    except BaseException:
        engine.close()
        raise


def _remote(
    target: str,
    tenant: TenantId | str | None,
    broker: object,
    *,
    read_only: bool,
    autocommit: bool,
    options: dict[str, Any],
) -> SessionPort:
    from .errors import FeatureNotSupported  # noqa: PLC0415 - as in connect
    from .tenancy import TenantId as Tenant  # noqa: PLC0415

    try:
        from .wire import WireOptions, WireSession, refuse_local  # noqa: PLC0415 - grpcio is an extra
    except ImportError as error:
        raise FeatureNotSupported(
            f"connections to servers need a package that is not here: {error.name}",
            hint="pip install 'jammi-sql[flight]'",
        ) from error
    refuse_local(broker=broker, read_only=read_only)
    return WireSession(WireOptions.of(target, options), Tenant.optional(tenant), autocommit=autocommit)
