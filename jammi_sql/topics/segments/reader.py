"""Reading batches back from segments, in offset order and in pieces."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence

import pyarrow as pa

from ...arrow.expression import Node
from ...arrow.order import order_kind
from ...arrow.ranges import ColumnRange, can_match, decode_ranges
from ...errors import DataCorrupted
from ...ports import Reader
from ..entries import Chunk, LogEntry
from ..remembered import Remembered
from .catalog import SegmentCatalog
from .file import SegmentFile, check_file
from .segment import Segment, SegmentBatches
from .storage import SegmentStorage

__all__ = ["SegmentReader"]

_CURSORS = 16
_IDLE = 60.0
"""Seconds for which a file is kept open for who goes on reading it."""
_LISTS = 2
_CHECKED = 1 << 16
_Key = tuple[str, int, tuple[str, ...]]


class SegmentReader:
    """Reads the batches of a topic that are in segments.

    Who reads a segment piece by piece finds the file open where it left it: a few of them are kept, by the offset at
    which they go on. So a replay needs no state but its offset, and one that ends leaves nothing behind for long.
    """

    def __init__(self, catalog: SegmentCatalog, storage: SegmentStorage) -> None:
        self._catalog = catalog
        self._storage = storage
        # The one that was kept first comes first; with when that was, in seconds of ``time.monotonic``.
        self._files: OrderedDict[_Key, tuple[SegmentFile, float]] = OrderedDict()
        self._lists: Remembered[str, SegmentBatches] = Remembered(_LISTS)
        self._checked: Remembered[str, bool] = Remembered(_CHECKED)
        self._lock = threading.Lock()

    def read(
        self,
        reader: Reader,
        segment: Segment,
        topic: str,
        visible: Sequence[str] | None,
        start: int,
        end: int,
        *,
        schema: pa.Schema,
        limit: int,
        byte_limit: int,
    ) -> Chunk | None:
        """The next batches of ``[start, end)`` in ``segment``, of the tenants ``visible`` (``None``: of all).

        Each with the columns of ``schema``. At most ``limit`` of them and about ``byte_limit`` bytes, at least one where
        there is one. ``None`` where the segment is not there any more; ``DataCorrupted`` where its file is damaged.
        """
        key = (segment.path, start, tuple(schema.names))
        batches = self.batches(reader, segment)
        if batches is None:
            return None
        with self._lock:
            file, _ = self._files.pop(key, (None, 0.0))
        if file is None or not file.schema.equals(schema):
            self.check(segment, topic)
            file = SegmentFile(self._storage, segment, topic, schema, batches.rows_between(segment.first, start))
        entries: list[LogEntry] = []
        size, passed = 0.0, 0
        following, stop = start, min(end, segment.end)
        try:
            for offset, count, produced, tenant in batches.between(start, min(stop, start + limit)):
                if size >= byte_limit:
                    break
                if visible is None or tenant in visible:
                    file.skip(passed)
                    passed = 0
                    entries.append(LogEntry(offset, produced, tenant, file.take(count)))
                    size += count * file.width
                else:
                    passed += count
                following = offset + 1
            file.skip(passed)
        except DataCorrupted:
            file.close()
            if not entries:
                raise
            return Chunk(entries, entries[-1].offset + 1)  # those are sound: the error comes when it is its turn
        except BaseException:
            file.close()
            raise
        if following < segment.end:
            self._keep((segment.path, following, key[2]), file)
        else:
            file.close()
        return Chunk(entries, following)

    def _keep(self, key: _Key, file: SegmentFile) -> None:
        with self._lock:
            surplus = [self._files.pop(key)] if key in self._files else []
            self._files[key] = file, time.monotonic()
            if len(self._files) > _CURSORS:
                surplus.append(self._files.popitem(last=False)[1])
        for one, _ in surplus:
            one.close()

    def close_idle(self) -> None:
        """Close the files that nobody went on with: one that was deleted takes room on the disk while it is open."""
        oldest = time.monotonic() - _IDLE
        idle: list[SegmentFile] = []
        with self._lock:
            while self._files and next(iter(self._files.values()))[1] < oldest:
                idle.append(self._files.popitem(last=False)[1][0])
        for file in idle:
            file.close()

    def batches(self, reader: Reader, segment: Segment) -> SegmentBatches | None:
        """The batches of ``segment``; ``None`` where it is not there any more."""
        found = self._lists.get(segment.path)
        if found is None:
            found = self._catalog.batches(reader, segment)
            if found is not None:
                self._lists[segment.path] = found
        return found

    def check(self, segment: Segment, topic: str) -> None:
        """``DataCorrupted``, which names it, where the file is not the one that was written.

        In a folder its size is looked at each time; its footer, and a file in an object store, once.
        """
        if self._checked.get(segment.path) is None:
            check_file(self._storage, segment, topic)
            self._checked[segment.path] = True
        elif self._storage.local and self._storage.size(segment.path) != segment.file_bytes:
            check_file(self._storage, segment, topic)

    def can_match(self, segment: Segment, node: Node, schema_of: Callable[[int], pa.Schema]) -> bool:
        """Whether a row of it may fulfil ``node``, by its ranges. ``schema_of`` gives a version of the topic's schema."""
        ranges = decode_ranges(segment.ranges, schema_of(segment.version)).with_columns(
            {
                "_offset": ColumnRange(order_kind(pa.int64()), segment.first, segment.end - 1),
                "_produced_at": ColumnRange(order_kind(pa.timestamp("us", "UTC")), segment.first_us, segment.last_us),
            }
        )
        return can_match(node, ranges)

    def close(self) -> None:
        """Close the files that are kept open."""
        with self._lock:
            files, self._files = self._files, OrderedDict()
        for file, _ in files.values():
            file.close()
