"""Arrow data from outside, made into batches of a given schema."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from ..errors import BatchSchemaMismatch, InvalidParameter, NotNullViolation

__all__ = ["as_batch", "as_reader", "conform", "join", "upgrade"]


def as_reader(data: Any) -> pa.RecordBatchReader:
    """A reader over whatever speaks Arrow's C interface: pyarrow, pandas, polars, duckdb."""
    if isinstance(data, pa.RecordBatchReader):
        return data
    if isinstance(data, pa.RecordBatch):
        return pa.RecordBatchReader.from_batches(data.schema, [data])
    if hasattr(data, "__arrow_c_stream__"):
        return pa.RecordBatchReader.from_stream(data)
    if hasattr(data, "__arrow_c_array__"):
        batch = pa.record_batch(data)
        return pa.RecordBatchReader.from_batches(batch.schema, [batch])
    raise InvalidParameter(
        f"{type(data).__name__} is not Arrow data",
        hint="give a pyarrow RecordBatch or Table, a pandas or polars frame, or anything with __arrow_c_stream__",
    )


def as_batch(data: Any) -> pa.RecordBatch:
    """``data`` as one record batch; a table's chunks are joined."""
    if isinstance(data, pa.RecordBatch):
        return data
    table = as_reader(data).read_all().combine_chunks()
    if table.num_rows == 0:
        return pa.RecordBatch.from_pylist([], schema=table.schema)
    return table.to_batches()[0]


def join(batches: Sequence[pa.RecordBatch]) -> pa.RecordBatch:
    """The rows of all ``batches``, at least one, which share a schema; a single one is not copied."""
    if len(batches) == 1:
        return batches[0]
    joined: pa.RecordBatch = pa.concat_batches(batches)  # type: ignore[attr-defined] # the stubs lack it
    return joined


def _same_values(have: Any, want: Any) -> bool:
    """Whether the two types hold the same values and differ in memory layout only (``large_string`` and ``string``)."""
    if have.equals(want):
        return True
    kinds = (
        (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view),
        (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view),
    )
    for kind in kinds:
        if any(test(want) for test in kind):
            value = have.value_type if pa.types.is_dictionary(have) else have
            return any(test(value) for test in kind)
    if pa.types.is_dictionary(have):
        return _same_values(have.value_type, want)
    lists = (pa.types.is_list, pa.types.is_large_list, pa.types.is_list_view, pa.types.is_large_list_view)
    if any(test(want) for test in lists):
        return any(test(have) for test in lists) and _same_values(have.value_type, want.value_type)
    if pa.types.is_fixed_size_list(want):
        same_size = pa.types.is_fixed_size_list(have) and have.list_size == want.list_size
        return same_size and _same_values(have.value_type, want.value_type)
    if pa.types.is_struct(want):
        return (
            pa.types.is_struct(have)
            and [field.name for field in have] == [field.name for field in want]
            and all(_same_values(mine.type, other.type) for mine, other in zip(have, want, strict=True))
        )
    if pa.types.is_timestamp(want) and pa.types.is_timestamp(have):
        # UTC has many names; two other zones are two types.
        return have.unit == want.unit and have.tz in _UTC and want.tz in _UTC
    return False


_UTC = ("UTC", "+00:00", "Etc/UTC", "Z")


def conform(batch: pa.RecordBatch, schema: pa.Schema, topic: str) -> pa.RecordBatch:
    """``batch`` with the columns of ``schema`` in its order.

    Accepted are the same names and types in any order, other memory layouts of the same values, and a nullable
    field for a NOT NULL column that holds no null. Otherwise ``BatchSchemaMismatch`` names the column, what it is
    and what it must be; a null in a NOT NULL column is ``NotNullViolation`` (23502).
    """
    if not batch.schema.equals(schema):
        batch = _arrange(batch, schema, topic)
    for index, field in enumerate(schema):
        if not field.nullable and batch.column(index).null_count:
            raise NotNullViolation(f"null in column {field.name} of topic {topic}, which is NOT NULL")
    return batch


def _arrange(batch: pa.RecordBatch, schema: pa.Schema, topic: str) -> pa.RecordBatch:
    names = batch.schema.names
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise BatchSchemaMismatch(f"the batch for topic {topic} has column {twice} twice")
    unknown = [name for name in names if name not in schema.names]
    if unknown:
        raise BatchSchemaMismatch(
            f"topic {topic} has no column {unknown[0]}", hint=f"its columns are {', '.join(schema.names)}"
        )
    columns: list[pa.Array] = []
    for field in schema:
        if field.name not in names:
            raise BatchSchemaMismatch(f"the batch lacks column {field.name} ({field.type}) of topic {topic}")
        column = batch.column(names.index(field.name))
        if not column.type.equals(field.type):
            if not _same_values(column.type, field.type):
                raise BatchSchemaMismatch(
                    f"column {field.name} of topic {topic} must be {field.type}, the batch has {column.type}"
                )
            column = column.cast(field.type)
        columns.append(column)
    for field, column in zip(schema, columns, strict=True):
        if not field.nullable and column.null_count:
            raise NotNullViolation(f"null in column {field.name} of topic {topic}, which is NOT NULL")
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def upgrade(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """``batch`` of an older or newer version of ``schema`` seen as ``schema``: columns it lacks are NULL."""
    if batch.schema.equals(schema):
        return batch
    columns = []
    for field in schema:
        index = batch.schema.get_field_index(field.name)
        columns.append(batch.column(index) if index >= 0 else pa.nulls(batch.num_rows, field.type))
    return pa.RecordBatch.from_arrays(columns, schema=schema)
