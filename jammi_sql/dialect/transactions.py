"""BEGIN, COMMIT, ROLLBACK and savepoints."""

from __future__ import annotations

from .cursor import Cursor
from .statements import Begin, Commit, Release, Rollback, RollbackTo, Savepoint, Statement

__all__ = ["read_begin", "read_commit", "read_release", "read_rollback", "read_savepoint", "read_start"]

_SAVEPOINT = "the savepoint's name"


def read_begin(cursor: Cursor) -> Statement:
    """``BEGIN [TRANSACTION | WORK]``."""
    cursor.grammar = "BEGIN [TRANSACTION]; a transaction takes no modes"
    return _plain(cursor, Begin())


def read_start(cursor: Cursor) -> Statement:
    """``START TRANSACTION``."""
    cursor.grammar = "START TRANSACTION; a transaction takes no modes"
    cursor.expect("START", "TRANSACTION")
    cursor.finish()
    return Begin()


def read_commit(cursor: Cursor) -> Statement:
    """``COMMIT [TRANSACTION | WORK]`` and ``END``."""
    cursor.grammar = "COMMIT [TRANSACTION]"
    return _plain(cursor, Commit())


def read_rollback(cursor: Cursor) -> Statement:
    """``ROLLBACK [TRANSACTION | WORK] [TO [SAVEPOINT] name]`` and ``ABORT``."""
    cursor.grammar = "ROLLBACK [TRANSACTION], or ROLLBACK TO [SAVEPOINT] name"
    following = 2 if cursor.keyword(1) in {"TRANSACTION", "WORK"} else 1
    if not cursor.at("ROLLBACK") or cursor.keyword(following) != "TO":
        return _plain(cursor, Rollback())
    cursor.index += following
    cursor.expect("TO")
    _skip_savepoint(cursor)
    position = cursor.position
    name = cursor.identifier(_SAVEPOINT)
    cursor.finish()
    return RollbackTo(name, position)


def read_savepoint(cursor: Cursor) -> Statement:
    """``SAVEPOINT name``."""
    cursor.grammar = "SAVEPOINT name"
    cursor.expect("SAVEPOINT")
    name = cursor.identifier(_SAVEPOINT)
    cursor.finish()
    return Savepoint(name)


def read_release(cursor: Cursor) -> Statement:
    """``RELEASE [SAVEPOINT] name``."""
    cursor.grammar = "RELEASE [SAVEPOINT] name"
    cursor.expect("RELEASE")
    _skip_savepoint(cursor)
    position = cursor.position
    name = cursor.identifier(_SAVEPOINT)
    cursor.finish()
    return Release(name, position)


def _plain(cursor: Cursor, statement: Statement) -> Statement:
    cursor.index += 1
    cursor.accept_any("TRANSACTION", "WORK")
    cursor.finish()
    return statement


def _skip_savepoint(cursor: Cursor) -> None:
    # A savepoint may itself be called savepoint.
    if cursor.at("SAVEPOINT") and cursor.peek(1) is not None:
        cursor.index += 1
