"""Errors of ADBC's SQLite driver in this package's classes.

The driver gives no SQLite codes, so the message is read: SQLite's texts (``sqlite3ErrStr`` and the constraint messages)
have been the same for many years. They name tables and columns, never values.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Final

from ..errors import (
    DataCorrupted,
    DataError,
    DiskFull,
    Error,
    IntegrityError,
    LockNotAvailable,
    NotNullViolation,
    OperationalError,
    QueryCanceled,
    ReadOnlyStore,
    StoreIOError,
    StoreVersionError,
    UniqueViolation,
)

__all__ = ["locked", "translated"]

# ADBC's status before SQLite's text, and the statement after it.
_PREFIX: Final = re.compile(r"^(?:[A-Z_]+: )?(?:\[SQLite\] )?(?:[Ff]ailed to (?:step|prepare|execute) query: )?")

# In this order: the first text found in the message decides.
_RULES: Final[tuple[tuple[str, Callable[..., Error], str | None], ...]] = (
    ("unique constraint failed", UniqueViolation, None),
    ("not null constraint failed", NotNullViolation, None),
    ("constraint failed", IntegrityError, None),
    ("disk is full", DiskFull, "free space (the store is intact and readable), then run it again"),
    ("readonly database", ReadOnlyStore, "check the permissions of the store's folder and files"),
    ("file is not a database", StoreVersionError, "give another folder; this one was left as it is"),
    ("unsupported file format", StoreVersionError, "give another folder; this one was left as it is"),
    ("malformed", DataCorrupted, "restore the store from a backup; reads of undamaged topics go on"),
    ("type mismatch", DataCorrupted, None),
    ("disk i/o error", StoreIOError, "check the disk and the file system of the store's folder"),
    ("unable to open database file", StoreIOError, "check that the store's folder exists and may be written"),
    ("failed to open", StoreIOError, "check that the store's folder exists and may be written"),
    ("interrupted", QueryCanceled, None),
    (
        "string or blob too big",
        partial(DataError, sqlstate="54000"),
        "a batch is at most some 1,000,000,000 bytes: publish smaller ones",
    ),
)
_LOCKED: Final = ("database is locked", "table is locked", "schema is locked", "locking protocol")


def translated(error: BaseException, doing: str) -> Error:
    """The error to raise ``from error``; ``doing`` names the query or the step, for the message."""
    text = _text(error)
    message = f"{doing}: {text}"
    if locked(error):
        return LockNotAvailable(
            message, hint="another process writes to the store: run it again, or give a longer lock_timeout"
        )
    lower = text.lower()
    for part, kind, hint in _RULES:
        if part in lower:
            return kind(message, hint=hint)
    return OperationalError(message)


def locked(error: BaseException) -> bool:
    """Whether somebody else had the lock, so that trying again may succeed."""
    text = _text(error).lower()
    return any(part in text for part in _LOCKED)


def _text(error: BaseException) -> str:
    first_line, _, _ = str(error).partition("\n")
    return _PREFIX.sub("", first_line)
