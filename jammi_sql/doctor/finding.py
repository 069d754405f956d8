"""What a check finds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Generic, TypeVar

from ..logs import reason

__all__ = ["Check", "Finding", "Level", "examine", "ok", "problem", "warning"]

_Subject = TypeVar("_Subject")


class Level(Enum):
    """How bad it is."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report. ``advice`` says what to do, and is there for whatever is not fine."""

    level: Level
    message: str
    advice: str = ""
    check: str = ""


def ok(message: str) -> Finding:
    """All is well."""
    return Finding(Level.OK, message)


def warning(message: str, advice: str) -> Finding:
    """It works, and may hurt one day."""
    return Finding(Level.WARNING, message, advice)


def problem(message: str, advice: str) -> Finding:
    """It does not work, or loses data."""
    return Finding(Level.PROBLEM, message, advice)


@dataclass(frozen=True, slots=True)
class Check(Generic[_Subject]):
    """One look at a subject, which it MUST NOT change. Unless a ``vital`` one finds all well, the others have no sense."""

    name: str
    look: Callable[[_Subject], Iterable[Finding]]
    vital: bool = False


def examine(subject: _Subject, checks: Sequence[Check[_Subject]]) -> Iterator[Finding]:
    """What ``checks`` find, in their order. One that fails is a problem itself."""
    for check in checks:
        found: list[Finding] = []
        try:
            found.extend(check.look(subject))
        except Exception as error:
            found.append(problem(f"could not be looked at: {reason(error)}", "see to that first, then look again"))
        for finding in found:
            yield Finding(finding.level, finding.message, finding.advice, check.name)
        if check.vital and any(finding.level is not Level.OK for finding in found):
            return
