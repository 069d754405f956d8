"""A cached table, and a copy of its query's result."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from ...tenancy import TenantId
from ...topics.definition import display_name
from ...topics.segments.file import parquet_type
from ...topics.segments.storage import SegmentStorage

__all__ = ["NO_TOPIC", "CachedTable", "Copy", "write_copy"]

NO_TOPIC: Final = -1
_GROUP_ROWS: Final = 131_072
_GROUP_BYTES: Final = 64 << 20


@dataclass(frozen=True, slots=True)
class Copy:
    """A file with the result of a query: ``parquet``, or ``arrow`` where Parquet lacks one of its types."""

    path: str
    format: str
    schema: pa.Schema
    rows: int
    size: int


@dataclass(frozen=True, slots=True)
class CachedTable:
    """``CREATE CACHED TABLE name AS query WITH (refresh = ..., on_change = ...)``, as it was when it was looked up."""

    number: int
    tenant: TenantId | None
    namespace: str
    local_name: str
    query: str
    home: str
    """The schema in which the query's names without one are looked up."""
    folder: str
    """Of its copies."""
    refresh_us: int
    """The age, in microseconds, at which it is made anew; 0: never by itself."""
    topic: int
    """The number of the topic whose batches it follows, or ``NO_TOPIC``."""
    copy: Copy
    refreshed_us: int
    """As of when the copy is."""
    seen_offset: int
    """The next offset of the topic then."""
    attempted_us: int
    failure: str
    """Of the last refresh, empty where it went well."""

    @property
    def name(self) -> str:
        """The identifier path that leads to it."""
        return display_name(self.namespace, self.local_name)


def write_copy(storage: SegmentStorage, path: str, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> Copy:
    """Write rows into a new file, whose name is ``path`` and an ending; it is not there if this raises."""
    schema = pa.schema([field.remove_metadata() for field in schema])
    file_format = "parquet" if all(_keeps(field.type) for field in schema) else "arrow"
    whole = f"{path}.{file_format}"
    count = 0

    def write(sink: Any) -> None:
        nonlocal count
        opened: Any = (
            pq.ParquetWriter(sink, schema, compression="zstd", write_page_index=True)
            if file_format == "parquet"
            else pa.ipc.new_file(sink, schema)
        )
        with opened as writer:
            for rows in _groups(batches, schema):
                count += rows.num_rows
                if file_format == "parquet":
                    writer.write_table(rows, row_group_size=_GROUP_ROWS)
                else:
                    writer.write_table(rows.unify_dictionaries().combine_chunks())

    size = storage.create(whole, write)
    return Copy(whole, file_format, schema, count, size)


def _groups(batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> Iterator[pa.Table]:
    """The rows in stretches that are worth a row group."""
    held: list[pa.RecordBatch] = []
    rows = size = 0
    for batch in batches:
        held.append(pa.RecordBatch.from_arrays(batch.columns, schema=schema))  # metadata left out
        rows, size = rows + batch.num_rows, size + batch.nbytes
        if rows >= _GROUP_ROWS or size >= _GROUP_BYTES:
            yield pa.Table.from_batches(held, schema)
            held, rows, size = [], 0, 0
    if rows:
        yield pa.Table.from_batches(held, schema)


def _keeps(data_type: pa.DataType) -> bool:
    """Whether Parquet gives the same type back, whatever the values are."""
    kept = parquet_type(data_type)
    return kept is not None and kept.equals(data_type) and not isinstance(data_type, pa.BaseExtensionType)
