"""Statements that are run again where others stood in their way."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Final, TypeVar

from ..errors import is_transient

__all__ = ["retried"]

_TRIES: Final = 6
_FIRST_PAUSE: Final = 0.01  # seconds; doubled each time, and cut at random so that two do not meet again

_T = TypeVar("_T")


def retried(call: Callable[[], _T], check: Callable[[], None], on_retry: Callable[[str], None] | None = None) -> _T:
    """Call, and call again after an error that says that the transaction may succeed when it is run again.

    ``call`` is one transaction, of which an error leaves nothing. ``check`` is called before each repetition; what it raises
    ends it. The last error is raised after six tries.
    """
    pause = _FIRST_PAUSE
    for _ in range(_TRIES - 1):
        try:
            return call()
        except Exception as error:
            if not is_transient(error):
                raise
        if on_retry is not None:
            on_retry("serialization")
        time.sleep(random.uniform(pause / 2, pause))
        pause *= 2
        check()
    return call()
