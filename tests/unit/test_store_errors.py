"""SQLite's messages in the classes of this package."""

from __future__ import annotations

import pytest

from jammi_sql.errors import (
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
from jammi_sql.stores.sqlite_errors import translated


@pytest.mark.parametrize(
    ("text", "kind", "sqlstate"),
    [
        ("database is locked", LockNotAvailable, "55P03"),
        ("database table is locked: item", LockNotAvailable, "55P03"),
        ("locking protocol", LockNotAvailable, "55P03"),
        ("database or disk is full", DiskFull, "53100"),
        ("attempt to write a readonly database", ReadOnlyStore, "25006"),
        ("disk I/O error", StoreIOError, "58030"),
        ("unable to open database file", StoreIOError, "58030"),
        ("file is not a database", StoreVersionError, "55000"),
        ("database disk image is malformed", DataCorrupted, "XX001"),
        ("UNIQUE constraint failed: t.a", UniqueViolation, "23505"),
        ("NOT NULL constraint failed: t.a", NotNullViolation, "23502"),
        ("FOREIGN KEY constraint failed", IntegrityError, "23000"),
        ("interrupted", QueryCanceled, "57014"),
        ("string or blob too big", DataError, "54000"),
        ("something new", OperationalError, "58000"),
    ],
)
@pytest.mark.parametrize(
    "prefix",
    [
        "IO: Failed to step query: ",
        "INVALID_ARGUMENT: [SQLite] Failed to prepare query: ",
        "INTEGRITY: failed to execute query: ",
    ],
)
def test_a_message_becomes_the_class_and_state_that_programs_can_act_on(
    prefix: str, text: str, kind: type[Error], sqlstate: str
) -> None:
    error = translated(OSError(f"{prefix}{text}\nquery: INSERT INTO t VALUES ('secret')"), "append_batch")
    assert (type(error), error.sqlstate, error.message) == (kind, sqlstate, f"append_batch: {text}")
