"""A scan whose texts are read by threads of its own, ahead of who takes the batches."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Final, Protocol

import pyarrow as pa

from ..errors import ConnectionClosed, ConnectionLost
from ..finalizing import finalize, ready
from .handover import Handover
from .link import Link
from .source import Check
from .waiting import STRETCH, Ended

__all__ = ["Reading", "ThreadedScan"]

_PLACES: Final = 3
"""Batches that wait for who takes them; one more is in the reader's hands."""
_PATIENCE: Final = 1.0  # seconds
_PAUSE: Final = 0.1


class Reading(Protocol):
    """How a source reads a text."""

    retry_for: float
    """Seconds in which a lost connection is tried again, before the first row."""

    def begin(self, parts: int, check: Check) -> None:
        """Before the first text is sent, once: fix the moment that all of them see."""
        ...

    def link(self, check: Check, stalled: Callable[[], bool]) -> AbstractContextManager[Link]:
        """A connection that sees the moment, the caller's alone: given back when all was well, else closed. ``stalled``
        says whether its reader waits for who takes the batches."""
        ...

    def batches(self, link: Link, text: str) -> Iterator[pa.RecordBatch]:
        """The rows of the text, cast to the scan's schema."""
        ...

    def end(self) -> None:
        """No text will be sent any more. From any thread, more than once; never blocks, never raises."""
        ...


class _Part:
    """One text, its thread and its batches."""

    __slots__ = ("handover", "link", "stopped", "text", "thread")

    def __init__(self, text: str) -> None:
        self.text = text
        self.handover = Handover(_PLACES)
        self.thread: threading.Thread | None = None
        self.link: Link | None = None
        self.stopped = threading.Event()

    def stop(self) -> None:
        self.stopped.set()
        self.handover.leave()
        link = self.link
        if link is not None and self.thread is not None and self.thread.is_alive():
            link.end()

    def check(self) -> None:
        if self.stopped.is_set():
            raise Ended


class _Work:
    """What the threads know: not the scan, so that one which nobody has any more is closed by the garbage collection."""

    def __init__(self, reading: Reading, texts: Sequence[str]) -> None:
        self.reading = reading
        self.parts = [_Part(text) for text in texts]
        self.mutex = threading.Lock()
        self.beginning = threading.Lock()
        self.began = False
        self.closed = False

    def read(self, part: _Part) -> None:
        try:
            self._read(part)
            part.handover.finish()
        except BaseException as error:  # raised where the batches are taken
            part.handover.fail(error)

    def _read(self, part: _Part) -> None:
        deadline = time.monotonic() + self.reading.retry_for
        while True:
            delivered = False
            try:
                self._begin(part)
                with self.reading.link(part.check, lambda: part.handover.stalled) as link:
                    part.link = link
                    try:
                        part.check()  # it may have been stopped before the link was known
                        for batch in self.reading.batches(link, part.text):
                            if not batch.num_rows:
                                continue
                            delivered = True
                            if not part.handover.put(batch):
                                raise Ended
                    finally:
                        part.link = None
                return
            except ConnectionLost:
                # Of several parts each sees the same moment, which ends with a connection.
                if delivered or len(self.parts) > 1 or part.stopped.is_set() or time.monotonic() >= deadline:
                    raise
            part.stopped.wait(_PAUSE)

    def _begin(self, part: _Part) -> None:
        while not self.beginning.acquire(timeout=STRETCH):
            part.check()
        try:
            if not self.began:
                self.reading.begin(len(self.parts), part.check)
                self.began = True
        finally:
            self.beginning.release()

    def close(self) -> None:
        with self.mutex:
            if self.closed:
                return
            self.closed = True
        for part in self.parts:
            part.stop()
        deadline = time.monotonic() + _PATIENCE
        for part in self.parts:
            thread = part.thread
            if thread is not None and thread is not threading.current_thread():
                thread.join(max(0.0, deadline - time.monotonic()))
        self.reading.end()


class ThreadedScan:
    """The ``RemoteScan`` of all sources that are read through ADBC."""

    def __init__(self, reading: Reading, texts: Sequence[str], check: Check) -> None:
        ready()
        self._work = _Work(reading, texts)
        self._check = check

    def stream(self, part: int) -> Iterator[pa.RecordBatch]:
        """As ``RemoteScan.stream``. A part is read once, from now on."""
        work = self._work
        mine = work.parts[part]
        with work.mutex:
            if work.closed or mine.thread is not None:
                raise ConnectionClosed("the scan is closed, or this part of it was read before")
            mine.thread = threading.Thread(target=work.read, args=(mine,), name="jammi-source-scan", daemon=True)
            mine.thread.start()
        return self._taken(mine)

    def _taken(self, mine: _Part) -> Iterator[pa.RecordBatch]:
        complete = False
        try:
            while (batch := mine.handover.take(self._watch)) is not None:
                yield batch
            complete = True
        except Ended:
            raise ConnectionClosed("the scan was closed while it was read") from None
        finally:
            if not complete:
                mine.stop()

    def _watch(self) -> None:
        try:
            self._check()
        except BaseException:
            self.close()
            raise

    @property
    def stalled(self) -> bool:
        """Whether a part's reader waits for who takes its batches."""
        return any(part.handover.stalled for part in self._work.parts)

    @property
    def most_waiting(self) -> int:
        """The most batches that ever waited in one part."""
        return max((part.handover.most for part in self._work.parts), default=0)

    def close(self) -> None:
        """As ``RemoteScan.close``."""
        self._work.close()

    def __del__(self) -> None:
        work = getattr(self, "_work", None)
        if work is not None and not work.closed:
            finalize(work.close)
