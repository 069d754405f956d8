"""Looks after calls that may wait long inside a driver, where nothing of ours runs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

__all__ = ["Watchdog"]

_STRETCH: Final = 0.2
"""Seconds between two looks."""


@dataclass(slots=True, eq=False)
class _Call:
    cancel: Callable[[], None]
    check: Callable[[], None]
    since: float
    refusal: BaseException | None = None


class Watchdog:
    """Asks a call's ``check`` five times a second while it runs, and cancels the call where that raises.

    Its thread runs while something is watched; a call that is over within a stretch costs two changes of a set.
    """

    def __init__(self) -> None:
        self._calls: dict[int, _Call] = {}
        self._mutex = threading.Lock()
        self._thread: threading.Thread | None = None
        self._wanted = threading.Event()
        self._closed = False

    @contextmanager
    def watching(self, cancel: Callable[[], None], check: Callable[[], None] | None) -> Iterator[None]:
        """Watch what runs inside. Where ``check`` raised, that is raised instead of what the cancelled call raised."""
        if check is None:
            yield
            return
        call = _Call(cancel, check, time.monotonic())
        self._calls[id(call)] = call
        if not self._wanted.is_set():
            self._start()
        try:
            yield
        except Exception as error:
            if call.refusal is not None:
                raise call.refusal from error
            raise
        finally:
            del self._calls[id(call)]

    def close(self) -> None:
        """End the thread."""
        self._closed = True
        self._wanted.set()

    def _start(self) -> None:
        with self._mutex:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="jammi-watchdog", daemon=True)
                self._thread.start()
            self._wanted.set()

    def _run(self) -> None:
        while not self._closed:
            self._wanted.wait()
            time.sleep(_STRETCH)
            calls = list(self._calls.values())
            if not calls:
                self._wanted.clear()
                if not self._calls:  # one that came just now set it, or sees it cleared
                    continue
                self._wanted.set()
            now = time.monotonic()
            for call in calls:
                if call.refusal is None and now - call.since >= _STRETCH / 2:
                    try:
                        call.check()
                    except BaseException as error:
                        call.refusal = error
                        call.cancel()
