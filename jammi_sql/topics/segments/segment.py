"""A segment: a sealed stretch of a topic's log in one Parquet file, as the store's catalogue has it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import orjson
import pyarrow as pa
from numpy.typing import NDArray

from ...arrow.ipc import checksum
from ...errors import DataCorrupted

__all__ = ["Segment", "SegmentBatches"]


@dataclass(frozen=True, slots=True)
class Segment:
    """The batches with offsets in ``[first, end)``: where their file is and what is in it. Times are microseconds."""

    topic: int
    first: int
    end: int
    first_us: int
    last_us: int
    version: int
    """Of the topic's schema, whose columns the file has."""
    row_count: int
    file_bytes: int
    footer: int
    """Checksum of the file's footer, which has the checksums and places of all the rest."""
    path: str
    encoded: tuple[str, ...]
    """Columns of types that Parquet lacks, which the file has in the encoding of ``arrow.storage``."""
    tenants: Mapping[str, int]
    """Rows by tenant, '' for none."""
    ranges: bytes

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Self:
        """From a row of the catalogue. ``DataCorrupted`` where it makes no sense."""
        try:
            tenants = {str(tenant): int(rows) for tenant, rows in orjson.loads(row["tenants"])}
            encoded = tuple(str(name) for name in orjson.loads(row["encoded"]))
        except (ValueError, TypeError) as error:
            raise DataCorrupted(
                f"the catalogue row of segment {row['path']} is damaged", hint="restore the store from a backup"
            ) from error
        return cls(
            row["topic"], row["first_offset"], row["end_offset"], row["first_us"], row["last_us"], row["version"],
            row["row_count"], row["file_bytes"], row["footer"], row["path"], encoded, tenants, row["ranges"],
        )  # fmt: skip

    def rows_of(self, visible: Sequence[str]) -> int:
        """The rows of those tenants."""
        return sum(rows for tenant, rows in self.tenants.items() if tenant in visible)

    def is_open_to(self, visible: Sequence[str]) -> bool:
        """Whether it has no rows of other tenants than those."""
        return all(tenant in visible for tenant in self.tenants)


_SCHEMA = pa.schema([("rows", pa.int64()), ("elapsed_us", pa.int64()), ("tenant", pa.int32())])
_OPTIONS = pa.ipc.IpcWriteOptions(compression="zstd")


@dataclass(frozen=True, slots=True, eq=False)
class SegmentBatches:
    """The batches of a segment, in offset order: rows, time and tenant of each.

    Arrays of numbers, since a segment may have a million batches. ``tenant_numbers`` are places in ``names``.
    """

    first: int
    row_counts: NDArray[np.int64]
    produced_us: NDArray[np.int64]
    tenant_numbers: NDArray[np.int32]
    names: tuple[str, ...]

    @classmethod
    def of(cls, first: int, row_counts: Sequence[int], produced_us: Sequence[int], tenants: Sequence[str]) -> Self:
        """From the batches one by one; ``tenants`` has '' for none."""
        numbers: dict[str, int] = {}
        places = [numbers.setdefault(tenant, len(numbers)) for tenant in tenants]
        return cls(
            first,
            np.asarray(row_counts, np.int64),
            np.asarray(produced_us, np.int64),
            np.asarray(places, np.int32),
            tuple(numbers),
        )

    def __len__(self) -> int:
        return len(self.row_counts)

    @property
    def end(self) -> int:
        """The offset after the last one."""
        return self.first + len(self.row_counts)

    def rows_between(self, start: int, end: int) -> int:
        """The rows of the batches with offsets in ``[start, end)``."""
        return int(self.row_counts[max(0, start - self.first) : max(0, end - self.first)].sum())

    def first_since(self, start: int, moment_us: int, visible: Sequence[str] | None) -> int | None:
        """The first offset from ``start`` on produced at or after ``moment_us``, of the tenants ``visible`` (all)."""
        low = max(start - self.first, int(np.searchsorted(self.produced_us, moment_us)))
        wanted = [number for number, name in enumerate(self.names) if visible is None or name in visible]
        found = np.flatnonzero(np.isin(self.tenant_numbers[low:], wanted))
        return self.first + low + int(found[0]) if len(found) else None

    def between(self, start: int, end: int) -> Iterator[tuple[int, int, int, str]]:
        """Offset, row count, time and tenant of the batches with offsets in ``[start, end)``."""
        low, high = start - self.first, min(end, self.end) - self.first
        names = self.names
        return zip(
            range(start, start + high - low),
            self.row_counts[low:high].tolist(),
            self.produced_us[low:high].tolist(),
            [names[number] for number in self.tenant_numbers[low:high].tolist()],
            strict=True,
        )

    def tenant_rows(self) -> dict[str, int]:
        """Rows by tenant, in the order of ``names``."""
        rows = np.bincount(self.tenant_numbers, self.row_counts, len(self.names))
        return {name: int(count) for name, count in zip(self.names, rows, strict=True)}

    def encode(self) -> bytes:
        """As the catalogue keeps it. Times as differences, which are small and press well."""
        columns: list[NDArray[Any]] = [self.row_counts, np.diff(self.produced_us, prepend=0), self.tenant_numbers]
        batch = pa.record_batch([pa.array(column) for column in columns], schema=_SCHEMA)
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, _SCHEMA, options=_OPTIONS) as writer:
            writer.write_batch(batch)
        return sink.getvalue().to_pybytes()

    @classmethod
    def decode(cls, data: bytes, expected: int, segment: Segment) -> Self:
        """Those of ``segment``. ``DataCorrupted`` for what fails its checksum or does not fit it."""
        if checksum(data) == expected:
            with pa.ipc.open_stream(data) as reader:
                columns = reader.read_next_batch()
            counts, elapsed, tenants = (column.to_numpy() for column in columns.columns)
            made = cls(segment.first, counts, np.cumsum(elapsed), tenants, tuple(segment.tenants))
            if made.end == segment.end and int(counts.sum()) == segment.row_count:
                return made
        raise DataCorrupted(
            f"the list of batches of segment {segment.path} is damaged", hint="restore the store from a backup"
        )
