"""Ctrl-C that waits for a moment in which it does no harm."""

from __future__ import annotations

import signal
import threading
import traceback
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Self, TypeVar

__all__ = ["CtrlCHeld", "let_go"]

_T = TypeVar("_T")


def let_go(error: BaseException | None) -> None:
    """Empty the calls that Ctrl-C ended, if it was that.

    Its traceback keeps what they had in hand, such as a connection that was about to be given back, for which who closes
    the store would wait in vain.
    """
    if isinstance(error, KeyboardInterrupt):
        traceback.clear_frames(error.__traceback__)


class CtrlCHeld:
    """Ctrl-C is held back within, and raised at the end or by ``wait``, in which it has its usual effect.

    ``KeyboardInterrupt`` may come between any two steps of Python: between the bytes that a file took and the note that
    it took them, which writes them twice, or in what DataFusion asks of Python, which loses it. A second Ctrl-C is not
    held back, for what is written to may take nothing.
    Where Ctrl-C has another effect than that, or none, as in programs begun with ``nohup``, it keeps it.
    """

    def __init__(self) -> None:
        self._held = False
        self._pending = False
        self._thread: int | None = None

    @property
    def came(self) -> bool:
        """Whether one is held back now."""
        return self._pending

    def wait(self, call: Callable[[], _T]) -> _T:
        """What ``call`` gives, which Ctrl-C may end; in another thread than this is held in, as it is."""
        if threading.get_ident() != self._thread:
            return call()
        try:
            self._release()
            return call()
        finally:
            self._hold()

    def _hold(self) -> None:
        if threading.current_thread() is not threading.main_thread():  # which can set no handler, and needs none
            return
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            self._held = True
            signal.signal(signal.SIGINT, self._note)

    def _release(self) -> None:
        if self._held:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            self._held = False
        if self._pending:
            self._pending = False
            raise KeyboardInterrupt

    def _note(self, _signal: int, _frame: FrameType | None) -> None:
        if self._pending:
            raise KeyboardInterrupt
        self._pending = True

    def __enter__(self) -> Self:
        self._thread = threading.get_ident()
        self._hold()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._release()
