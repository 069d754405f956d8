"""The thread that compacts and sweeps in the background."""

from __future__ import annotations

import logging
import threading

from ...logs import about, reason
from .compactor import Compactor
from .reader import SegmentReader
from .sweeper import SegmentSweeper

__all__ = ["SegmentKeeper"]

_logger = logging.getLogger("jammi_sql.topics")


class SegmentKeeper:
    """One thread per engine that, once a second, moves what is sealed, and closes and deletes files that nobody needs."""

    def __init__(
        self, compactor: Compactor, sweeper: SegmentSweeper, files: SegmentReader, interval: float = 1.0
    ) -> None:
        self._compactor = compactor
        self._sweeper = sweeper
        self._files = files
        self._interval = interval
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="jammi-segments", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        told = ""
        while not self._closed.wait(self._interval):
            failure: Exception | None = None
            for work in (self._close_idle, self._compactor.round, self._sweeper.round):
                try:
                    work(self._closed)
                except Exception as error:  # a keeper that died would let the store grow without a word
                    failure = error
            said = "" if failure is None else reason(failure)
            if said and said != told and not self._closed.is_set():
                _logger.warning("segments cannot be kept: %s", said, extra=about(failure))
            told = said

    def _close_idle(self, stopped: threading.Event) -> None:
        self._files.close_idle()

    def close(self) -> None:
        """End the thread, after what it is writing."""
        self._closed.set()
        if self._thread is not threading.current_thread():
            self._thread.join(timeout=60)
