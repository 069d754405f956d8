"""Work on DataFusion that cannot be done on the thread which plans with it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from ...checking import current_check

__all__ = ["aside"]

_T = TypeVar("_T")
_PAUSE = 0.1


def aside(work: Callable[[], _T]) -> _T:
    """``work()`` on another thread: DataFusion asks for relations while it plans, and must not be called from there.

    What ends the statement ends the wait; the work goes on to its end, unseen.
    """
    done: list[_T] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            done.append(work())
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=run, name="jammi-files", daemon=True)
    check = current_check()
    thread.start()
    thread.join(_PAUSE)
    while thread.is_alive():
        if check is not None:
            check()
        thread.join(_PAUSE)
    if failed:
        raise failed[0]
    return done[0]
