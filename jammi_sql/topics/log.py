"""The log of a topic: one row per batch, offsets taken inside the writing transaction."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import NamedTuple, TypeVar

import pyarrow as pa

from ..arrow.batches import upgrade
from ..arrow.expression import Node
from ..arrow.ipc import Codec, checksum, decode_schema, header_seed
from ..arrow.order import order_kind
from ..arrow.ranges import ColumnRange, can_match, decode_ranges
from ..errors import DataCorrupted, OffsetEvicted, TopicNotFound
from ..ports import NamedQuery, Parameters, Reader, Transaction, WriteAlone
from ..tenancy import TenantId
from .appending import Append, LockingAppender, appender
from .catalog import CatalogTopic, tenant_text
from .entries import Chunk, LogEntry
from .remembered import Remembered
from .result_columns import buffers, integers, texts
from .segments.catalog import SegmentCatalog
from .segments.reader import SegmentReader
from .segments.segment import Segment

__all__ = ["EVERYBODY", "Append", "Everybody", "Head", "Log"]


class Everybody(Enum):
    """Who sees the batches of every tenant: the owner of a topic who removes them."""

    EVERYBODY = "everybody"


EVERYBODY = Everybody.EVERYBODY


class Head(NamedTuple):
    """The oldest offset kept and the next one to come. Offsets below ``hot`` are in segments."""

    first: int
    next: int
    hot: int = 0


class _Rows(NamedTuple):
    """Columns of some batches."""

    offsets: list[int]
    produced: list[int]
    versions: list[int]
    row_counts: list[int]
    checksums: list[int]
    tenants: list[str]


_Found = TypeVar("_Found")


class Log:
    """Reads and appends batches.

    Holds no state but its queries and what saves a query, such as schemas that came after a topic was looked up.
    """

    def __init__(self, queries: Mapping[str, NamedQuery], segments: SegmentCatalog, files: SegmentReader) -> None:
        self._segments = segments
        self._files = files
        self._appender = appender(queries)
        self._headers = queries["batch_headers"]
        self._headers_ranges = queries["batch_headers_with_ranges"]
        self._payloads = queries["batch_payloads"]
        self._within = queries.get("batches_within")  # both at once, where to ask twice costs more
        self._counts = queries["batch_counts"]
        self._heads = queries["topic_heads"]
        self._since = queries["first_offset_since"]
        self._visible_since = queries["first_visible_offset_since"]
        self._newest = queries["newest_past_size"]
        self._remove = queries["remove_batches"]
        self._raise_floor = queries["raise_floor"]
        self._totals = queries["topic_totals"]
        self._schemas = queries["topic_schemas"]
        self._newer: Remembered[tuple[int, int], Codec] = Remembered(1024)
        # Where the segments of topics end, as far as this process knows: where to look first, no more than that.
        self._hot: Remembered[int, int] = Remembered(1024)
        self.truncations = 0
        """How often this process removed batches: what was read before one of them is not to be shown after it."""

    # --- writing ---

    def append(self, transaction: Transaction, appends: Sequence[Append], now_us: int) -> list[tuple[int, int]] | None:
        """As ``Appender.append``."""
        return self._appender.append(transaction, appends, now_us)

    def append_alone(
        self,
        alone: WriteAlone,
        appends: Callable[[], Sequence[Append]],
        now_us: Callable[[], int],
        check: Callable[[], None] | None,
    ) -> list[tuple[int, int]] | None:
        """As ``append``, and committed when it returns, in one statement; ``None`` where nothing was appended.

        ``appends`` is asked right before: where there are none, none are appended. Raises as ``alone``.
        """
        appender = self._appender
        assert isinstance(appender, LockingAppender)
        given: Sequence[Append] = ()

        def statement() -> tuple[NamedQuery, Parameters] | None:
            nonlocal given
            given = appends()
            return appender.statement(given, now_us()) if given else None

        table = alone(statement, check=check)
        return [] if table is None else appender.places(table, given)

    def truncate(self, transaction: Transaction, topic: CatalogTopic, before: int, now_us: int) -> int:
        """Remove the batches below ``before``; offsets are never used again. Returns the first offset now kept.

        A segment that ends there or before is dropped. The rest of one that goes on is out of sight.
        """
        head = self.head(transaction, topic)
        before = max(head.first, min(before, head.next))
        transaction.execute(self._raise_floor, (topic.number, before))
        self._segments.drop_before(transaction, topic.number, before, now_us)
        transaction.execute(self._remove, (topic.number, before))
        transaction.after_commit(self._removed)
        return before

    def _removed(self) -> None:
        self.truncations += 1

    # --- reading ---

    def head(self, reader: Reader, topic: CatalogTopic) -> Head:
        """Where the topic begins and ends. ``TopicNotFound`` when it was dropped."""
        heads = self.heads(reader, [topic.number])
        if topic.number not in heads:
            raise TopicNotFound(f"topic {topic.name} was dropped")
        return heads[topic.number]

    def heads(self, reader: Reader, numbers: Sequence[int]) -> dict[int, Head]:
        """The heads of several topics, as of one moment."""
        table = reader.query(self._heads, (str(list(numbers)),))
        return {
            number: Head(first, following, hot)
            for number, first, hot, following in zip(*(integers(table, column) for column in range(4)), strict=True)
        }

    def offset_since(
        self, reader: Reader, topic: CatalogTopic, moment_us: int, tenant: TenantId | Everybody | None = EVERYBODY
    ) -> int:
        """The offset of the first batch produced at or after ``moment_us``; the next offset where there is none.

        Only batches that ``tenant`` may read count: the time of another tenant's publish is nobody else's business.
        """
        head = self.head(reader, topic)
        while True:
            found = self._offset_since(reader, topic, head, moment_us, tenant)
            # Each question may find another moment: what a compaction moved between two of them was seen in neither place.
            before, head = head, self.head(reader, topic)
            if head.hot == before.hot:
                return found

    def _offset_since(
        self, reader: Reader, topic: CatalogTopic, head: Head, moment_us: int, tenant: TenantId | Everybody | None
    ) -> int:
        """As ``offset_since``, if nothing moves meanwhile."""
        visible = _visible(tenant)
        start = head.first
        while start < head.hot and (segment := self._segments.since(reader, topic.number, start, moment_us)):
            batches = self._files.batches(reader, segment)
            offset = None if batches is None else batches.first_since(start, moment_us, visible)
            if offset is not None:
                return offset
            start = segment.end
        found = reader.query(
            *(
                (self._since, (topic.number, head.hot, moment_us))
                if isinstance(tenant, Everybody)
                else (self._visible_since, (topic.number, head.hot, moment_us, tenant_text(tenant)))
            )
        )
        return integers(found, 0)[0] if found.num_rows else head.next

    def offset_of_newest(self, reader: Reader, topic: CatalogTopic, size: int) -> int:
        """The offset from which on the newest batches have at most ``size`` bytes together: of payload, of files.

        A segment counts as a whole.
        """
        head = self.head(reader, topic)
        found = reader.query(self._newest, (topic.number, head.hot, size))
        if found.num_rows:
            return integers(found, 0)[0] + 1
        _, kept = self._segments.hot_size(reader, topic.number, head.hot, head.next)
        for segment in reversed(self._segments.of_topic(reader, topic.number, head.first, head.hot)):
            kept += segment.file_bytes
            if kept > size:
                return segment.end
        return head.first

    def totals(self, reader: Reader, tenant: TenantId | None) -> dict[int, tuple[int, int]]:
        """Rows and bytes (of payload, of files) of each topic that ``tenant`` may read, outside of segments."""
        table = reader.query(self._totals, (tenant_text(tenant),))
        return {
            number: (rows, size)
            for number, rows, size in zip(integers(table, 0), integers(table, 1), integers(table, 2), strict=True)
        }

    def counts(
        self, reader: Reader, topic: CatalogTopic, tenant: TenantId | None, start: int, end: int, limit: int
    ) -> tuple[list[tuple[int, int, int, str]], int]:
        """Offset, row count, time and tenant of the next batches in ``[start, end)``, at most ``limit``, without payloads.

        And the offset at which to read on. Raises as ``read`` where the topic was dropped or some of them were removed.
        """
        if start >= end:
            return [], end

        def from_segment(segment: Segment) -> tuple[list[tuple[int, int, int, str]], int] | None:
            batches = self._files.batches(reader, segment)
            if batches is None:
                return None
            stop = min(end, segment.end, start + limit)
            return [found for found in batches.between(start, stop) if found[3] in visible], stop

        def from_store() -> tuple[list[tuple[int, int, int, str]], int] | None:
            table = reader.query(self._counts, (topic.number, start, end, tenant_text(tenant), limit))
            offsets = integers(table, 0)
            if (not offsets or start < offsets[0]) and self._has_moved(reader, topic, start):
                return None
            found = list(zip(offsets, integers(table, 1), integers(table, 2), texts(table, 3), strict=True))
            return found, end if len(found) < limit else offsets[-1] + 1

        visible = ("", tenant_text(tenant))
        return self._look(reader, topic, start, from_segment, from_store)

    def read(
        self,
        reader: Reader,
        topic: CatalogTopic,
        tenant: TenantId | Everybody | None,
        start: int,
        end: int,
        *,
        limit: int = 1024,
        byte_limit: int = 8 << 20,
        node: Node | None = None,
        columns: Sequence[str] | None = None,
    ) -> Chunk:
        """The next batches of ``[start, end)`` that ``tenant`` may read, in offset order.

        At most ``limit`` batches and about ``byte_limit`` bytes; there may be none where ``Chunk.end`` is not ``end``
        yet. Batches whose column ranges show that ``node`` cannot hold are left out without being read. Each batch has
        the newest schema of ``topic``, or at least the ``columns`` of it. Raises ``OffsetEvicted`` when retention removed
        some of them, ``DataCorrupted`` for a damaged one.
        """
        schema = topic.codec.schema
        if columns is not None:
            schema = pa.schema([schema.field(name) for name in columns], metadata=schema.metadata)  # type: ignore[arg-type] # invariant in the stubs

        def from_segment(segment: Segment) -> Chunk | None:
            if node is not None and not self._files.can_match(
                segment, node, lambda version: self._codec(reader, topic, version, segment.first).schema
            ):
                return Chunk([], min(end, segment.end))
            return self._files.read(
                reader, segment, topic.name, _visible(tenant), start, end,
                schema=schema, limit=limit, byte_limit=byte_limit,
            )  # fmt: skip

        return self._look(
            reader, topic, start, from_segment,
            lambda: self._from_store(reader, topic, tenant, start, end, limit, byte_limit, node),
        )  # fmt: skip

    def _look(
        self,
        reader: Reader,
        topic: CatalogTopic,
        start: int,
        from_segment: Callable[[Segment], _Found | None],
        from_store: Callable[[], _Found | None],
    ) -> _Found:
        """What is at ``start``, in whichever of the two places; either says ``None`` where it is not there (any more).

        A compaction may move it between two questions, in one direction only, and a snapshot may be of before it.
        """
        if start < max(topic.hot_offset, self._hot.get(topic.number) or 0):
            found = self._in_segment(reader, topic, start, from_segment)
            if found is not None:
                return found
        found = from_store()
        if found is not None:
            return found
        found = self._in_segment(reader, topic, start, from_segment)
        if found is not None:
            return found
        self._has_moved(reader, topic, start)  # for its error
        raise _damaged(topic, start, "is missing")

    def _in_segment(
        self, reader: Reader, topic: CatalogTopic, start: int, from_segment: Callable[[Segment], _Found | None]
    ) -> _Found | None:
        segment = self._segments.at(reader, topic.number, start)
        if segment is None:
            return None
        if reader.committed:
            self._hot[topic.number] = max(segment.end, self._hot.get(topic.number) or 0)
        try:
            return from_segment(segment)
        except DataCorrupted:
            # Joined with others meanwhile, and its file swept by another process: the rows are in another one.
            now = self._segments.at(reader, topic.number, start)
            if now is not None and now.path == segment.path:
                raise
            return None if now is None else from_segment(now)

    def _from_store(
        self,
        reader: Reader,
        topic: CatalogTopic,
        tenant: TenantId | Everybody | None,
        start: int,
        end: int,
        limit: int,
        byte_limit: int,
        node: Node | None,
    ) -> Chunk | None:
        """As ``read``, of batches that are in no segment; ``None`` where that at ``start`` is in one."""
        pruned = node is not None
        parameters = (topic.number, start, end, _owner(tenant), limit)
        if self._within is not None and not pruned:
            found = reader.query(self._within, (*parameters, byte_limit))
            offsets = integers(found, 0)
            if (not offsets or start < offsets[0]) and self._has_moved(reader, topic, start):
                return None
            if not offsets:
                return Chunk([], end)
            payloads = buffers(found.column(4))
            rows = _Rows(offsets, integers(found, 1), integers(found, 2), integers(found, 3), integers(found, 5),
                         texts(found, 6))  # fmt: skip
            return self._decoded(reader, topic, rows, range(len(offsets)), payloads, offsets[-1] + 1)
        headers = reader.query(self._headers_ranges if pruned else self._headers, parameters)
        count = headers.num_rows
        if not count:
            return None if self._has_moved(reader, topic, start) else Chunk([], end)
        offsets = integers(headers, 0)
        stop = end if count < limit else offsets[-1] + 1
        sizes = integers(headers, 4)
        if sum(sizes) > byte_limit:
            total = 0
            for index, size in enumerate(sizes):
                total += size
                if total > byte_limit and index:
                    count, stop = index, offsets[index]
                    break
        wanted: Sequence[int] = range(count)
        produced = integers(headers, 1)
        versions = integers(headers, 2)
        if node is not None:
            ranges = buffers(headers.column(6))
            wanted = [
                index
                for index in range(count)
                if can_match(
                    node,
                    decode_ranges(
                        ranges[index], self._codec(reader, topic, versions[index], offsets[index]).schema
                    ).with_columns(_header_ranges(offsets[index], produced[index])),
                )
            ]
            if not wanted:
                return None if self._has_moved(reader, topic, start) else Chunk([], stop)
        fetched = self._fetch(reader, topic, tenant, offsets, wanted)
        if fetched is None:
            if self._has_moved(reader, topic, start):
                return None
            raise DataCorrupted(f"topic {topic.name}: batches vanished between {start} and {stop}")
        if start < offsets[0] and self._has_moved(reader, topic, start):
            return None
        rows = _Rows(offsets, produced, versions, integers(headers, 3), integers(headers, 5),
                     texts(headers, headers.num_columns - 1))  # fmt: skip
        return self._decoded(reader, topic, rows, wanted, fetched, stop)

    def _decoded(
        self,
        reader: Reader,
        topic: CatalogTopic,
        rows: _Rows,
        wanted: Sequence[int],
        payloads: Sequence[pa.Buffer],
        stop: int,
    ) -> Chunk:
        """The batches at the places ``wanted`` of ``rows``, whose payloads these are."""
        offsets, produced, versions, row_counts, checksums, tenants = rows
        entries: list[LogEntry] = []
        decoders: dict[int, Callable[[pa.Buffer], pa.RecordBatch]] = {}
        for index, payload in zip(wanted, payloads, strict=True):
            version = versions[index]
            seed = header_seed(tenants[index], version, row_counts[index])
            if checksum(payload, seed) != checksums[index]:
                if entries:  # those before it are sound: the error comes when it is its turn
                    return Chunk(entries, offsets[index])
                raise _damaged(topic, offsets[index], "fails its checksum")
            decode = decoders.get(version)
            if decode is None:
                decode = decoders[version] = self._codec(reader, topic, version, offsets[index]).decode
            try:
                batch = decode(payload)
            except (pa.ArrowException, OSError) as error:
                raise _damaged(topic, offsets[index], "cannot be decoded") from error
            if version != topic.version:
                batch = upgrade(batch, topic.codec.schema)
            entries.append(LogEntry(offsets[index], produced[index], tenants[index], batch))
        return Chunk(entries, stop)

    def _codec(self, reader: Reader, topic: CatalogTopic, version: int, offset: int) -> Codec:
        """Of a stored version, which may be newer than ``topic``: a subscription outlives ALTER TOPIC."""
        known = topic.codecs.get(version) or self._newer.get((topic.number, version))
        if known is not None:
            return known
        rows = reader.query(self._schemas, (topic.number,)).to_pylist()
        row = next((row for row in rows if row["version"] == version), None)
        if row is None:
            raise _damaged(topic, offset, f"has version {version} of its schema, which is missing")
        codec = Codec.of(decode_schema(row["ipc"], row["checksum"], f"topic {topic.name}"))
        if reader.committed:
            self._newer[topic.number, version] = codec
        return codec

    def _fetch(
        self,
        reader: Reader,
        topic: CatalogTopic,
        tenant: TenantId | Everybody | None,
        offsets: list[int],
        wanted: Sequence[int],
    ) -> list[pa.Buffer] | None:
        """The payloads of the wanted headers; ``None`` when some are gone."""
        runs: list[tuple[int, int]] = []
        first = previous = wanted[0]
        for index in wanted:
            if index > previous + 1:
                runs.append((offsets[first], offsets[previous]))
                first = index
            previous = index
        runs.append((offsets[first], offsets[previous]))
        found = reader.query(
            self._payloads,
            pa.record_batch(
                [
                    pa.array([topic.number] * len(runs), pa.int64()),
                    pa.array([low for low, _ in runs], pa.int64()),
                    pa.array([high for _, high in runs], pa.int64()),
                    pa.array([_owner(tenant)] * len(runs)),
                ],
                names=["topic", "low", "high", "tenant"],
            ),
        )
        return buffers(found.column(0)) if found.num_rows == len(wanted) else None

    def _has_moved(self, reader: Reader, topic: CatalogTopic, start: int) -> bool:
        """Whether the batch at ``start`` is in a segment. ``OffsetEvicted`` where it was removed."""
        head = self.head(reader, topic)
        if start < head.first:
            raise OffsetEvicted(topic.name, start, head.first)
        return start < head.hot


def _owner(tenant: TenantId | Everybody | None) -> str:
    """How a query names whose batches it wants."""
    return "*" if isinstance(tenant, Everybody) else tenant_text(tenant)


def _visible(tenant: TenantId | Everybody | None) -> tuple[str, str] | None:
    """The tenants whose batches ``tenant`` may read, ``None`` for all."""
    return None if isinstance(tenant, Everybody) else ("", tenant_text(tenant))


def _header_ranges(offset: int, produced_us: int) -> dict[str, ColumnRange]:
    """The engine's own columns that are the same in every row of a batch, as its ranges."""
    return {
        "_offset": ColumnRange(order_kind(pa.int64()), offset, offset),
        "_produced_at": ColumnRange(order_kind(pa.timestamp("us", "UTC")), produced_us, produced_us),
    }


def _damaged(topic: CatalogTopic, offset: int, how: str) -> DataCorrupted:
    return DataCorrupted(
        f"topic {topic.name}: the batch at offset {offset} {how}",
        hint="restore the store from a backup, or TRUNCATE the topic past this offset",
    )
