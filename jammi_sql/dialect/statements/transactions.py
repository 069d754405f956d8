"""Transactions and savepoints."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Begin", "Commit", "Release", "Rollback", "RollbackTo", "Savepoint"]


@dataclass(frozen=True, slots=True)
class Begin:
    """``BEGIN [TRANSACTION | WORK]`` or ``START TRANSACTION``."""


@dataclass(frozen=True, slots=True)
class Commit:
    """``COMMIT [TRANSACTION | WORK]`` or ``END``."""


@dataclass(frozen=True, slots=True)
class Rollback:
    """``ROLLBACK [TRANSACTION | WORK]`` or ``ABORT``."""


@dataclass(frozen=True, slots=True)
class Savepoint:
    """``SAVEPOINT name``."""

    name: str


@dataclass(frozen=True, slots=True)
class RollbackTo:
    """``ROLLBACK TO [SAVEPOINT] name``."""

    name: str
    position: int


@dataclass(frozen=True, slots=True)
class Release:
    """``RELEASE [SAVEPOINT] name``."""

    name: str
    position: int
