"""Arrow data from outside, made into batches of a given schema."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from itertools import chain
from typing import Any

import pyarrow as pa
import pyarrow.dataset

from ..errors import BatchSchemaMismatch, DataError, Error, FeatureNotSupported, InvalidParameter, NotNullViolation
from .layouts import converted, plain_type

__all__ = [
    "as_batch",
    "as_reader",
    "conform",
    "is_arrow",
    "join",
    "join_columns",
    "reading",
    "required_columns",
    "upgrade",
]

_ACCEPTED = "give a pyarrow RecordBatch or Table, a pandas or polars frame, or anything with __arrow_c_stream__"


def is_arrow(data: object) -> bool:
    """Whether ``data`` offers itself through the Arrow PyCapsule interface, as pandas, polars and duckdb do."""
    return hasattr(data, "__arrow_c_stream__") or hasattr(data, "__arrow_c_array__")


@contextmanager
def reading() -> Iterator[None]:
    """Around the reading of what a user gave: whatever it raises becomes an error of this package, with its cause."""
    try:
        yield
    except Error:
        raise
    except (pa.ArrowNotImplementedError, NotImplementedError) as error:
        raise FeatureNotSupported(f"Arrow cannot do this: {error}", hint="give the data in another type") from error
    except Exception as error:
        raise DataError(
            f"the data cannot be read: {str(error) or type(error).__name__}",
            hint="the cause says what its source raised",
        ) from error


def as_reader(data: Any) -> pa.RecordBatchReader:
    """A reader that pulls, batch by batch, whatever speaks Arrow's C interface: pyarrow, pandas, polars, duckdb.

    A ``pyarrow.dataset`` and an iterable of record batches are taken too. Raises ``InvalidParameter`` (22023) for
    anything else. What the source raises, now or while it is read, is ``DataError`` with that as its cause.
    """
    with reading():
        if isinstance(data, pa.RecordBatch):
            return pa.RecordBatchReader.from_batches(data.schema, [data])
        if isinstance(data, pa.Table):
            return data.to_reader()
        reader = _reader(data)
        return pa.RecordBatchReader.from_batches(reader.schema, _guarded(reader))


def _reader(data: Any) -> pa.RecordBatchReader:
    if isinstance(data, pa.RecordBatchReader):
        return data
    if hasattr(data, "__arrow_c_stream__"):
        return pa.RecordBatchReader.from_stream(data)
    if hasattr(data, "__arrow_c_array__"):
        batch = pa.record_batch(data)
        return pa.RecordBatchReader.from_batches(batch.schema, [batch])
    if isinstance(data, pa.dataset.Dataset):
        return data.scanner().to_reader()
    if isinstance(data, pa.dataset.Scanner):
        return data.to_reader()
    if isinstance(data, Iterable) and not isinstance(data, (str, bytes)):
        return _reader_of(data)
    raise _not_arrow(data)


def _reader_of(batches: Iterable[Any]) -> pa.RecordBatchReader:
    """Of an iterable only the first batch is pulled: it says what the columns are."""
    items = iter(batches)
    first = next(items, None)
    if not isinstance(first, pa.RecordBatch):
        if first is None:
            raise InvalidParameter(
                "there are no batches, so the columns are unknown", hint="give a pyarrow Table or RecordBatchReader"
            )
        raise _not_arrow(first)
    return pa.RecordBatchReader.from_batches(first.schema, _same(first.schema, chain([first], items)))


def _same(schema: pa.Schema, items: Iterator[Any]) -> Iterator[pa.RecordBatch]:
    for item in items:
        if not isinstance(item, pa.RecordBatch):
            raise _not_arrow(item)
        if not item.schema.equals(schema):
            raise BatchSchemaMismatch(
                "the batches differ in their columns", hint=f"the first one has {', '.join(map(str, schema))}"
            )
        yield item


def _guarded(reader: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
    with reading():
        yield from reader


def _not_arrow(data: object) -> InvalidParameter:
    return InvalidParameter(f"{type(data).__name__} is not Arrow data", hint=_ACCEPTED)


def as_batch(data: Any) -> pa.RecordBatch:
    """``data`` as one record batch; a table's chunks are joined. Raises as ``as_reader`` does."""
    if isinstance(data, pa.RecordBatch):
        return data
    reader = as_reader(data)
    with reading():
        table = reader.read_all().combine_chunks()
        if table.num_rows == 0:
            return pa.RecordBatch.from_pylist([], schema=table.schema)
        return join(table.to_batches())  # one, unless its text is past 2 GB, where it says so


def join(batches: Sequence[pa.RecordBatch]) -> pa.RecordBatch:
    """The rows of all ``batches``, at least one, which share a schema; a single one is not copied."""
    if len(batches) == 1:
        return batches[0]
    try:
        joined: pa.RecordBatch = pa.concat_batches(batches)  # type: ignore[attr-defined] # the stubs lack it
        return joined
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):  # dictionaries with nulls in them, or of nested values
        schema = batches[0].schema
        return pa.RecordBatch.from_arrays(
            [_joined([batch.column(place) for batch in batches]) for place in range(len(schema))], schema=schema
        )


def _joined(parts: Sequence[pa.Array]) -> pa.Array:
    wanted = parts[0].type
    try:
        return pa.concat_arrays(parts)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        plain = plain_type(wanted)
        if plain.equals(wanted):
            raise
        whole: pa.Array = converted(pa.concat_arrays([converted(part, plain) for part in parts]), wanted)
        return whole


def join_columns(batches: Sequence[pa.RecordBatch], columns: Sequence[str]) -> pa.RecordBatch:
    """As ``join``, of some columns only.

    Through a table, which takes all batches in one call: to select from each of many small ones first costs up to four
    times as much.
    """
    if len(batches) == 1 or not columns:
        return batches[0].select(list(columns))
    table = pa.Table.from_batches(batches).select(list(columns))
    try:
        return join(table.combine_chunks().to_batches())  # one, unless its text is past 2 GB, where it says so
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return join([batch.select(list(columns)) for batch in batches])


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


def conform(batch: pa.RecordBatch, schema: pa.Schema, required: Sequence[int], target: str) -> pa.RecordBatch:
    """``batch`` with the columns of ``schema`` in its order; ``required`` are the ``required_columns`` of that, ``target``
    is ``topic t`` or ``table t``, for messages.

    Accepted are the same names and types in any order, other memory layouts of the same values, and a nullable
    field for a NOT NULL column that holds no null. Otherwise ``BatchSchemaMismatch`` names the column, what it is
    and what it must be; a null in a NOT NULL column is ``NotNullViolation`` (23502).
    """
    if not batch.schema.equals(schema):
        batch = _arrange(batch, schema, target)
    for index in required:
        column = batch.column(index)
        if column.null_count or pa.types.is_nested(column.type):  # to ask the field costs more than to encode it
            _check_not_null(column, schema.field(index), target)
    return batch


def required_columns(schema: pa.Schema) -> tuple[int, ...]:
    """The columns in which something is NOT NULL.

    For ``conform``, which runs per publish: to ask each field of a schema again costs more than to encode a small batch.
    """
    return tuple(index for index, field in enumerate(schema) if not field.nullable or _has_required_part(field.type))


def _check_not_null(column: pa.Array, field: pa.Field, target: str) -> None:
    if not field.nullable and column.null_count:
        raise NotNullViolation(
            f"null in column {field.name} of {target}, which is NOT NULL",
            hint=f"give {field.name} a value in every row",
        )
    if _has_required_part(field.type):
        where = _null_part(column, field.name)
        if where is not None:
            raise NotNullViolation(
                f"null in {where} of {target}, which is NOT NULL", hint=f"give {where} a value everywhere"
            )


@lru_cache(maxsize=1024)
def _has_required_part(data_type: pa.DataType) -> bool:
    """Whether a value of the type has parts that are NOT NULL."""
    return any(not field.nullable or _has_required_part(field.type) for field in _parts(data_type))


def _parts(data_type: Any) -> list[pa.Field]:
    if pa.types.is_struct(data_type):
        return list(data_type)
    if any(test(data_type) for test in (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)):
        return [data_type.value_field]
    return []


def _null_part(array: Any, path: str) -> str | None:
    """The path of a null in a part that is NOT NULL; what would be inside of a null does not count."""
    parts = _parts(array.type)
    if pa.types.is_struct(array.type):
        whole = array.drop_null() if array.null_count else array
        values = [whole.field(index) for index in range(len(parts))]
    else:
        values = [array.flatten() for _ in parts]
    for field, value in zip(parts, values, strict=True):
        where = f"{path}.{field.name}"
        if not field.nullable and value.null_count:
            return where
        deeper = _null_part(value, where)
        if deeper is not None:
            return deeper
    return None


def _arrange(batch: pa.RecordBatch, schema: pa.Schema, target: str) -> pa.RecordBatch:
    names = batch.schema.names
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise BatchSchemaMismatch(f"the batch for {target} has column {twice} twice", hint="leave one of them out")
    unknown = [name for name in names if name not in schema.names]
    if unknown:
        raise BatchSchemaMismatch(
            f"{target} has no column {unknown[0]}", hint=f"its columns are {', '.join(schema.names)}"
        )
    columns: list[pa.Array] = []
    for field in schema:
        if field.name not in names:
            raise BatchSchemaMismatch(
                f"the batch lacks column {field.name} ({field.type}) of {target}",
                hint="add it, with nulls if need be",
            )
        column = batch.column(names.index(field.name))
        if not column.type.equals(field.type):
            if not _same_values(column.type, field.type):
                raise BatchSchemaMismatch(
                    f"column {field.name} of {target} must be {field.type}, the batch has {column.type}",
                    hint=f"cast {field.name} to {field.type}",
                )
            try:
                column = column.cast(field.type)
            except pa.ArrowInvalid as error:  # the values fit, so it is a null in a nested field that has none
                raise NotNullViolation(f"column {field.name} of {target}: {error}") from error
        columns.append(column)
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
