"""Jammi SQL: durable event topics, tables and attached databases in one SQL session, on DataFusion.

``connect`` gives a PEP 249 connection; ``Engine`` is the Python interface to topics.
"""

from __future__ import annotations

import os
from typing import Any

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

    ``target``: a folder, made if missing; ``":memory:"`` or ``None`` for a private temporary store. ``broker``: an
    object
    with the ``Broker`` contract, or ``"memory"``; without one, publishes of other processes on the same store arrive
    too. ``options``: ``udfs`` (a folder of functions), ``lock_timeout`` (seconds), ``max_bytes``.
    """
    engine = Engine.open(target, broker, read_only=read_only, **options)
    try:
        return Connection(engine.sql_session(tenant, autocommit=autocommit, owns_engine=True))
    except BaseException:
        engine.close()
        raise
