"""What a broker hands over of a topic, seen through one condition: computed once for all who want the same."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import pyarrow as pa

from ..arrow.batches import upgrade
from ..arrow.ranges import MeasuredRanges, can_match
from ..tenancy import TenantId
from .catalog import tenant_text
from .chain import Chain, Link
from .delivered import DeliveredBatch
from .entries import LogEntry
from .offset import Offset, datetime_of, microseconds_of
from .predicate import Predicate

if TYPE_CHECKING:
    from .tail import Tail
    from .wake import Waiter

__all__ = ["Handed", "Place", "Selected", "Selection"]

_RUN = 8
"""Of so few batches each is measured, by which a crowd's conditions are spared most of their work; more of them are joined."""

_BYTES = 16 << 20
"""What slow readers of one condition keep of it, beside what the tail keeps."""


class Handed(NamedTuple):
    """What a broker handed over, its size in bytes, and between which values its columns are, for all conditions."""

    delivered: DeliveredBatch
    size: int
    ranges: MeasuredRanges


class Selected:
    """The matching rows of a batch, shared by all who get them.

    From offset ``start`` up to it nothing is missing: what is between did not match.
    """

    __slots__ = ("_delivered", "entry", "start")

    def __init__(self, start: int, entry: LogEntry, delivered: DeliveredBatch | None = None) -> None:
        self.start = start
        self.entry = entry
        self._delivered = delivered

    @property
    def delivered(self) -> DeliveredBatch:
        """As it is handed out; made once."""
        if self._delivered is None:
            offset, produced_us, tenant, batch = self.entry
            at = datetime_of(produced_us)
            self._delivered = DeliveredBatch(Offset(offset, at), at, batch, TenantId(tenant) if tenant else None)
        return self._delivered


class Place:
    """Where a reader of a selection is. Nothing below ``floor`` is its own to use: it came late, or was too slow."""

    __slots__ = ("floor", "link", "selection")

    def __init__(self, selection: Selection, link: Link[Selected], floor: int) -> None:
        self.selection = selection
        self.link = link
        self.floor = floor


class Selection:
    """The batches of a tail that have a row for ``predicate``, with these rows only, in offset order.

    Whoever looks first computes them for all. Batches are seen with ``schema``, unless that is ``None``. It is a hint,
    as is the tail: where something was not handed over, came in disorder, or cannot be computed, there is a gap, which
    each reader finds in the log.
    """

    def __init__(self, tail: Tail, predicate: Predicate, schema: pa.Schema | None) -> None:
        self.predicate = predicate
        self.waiting: set[Waiter] = set()
        """Who is to be woken when there is something; the tail's lock guards it."""
        self.least_end: int | None = None
        """The least offset at which one of those who wait ends, though nothing matches; the tail's lock guards it."""
        self.moved: dict[str, float] = {}
        """When the last batch of each tenant was looked at, in seconds of ``time.monotonic``."""
        self._schema = schema
        self._node = predicate.pruning_node
        self._tail = tail
        self._source = tail.chain.end
        self._chain: Chain[Selected] = Chain(tail.capacity, min(tail.byte_capacity, _BYTES))
        # Offsets of the last unbroken run: all of them were looked at.
        self._start = self._end = 0
        self._matches = 0
        self._told = (0, 0)
        self._mutex = threading.Lock()

    def place(self) -> Place:
        """For a new reader: what comes from now on."""
        with self._mutex:
            self._advance()
            return Place(self, self._chain.end, self._end)

    def read(self, place: Place, following: int) -> tuple[list[Selected], int]:
        """The matching batches from offset ``following`` on, as far as nothing is missing, and the offset behind that."""
        with self._mutex:
            self._advance()
            needed, begin = following, place.link
            seen = begin.seen
            if (
                seen is not None
                and seen[0] == following
                and place.floor <= following
                and not seen[3].followed  # otherwise there is more by now
            ):
                # A crowd is where all of it is: what one of them found is right for the others.
                _, found, following, place.link = seen
            else:
                found = []
                for item in self._unread(place):
                    if item.entry.offset < following:
                        continue
                    if max(item.start, place.floor) > following:
                        place.floor = self._end  # the log has it, and what comes behind it too
                        return found, following
                    found.append(item)
                    following = item.entry.offset + 1
                if found:  # so nothing was missing, and this place had no say in it
                    begin.seen = (needed, found, following, place.link)
            if max(self._start, place.floor) <= following < self._end:
                following = self._end
            return found, following

    def drain(self, place: Place) -> list[Selected]:
        """The matching batches that are there, whatever is missing between them."""
        with self._mutex:
            return self._unread(place)

    def _unread(self, place: Place) -> list[Selected]:
        self._advance()
        read = self._chain.read(place.link)
        if read is None:
            place.link, place.floor = self._chain.end, self._end
            return []
        items, place.link = read
        return items

    def has_unread(self, place: Place) -> bool:
        """Whether reading may bring something."""
        link, source = place.link, self._source
        return link.following is not None or source.following is not None or link.cut or source.cut

    def passed(self, place: Place, following: int) -> int:
        """The offset up to which there is nothing for a reader that waits at ``following``."""
        with self._mutex:
            waits = place.link is self._chain.end and max(self._start, place.floor) <= following
            return max(following, self._end) if waits else following

    def recede(self, head: int) -> None:
        """What was handed over from offset ``head`` on is nothing of this log: its own batches are yet to come."""
        with self._mutex:
            self._advance()
            if self._end > head:
                self._start = self._end = head

    def tell(self) -> bool:
        """Look at what was handed over; whether those who wait are to look too."""
        if not self.predicate.quick:
            return True  # let it cost the time of those who want it
        with self._mutex:
            self._advance()
            told = (self._matches, self._start)
            # Not whether it moved right now: a reader may have looked before, and that is news to the others.
            news = told != self._told or self._tail.head > self._end
            self._told = told
            least_end = self.least_end
            return news or (least_end is not None and least_end <= self._end)

    def _advance(self) -> None:
        """Look at what the tail got; the lock is held."""
        if not self._source.followed:
            return
        read = self._tail.chain.read(self._source)
        if read is None:
            self._source = self._tail.chain.end
            self._start = self._end = max(self._end, self._tail.head)
            return
        items, source = read
        run: list[Handed] = []
        following = self._end
        for handed in items:
            offset = handed.delivered.offset.value
            if offset < following:
                continue
            if offset > following:
                self._look_at(run)
                run = []
                self._start = self._end = offset
            run.append(handed)
            following = offset + 1
        self._look_at(run)
        self._source = source
        self.moved.update(dict.fromkeys({tenant_text(item.delivered.tenant) for item in items}, time.monotonic()))

    def _look_at(self, run: list[Handed]) -> None:
        """Append what matches of consecutive batches. One that cannot be computed counts as not handed over."""
        if not run:
            return
        try:
            possible = [item for item in run if self._can_match(item)] if len(run) < _RUN else run
            kept: Sequence[pa.RecordBatch | None] = [
                item.delivered.batch if self._schema is None else upgrade(item.delivered.batch, self._schema)
                for item in possible
            ]
            if possible and not (self.predicate.optional and self._tail.is_small):
                kept = self.predicate.select(kept)  # type: ignore[arg-type] # all of them are batches yet
            if len(possible) < len(run):
                found = dict(zip((id(item) for item in possible), kept, strict=True))
                kept = [found.get(id(item)) for item in run]
        except Exception:  # each reader finds it in the log, and gets the error for itself
            if len(run) > 1:
                for one in run:
                    self._look_at([one])
            else:
                self._start = self._end = run[0].delivered.offset.value + 1
            return
        for (item, size, _), batch in zip(run, kept, strict=True):
            offset = item.offset.value
            if batch is not None:
                entry = LogEntry(offset, microseconds_of(item.produced_at), tenant_text(item.tenant), batch)
                whole = batch is item.batch
                selected = Selected(self._start, entry, item if whole else None)
                self._chain.append(selected, size if whole else batch.nbytes)
                self._matches += 1
            self._end = offset + 1

    def _can_match(self, handed: Handed) -> bool:
        """``False`` is certain. For a few readers it is not worth to ask."""
        node = self._node
        return node is None or self._tail.is_small or can_match(node, handed.ranges)
