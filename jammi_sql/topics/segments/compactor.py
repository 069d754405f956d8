"""Compaction: sealed stretches of a topic's log become Parquet files."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import pyarrow as pa

from ... import faults
from ...arrow.batches import join
from ...arrow.ranges import encode_ranges
from ...errors import DataCorrupted, InvalidParameter, OffsetEvicted, ReadOnlyStore, TopicNotFound
from ...ports import Clock, Store
from ..catalog import CatalogTopic, TopicCatalog
from ..entries import LogEntry
from ..log import EVERYBODY, Log
from .catalog import HotStretch, SegmentCatalog
from .file import joinable, joinable_schema, write_file
from .lock import CompactionLock
from .segment import Segment, SegmentBatches
from .storage import SegmentStorage

__all__ = ["Compacted", "Compactor", "SegmentSize"]

_FEWEST, _MOST = 16, 8192
"""Batches that are removed in one transaction."""
_REST = 60.0
"""Seconds that a topic is left alone after it could not be moved."""
_STEP_SECONDS = 0.01
"""How long such a transaction may keep others waiting, about."""
_READ_BATCHES = 4096


@dataclass(frozen=True, slots=True)
class SegmentSize:
    """At how many rows, or bytes of payload, a stretch of the log is sealed."""

    rows: int = 1 << 20
    size: int = 128 << 20

    def __post_init__(self) -> None:
        if self.rows < 1 or self.size < 1:
            raise InvalidParameter("a segment has at least one row and one byte")


class Compacted(NamedTuple):
    """What a compaction did."""

    segments: int
    rows: int


class Compactor:
    """Moves what is sealed out of the store. One at a time works on a store, whichever process it is in.

    A file is written first, under a name that nobody knows. One transaction then makes it a segment and the batches
    left-overs, which are removed in small steps. So a crash leaves a file that nobody knows, or batches that nobody
    reads, and the next round removes either.
    """

    def __init__(
        self,
        store: Store,
        catalog: TopicCatalog,
        log: Log,
        segments: SegmentCatalog,
        storage: SegmentStorage,
        lock: CompactionLock,
        clock: Clock,
        size: SegmentSize,
        on_segment: Callable[[str, int], None] | None = None,
    ) -> None:
        """``on_segment`` is told the topic and the rows of every segment that was made."""
        self._on_segment = on_segment
        self._store = store
        self._catalog = catalog
        self._log = log
        self._segments = segments
        self._storage = storage
        self._lock = lock
        self._clock = clock
        self._size = size
        self._measured: dict[int, _Measured] = {}
        self._again: dict[int, float] = {}  # when to try again with topics that could not be moved

    def compact(self, topic: CatalogTopic, check: Callable[[], None]) -> Compacted:
        """Move all of a topic's log into segments, as of now, and join small segments at its end.

        Waits for another compaction of the store; ``check`` is called meanwhile, and between pieces, and what it raises
        ends it. Raises ``ReadOnlyStore``, ``InvalidParameter``, ``TopicNotFound``, ``DataCorrupted``, ``StoreIOError``,
        ``DiskFull``.
        """
        if self._store.read_only:
            raise ReadOnlyStore("the store is read-only", hint="compact where it is written")
        if not self._storage.exists:
            raise InvalidParameter(
                "there is no place for the segments of this store",
                hint="connect with segments= a URL of an object store, or a folder that all its processes share",
            )
        end = self._log.head(self._store, topic).next
        done = Compacted(0, 0)
        with self._lock.held(check):
            self._remove_left_overs(topic.number, check)
            while True:
                check()
                # Looked up after `end`: what is before that has this version of the schema or an older one.
                now = self._catalog.numbered(self._store, topic.number)
                if now is None or now.definition.id != topic.definition.id:
                    raise TopicNotFound(
                        f"topic {topic.name} was dropped meanwhile", hint="SHOW TOPICS lists what is there"
                    )
                if now.hot_offset >= end:
                    return done
                rows = self._seal(now, now.hot_offset, end)
                done = Compacted(done.segments + (rows > 0), done.rows + rows)
                self._remove_left_overs(topic.number, check)

    def round(self, stopped: threading.Event) -> None:
        """Move what is sealed by now, of all topics; nothing while another one compacts this store."""
        now = time.monotonic()
        stretches = self._segments.hot_stretches(self._store)
        numbers = {stretch.topic for stretch in stretches}
        for kept in (self._measured, self._again):  # of topics that are gone nothing is to be kept
            for number in kept.keys() - numbers:
                del kept[number]
        due = [stretch for stretch in stretches if self._again.get(stretch.topic, 0.0) <= now and self._is_due(stretch)]
        if not due:
            return
        with self._lock.tried() as held:
            if not held:
                return
            failed: Exception | None = None
            for stretch in due:
                try:
                    self._compact_sealed(stretch, stopped)
                except Exception as error:  # a topic that cannot be moved is no reason to leave the others
                    failed = error
                    self._again[stretch.topic] = time.monotonic() + _REST
                if stopped.is_set():
                    return
            if failed is not None:
                raise failed

    def _is_due(self, stretch: HotStretch) -> bool:
        if stretch.oldest < stretch.start:
            return True
        measured = self._measured.get(stretch.topic)
        if measured is None or measured.start != stretch.start:
            measured = _Measured(stretch.start, stretch.start, 0, 0)
        if measured.end < stretch.end:
            rows, size = self._segments.hot_size(self._store, stretch.topic, measured.end, stretch.end)
            measured = _Measured(stretch.start, stretch.end, measured.rows + rows, measured.size + size)
        self._measured[stretch.topic] = measured
        return measured.rows >= self._size.rows or measured.size >= self._size.size

    def _compact_sealed(self, stretch: HotStretch, stopped: threading.Event) -> None:
        def check() -> None:
            if stopped.is_set():
                raise _Stopped

        try:
            self._remove_left_overs(stretch.topic, check)
            while not stopped.is_set():
                topic = self._catalog.numbered(self._store, stretch.topic)
                if topic is None or not self._is_due(
                    HotStretch(topic.number, topic.hot_offset, topic.next_offset, topic.hot_offset)
                ):
                    return
                self._seal(topic, topic.hot_offset, topic.next_offset)
                self._remove_left_overs(topic.number, check)
        except (_Stopped, TopicNotFound):  # dropped meanwhile: nothing to do
            return

    # --- one segment ---

    def _seal(self, topic: CatalogTopic, hot: int, end: int) -> int:
        """Make one segment of the batches from ``hot`` on, as many as it takes, before ``end``. Returns its rows.

        Small segments right before it become part of it.
        """
        joined = self._small_before(topic, hot, end)
        try:
            start, entries = self._gathered(topic, joined, hot, end)
        except OffsetEvicted:  # truncated meanwhile: the next look at the topic begins later
            return 0
        batches = SegmentBatches.of(
            start,
            [entry.batch.num_rows for entry in entries],
            [entry.produced_us for entry in entries],
            [entry.tenant for entry in entries],
        )
        schema = joinable_schema(topic.codec.schema)
        same = schema is topic.codec.schema
        rows = [join([entry.batch if same else joinable(entry.batch, schema) for entry in entries])]
        ranges = encode_ranges(rows[0]) if same else b""
        path = f"{topic.definition.id}/{start:020d}-{secrets.token_hex(8)}.parquet"
        faults.point("compact.before_file")
        written = write_file(self._storage, path, batches, rows, topic.codec.schema)
        faults.point("compact.after_file")
        segment = Segment(
            topic.number,
            start,
            batches.end,
            entries[0].produced_us,
            entries[-1].produced_us,
            topic.version,
            rows[0].num_rows,
            written.size,
            written.footer,
            path,
            written.encoded,
            batches.tenant_rows(),
            ranges,
        )
        try:
            with self._store.begin() as transaction:
                # False: truncated past it, or dropped, meanwhile.
                switched = self._segments.raise_hot_offset(transaction, topic.number, hot, batches.end, segment.last_us)
                now_us = self._clock.now_us()
                for one in joined:
                    switched = switched and self._segments.drop(transaction, one, now_us)
                if switched:
                    self._segments.insert(transaction, segment, batches)
                    faults.point("compact.before_switch")
                else:
                    transaction.rollback()
        finally:
            # Whatever happened, only the store knows whether the file is a segment's now.
            if segment.path not in self._segments.known_paths(self._store):
                self._storage.delete(path)
        faults.point("compact.after_switch")
        if switched and self._on_segment is not None:
            self._on_segment(topic.name, segment.row_count)
        measured = self._measured.get(topic.number)
        if measured is not None and measured.start == hot:
            moved = batches.rows_between(hot, batches.end)
            self._measured[topic.number] = _Measured(
                batches.end,
                max(batches.end, measured.end),
                max(0, measured.rows - moved),
                measured.size * max(0, measured.rows - moved) // max(1, measured.rows),
            )
        return segment.row_count if switched else 0

    def _gathered(self, topic: CatalogTopic, joined: list[Segment], hot: int, end: int) -> tuple[int, list[LogEntry]]:
        """The batches of one segment and the offset of the first. Leaves out of ``joined`` what does not fit into it.

        All of ``joined`` that is left, and at least one batch from ``hot`` on, is in it.
        """
        while True:
            start = max(topic.first_offset, joined[0].first) if joined else hot
            entries = self._stretch(topic, start, end)
            if entries[-1].offset >= hot or not joined:
                break
            del joined[0]  # a small file may be large in memory
        if (entries[0].offset, entries[-1].offset) != (start, start + len(entries) - 1):
            raise DataCorrupted(
                f"topic {topic.name}: batches are missing after offset {start - 1}",
                hint="restore the store from a backup, or TRUNCATE the topic past them",
            )
        return start, entries

    def _small_before(self, topic: CatalogTopic, hot: int, end: int) -> list[Segment]:
        """The small segments before ``hot`` that are worth to be written again together with what comes after.

        Each has no more rows than all after it, so that a row is written again once for every doubling, not every time.
        """
        found: list[Segment] = []
        if hot == topic.first_offset:
            return found
        segments = self._segments.of_topic(self._store, topic.number, topic.first_offset, hot)
        if not segments or not self._is_small(segments[-1]):
            return found
        after, _ = self._segments.hot_size(self._store, topic.number, hot, end)
        joined = 0
        for segment in reversed(segments):
            joined += segment.row_count
            if segment.row_count > after or joined > self._size.rows * 3 // 4 or not self._is_small(segment):
                break
            after += segment.row_count
            found.insert(0, segment)
        return found

    def _is_small(self, segment: Segment) -> bool:
        return segment.row_count <= self._size.rows * 3 // 4 and segment.file_bytes <= self._size.size // 4

    def _stretch(self, topic: CatalogTopic, start: int, end: int) -> list[LogEntry]:
        """The batches from ``start`` on that make one segment."""
        entries: list[LogEntry] = []
        rows, size = 0, 0.0
        following = start
        while following < end and rows < self._size.rows and size < self._size.size:
            chunk = self._log.read(self._store, topic, EVERYBODY, following, end, limit=_READ_BATCHES)
            following = chunk.end
            if not chunk.entries:
                continue
            # Asked once per chunk: the bytes of one batch take longer to find than all the rest that is done with it.
            table = pa.Table.from_batches([entry.batch for entry in chunk.entries])
            width = table.nbytes / table.num_rows
            for entry in chunk.entries:
                if rows >= self._size.rows or size >= self._size.size:
                    break
                count = entry.batch.num_rows
                entries.append(entry)
                rows += count
                size += count * width
        return entries

    def _remove_left_overs(self, topic: int, check: Callable[[], None]) -> None:
        """In steps as large as they can be without keeping publishers from the store for long."""
        count = _FEWEST
        while True:
            check()
            with self._store.begin() as transaction:
                began = time.perf_counter()
                removed = self._segments.remove_left_overs(transaction, topic, count)
                took = time.perf_counter() - began
            faults.point("compact.after_removal")
            if removed < count:
                return
            count = min(_MOST, count * 2) if took < _STEP_SECONDS / 2 else max(_FEWEST, count // 2)


class _Measured(NamedTuple):
    """Rows and bytes of a topic's batches ``[start, end)``, which are in no segment."""

    start: int
    end: int
    rows: int
    size: int


class _Stopped(Exception):
    """The engine closes."""
