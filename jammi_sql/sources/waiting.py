"""Calls that may take long inside a driver, while their caller looks around."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextvars import ContextVar
from queue import Empty, SimpleQueue
from typing import Final, Generic, TypeVar

from .source import Check

__all__ = ["STRETCH", "Ended", "asked_once", "attended"]

STRETCH: Final = 0.2
"""Seconds that a wait lasts at most before its check is asked."""

asked_once: ContextVar[bool] = ContextVar("asked_once", default=False)
"""Whether a source that cannot be reached is not tried again: it is one of many that are listed."""

_T = TypeVar("_T")


class Ended(Exception):
    """What the check of a thread raises whose result nobody waits for any more; no user sees it."""


class _Call(Generic[_T]):
    """A call in a thread of its own."""

    __slots__ = ("_call", "_late", "_mutex", "_result", "abandoned")

    def __init__(self, call: Callable[[], _T], late: Callable[[_T], None]) -> None:
        self._call = call
        self._late = late
        self._result: SimpleQueue[tuple[_T | None, BaseException | None]] = SimpleQueue()
        self._mutex = threading.Lock()
        self.abandoned = False

    def run(self) -> None:
        result: _T | None = None
        failure: BaseException | None = None
        try:
            result = self._call()
        except BaseException as error:  # raised where it is waited for
            failure = error
        with self._mutex:
            abandoned = self.abandoned
            if not abandoned:
                self._result.put((result, failure))
        if abandoned and failure is None:
            self._late(result)  # type: ignore[arg-type] # there is a result where there is no failure

    def outcome(self, timeout: float) -> tuple[_T | None, BaseException | None]:
        return self._result.get(timeout=timeout)

    def abandon(self) -> _T | None:
        """Nobody waits any more: what came just now, else ``late`` gets it."""
        with self._mutex:
            self.abandoned = True
        try:
            return self._result.get_nowait()[0]
        except Empty:
            return None


def attended(
    call: Callable[[], _T],
    check: Check | None,
    *,
    end: Callable[[], None],
    late: Callable[[_T], None] = lambda _: None,
    patience: float = 1.0,
) -> _T:
    """What ``call`` returns, run in a thread of its own; ``check`` is asked five times a second meanwhile.

    Where ``check`` raises, or Ctrl-C comes, ``end`` is to stop the call (it MUST NOT block), which is waited for at most
    ``patience`` seconds. A result that comes after all goes to ``late``.
    """
    running = _Call(call, late)
    threading.Thread(target=running.run, name="jammi-source-call", daemon=True).start()
    try:
        while True:
            try:
                result, failure = running.outcome(STRETCH)
                break
            except Empty:
                if check is not None:
                    check()
    except BaseException:
        end()
        deadline = time.monotonic() + patience
        try:
            unwanted, _ = running.outcome(max(0.0, deadline - time.monotonic()))
        except Empty:
            unwanted = running.abandon()
        if unwanted is not None:
            late(unwanted)
        raise
    if failure is not None:
        raise failure
    return result  # type: ignore[return-value] # there is a result where there is no failure
