"""What may end the statement that this thread runs: for whoever waits below, where it was not handed down."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["checked", "current_check"]


class _Local(threading.local):
    check: Callable[[], None] | None = None


_local = _Local()


@contextmanager
def checked(check: Callable[[], None]) -> Iterator[None]:
    """Within, ``current_check`` of this thread is ``check``, which raises where the statement is to end."""
    before = _local.check
    _local.check = check
    try:
        yield
    finally:
        _local.check = before


def current_check() -> Callable[[], None] | None:
    """The innermost one of this thread."""
    return _local.check
