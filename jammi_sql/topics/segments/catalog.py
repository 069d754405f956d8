"""The store's rows about segments."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import orjson

from ...arrow.ipc import checksum
from ...ports import NamedQuery, Reader, Transaction
from .segment import Segment, SegmentBatches

__all__ = ["DroppedFile", "HotStretch", "SegmentCatalog"]


class HotStretch(NamedTuple):
    """The offsets ``[start, end)`` of a topic that are in no segment, and its oldest batch outside of one.

    ``oldest`` is less than ``start`` where a compaction left something over.
    """

    topic: int
    start: int
    end: int
    oldest: int


class DroppedFile(NamedTuple):
    """A file that belongs to no segment any more, and since when (microseconds)."""

    path: str
    dropped_us: int


class SegmentCatalog:
    """Reads and changes the rows. Every change happens in a transaction that the caller gives."""

    def __init__(self, queries: Mapping[str, NamedQuery]) -> None:
        self._queries = queries

    # --- reading ---

    def of_topic(self, reader: Reader, topic: int, start: int, end: int) -> list[Segment]:
        """Those of a topic that meet the offsets ``[start, end)``, in order."""
        return self._segments(reader, "segments_of", (topic, start, end))

    def at(self, reader: Reader, topic: int, offset: int) -> Segment | None:
        """The one that has ``offset``; ``None`` where none has, and where that was truncated."""
        found = self._segments(reader, "segment_at", (topic, offset))
        return found[0] if found else None

    def since(self, reader: Reader, topic: int, start: int, moment_us: int) -> Segment | None:
        """The first one that ends past ``start`` and has a batch produced at or after ``moment_us``."""
        found = self._segments(reader, "segment_since", (topic, start, moment_us))
        return found[0] if found else None

    def visible(self, reader: Reader, tenant: str) -> list[Segment]:
        """Those of all topics that a tenant sees, '' for none."""
        return self._segments(reader, "segments_visible", (tenant,))

    def _segments(self, reader: Reader, query: str, parameters: tuple[int | str, ...]) -> list[Segment]:
        return [Segment.of(row) for row in reader.query(self._queries[query], parameters).to_pylist()]

    def batches(self, reader: Reader, segment: Segment) -> SegmentBatches | None:
        """The batches of a segment; ``None`` where it is not there any more."""
        rows = reader.query(self._queries["segment_batches"], (segment.topic, segment.first, segment.path))
        if not rows.num_rows:
            return None
        row = rows.to_pylist()[0]
        return SegmentBatches.decode(row["batches"], row["checksum"], segment)

    def hot_stretches(self, reader: Reader) -> list[HotStretch]:
        """Of each topic with batches outside of segments."""
        rows = reader.query(self._queries["hot_stretches"]).to_pylist()
        return [HotStretch(row["number"], row["hot_offset"], row["next_offset"], row["oldest_offset"]) for row in rows]

    def hot_size(self, reader: Reader, topic: int, start: int, end: int) -> tuple[int, int]:
        """Rows and bytes of the batches ``[start, end)`` outside of segments."""
        row = reader.query(self._queries["hot_size"], (topic, start, end)).to_pylist()[0]
        return row["row_count"], row["byte_count"]

    def dropped(self, reader: Reader) -> list[DroppedFile]:
        """The files that belong to no segment any more, the oldest first."""
        rows = reader.query(self._queries["dropped_segments"]).to_pylist()
        return [DroppedFile(row["path"], row["dropped_us"]) for row in rows]

    def known_paths(self, reader: Reader) -> set[str]:
        """Every path that the store knows of."""
        return {str(path) for path in reader.query(self._queries["known_paths"]).column(0).to_pylist()}

    def file_sizes(self, reader: Reader) -> dict[str, int]:
        """The bytes that the file of each segment has, by its path."""
        rows = reader.query(self._queries["segment_sizes"]).to_pylist()
        return {row["path"]: row["file_bytes"] for row in rows}

    def folders(self, reader: Reader) -> set[str]:
        """The folders that the segments of this store's topics are in."""
        return {str(identity) for identity in reader.query(self._queries["segment_folders"]).column(0).to_pylist()}

    # --- changing ---

    def insert(self, transaction: Transaction, segment: Segment, batches: SegmentBatches) -> None:
        """Add one."""
        encoded = batches.encode()
        row = (
            segment.topic,
            segment.first,
            segment.end,
            segment.first_us,
            segment.last_us,
            segment.version,
            segment.row_count,
            segment.file_bytes,
            segment.footer,
            segment.path,
            orjson.dumps(segment.encoded).decode(),
            orjson.dumps(list(segment.tenants.items())).decode(),
            checksum(encoded),
            segment.ranges,
            encoded,
        )
        transaction.execute(self._queries["insert_segment"], row)

    def raise_hot_offset(self, transaction: Transaction, topic: int, start: int, end: int, last_us: int) -> bool:
        """Let the batches below ``end`` be those of segments; false where ``start`` is not the hot offset."""
        return transaction.execute(self._queries["raise_hot_offset"], (topic, start, end, last_us)) == 1

    def remove_left_overs(self, transaction: Transaction, topic: int, count: int) -> int:
        """Remove some of the oldest batches that are in segments; how many there were."""
        return transaction.execute(self._queries["remove_left_overs"], (topic, count))

    def drop_before(self, transaction: Transaction, topic: int, offset: int, now_us: int) -> None:
        """Drop the segments of a topic that end at or before ``offset``; their files wait for their readers."""
        transaction.execute(self._queries["note_dropped_segments"], (topic, offset, now_us))
        transaction.execute(self._queries["delete_segments"], (topic, offset))

    def drop(self, transaction: Transaction, segment: Segment, now_us: int) -> bool:
        """Drop one; false where it is gone already."""
        transaction.execute(self._queries["note_dropped_segment"], (segment.path, now_us))
        return transaction.execute(self._queries["delete_segment"], (segment.topic, segment.first, segment.path)) == 1

    def forget_dropped(self, transaction: Transaction, path: str) -> None:
        """The file is deleted."""
        transaction.execute(self._queries["forget_dropped_segment"], (path,))

    # --- where they are ---

    def location(self, reader: Reader) -> str | None:
        """Where the store's segments are, ``None`` for its own folder."""
        rows = reader.query(self._queries["facility"], ("segments",))
        return str(rows.column(0)[0].as_py()) if rows.num_rows else None

    def set_location(self, transaction: Transaction, location: str) -> None:
        """Keep where the segments are; what is kept already stays."""
        transaction.execute(self._queries["set_facility"], ("segments", location))

    def settle(self, transaction: Transaction) -> None:
        """Of a copied store: its segments are in its own folder, and it has no files that were dropped."""
        transaction.execute(self._queries["forget_facility"], ("segments",))
        transaction.execute(self._queries["forget_all_dropped"])
