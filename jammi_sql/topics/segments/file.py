"""The Parquet file of a segment: the engine's columns and the topic's, in offset order.

The file is made for pruning: statistics per row group and page, and a bloom filter for text and bytes where it costs
little beside the values. Statistics are left out where they would mislead: Parquet's take no account of NaN, which is
the greatest number in SQL.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import types

from ...arrow.batches import join
from ...arrow.ipc import checksum
from ...arrow.layouts import converted, plain_type
from ...arrow.storage import column_codec
from ...errors import DataCorrupted
from ..relation import ENGINE_COLUMNS, RowRun, relation_batch, relation_schema
from .segment import Segment, SegmentBatches
from .storage import SegmentStorage

__all__ = ["SegmentFile", "WrittenFile", "check_file", "joinable", "joinable_schema", "parquet_type", "write_file"]

_GROUP_ROWS = 1 << 20
_BLOOM_SHARE = 0.1
"""The most that a bloom filter may add to a column's bytes."""
_BLOOM_BITS = 10
"""Per distinct value, for one false answer in a hundred."""
_SAMPLE = 1 << 16
_READ_BYTES = 8 << 20
_READ_ROWS = (1024, 131072)
_DICTIONARY_BYTES = 1 << 20
"""What Parquet's writer takes as a dictionary before it gives it up."""
_MAGIC = b"PAR1"


class WrittenFile(NamedTuple):
    """What the catalogue keeps of a file."""

    size: int
    footer: int
    encoded: tuple[str, ...]


# --- writing ---


def write_file(
    storage: SegmentStorage, path: str, batches: SegmentBatches, rows: Sequence[pa.RecordBatch], schema: pa.Schema
) -> WrittenFile:
    """Write the rows of all ``batches`` as one file; ``rows`` are the batches of ``schema`` made ``joinable``.

    Raises ``FeatureNotSupported`` for a type that no file can hold, ``StoreIOError``, ``DiskFull``.
    """
    runs = [
        RowRun(offset, produced, tenant, count)
        for offset, count, produced, tenant in batches.between(batches.first, batches.end)
    ]
    joined = relation_batch(runs, join(rows), relation_schema(joinable_schema(schema)), None)
    columns: list[pa.Array] = []
    fields: list[pa.Field] = []
    encoded = [field.name for field in schema if _is_narrow(field.type)]
    for field, column in zip(joined.schema, joined.columns, strict=True):
        if _holds(column):
            columns.append(column)
            fields.append(field)
        else:
            values = _encoded(column)
            columns.append(values)
            fields.append(pa.field(field.name, values.type, field.nullable))
            encoded.append(field.name)
    kept = pa.schema(fields, metadata=joined.schema.metadata)  # type: ignore[arg-type] # invariant in the stubs
    table = pa.Table.from_arrays(columns, schema=kept)

    shape = _Shape.of(table)

    def write(sink: Any) -> None:
        with pq.ParquetWriter(
            sink,
            table.schema,
            compression="zstd",
            use_dictionary=shape.dictionaries,  # type: ignore[arg-type] # or a list
            column_encoding=shape.encodings,
            write_statistics=shape.statistics,
            write_page_index=True,
            write_page_checksum=True,
            sorting_columns=[pq.SortingColumn(0), pq.SortingColumn(1)],
            bloom_filter_options=shape.bloom_filters or None,
        ) as writer:
            writer.write_table(table, row_group_size=_GROUP_ROWS)

    size = storage.create(path, write)
    with storage.open(path) as file:
        return WrittenFile(size, _footer(file, size), tuple(encoded))


def joinable_schema(schema: pa.Schema) -> pa.Schema:
    """``schema`` with plain values for dictionaries that may be too small for the values of many batches together."""
    if not any(_is_narrow(field.type) for field in schema):
        return schema
    fields = [field.with_type(plain_type(field.type)) if _is_narrow(field.type) else field for field in schema]
    return pa.schema(fields, metadata=schema.metadata)  # type: ignore[arg-type] # invariant in the stubs


def joinable(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """``batch`` with the columns of ``schema``, which is its own made joinable, or was before that."""
    columns = [converted(column, field.type) for column, field in zip(batch.columns, schema, strict=True)]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _is_narrow(data_type: Any) -> bool:
    return types.is_dictionary(data_type) and data_type.index_type.bit_width < 32


def parquet_type(data_type: Any) -> pa.DataType | None:
    """What Parquet makes of a type, ``None`` where pyarrow writes it not at all."""
    if isinstance(data_type, pa.BaseExtensionType):
        return None if parquet_type(data_type.storage_type) is None else data_type
    if types.is_interval(data_type) or types.is_run_end_encoded(data_type) or types.is_union(data_type):
        return None
    if types.is_decimal(data_type) and not 0 <= data_type.scale <= data_type.precision:
        return None
    if types.is_fixed_size_binary(data_type) and not data_type.byte_width:
        return None
    if types.is_date64(data_type):
        return pa.date32()
    if types.is_time32(data_type):
        return pa.time32("ms")
    if types.is_timestamp(data_type) and data_type.unit == "s":
        return pa.timestamp("ms", data_type.tz)
    if types.is_dictionary(data_type):
        # Of other values pyarrow writes none, or DataFusion reads none.
        return data_type if any(test(data_type.value_type) for test in _TEXTS) else None
    if not types.is_nested(data_type):
        return data_type  # type: ignore[no-any-return]
    if types.is_fixed_size_list(data_type) and not data_type.list_size:
        return None
    if not data_type.num_fields or types.is_list_view(data_type) or types.is_large_list_view(data_type):
        return None
    inner = [data_type.field(index).type for index in range(data_type.num_fields)]
    parts = [None if types.is_dictionary(kind) else parquet_type(kind) for kind in inner]
    same = all(part is not None and part.equals(kind) for part, kind in zip(parts, inner, strict=True))
    return data_type if same else None


def _holds(column: pa.Array) -> bool:
    """Whether Parquet gives the very values back."""
    kept = parquet_type(column.type)
    if kept is None or (types.is_dictionary(column.type) and column.dictionary.null_count):  # type: ignore[attr-defined]
        return False
    if kept.equals(column.type):
        return True
    try:
        return bool(column.cast(kept).cast(column.type).equals(column))
    except pa.ArrowInvalid:  # seconds that are too many for milliseconds
        return False


def _encoded(column: pa.Array) -> pa.Array:
    """The values of a type that Parquet lacks, as one that it has."""
    plain = plain_type(column.type)
    if types.is_floating(plain):  # the codec, which is made for SQLite, has NaNs apart
        values: pa.Array = converted(column, plain)
        return values
    return column_codec(column.type).encode(column).values


def _decoded(values: pa.Array, wanted: pa.DataType) -> pa.Array:
    if types.is_floating(plain_type(wanted)):
        column: pa.Array = converted(values, wanted)
        return column
    return column_codec(wanted).decode(values)


def _leaves(schema: pa.Schema) -> list[str]:
    """The paths of the columns that Parquet makes of ``schema``."""
    sink = pa.BufferOutputStream()
    pq.write_table(schema.empty_table(), sink)
    found = pq.read_metadata(pa.BufferReader(sink.getvalue())).schema
    return [found.column(index).path for index in range(len(found))]


@dataclass(frozen=True, slots=True)
class _Shape:
    """How the columns of a file are written, by their paths.

    Numbers and times as differences, which are smaller than as they are and read several times as fast. Text, bytes and
    floats as entries of a dictionary where it is small; else text as lengths and bytes, floats byte by byte.
    """

    dictionaries: list[str]
    encodings: dict[str, str]
    statistics: list[str]
    bloom_filters: dict[str, Any]

    @classmethod
    def of(cls, table: pa.Table) -> Self:
        """That which suits the values."""
        shape = cls([], {}, [], {})
        leaves = _leaves(table.schema)
        for field in table.schema:
            column = table.column(field.name)
            if types.is_nested(field.type):
                # A column beside it may have a name with a dot in it, and so a path that begins like these.
                shape.dictionaries.extend(
                    leaf for leaf in leaves if leaf.startswith(f"{field.name}.") and leaf not in table.schema.names
                )
                continue
            if not _has_nan(column):
                shape.statistics.append(field.name)
            data_type: Any = field.type.storage_type if isinstance(field.type, pa.BaseExtensionType) else field.type
            if types.is_integer(data_type) or types.is_temporal(data_type):
                shape.encodings[field.name] = "DELTA_BINARY_PACKED"
            elif any(test(data_type) for test in _BY_VALUE):
                shape._choose(field.name, column, data_type)
            elif not types.is_boolean(data_type) and not types.is_null(data_type):
                shape.dictionaries.append(field.name)
        return shape

    def _choose(self, name: str, column: pa.ChunkedArray, data_type: Any) -> None:
        if isinstance(column.type, pa.BaseExtensionType):
            column = column.cast(data_type)
        distinct = _distinct(column)
        size = distinct * column.nbytes // max(1, len(column))
        if distinct <= len(column) // 4 and size <= _DICTIONARY_BYTES:
            self.dictionaries.append(name)
        elif types.is_floating(data_type):
            self.encodings[name] = "BYTE_STREAM_SPLIT"
        elif not types.is_fixed_size_binary(data_type):
            self.encodings[name] = "DELTA_LENGTH_BYTE_ARRAY"
        # What the least and greatest text are says next to nothing about one text.
        pays = distinct * _BLOOM_BITS / 8 <= column.nbytes * _BLOOM_SHARE
        if distinct and pays and not types.is_floating(data_type) and name not in ENGINE_COLUMNS:
            self.bloom_filters[name] = {"ndv": distinct, "fpp": 0.01}


def _distinct(column: pa.ChunkedArray) -> int:
    """How many different values there are; those of a column that seems to have each once are not counted."""
    sample = column.slice(0, _SAMPLE)
    if pc.count_distinct(sample).as_py() > len(sample) * 0.95:
        return len(column)
    return int(pc.count_distinct(column).as_py())


def _has_nan(column: pa.ChunkedArray) -> bool:
    """Whether Parquet's statistics, which take no account of NaN, would say what is wrong in SQL's order."""
    return types.is_floating(column.type) and (types.is_float16(column.type) or bool(pc.any(pc.is_nan(column)).as_py()))


_TEXTS = (types.is_string, types.is_large_string, types.is_binary, types.is_large_binary)
_BY_VALUE = (*_TEXTS, types.is_fixed_size_binary, types.is_float32, types.is_float64)


# --- reading ---


def check_file(storage: SegmentStorage, segment: Segment, topic: str) -> None:
    """``DataCorrupted``, which names it, where the file is missing, cut or another one than was written."""
    try:
        size = storage.size(segment.path)
        if size is None:
            raise FileNotFoundError
        if size != segment.file_bytes:
            raise _damaged(storage, segment, topic, f"has {size} bytes where {segment.file_bytes} were written")
        with storage.open(segment.path) as file:
            if _footer(file, size) != segment.footer:
                raise _damaged(storage, segment, topic, "is not the file that was written")
    except FileNotFoundError as error:
        raise _damaged(storage, segment, topic, "is missing") from error


def _footer(file: Any, size: int) -> int:
    """The checksum of a footer; -1 where there is none."""
    file.seek(max(0, size - 8))
    tail = file.read(8)
    length = int.from_bytes(tail[:4], "little")
    if tail[4:] != _MAGIC or length + 12 > size:
        return -1
    file.seek(size - 8 - length)
    return checksum(file.read(length))


def _damaged(storage: SegmentStorage, segment: Segment, topic: str, how: str) -> DataCorrupted:
    return DataCorrupted(
        f"topic {topic}: segment {storage.display(segment.path)}, offsets {segment.first} to {segment.end - 1}, {how}",
        hint=f"put the file back, or TRUNCATE TOPIC {topic} BEFORE {segment.end}; the other offsets can be read",
    )


class SegmentFile:
    """The rows of a segment's file from one on, with the columns of a schema; read on in pieces, at once in a few MB."""

    def __init__(
        self, storage: SegmentStorage, segment: Segment, topic: str, schema: pa.Schema, first_row: int
    ) -> None:
        """``schema`` has columns of the segment's version of the topic, or newer ones, which are NULL."""
        self._storage = storage
        self._segment = segment
        self._topic = topic
        self.schema = schema
        self._read_schema = joinable_schema(schema)
        with self._reading():
            self._source = storage.open(segment.path)
            self._file = pq.ParquetFile(self._source, page_checksum_verification=True)
            texts = [name for name in _dictionary_texts(self._file) if name not in segment.encoded]
            if texts:
                # Text out of a dictionary is made twice as fast here as by pyarrow's reader.
                self._file = pq.ParquetFile(
                    self._source,
                    metadata=self._file.metadata,
                    read_dictionary=texts,
                    page_checksum_verification=True,
                )
        self._present = [field for field in schema if field.name in self._file.schema_arrow.names]
        self.width = sum(map(self._expected_width, self._present)) or 1.0
        """Bytes of a row in memory, about."""
        self._batches = self._read(first_row)
        self._batch: pa.RecordBatch | None = None
        self._place = 0

    def _expected_width(self, field: pa.Field) -> float:
        """Bytes of a value of a column in memory, about: of text and nested values from their bytes in the file."""
        try:
            bits: int = field.type.bit_width
            return bits / 8
        except ValueError:
            pass
        metadata = self._file.metadata
        size = sum(
            group.column(index).total_uncompressed_size
            for group in map(metadata.row_group, range(metadata.num_row_groups))
            for index in range(metadata.num_columns)
            if group.column(index).path_in_schema.split(".")[0] == field.name
        )
        return 16 + size / max(1, metadata.num_rows)

    def _read(self, skip: int) -> Iterator[pa.RecordBatch]:
        metadata = self._file.metadata
        groups = list(range(metadata.num_row_groups))
        while groups and skip >= (count := metadata.row_group(groups[0]).num_rows):
            skip -= count
            del groups[0]
        if not groups:
            return
        rows = max(_READ_ROWS[0], min(_READ_ROWS[1], int(_READ_BYTES / self.width)))
        names = [field.name for field in self._present]
        if not names:
            names = ["_offset"]  # something must tell how many rows there are
        for batch in self._file.iter_batches(rows, row_groups=groups, columns=names):
            if skip >= batch.num_rows:
                skip -= batch.num_rows
                continue
            yield self._exact(batch.slice(skip))
            skip = 0

    def _exact(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The batch with exactly the types of the schema."""
        columns: list[pa.Array] = []
        for field in self._read_schema:
            index = batch.schema.get_field_index(field.name)
            if index < 0:
                columns.append(pa.nulls(batch.num_rows, field.type))
            elif field.name in self._segment.encoded and not _is_narrow(self.schema.field(field.name).type):
                columns.append(_decoded(batch.column(index), field.type))
            else:
                columns.append(converted(batch.column(index), field.type))
        if not columns:
            return batch.select([])
        return pa.RecordBatch.from_arrays(columns, schema=self._read_schema)

    def take(self, count: int) -> pa.RecordBatch:
        """The next ``count`` rows, as one batch. ``DataCorrupted`` where there are not so many."""
        taken = self._take(count)
        return taken if self._read_schema is self.schema else joinable(taken, self.schema)

    def _take(self, count: int) -> pa.RecordBatch:
        batch = self._batch
        if batch is not None and self._place + count <= batch.num_rows:
            taken = batch.slice(self._place, count)
            self._place += count
            return taken
        parts = [] if batch is None or self._place == batch.num_rows else [batch.slice(self._place)]
        missing = count - sum(part.num_rows for part in parts)
        while missing:
            with self._reading():
                batch = next(self._batches, None)
            if batch is None:
                raise _damaged(self._storage, self._segment, self._topic, "has fewer rows than it should")
            self._batch, self._place = batch, min(missing, batch.num_rows)
            self.width = batch.nbytes / batch.num_rows
            parts.append(batch.slice(0, self._place))
            missing -= self._place
        return join(parts)

    def skip(self, count: int) -> None:
        """Pass the next ``count`` rows over."""
        if count:
            self._take(count)

    def close(self) -> None:
        """Let go of the file."""
        self._batches = iter(())
        self._batch = None
        self._file.close()
        self._source.close()

    def _reading(self) -> _Reading:
        return _Reading(self._storage, self._segment, self._topic)


def _dictionary_texts(file: pq.ParquetFile) -> list[str]:
    """The columns of text and bytes that are entries of a dictionary."""
    metadata = file.metadata
    groups = [metadata.row_group(index) for index in range(metadata.num_row_groups)]
    paths = [metadata.schema.column(index).path for index in range(metadata.num_columns)]
    return [
        field.name
        for field in file.schema_arrow
        if (types.is_string(field.type) or types.is_binary(field.type))
        and all(group.column(paths.index(field.name)).has_dictionary_page for group in groups)
    ]


class _Reading:
    """Around what reads the file: pyarrow's errors say nothing of topics and offsets."""

    def __init__(self, storage: SegmentStorage, segment: Segment, topic: str) -> None:
        self._place = (storage, segment, topic)

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, FileNotFoundError):
            raise _damaged(*self._place, "is missing") from error
        if isinstance(error, (pa.ArrowException, OSError)):
            raise _damaged(*self._place, "cannot be read") from error
