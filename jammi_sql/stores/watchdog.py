"""Looks after calls that may wait for ever inside a driver, where nothing of ours runs."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Sequence
from types import TracebackType
from typing import Final, Protocol

from ..errors import Error

__all__ = ["Call", "Watchdog", "Watched"]

_logger = logging.getLogger("jammi_sql.stores")

_STRETCH: Final = 0.2
"""Seconds between two looks."""
_PATIENCE: Final = 2.0
"""Seconds that a cancelled call may go on before its connection is severed: nothing comes back on it."""
_SILENCE: Final = 5.0
"""Seconds without an answer after which the server is asked whether it is at work on it, and between two such questions."""
_PROBE_LIMIT: Final = 15.0
"""Seconds after which such a question counts as unanswered."""


class Watched(Protocol):
    """A connection on which a call runs."""

    server_process: int
    """What the server calls it."""

    def cancel(self) -> None:
        """Ask the server to end the call. May block where the server is silent."""
        ...

    def sever(self) -> bool:
        """Let the call fail, whatever the server does; false where that is not possible. Never blocks."""
        ...


class Call:
    """A call that runs, as a context: where ``check`` raised, that is raised instead of what the ended call raised."""

    __slots__ = ("_calls", "asked_at", "check", "hopeless", "refusal", "refused_at", "since", "strikes", "watched")

    def __init__(self, calls: dict[int, Call], watched: Watched, check: Callable[[], None] | None) -> None:
        self._calls = calls
        self.watched = watched
        self.check = check
        self.since = self.asked_at = time.monotonic()
        self.strikes = 0
        self.hopeless = False
        self.refusal: BaseException | None = None
        self.refused_at = 0.0

    def __enter__(self) -> None:
        self._calls[id(self)] = self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        del self._calls[id(self)]
        if self.refusal is not None and isinstance(error, Exception):
            raise self.refusal from error


class Watchdog:
    """Asks the ``check`` of a call five times a second while it runs, and cancels the call where that raises.

    And it ends calls to which no answer will come: a connection through a network, or a proxy, that swallows what is said
    would else be waited on for ever. ``probe`` says on which of the server's processes the server is at work, by way of a
    new connection; a call is ended when that cannot be made, or says twice that the server is not at work on it.

    Its thread runs while something is watched; a call that is over within a stretch costs two changes of a dictionary.
    """

    def __init__(self, probe: Callable[[Collection[int]], Collection[int]]) -> None:
        self._probe = probe
        self._calls: dict[int, Call] = {}
        self._asking: _Question | None = None
        self._mutex = threading.Lock()
        self._thread: threading.Thread | None = None
        self._wanted = threading.Event()
        self._closed = False

    def watching(self, watched: Watched, check: Callable[[], None] | None) -> Call:
        """A context for one call on a connection."""
        if not self._wanted.is_set():
            self._start()
        return Call(self._calls, watched, check)

    def close(self) -> None:
        """End the thread."""
        self._closed = True
        self._wanted.set()

    def _start(self) -> None:
        with self._mutex:
            if not self._closed and (self._thread is None or not self._thread.is_alive()):
                self._thread = threading.Thread(target=self._run, name="jammi-watchdog", daemon=True)
                self._thread.start()
            self._wanted.set()

    def _run(self) -> None:
        while True:
            self._wanted.wait()
            time.sleep(_STRETCH)
            calls = list(self._calls.values())
            if not calls:
                if self._closed:
                    return
                self._wanted.clear()
                if self._calls:  # one that came just now
                    self._wanted.set()
                continue
            now = time.monotonic()
            for call in calls:
                self._look(call, now)
            self._ask(calls, now)

    def _look(self, call: Call, now: float) -> None:
        if call.refusal is not None:
            if now - call.refused_at >= _PATIENCE:
                self._sever(call)
        elif call.check is not None and now - call.since >= _STRETCH / 2:
            try:
                call.check()
            except BaseException as error:
                call.refusal, call.refused_at = error, now
                # In a thread of its own: to a server that is silent it takes as long as the call itself.
                threading.Thread(target=call.watched.cancel, name="jammi-cancel", daemon=True).start()

    def _ask(self, calls: Sequence[Call], now: float) -> None:
        question = self._asking
        if question is None:
            silent = [call for call in calls if now - call.asked_at >= _SILENCE]
            if silent:
                self._asking = _Question(silent, self._probe, now)
            return
        if not question.answered and now - question.asked_at < _PROBE_LIMIT:
            return
        self._asking = None
        for call in question.calls:
            call.asked_at = now
            if id(call) not in self._calls:
                continue
            if question.working is None:
                self._sever(call)
            elif call.watched.server_process in question.working:
                call.strikes = 0
            else:
                call.strikes += 1
                if call.strikes > 1:
                    self._sever(call)

    def _sever(self, call: Call) -> None:
        if self._calls.get(id(call)) is call and not call.watched.sever() and not call.hopeless:
            call.hopeless = True
            _logger.warning("a call to the store gets no answer, and cannot be ended on this system")


class _Question:
    """On which calls the server is at work, asked in a thread of its own."""

    __slots__ = ("answered", "asked_at", "calls", "working")

    def __init__(
        self, calls: Sequence[Call], probe: Callable[[Collection[int]], Collection[int]], asked_at: float
    ) -> None:
        self.calls = calls
        self.asked_at = asked_at
        self.answered = False
        self.working: Collection[int] | None = None  # where nobody answers
        threading.Thread(target=self._ask, args=(probe,), name="jammi-probe", daemon=True).start()

    def _ask(self, probe: Callable[[Collection[int]], Collection[int]]) -> None:
        try:
            self.working = probe({call.watched.server_process for call in self.calls})
        except Error:
            pass
        finally:
            self.answered = True
