"""Errors of sources in this package's classes."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Final

from ..adbc import postgres_errors
from ..errors import (
    ConnectionLost,
    DataCorrupted,
    DataError,
    DiskFull,
    DuplicateObject,
    Error,
    IntegrityError,
    InternalError,
    LockNotAvailable,
    NotNullViolation,
    NotSupportedError,
    NumericValueOutOfRange,
    OperationalError,
    PermissionDenied,
    ProgrammingError,
    QueryCanceled,
    ReadOnlyStore,
    SerializationFailure,
    StatementSyntaxError,
    UndefinedColumn,
    UndefinedTable,
    UniqueViolation,
)

__all__ = ["of_duckdb", "of_other", "of_postgres", "of_sqlite", "refused"]

_REFUSAL: Final = re.compile(r"jammi: column ([^\"'\n]*?) *[\"'\n]")
_READ_AS_TEXT: Final = "leave the column out, or read it as text with remote_query"
_INTERVAL: Final = re.compile(r"Interval with time value")

_HINTS: Final[dict[type[Error], str | None]] = {
    PermissionDenied: "grant it to the role that the source is attached with",
    ReadOnlyStore: "the server is a standby, or the role may only read",
    LockNotAvailable: "somebody else has the lock: try again",
    SerializationFailure: "run it again",
    ConnectionLost: "run it again: a new connection is made",
    UndefinedTable: "if it was changed there, run it again: what was remembered of the source's tables is forgotten",
    UndefinedColumn: "if it was changed there, run it again: what was remembered of the source's tables is forgotten",
    QueryCanceled: "the source has a statement_timeout, or somebody cancelled it there",
}
"""Instead of those for a store."""


def refused(text: str) -> Error | None:
    """The error of a value that an expression of ours refused, by ``names.refusal``."""
    found = _REFUSAL.search(text)
    if found is None:
        return None
    return DataError(f"column {found.group(1)}", hint=_READ_AS_TEXT)


def of_postgres(error: BaseException, doing: str) -> Error:
    """One of ADBC's PostgreSQL driver, with the server's SQLSTATE."""
    text = str(error)
    own = refused(text)
    if own is not None:
        return own
    if _INTERVAL.search(text):
        return NumericValueOutOfRange(
            f"{doing}: an interval column has a value whose time does not fit into nanoseconds", hint=_READ_AS_TEXT
        )
    found = postgres_errors.translated(error, doing)
    state = (getattr(error, "sqlstate", None) or "").strip("\0")
    if state.strip("0"):
        found.sqlstate = state
    if type(found) is OperationalError and state.startswith("42"):
        kind = StatementSyntaxError if state == "42601" else ProgrammingError
        return kind(found.message, sqlstate=state, hint=_HINTS[UndefinedColumn])
    if "no password supplied" in text:
        return OperationalError(found.message, sqlstate="28000", hint="name it: (password 'env:NAME') or 'file:path'")
    if isinstance(found, ConnectionLost) and doing.startswith("connecting"):
        found.hint = "check the address, and that the server runs"
    elif type(found) in _HINTS:
        found.hint = _HINTS[type(found)]
    elif type(found) is OperationalError and found.sqlstate == "53300":
        found.hint = "raise max_connections on the server, or attach it with a smaller pool_size"
    return found


# In this order: the first text found in SQLite's message decides.
_SQLITE: Final[tuple[tuple[str, Callable[..., Error], str | None], ...]] = (
    ("unique constraint failed", UniqueViolation, None),
    ("not null constraint failed", NotNullViolation, None),
    ("constraint failed", IntegrityError, None),
    (
        "is locked",
        LockNotAvailable,
        "another one writes to the file: try again, or attach it with a longer busy_timeout",
    ),
    ("locking protocol", LockNotAvailable, "another one writes to the file: try again"),
    ("readonly database", ReadOnlyStore, "check the permissions of the file and of its folder"),
    ("no such table", UndefinedTable, _HINTS[UndefinedTable]),
    ("no such column", UndefinedColumn, _HINTS[UndefinedColumn]),
    ("already exists", DuplicateObject, None),
    ("syntax error", StatementSyntaxError, None),
    ("integer overflow", NumericValueOutOfRange, None),
    ("disk is full", DiskFull, "free space, then run it again"),
    (
        "file is not a database",
        partial(OperationalError, sqlstate="58030"),
        "it is no SQLite file, or an encrypted one",
    ),
    ("malformed", DataCorrupted, "restore the file from a backup"),
    ("disk i/o error", partial(OperationalError, sqlstate="58030"), None),
    ("unable to open", partial(OperationalError, sqlstate="58030"), "check that the file exists and may be read"),
    ("failed to open", partial(OperationalError, sqlstate="58030"), "check that the file exists and may be read"),
    ("interrupted", QueryCanceled, None),
)
_SQLITE_PREFIX: Final = re.compile(r"^(?:[A-Z_]+: )?(?:\[SQLite\] )?(?:[Ff]ailed to (?:step|prepare|execute) query: )?")


def of_sqlite(error: BaseException, doing: str) -> Error:
    """One of ADBC's SQLite driver, which has no codes: SQLite's own texts are read."""
    if isinstance(error, UnicodeDecodeError):
        return DataError(f"{doing}: a text is not UTF-8", sqlstate="22021", hint=_READ_AS_TEXT)
    text = str(error)
    own = refused(text)
    if own is not None:
        return own
    # The statement follows in the next lines, with its values.
    line = _SQLITE_PREFIX.sub("", text.partition("\n")[0])
    lower = line.lower()
    for part, kind, hint in _SQLITE:
        if part in lower:
            return kind(f"{doing}: {line}", hint=hint)
    return OperationalError(f"{doing}: {line}")


_DUCKDB: Final[tuple[tuple[str, Callable[..., Error], str | None], ...]] = (
    ("catalog error: table with name", UndefinedTable, _HINTS[UndefinedTable]),
    ("already exists", DuplicateObject, None),
    ("parser error", StatementSyntaxError, None),
    ("binder error: referenced column", UndefinedColumn, _HINTS[UndefinedColumn]),
    ("constraint error: not null", NotNullViolation, None),
    ("duplicate key", UniqueViolation, None),
    ("constraint error", IntegrityError, None),
    ("out of range", NumericValueOutOfRange, None),
    ("conversion error", DataError, None),
    ("could not set lock", LockNotAvailable, "another process has the file open: DuckDB lets one write, or many read"),
    ("different configuration", LockNotAvailable, "this process has the file open in another way: end its reads first"),
    ("read-only", ReadOnlyStore, None),
    ("interrupt", QueryCanceled, None),
)
_STATUS: Final = re.compile(r"^(?:[A-Z_]+: )?(?:\[[\w ]+\] )?")
_LOST: Final = (
    "unavailable",
    "connection refused",
    "connection reset",
    "broken pipe",
    "error reading from server",
    "eof",
)


def of_duckdb(error: BaseException, doing: str) -> Error:
    """One of DuckDB's, by the first line of its text."""
    own = refused(str(error))
    if own is not None:
        return own
    line = _STATUS.sub("", str(error).partition("\n")[0])
    lower = line.lower()
    for part, kind, hint in _DUCKDB:
        if part in lower:
            return kind(f"{doing}: {line}", hint=hint)
    return OperationalError(f"{doing}: {line}")


def of_other(error: BaseException, doing: str) -> Error:
    """One of any other driver, in its own PEP 249 class and SQLSTATE, as far as it gives them."""
    line = _STATUS.sub("", str(error).partition("\n")[0]).partition(". Detail: ")[0]
    lower = line.lower()
    message = f"{doing}: {line}"
    state = (getattr(error, "sqlstate", None) or "").strip("\0") or None
    told = _TOLD.match(line)  # a Jammi server's, whose driver passes on the text alone
    if told is not None:
        state, message = told[1], f"{doing}: {told[2]}"
    status = getattr(getattr(error, "status_code", None), "name", "")
    if status in ("UNAUTHENTICATED", "UNAUTHORIZED"):
        return OperationalError(message, sqlstate="28000", hint="check the user, the password or the token")
    if any(part in lower for part in _LOST) or (state or "").startswith("08"):
        return ConnectionLost(message, hint="check that the server runs, and its address")
    for prefix in (state or "", (state or "")[:2]):
        if told is not None and prefix in _STATES:
            kind = _STATES[prefix]
            return kind(message, sqlstate=state, hint=_HINTS.get(kind))
    if status in _STATUSES:
        return _STATUSES[status](message)
    for name in type(error).__mro__:
        own = _CLASSES.get(name.__name__)
        if own is not None:
            return own(message, sqlstate=state if state and state.strip("0") else None)
    return OperationalError(message, sqlstate=state)


_TOLD: Final = re.compile(r"\[([0-9A-Z]{5})\] (.*)")
_STATES: Final[dict[str, type[Error]]] = {
    "0A": NotSupportedError,
    "22": DataError,
    "22003": NumericValueOutOfRange,
    "23": IntegrityError,
    "23502": NotNullViolation,
    "23505": UniqueViolation,
    "25006": ReadOnlyStore,
    "40": SerializationFailure,
    "42": ProgrammingError,
    "42501": PermissionDenied,
    "42601": StatementSyntaxError,
    "42703": UndefinedColumn,
    "42P01": UndefinedTable,
    "42P07": DuplicateObject,
    "53": OperationalError,
    "53100": DiskFull,
    "55P03": LockNotAvailable,
    "57014": QueryCanceled,
    "58": OperationalError,
}
_STATUSES: Final[dict[str, type[Error]]] = {
    "CANCELLED": QueryCanceled,
    "TIMEOUT": QueryCanceled,
    "ALREADY_EXISTS": DuplicateObject,
    "NOT_FOUND": UndefinedTable,
    "NOT_IMPLEMENTED": NotSupportedError,
}
_CLASSES: Final[dict[str, type[Error]]] = {
    "DataError": DataError,
    "IntegrityError": IntegrityError,
    "ProgrammingError": ProgrammingError,
    "NotSupportedError": NotSupportedError,
    "InternalError": InternalError,
    "OperationalError": OperationalError,
}
