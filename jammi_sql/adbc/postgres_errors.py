"""Errors of ADBC's PostgreSQL driver in this package's classes, by SQLSTATE.

Of the server's report the first line is kept: the others (DETAIL, CONTEXT, the statement) have values in them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Final

from ..errors import (
    ConnectionLost,
    DataCorrupted,
    DataError,
    DiskFull,
    Error,
    FailedTransaction,
    IntegrityError,
    InternalError,
    LockNotAvailable,
    NotNullViolation,
    NumericValueOutOfRange,
    OperationalError,
    PermissionDenied,
    QueryCanceled,
    ReadOnlyStore,
    SerializationFailure,
    UndefinedColumn,
    UndefinedTable,
    UniqueViolation,
)

__all__ = ["translated"]

_REPORT: Final = re.compile(r"\b[A-Z]{4,}:  ([^\n]*)")  # "ERROR:  ", in the server's language, and its first line
_LIBPQ: Final = re.compile(r"\[libpq\] (?:[^:]*: )?([^\n]*)")

_NO_DATABASE: Final = re.compile(r'database "[^"]*" does not exist')

_LONG_KEY: Final = (
    "a key or an indexed value is at most some 2,700 bytes in PostgreSQL: shorten it, or index another column"
)
_REFUSED: Final = "check the database, the user, the password and pg_hba.conf"
_RECONNECT: Final = "run it again: a new connection is made"

_KINDS: Final[dict[str, tuple[Callable[..., Error], str | None]]] = {
    "23505": (UniqueViolation, None),
    "23502": (NotNullViolation, None),
    "23": (IntegrityError, None),
    "22003": (NumericValueOutOfRange, None),
    "22": (DataError, None),
    "54000": (partial(DataError, sqlstate="54000"), _LONG_KEY),
    "54": (partial(DataError, sqlstate="54000"), "write less at once"),
    "42P01": (UndefinedTable, None),
    "42703": (UndefinedColumn, None),
    "42501": (PermissionDenied, "grant it to the store's role: docs/how-to/postgres.md lists what it needs"),
    "40P01": (partial(SerializationFailure, sqlstate="40P01"), "roll back, and run the transaction again"),
    "40": (SerializationFailure, "roll back, and run the transaction again"),
    "55P03": (
        LockNotAvailable,
        "another transaction writes to the same topic or table: try again, or raise lock_timeout",
    ),
    "57014": (QueryCanceled, None),
    "25006": (ReadOnlyStore, "the server is a standby, or the role may only read"),
    "25P02": (FailedTransaction, "roll it back, then run it again"),
    "53100": (DiskFull, "free space on the server (the store is intact and readable), then run it again"),
    "53300": (partial(OperationalError, sqlstate="53300"), "raise max_connections on the server, or lower pool_size"),
    "53": (OperationalError, "the server has too little of something: its log says of what"),
    "28": (partial(OperationalError, sqlstate="28000"), _REFUSED),
    "3D000": (partial(OperationalError, sqlstate="3D000"), "create the database first"),
    "XX001": (DataCorrupted, "restore the database from a backup"),
    "XX002": (DataCorrupted, "REINDEX the index that the server's log names"),
    "XX": (InternalError, "the server's log says more"),
}
_LOST_STATES: Final = ("08", "57P")
_BUSY_TEXTS: Final = (
    "starting up",
    "shutting down",
    "recovery mode",
    "not yet accepting",
    "too many",
    "reserved for",
    "terminating connection",
    "canceling authentication",
    "could not fork",
)
"""What a server says at the door that may take somebody in later."""
_LOST_TEXTS: Final = (
    "server closed the connection",
    "no connection to the server",
    "connection not open",
    "could not receive data from server",
    "could not send data to server",
    "connection to server",
    "terminating connection",
    "ssl connection has been closed",
    "ssl syscall error",
    "ssl error",
    "could not translate host name",
)


def translated(error: BaseException, doing: str) -> Error:
    """The error to raise ``from error``; ``doing`` names the query or the step, for the message."""
    state = (getattr(error, "sqlstate", None) or "").strip("\0")
    text = str(error)
    message = f"{doing}: {_first_line(text)}"
    if _says_lost(text.lower(), state):
        code = state if state.startswith(_LOST_STATES) else None
        return ConnectionLost(message, sqlstate=code, hint=_RECONNECT)
    for prefix in (state, state[:2]):
        if prefix in _KINDS:
            kind, hint = _KINDS[prefix]
            return kind(message, hint=hint)
    if _NO_DATABASE.search(message):
        return OperationalError(message, sqlstate="3D000", hint="check the name of the database, or create it first")
    if "connection to server" in text:  # refused at the door, of which the driver gives no SQLSTATE
        return OperationalError(message, sqlstate="28000", hint=_REFUSED)
    return OperationalError(message, sqlstate=state or None)


def _says_lost(text: str, state: str) -> bool:
    if state.startswith(_LOST_STATES):
        return True
    if state.strip("0"):
        return False
    if "connection to server" in text and "fatal:" in text:
        return any(part in text for part in _BUSY_TEXTS)
    return any(part in text for part in _LOST_TEXTS)


def _first_line(text: str) -> str:
    report = _REPORT.search(text)
    if report is not None:
        return report.group(1).strip()
    own = _LIBPQ.search(text)
    if own is None:
        return text.split("\n", 1)[0]
    return own.group(1).strip() or "the connection failed"
