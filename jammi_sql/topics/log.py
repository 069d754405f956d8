"""The log of a topic: one row per batch, offsets taken inside the writing transaction."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import pairwise
from typing import NamedTuple, cast

import pyarrow as pa

from ..arrow.batches import upgrade
from ..arrow.expression import Node
from ..arrow.ipc import Codec, checksum, decode_schema, header_seed
from ..arrow.order import order_kind
from ..arrow.ranges import ColumnRange, can_match, decode_ranges
from ..errors import DataCorrupted, OffsetEvicted, TopicNotFound
from ..ports import NamedQuery, Reader, Transaction
from ..tenancy import TenantId
from .catalog import CatalogTopic, tenant_text
from .remembered import Remembered

__all__ = ["EVERYBODY", "Append", "Appended", "Chunk", "Everybody", "Head", "Log", "LogEntry"]


class Everybody(Enum):
    """Who sees the batches of every tenant: the owner of a topic who removes them."""

    EVERYBODY = "everybody"


EVERYBODY = Everybody.EVERYBODY


class LogEntry(NamedTuple):
    """One batch read from the log. ``tenant`` is '' for none."""

    offset: int
    produced_us: int
    tenant: str
    batch: pa.RecordBatch


class Chunk(NamedTuple):
    """Some consecutive batches, and the offset at which to read on (those skipped are behind it)."""

    entries: list[LogEntry]
    end: int


class Head(NamedTuple):
    """The oldest offset kept and the next one to come."""

    first: int
    next: int


@dataclass(frozen=True, slots=True)
class Append:
    """One encoded batch on its way into the log."""

    topic: CatalogTopic
    tenant: str
    row_count: int
    ranges: bytes
    payload: pa.Buffer


class Appended(NamedTuple):
    """Where it went."""

    offset: int
    produced_us: int


_LARGE = 1 << 16  # bytes

_APPEND_ROW = pa.struct(
    [
        ("topic", pa.int64()),
        ("produced_us", pa.int64()),
        ("tenant", pa.string()),
        ("version", pa.int64()),
        ("row_count", pa.int64()),
        ("byte_count", pa.int64()),
        ("checksum", pa.int64()),
        ("ranges", pa.binary()),
        ("payload", pa.binary()),
        ("namespace", pa.string()),
        ("name", pa.string()),
    ]
)


class Log:
    """Reads and appends batches. Holds no state but its queries and the schemas that came after a topic was looked up."""

    def __init__(self, queries: Mapping[str, NamedQuery]) -> None:
        self._append = queries["append_batch"]
        self._headers = queries["batch_headers"]
        self._headers_ranges = queries["batch_headers_with_ranges"]
        self._payloads = queries["batch_payloads"]
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

    # --- writing ---

    def append(self, transaction: Transaction, appends: Sequence[Append], now_us: int) -> list[Appended] | None:
        """Append in order, each with the next offset of its topic.

        ``None``, with the transaction to be rolled back, when one of the topics is not what the catalogue says any more
        (dropped, renamed, or with another schema version).
        """
        rows = transaction.query(self._append, _bind(appends, now_us))
        if rows.num_rows != len(appends):
            return None
        return [
            Appended(offset, produced) for offset, produced in zip(_integers(rows, 0), _integers(rows, 1), strict=True)
        ]

    def truncate(self, transaction: Transaction, topic: CatalogTopic, before: int) -> int:
        """Remove the batches below ``before``; offsets are never used again. Returns the first offset now kept."""
        head = self.head(transaction, topic)
        before = max(head.first, min(before, head.next))
        transaction.execute(self._raise_floor, (topic.number, before))
        transaction.execute(self._remove, (topic.number, before))
        return before

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
            number: Head(first, following)
            for number, first, following in zip(
                _integers(table, 0), _integers(table, 1), _integers(table, 2), strict=True
            )
        }

    def offset_since(
        self, reader: Reader, topic: CatalogTopic, moment_us: int, tenant: TenantId | Everybody | None = EVERYBODY
    ) -> int:
        """The offset of the first batch produced at or after ``moment_us``; the next offset where there is none.

        Only batches that ``tenant`` may read count: the time of another tenant's publish is nobody else's business.
        """
        head = self.head(reader, topic)
        if isinstance(tenant, Everybody):
            found = reader.query(self._since, (topic.number, moment_us))
        else:
            found = reader.query(self._visible_since, (topic.number, moment_us, tenant_text(tenant)))
        return _integers(found, 0)[0] if found.num_rows else head.next

    def offset_of_newest(self, reader: Reader, topic: CatalogTopic, size: int) -> int:
        """The offset from which on the newest batches have at most ``size`` bytes of payload together."""
        found = reader.query(self._newest, (topic.number, size))
        return _integers(found, 0)[0] + 1 if found.num_rows else topic.first_offset

    def totals(self, reader: Reader, tenant: TenantId | None) -> dict[int, tuple[int, int]]:
        """Rows and payload bytes of each topic that ``tenant`` may read."""
        table = reader.query(self._totals, (tenant_text(tenant),))
        return {
            number: (rows, size)
            for number, rows, size in zip(_integers(table, 0), _integers(table, 1), _integers(table, 2), strict=True)
        }

    def counts(
        self, reader: Reader, topic: CatalogTopic, tenant: TenantId | None, start: int, end: int, limit: int
    ) -> list[tuple[int, int, int, str]]:
        """Offset, row count, time and tenant of each batch in ``[start, end)``, at most ``limit``, without its payload.

        Raises as ``read`` where the topic was dropped or some of them were removed.
        """
        table = reader.query(self._counts, (topic.number, start, end, tenant_text(tenant), limit))
        offsets = _integers(table, 0)
        if start < end and (not offsets or start < offsets[0]):
            self._check_kept(reader, topic, start)
        return list(zip(offsets, _integers(table, 1), _integers(table, 2), _texts(table, 3), strict=True))

    def read(
        self,
        reader: Reader,
        topic: CatalogTopic,
        tenant: TenantId | None,
        start: int,
        end: int,
        *,
        limit: int = 1024,
        byte_limit: int = 8 << 20,
        node: Node | None = None,
    ) -> Chunk:
        """The next batches of ``[start, end)`` that ``tenant`` may read, in offset order.

        At most ``limit`` batches and about ``byte_limit`` bytes, at least one batch where there is one. Batches whose
        column ranges show that ``node`` cannot hold are left out without being read. Each batch has the newest schema
        of ``topic``. Raises ``OffsetEvicted`` when retention removed some of them, ``DataCorrupted`` for a damaged one.
        """
        pruned = node is not None
        parameters = (topic.number, start, end, tenant_text(tenant), limit)
        headers = reader.query(self._headers_ranges if pruned else self._headers, parameters)
        count = headers.num_rows
        if not count:
            self._check_kept(reader, topic, start)
            return Chunk([], end)
        offsets = _integers(headers, 0)
        stop = end if count < limit else offsets[-1] + 1
        sizes = _integers(headers, 4)
        if sum(sizes) > byte_limit:
            total = 0
            for index, size in enumerate(sizes):
                total += size
                if total > byte_limit and index:
                    count, stop = index, offsets[index]
                    break
        wanted: Sequence[int] = range(count)
        produced = _integers(headers, 1)
        versions = _integers(headers, 2)
        if node is not None:
            ranges = _buffers(headers.column(6))
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
                self._check_kept(reader, topic, start)
                return Chunk([], stop)
        payloads = self._fetch(reader, topic, tenant, offsets, wanted)
        if payloads is None:
            self._check_kept(reader, topic, start)
            raise DataCorrupted(f"topic {topic.name}: batches vanished between {start} and {stop}")
        if start < offsets[0]:
            self._check_kept(reader, topic, start)
        row_counts = _integers(headers, 3)
        checksums = _integers(headers, 5)
        tenants = _texts(headers, headers.num_columns - 1)
        entries: list[LogEntry] = []
        for index, payload in zip(wanted, payloads, strict=True):
            version = versions[index]
            seed = header_seed(tenants[index], version, row_counts[index])
            if checksum(payload, seed) != checksums[index]:
                if entries:  # those before it are sound: the error comes when it is its turn
                    return Chunk(entries, offsets[index])
                raise _damaged(topic, offsets[index], "fails its checksum")
            try:
                batch = self._codec(reader, topic, version, offsets[index]).decode(payload)
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
        self, reader: Reader, topic: CatalogTopic, tenant: TenantId | None, offsets: list[int], wanted: Sequence[int]
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
        text = tenant_text(tenant)
        if len(runs) == 1:
            found = reader.query(self._payloads, (topic.number, *runs[0], text))
        else:
            found = reader.query(
                self._payloads,
                pa.record_batch(
                    [
                        pa.array([topic.number] * len(runs), pa.int64()),
                        pa.array([low for low, _ in runs], pa.int64()),
                        pa.array([high for _, high in runs], pa.int64()),
                        pa.array([text] * len(runs)),
                    ],
                    names=["topic", "low", "high", "tenant"],
                ),
            )
        return _buffers(found.column(0)) if found.num_rows == len(wanted) else None

    def _check_kept(self, reader: Reader, topic: CatalogTopic, start: int) -> None:
        head = self.head(reader, topic)
        if start < head.first:
            raise OffsetEvicted(topic.name, start, head.first)


def _header_ranges(offset: int, produced_us: int) -> dict[str, ColumnRange]:
    """The engine's own columns that are the same in every row of a batch, as its ranges."""
    return {
        "_offset": ColumnRange(order_kind(pa.int64()), offset, offset),
        "_produced_at": ColumnRange(order_kind(pa.timestamp("us", "UTC")), produced_us, produced_us),
    }


def _bind(appends: Sequence[Append], now_us: int) -> pa.RecordBatch:
    """The rows to insert, made as one array of structs: an array per column takes five times as long.

    That copies the payloads, which a large one that comes alone is spared.
    """
    alone = appends[0].payload if len(appends) == 1 else None
    whole = alone if alone is not None and _LARGE <= alone.size < 1 << 31 else None
    rows = [
        (
            append.topic.number,
            now_us,
            append.tenant,
            append.topic.version,
            append.row_count,
            append.payload.size,
            checksum(append.payload, header_seed(append.tenant, append.topic.version, append.row_count)),
            append.ranges,
            b"" if whole is not None else append.payload.to_pybytes(),  # a memoryview takes three times as long
            append.topic.namespace,
            append.topic.local_name,
        )
        for append in appends
    ]
    batch = pa.RecordBatch.from_struct_array(cast("pa.StructArray", pa.array(rows, _APPEND_ROW)))
    if whole is not None:
        bounds = pa.py_buffer(struct.pack("=ii", 0, whole.size))
        column = pa.Array.from_buffers(pa.binary(), 1, [None, bounds, whole])
        batch = batch.set_column(batch.schema.get_field_index("payload"), "payload", column)
    return batch


def _damaged(topic: CatalogTopic, offset: int, how: str) -> DataCorrupted:
    return DataCorrupted(
        f"topic {topic.name}: the batch at offset {offset} {how}",
        hint="restore the store from a backup, or TRUNCATE the topic past this offset",
    )


def _integers(table: pa.Table, column: int) -> list[int]:
    """A column of 64-bit integers as a list; ``to_pylist`` takes ten times as long."""
    values: list[int] = []
    for chunk in table.column(column).chunks:
        data = chunk.buffers()[1]
        if len(chunk) and data is not None:
            values += memoryview(data).cast("q")[chunk.offset : chunk.offset + len(chunk)].tolist()
    return values


def _buffers(column: pa.ChunkedArray) -> list[pa.Buffer]:
    """The values of a binary column, each a slice of the column's memory."""
    buffers: list[pa.Buffer] = []
    for chunk in column.chunks:
        _, offsets, data = chunk.buffers()
        if len(chunk) and offsets is not None and data is not None:
            bounds = memoryview(offsets).cast("i")[chunk.offset : chunk.offset + len(chunk) + 1].tolist()
            buffers += [data.slice(low, high - low) for low, high in pairwise(bounds)]
    return buffers


def _texts(table: pa.Table, column: int) -> list[str]:
    """A column of texts, none of them null."""
    texts: list[str] = table.column(column).to_pylist()  # type: ignore[assignment] # the store's queries return no null
    return texts
