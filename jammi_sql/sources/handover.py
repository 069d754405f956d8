"""Batches on their way from the thread that reads them to the one that wants them."""

from __future__ import annotations

from queue import Empty, SimpleQueue
from typing import Final

import pyarrow as pa

from .source import Check
from .waiting import STRETCH

__all__ = ["Handover"]

_END: Final = object()


class Handover:
    """A few batches at most, then the end or an error. For one reader and one taker.

    Of two queues made in C, one for batches and one for places: an interrupt leaves neither of them locked.
    """

    __slots__ = ("_items", "_left", "_places", "most", "stalled")

    def __init__(self, places: int) -> None:
        self._items: SimpleQueue[object] = SimpleQueue()
        self._places: SimpleQueue[None] = SimpleQueue()
        for _ in range(places):
            self._places.put(None)
        self._left = False
        self.stalled = False
        """Whether the reader waits for a place: it is the taker that is slow."""
        self.most = 0
        """The most batches that were ever here at once."""

    def put(self, batch: pa.RecordBatch) -> bool:
        """Hand a batch over, once there is a place; false where the taker has left."""
        try:
            self._places.get_nowait()
        except Empty:
            self.stalled = True
            try:
                while not self._left:
                    try:
                        self._places.get(timeout=STRETCH)
                        break
                    except Empty:
                        continue
            finally:
                self.stalled = False
        if self._left:
            return False
        self._items.put(batch)
        self.most = max(self.most, self._items.qsize())
        return True

    def finish(self) -> None:
        """There is no more."""
        self._items.put(_END)

    def fail(self, error: BaseException) -> None:
        """There is no more, since ``error`` came."""
        self._items.put(error)

    def take(self, check: Check) -> pa.RecordBatch | None:
        """The next batch, ``None`` at the end; what the reader met is raised."""
        while True:
            try:
                item = self._items.get(timeout=STRETCH)
                break
            except Empty:
                check()
        if isinstance(item, pa.RecordBatch):
            self._places.put(None)
            return item
        self._items.put(item)  # for who asks again
        if isinstance(item, BaseException):
            raise item
        return None

    def leave(self) -> None:
        """The taker wants no more. May be called twice."""
        self._left = True
        self._places.put(None)
