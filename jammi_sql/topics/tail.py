"""The live end of a topic: what was handed over last, who reads it and who waits for more."""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import pyarrow as pa

from ..arrow.ranges import MeasuredRanges
from .chain import Chain
from .delivered import DeliveredBatch
from .predicate import Predicate
from .selection import Handed, Selection
from .wake import Waiter, wake

if TYPE_CHECKING:
    from .delivery import BrokerSubscription

__all__ = ["Tail"]

_DIRECTLY = 8
"""So many who wait are woken by the publisher itself, which is quickest; to wake more would hold up its next publish."""
_FED = 1.0
"""Seconds for which a publisher of this process counts as one that goes on."""


class Tail:
    """The batches of one topic from now on, for all its live subscriptions of one broker.

    A hand-over is one append, however many subscriptions there are. Slow readers hold at most ``capacity`` batches and
    ``byte_capacity`` bytes together; who is slower finds the rest in the log. ``head`` is the offset below which the
    log is known to have all. ``dispatch`` lets ``tell`` be called soon, in another thread.
    """

    def __init__(
        self, capacity: int, byte_capacity: int = 64 << 20, dispatch: Callable[[Tail], None] | None = None
    ) -> None:
        self.capacity = capacity
        self.byte_capacity = byte_capacity
        self.chain: Chain[Handed] = Chain(capacity, byte_capacity)
        self.head = 0
        self._fed_at = 0.0
        self._dispatch = dispatch
        self._members: weakref.WeakSet[BrokerSubscription] = weakref.WeakSet()
        self._selections: weakref.WeakValueDictionary[tuple[Predicate, pa.Schema | None], Selection] = (
            weakref.WeakValueDictionary()
        )
        # The selections for which somebody waits.
        self._waiting: set[Selection] = set()
        self._mutex = threading.Lock()

    # --- the broker's side ---

    def append(self, delivered: DeliveredBatch, *, own: bool = True) -> None:
        """Hand a batch over. Never blocks. ``own``: this process published it."""
        size = delivered.batch.nbytes
        self.chain.append(Handed(delivered, size, MeasuredRanges(delivered.batch)), size)
        with self._mutex:
            self.head = max(self.head, delivered.offset.value + 1)
            if own:
                self._fed_at = time.monotonic()
            crowd = len(self._waiting) > _DIRECTLY or sum(len(one.waiting) for one in self._waiting) > _DIRECTLY
            dispatch = self._dispatch if crowd else None
            woken = self._take(self._waiting) if dispatch is None else ()
        if dispatch is None:
            wake(woken)
        else:
            dispatch(self)

    def tell(self) -> None:
        """Wake those for whom there is something in what was handed over."""
        with self._mutex:
            waiting = list(self._waiting)
        told = [selection for selection in waiting if selection.tell()]
        with self._mutex:
            woken = self._take(told)
        wake(woken)  # of an event loop all at once

    def notify(self, head: int) -> None:
        """Say that offsets below ``head`` are in the log."""
        with self._mutex:
            if head <= self.head:
                return
            self.head = head
            woken = self._take(self._waiting)
        wake(woken)

    def recede(self, head: int) -> None:
        """Take back what was said of the log: nothing is there from offset ``head`` on."""
        with self._mutex:
            self.head = min(self.head, head)
            selections = list(self._selections.values())
        for selection in selections:
            selection.recede(head)

    def drop(self) -> None:
        """Say that the topic seems to be gone; the readers look."""
        for member in self.members:
            member.dropped = member.roused = True
        self.wake_all()

    def wake_all(self) -> None:
        """Wake all who wait."""
        with self._mutex:
            woken = self._take(self._waiting)
        wake(woken)

    def _take(self, selections: Iterable[Selection]) -> list[Waiter]:
        woken: list[Waiter] = []
        for selection in list(selections):
            woken += selection.waiting
            selection.waiting = set()
            selection.least_end = None
            self._waiting.discard(selection)
        return woken

    # --- the readers' side ---

    def select(self, predicate: Predicate, schema: pa.Schema | None) -> Selection:
        """The selection that all readers with this condition share."""
        with self._mutex:
            selection = self._selections.get((predicate, schema))
            if selection is None:
                selection = self._selections[predicate, schema] = Selection(self, predicate, schema)
            return selection

    def await_more(self, selection: Selection, waiter: Waiter, end: int | None = None) -> None:
        """Let ``waiter`` be woken once, when there is something; who calls then looks once more.

        Also when offset ``end`` is reached without anything.
        """
        with self._mutex:
            selection.waiting.add(waiter)
            if end is not None:
                least = selection.least_end
                selection.least_end = end if least is None else min(least, end)
            self._waiting.add(selection)

    def forget(self, selection: Selection, waiter: Waiter) -> bool:
        """End a wait; whether it had not ended yet."""
        if waiter not in selection.waiting:
            return False
        with self._mutex:
            waited = waiter in selection.waiting
            selection.waiting.discard(waiter)
            if not selection.waiting:
                self._waiting.discard(selection)
        return waited

    def wake_one(self, selection: Selection, waiter: Waiter) -> None:
        """Wake it, if it waits."""
        if self.forget(selection, waiter):
            wake([waiter])

    # --- who is there ---

    def join(self, member: BrokerSubscription) -> None:
        """Have one more subscription."""
        with self._mutex:
            self._members.add(member)

    def leave(self, member: BrokerSubscription) -> None:
        """Have one less."""
        with self._mutex:
            self._members.discard(member)

    @property
    def members(self) -> list[BrokerSubscription]:
        """The open subscriptions that nobody has let go of."""
        with self._mutex:
            return list(self._members)

    @property
    def deserted(self) -> bool:
        """Whether there is none."""
        return not len(self._members)

    @property
    def is_fed(self) -> bool:
        """Whether a crowd waits here that a publisher of this process has just handed something over to."""
        return not self.is_small and time.monotonic() - self._fed_at < _FED

    @property
    def is_small(self) -> bool:
        """Whether so few are here that the publisher wakes them itself."""
        return len(self._members) <= _DIRECTLY

    @property
    def crowded(self) -> bool:
        """Whether there is more than one."""
        return len(self._members) > 1
