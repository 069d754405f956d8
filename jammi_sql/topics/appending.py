"""How batches get into the log: their offsets are taken inside the writing transaction."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

import orjson
import pyarrow as pa

from ..arrow.ipc import checksum, header_seed
from ..ports import NamedQuery, Parameters, Transaction
from .catalog import CatalogTopic
from .remembered import Remembered
from .result_columns import integers

__all__ = ["Append", "Appender", "LockingAppender", "appender"]

_TEXT: pa.DataType = pa.large_string()
_BYTES: pa.DataType = pa.large_binary()
_BOUND = pa.schema([("header", _TEXT), ("payload", _BYTES)])


class Append(NamedTuple):
    """One encoded batch on its way into the log."""

    topic: CatalogTopic
    tenant: str
    row_count: int
    ranges: bytes
    payload: pa.Buffer


class Appender(Protocol):
    """Writes batches to the end of their topics."""

    def append(self, transaction: Transaction, appends: Sequence[Append], now_us: int) -> list[tuple[int, int]] | None:
        """Append in order, each with the next offset of its topic. Returns offset and microseconds since 1970 of each.

        ``None``, with the transaction to be rolled back, when one of the topics is not what the catalogue says any more
        (dropped, renamed, or with another schema version).
        """
        ...


def appender(queries: Mapping[str, NamedQuery]) -> Appender:
    """That of the store whose queries these are."""
    if "append_batches" in queries:
        return LockingAppender(queries["append_batch"], queries["append_batches"])
    return SupposingAppender(queries["append_batch"], queries["topic_ends"])


class LockingAppender:
    """For a store in which others write meanwhile: it takes offsets under the topics' row locks, in one statement."""

    def __init__(self, one: NamedQuery, several: NamedQuery) -> None:
        self._one = one
        self._several = several

    def append(self, transaction: Transaction, appends: Sequence[Append], now_us: int) -> list[tuple[int, int]] | None:
        """As ``Appender.append``."""
        return self.places(transaction.query(*self.statement(appends, now_us)), appends)

    def statement(self, appends: Sequence[Append], now_us: int) -> tuple[NamedQuery, Parameters]:
        """What appends all of them, or none."""
        if len(appends) == 1:  # mostly: to make and to bind arrays takes longer than the server needs for it
            return self._one, _values(appends[0], now_us)
        return self._several, _arrays(appends, now_us)

    def places(self, table: pa.Table, appends: Sequence[Append]) -> list[tuple[int, int]] | None:
        """What the result of ``statement`` says of them, as ``append`` does."""
        places = list(zip(integers(table, 0), integers(table, 1), strict=True))
        return places if len(places) == len(appends) else None


def _values(append: Append, now_us: int) -> tuple[int | str | bytes, ...]:
    topic = append.topic
    return (
        topic.number,
        topic.namespace,
        topic.local_name,
        topic.version,
        append.tenant,
        append.row_count,
        _checksum(append),
        append.ranges,
        append.payload.to_pybytes(),
        now_us,
    )


def _arrays(appends: Sequence[Append], now_us: int) -> pa.RecordBatch:
    topics = [append.topic for append in appends]
    return pa.RecordBatch.from_arrays(
        [
            pa.array([topic.number for topic in topics], pa.int64()),
            pa.array([topic.namespace for topic in topics], pa.string()),
            pa.array([topic.local_name for topic in topics], pa.string()),
            pa.array([topic.version for topic in topics], pa.int64()),
            pa.array([append.tenant for append in appends], pa.string()),
            pa.array([append.row_count for append in appends], pa.int64()),
            pa.array([_checksum(append) for append in appends], pa.int64()),
            pa.array([append.ranges for append in appends], pa.binary()),
            _column(_BYTES, [append.payload for append in appends]),
            pa.repeat(pa.scalar(now_us, pa.int64()), len(appends)),
        ],
        names=_NAMES,
    )


_NAMES = [str(number) for number in range(1, 11)]


class _End(NamedTuple):
    """The next offset of a topic, and the time before which nothing is produced there any more."""

    offset: int
    produced_us: int


class SupposingAppender:
    """For a store whose write lock is held: it supposes that a topic ends where this process last wrote to it."""

    def __init__(self, append: NamedQuery, ends: NamedQuery) -> None:
        self._append = append
        self._ends = ends
        self._supposed: Remembered[int, _End] = Remembered(1024)

    def append(self, transaction: Transaction, appends: Sequence[Append], now_us: int) -> list[tuple[int, int]] | None:
        """As ``Appender.append``."""
        numbers = {append.topic.number for append in appends}
        supposed = self._supposed.get(appends[0].topic.number) if len(numbers) == 1 else None
        if supposed is not None:
            # Mostly nobody else wrote meanwhile. The statement appends nothing if somebody did, or a rollback took back
            # what is supposed here; to ask first costs more than an insert.
            places, count = self._append_at(transaction, appends, dict.fromkeys(numbers, supposed), now_us)
            if count:
                return places if count == len(appends) else None
        table = transaction.query(self._ends, (str(list(numbers)),))
        ends = {
            number: _End(offset, produced_us)
            for number, offset, produced_us in zip(*(integers(table, column) for column in range(3)), strict=True)
        }
        if ends.keys() != numbers:
            return None
        places, count = self._append_at(transaction, appends, ends, now_us)
        return places if count == len(appends) else None

    def _append_at(
        self, transaction: Transaction, appends: Sequence[Append], ends: dict[int, _End], now_us: int
    ) -> tuple[list[tuple[int, int]], int]:
        """Append at the ends given. Returns the places, and how many were appended there: all, unless these are no ends."""
        places: list[tuple[int, int]] = []
        headers: list[bytes] = []
        for append in appends:
            topic = append.topic
            offset, last_us = ends[topic.number]
            produced_us = max(last_us, now_us)
            headers.append(_header(append, offset, produced_us, last_us))
            places.append((offset, produced_us))
            ends[topic.number] = _End(offset + 1, produced_us)
        count = transaction.execute(self._append, _bind(headers, appends))
        if count == len(appends):
            for number, end in ends.items():
                self._supposed[number] = end
        return places, count


def _checksum(append: Append) -> int:
    return checksum(append.payload, header_seed(append.tenant, append.topic.version, append.row_count))


def _header(append: Append, offset: int, produced_us: int, last_us: int) -> bytes:
    """All that is short, as one text, which SQLite takes apart: each column of a bound batch costs, to make and to bind,
    a third of what SQLite needs for the insert itself.
    """
    topic = append.topic
    return orjson.dumps(
        (
            topic.number,
            offset,
            produced_us,
            f"{offset} {last_us}",
            append.tenant,
            topic.version,
            append.row_count,
            _checksum(append),
            topic.namespace,
            topic.local_name,
            append.ranges.hex(),
        )
    )


def _bind(headers: Sequence[bytes], appends: Sequence[Append]) -> pa.RecordBatch:
    """The rows to insert."""
    payloads = [append.payload for append in appends]
    return pa.RecordBatch.from_arrays([_column(_TEXT, headers), _column(_BYTES, payloads)], schema=_BOUND)


def _column(data_type: pa.DataType, values: Sequence[bytes] | Sequence[pa.Buffer]) -> pa.Array:
    """A column of large text or bytes; a value that comes alone is not copied."""
    ends = array("q", [0])
    for value in values:
        ends.append(ends[-1] + len(value))
    data = values[0] if len(values) == 1 else b"".join(values)
    return pa.Array.from_buffers(data_type, len(values), [None, pa.py_buffer(ends), pa.py_buffer(data)])
