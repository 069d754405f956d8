"""One compaction, or other work of its kind, at a time on a store, in whichever process."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ...errors import LockNotAvailable
from ...ports import Store

__all__ = ["CompactionLock"]

_NAME = "compacting"
_PAUSE = 0.05


class CompactionLock:
    """A claim of the store, which is given back when its holder dies. Two engines of one process exclude each other too."""

    def __init__(self, store: Store, timeout: float = 600.0, name: str = _NAME, what: str = "compaction") -> None:
        """``name`` is that of the claim, ``what`` the work that it is for."""
        self._store = store
        self._name = name
        self._what = what
        self._timeout = timeout

    @contextmanager
    def held(self, check: Callable[[], None]) -> Iterator[None]:
        """Wait for it; ``check`` is called meanwhile. ``LockNotAvailable`` (55P03) after the timeout."""
        deadline = time.monotonic() + self._timeout
        while True:
            with self.tried() as held:
                if held:
                    yield
                    return
            check()
            if time.monotonic() >= deadline:
                raise LockNotAvailable(
                    f"another {self._what} of the store still ran after {self._timeout:g} s", hint="try again later"
                )
            time.sleep(_PAUSE)

    @contextmanager
    def tried(self) -> Iterator[bool]:
        """Take it if it is free; whether it was."""
        claim = self._store.claim(self._name)
        try:
            yield claim is not None
        finally:
            if claim is not None:
                claim.close()
