"""Named crash and failure points, inert unless a test arms them.

The code says ``faults.point("store.before_commit")`` at a place where a crash or an error must be survived. A
test arms the place, in its own process with ``armed`` or in a child's through the environment variable
``JAMMI_FAULTS``, which holds ``name=action`` pairs with commas between them. Actions are

``kill``
    the process kills itself with SIGKILL;
``error``
    ``OperationalError`` is raised;
``pause:seconds``
    the thread sleeps.

``@n`` behind an action (``kill@3``) means the n-th time that the point is reached and no other; without it, every time.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Final

from .errors import InvalidParameter, OperationalError

__all__ = ["POINTS", "VARIABLE", "Action", "armed", "point"]

Action = str | Callable[[], None]
"""What happens at a point: a text as above, or a function to call there."""

VARIABLE: Final = "JAMMI_FAULTS"
"""The environment variable that is read when this module is imported."""

POINTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "store.after_begin": "the write lock is held, nothing is written",
        "store.before_commit": "everything is written, nothing is committed",
        "store.after_commit": "the commit is on disk, its caller does not know yet",
        "store.migrate": "before each statement of a migration",
        "table.after_insert": "a batch of rows is in a table, uncommitted; the statement may have more",
        "table.after_update": "a batch of changes is made, uncommitted; the statement may have more",
        "table.after_delete": "a batch of rows is removed, uncommitted; the statement may have more",
        "table.after_version": "rows of a table are changed and its version is raised, uncommitted",
        "compact.before_file": "a stretch of the log is read, its file is not there yet",
        "compact.after_file": "the file of a segment is on disk, the store does not know it",
        "compact.before_switch": "the segment is in the catalogue, uncommitted",
        "compact.after_switch": "the segment is committed, its batches are left over",
        "compact.after_removal": "some of the batches left over are removed",
        "sweep.after_delete": "a dropped segment's file is deleted, the store still lists it",
        "cache.before_file": "a refresh of a cached table begins, its query has not run",
        "cache.after_file": "the new copy of a cached table is on disk, the store does not know it",
        "cache.before_switch": "the new copy is in the catalogue, uncommitted",
        "cache.after_switch": "the new copy is committed, the old one is still there",
        "publish.after_insert": "the batch is in the log's table, uncommitted",
        "publish.before_hand_over": "the publish is committed, the broker does not know yet",
        "publish.after_hand_over": "the broker has the batch, the publisher's caller no offset yet",
    }
)
"""Every point by name, with what is true there."""


def point(name: str) -> None:
    """Do here what ``name`` is armed with; nothing (some 30 ns) while no point is armed."""
    if _armed:
        fault = _armed.get(name)
        if fault is not None:
            fault.reach()


@contextmanager
def armed(name: str, action: Action) -> Iterator[None]:
    """Arm the point ``name`` inside the ``with`` block, in all threads of this process.

    Raises ``InvalidParameter`` for a name that is not in ``POINTS`` and for an action that is none.
    """
    previous = _armed.get(name)
    _arm(name, action)
    try:
        yield
    finally:
        if previous is None:
            del _armed[name]
        else:
            _armed[name] = previous


class _Fault:
    """An armed point, with its own count of the times it was reached."""

    __slots__ = ("_act", "_lock", "_nth", "_reached")

    def __init__(self, act: Callable[[], None], nth: int | None) -> None:
        self._act = act
        self._nth = nth
        self._reached = 0
        self._lock = threading.Lock()

    def reach(self) -> None:
        with self._lock:
            self._reached += 1
            due = self._nth is None or self._nth == self._reached
        if due:
            self._act()


_armed: dict[str, _Fault] = {}


def _arm(name: str, action: Action) -> None:
    if name not in POINTS:
        raise InvalidParameter(f"no fault point is named {name!r}", hint=f"the points are {', '.join(POINTS)}")
    if not isinstance(action, str):
        _armed[name] = _Fault(action, None)
        return
    verb, _, count = action.partition("@")
    try:
        nth = int(count) if count else None
        _armed[name] = _Fault(_parse(name, verb), nth)
    except ValueError:
        raise InvalidParameter(
            f"{action!r} is not what a fault point can do",
            hint="write kill, error or pause:seconds, each with @n or not",
        ) from None


def _parse(name: str, verb: str) -> Callable[[], None]:
    kind, _, argument = verb.partition(":")
    if kind == "pause":
        seconds = float(argument)
        return lambda: time.sleep(seconds)
    if verb == "kill":
        return lambda: os.kill(os.getpid(), signal.SIGKILL)
    if verb == "error":
        return lambda: _raise(name)
    raise ValueError(verb)


def _raise(name: str) -> None:
    raise OperationalError(f"a fault was injected at {name}")


for _pair in filter(None, os.environ.get(VARIABLE, "").split(",")):
    _name, _, _action = _pair.strip().partition("=")
    _arm(_name, _action)
