"""What a broker gives to a subscriber: its place at the live end of a topic."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterable, Iterator

import pyarrow as pa

from .definition import TopicId
from .delivered import ConsumerOffsetSnapshot, DeliveredBatch
from .offset import Offset
from .predicate import Predicate
from .selection import Place, Selected
from .tail import Tail
from .wake import Waiter, closed_gate, wait

__all__ = ["BrokerSubscription", "ConsumerOffsetSnapshot", "DeliveredBatch"]


class BrokerSubscription:
    """The batches that a broker hands over from now on.

    They are kept in a ``tail``, for all its readers together and bounded by count and bytes; a broker that has one for
    each subscription gives none, and fills it with ``put``. A reader that is slower finds a gap. Used directly (as the
    reference does) it is an iterator of ``DeliveredBatch``, on which a lagging reader skips; the engine's
    ``Subscription`` heals that.
    """

    __slots__ = (
        "__weakref__", "_found", "_from", "_on_close", "_place", "_waiter", "closed", "dropped", "id", "last_delivered", "roused",
        "tail", "topic_id",
    )  # fmt: skip

    def __init__(
        self,
        topic_id: TopicId,
        predicate: Predicate,
        from_offset: Offset | None,
        *,
        capacity: int = 1024,
        byte_capacity: int = 64 << 20,
        tail: Tail | None = None,
        on_close: Callable[[], None] | None = None,
    ) -> None:
        self.id = uuid.uuid4()
        self.topic_id = topic_id
        self.last_delivered = -1
        self.closed = False
        self.dropped = False
        self.roused = False
        """Whether the next wait ends at once."""
        self.tail = tail or Tail(capacity, byte_capacity)
        self._from = from_offset.value if from_offset is not None else 0
        self._found: list[Selected] = []  # in reverse
        self._on_close = on_close
        self._waiter: Waiter | None = None
        self._place: Place | None = None  # once closed, it holds nothing of the tail
        self.narrow(predicate, None)
        self.tail.join(self)

    def narrow(self, predicate: Predicate, schema: pa.Schema | None) -> None:
        """Want the rows of ``predicate`` only, of batches seen with ``schema``. Before the first is read."""
        self._place = self.tail.select(predicate, schema).place()

    # --- the broker's side ---

    def put(self, delivered: DeliveredBatch) -> None:
        """Hand a batch over to all readers of the tail. Never blocks."""
        self.tail.append(delivered)

    def close(self) -> None:
        """Leave the broker. May be called twice and from any thread."""
        if self.closed:
            return
        self.closed = True
        place, self._place = self._place, None
        self._found = []
        self.tail.leave(self)
        if place is not None:
            self.tail.wake_one(place.selection, self._waiter)
        if self._on_close is not None:
            self._on_close()

    # --- the reader's side ---

    @property
    def head(self) -> int:
        """The offset below which the log is known to have all."""
        return self.tail.head

    def moved(self, tenants: Iterable[str]) -> float:
        """When a batch of one of ``tenants`` was looked at last, in seconds of ``time.monotonic``; 0 for never."""
        place = self._place
        return 0.0 if place is None else max(place.selection.moved.get(tenant, 0.0) for tenant in tenants)

    def read(self, following: int) -> tuple[list[Selected], int]:
        """The matching batches from offset ``following`` on, as far as nothing is missing, and the offset behind that."""
        place = self._place
        return ([], following) if place is None else place.selection.read(place, following)

    def passed(self, following: int) -> int:
        """The offset up to which there is nothing for a reader that waits at ``following``."""
        place = self._place
        return following if place is None else place.selection.passed(place, following)

    def wait(self, timeout: float | None, following: int, end: int | None = None) -> None:
        """Wait up to ``timeout`` seconds until ``read`` may bring something, the log has it, or somebody wakes it.

        Or until all below offset ``end`` was looked at.
        """
        gate = closed_gate()
        try:
            if self.await_more(gate, following, end):
                wait(gate, timeout)
        finally:
            self.forget()

    def await_more(self, waiter: Waiter, following: int, end: int | None = None) -> bool:
        """Let ``waiter`` be woken; whether there is a need to wait, as there is nothing yet. Then ``forget``."""
        place = self._place
        if place is None:
            return False
        self._waiter = waiter
        self.tail.await_more(place.selection, waiter, end)
        roused, self.roused = self.roused, False
        return not (roused or self.closed or self.tail.head > following or place.selection.has_unread(place))

    def forget(self) -> None:
        """Wait no more."""
        place = self._place
        if place is not None:
            self.tail.forget(place.selection, self._waiter)
            self._waiter = None

    def next(self, timeout: float | None = None) -> DeliveredBatch:
        """The next batch with a matching row. Raises ``TimeoutError``, and ``StopIteration`` once closed."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while (place := self._place) is not None:
            if not self._found:
                self._found = place.selection.drain(place)
                self._found.reverse()
            while self._found:
                delivered = self._found.pop().delivered
                self.last_delivered = delivered.offset.value
                if self.last_delivered >= self._from:
                    return delivered
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                raise TimeoutError(f"nothing arrived within {timeout:.3g} s")
            self.wait(left, _NEVER)
        raise StopIteration

    def snapshot(self) -> ConsumerOffsetSnapshot:
        """Where this subscription is."""
        return ConsumerOffsetSnapshot(str(self.id), self.topic_id, self.last_delivered, self.last_delivered)

    def __iter__(self) -> Iterator[DeliveredBatch]:
        return self

    def __next__(self) -> DeliveredBatch:
        return self.next()

    def __enter__(self) -> BrokerSubscription:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


_NEVER = 1 << 63
"""No head is there: what is only in the log is nothing to wait for."""
