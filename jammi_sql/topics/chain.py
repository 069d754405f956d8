"""A queue with many readers, of which each item is held once and only for as long as somebody still wants it."""

from __future__ import annotations

import threading
import weakref
from collections import deque
from typing import Generic, TypeVar

__all__ = ["Chain", "Link"]

_T = TypeVar("_T")


class Link(Generic[_T]):
    """A place in a chain: what was appended there, and the place behind it; nothing yet at the end.

    ``seen`` is what the last reader found from here on, for the next one: the offset that it needed, the items, the
    offset behind them, and the place behind them.
    """

    __slots__ = ("__weakref__", "cut", "following", "seen")

    def __init__(self) -> None:
        self.following: tuple[_T, Link[_T]] | None = None
        self.cut = False
        self.seen: tuple[int, list[_T], int, Link[_T]] | None = None

    @property
    def followed(self) -> bool:
        """Whether a reader here has something to read, or has been cut off."""
        return self.following is not None or self.cut


class Chain(Generic[_T]):
    """Items in the order of their appending, each linked to the next one.

    A reader holds nothing but the link where it reads on. So what all have read is freed at once, and a slow reader
    keeps what it has not read, up to ``capacity`` items and ``byte_capacity`` bytes: then the chain is cut behind it,
    and it is told so when it reads. However many slow readers there are, that is all that they hold together.
    """

    __slots__ = ("_byte_capacity", "_bytes", "_capacity", "_kept", "_mutex", "end")

    def __init__(self, capacity: int, byte_capacity: int) -> None:
        self.end: Link[_T] = Link()
        """Where the next item comes."""
        self._capacity = capacity
        self._byte_capacity = byte_capacity
        self._kept: deque[tuple[weakref.ref[Link[_T]], int]] = deque()
        self._bytes = 0
        self._mutex = threading.Lock()

    def append(self, item: _T, size: int) -> None:
        """Add ``item`` of ``size`` bytes."""
        with self._mutex:
            last, self.end = self.end, Link()
            last.following = (item, self.end)
            self._kept.append((weakref.ref(last), size))
            self._bytes += size
            del last
            while self._kept:
                # A link lives when a reader is there or before it: those that nobody wants come first.
                link = self._kept[0][0]()
                if link is not None:
                    if len(self._kept) <= self._capacity and (
                        self._bytes <= self._byte_capacity or len(self._kept) == 1
                    ):
                        break
                    link.cut, link.following, link.seen = True, None, None
                self._bytes -= self._kept.popleft()[1]

    @staticmethod
    def read(link: Link[_T]) -> tuple[list[_T], Link[_T]] | None:
        """What was appended from ``link`` on, and where to read on; ``None`` where that was cut off."""
        items: list[_T] = []
        while (following := link.following) is not None:
            item, link = following
            items.append(item)
        return None if link.cut else (items, link)

    def __len__(self) -> int:
        """How many items are held for slow readers."""
        with self._mutex:
            return sum(link() is not None for link, _ in self._kept)
