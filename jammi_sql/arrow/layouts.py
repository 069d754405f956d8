"""Memory layouts of the same values: dictionaries, runs, views and extension types, and what they are made of."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types

from ..errors import DataError
from .buffers import buffer_of, row_offsets, taken, union_parts, validity
from .encoded import damaged
from .order import float_bits

__all__ = ["converted", "laid_out", "plain_type", "restored"]


def plain_type(data_type: Any) -> Any:
    """``data_type`` with every dictionary, run, view and extension type in it replaced by what it holds."""
    if isinstance(data_type, pa.BaseExtensionType):
        return plain_type(data_type.storage_type)
    if types.is_dictionary(data_type) or types.is_run_end_encoded(data_type):
        return plain_type(data_type.value_type)
    if types.is_string_view(data_type):
        return pa.utf8()
    if types.is_binary_view(data_type):
        return pa.binary()
    if not types.is_nested(data_type):
        return data_type
    fields = [data_type.field(index) for index in range(data_type.num_fields)]
    plain = [field.with_type(plain_type(field.type)) for field in fields]
    if plain == fields and not types.is_list_view(data_type) and not types.is_large_list_view(data_type):
        return data_type
    if types.is_struct(data_type):
        return pa.struct(plain)
    if types.is_map(data_type):
        (entries,) = plain
        key, item = entries.type
        return pa.map_(key, item, keys_sorted=data_type.keys_sorted)  # type: ignore[call-overload]  # not key_sorted
    if types.is_union(data_type):
        return pa.union(plain, data_type.mode, type_codes=data_type.type_codes)
    if types.is_fixed_size_list(data_type):
        return pa.list_(plain[0], data_type.list_size)
    large = types.is_large_list(data_type) or types.is_large_list_view(data_type)
    return pa.large_list(plain[0]) if large else pa.list_(plain[0])


def laid_out(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """``batch`` with the names and layouts of ``schema``, whose columns hold the same values. Raises as ``converted``."""
    if batch.schema.equals(schema):
        return batch
    columns = [
        column if column.type.equals(field.type) else converted(column, field.type)
        for column, field in zip(batch.columns, schema, strict=True)
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def converted(array: Any, wanted: Any) -> Any:
    """The values of ``array`` in the layout of ``wanted``, which holds the same values.

    Raises ``DataError`` where there are more values than the indices of a dictionary, or run ends, can number.
    """
    have = array.type
    if have.equals(wanted, check_metadata=True):
        return array
    if isinstance(have, pa.BaseExtensionType):
        return converted(array.storage, wanted)
    if isinstance(wanted, pa.BaseExtensionType):
        return pa.ExtensionArray.from_storage(wanted, converted(array, wanted.storage_type))
    if types.is_dictionary(have):
        # The dictionary first: it may be of a type, such as a view, for which pyarrow cannot take values by index.
        values = converted(array.dictionary, plain_type(have.value_type))
        return converted(taken(values, array.indices), wanted)
    if types.is_run_end_encoded(have):
        return converted(_runs_decoded(array), wanted)
    if types.is_dictionary(wanted):
        return _dictionary(array, wanted)
    if types.is_run_end_encoded(wanted):
        return _runs(array, wanted)
    if types.is_nested(wanted):
        return _nested(array, wanted)
    return array.cast(wanted)


def restored(array: Any, wanted: Any) -> Any:
    """``converted``, of values that come from a store. Raises ``DataCorrupted`` where the layout cannot hold them."""
    try:
        return converted(array, wanted)
    except pa.ArrowInvalid as error:
        raise damaged(wanted, str(error)) from error


def _runs_decoded(array: Any) -> Any:
    values = converted(array.values, plain_type(array.type.value_type))
    # Physical, not logical: the kernel that decodes knows too few types.
    places = np.arange(array.offset, array.offset + len(array))
    runs: Any = pa.array(np.searchsorted(array.run_ends.to_numpy(), places, side="right"))
    return taken(values, runs)


def _comparable(array: pa.Array[Any]) -> pa.Array[Any]:
    """Floats as their bits: as numbers, only a hash keeps 0.0 from -0.0 and one NaN from another."""
    return array.view(float_bits(array.type)[0]) if types.is_floating(array.type) else array


def _dictionary(array: pa.Array[Any], wanted: pa.DictionaryType) -> pa.Array:
    try:
        found: Any = _comparable(array).dictionary_encode()
        indices, values = found.indices, found.dictionary.view(array.type)
    except pa.ArrowNotImplementedError:  # nested values, decimals of 32 and 64 bits: each is an entry of its own
        mask = np.asarray(array.is_null())
        indices, values = pa.array(np.arange(len(array), dtype=np.int32), mask=mask), array
    try:
        indices = indices.cast(wanted.index_type)
    except pa.ArrowInvalid as error:
        raise DataError(
            f"{len(values)} values are too many for a dictionary with {wanted.index_type} indices",
            hint="use a wider type of index, or read fewer rows at a time",
        ) from error
    return pa.DictionaryArray.from_arrays(indices, converted(values, wanted.value_type), ordered=wanted.ordered)


def _runs(array: pa.Array[Any], wanted: Any) -> pa.Array:
    ends: Any = pa.array(np.arange(1, len(array) + 1, dtype=np.int32))  # a run each
    values = array
    views = types.is_string_view(array.type) or types.is_binary_view(array.type)
    if not types.is_nested(array.type) and not views:  # for these pyarrow has no kernel, or one that goes wrong
        found: Any = pc.call_function("run_end_encode", [_comparable(array)])
        ends, values = found.run_ends, found.values.view(array.type)
    try:
        ends = ends.cast(wanted.run_end_type)
    except pa.ArrowInvalid as error:
        raise DataError(
            f"{len(array)} values are too many for runs with {wanted.run_end_type} ends",
            hint="read fewer rows at a time",
        ) from error
    return pa.RunEndEncodedArray.from_arrays(ends, converted(values, wanted.value_type), type=wanted)


def _nested(array: Any, wanted: Any) -> Any:
    have = array.type
    count, buffers = len(array), array.buffers()
    if types.is_struct(wanted):
        fields = [converted(array.field(index), wanted.field(index).type) for index in range(wanted.num_fields)]
        return pa.Array.from_buffers(wanted, count, [validity(array)], children=fields)
    if types.is_union(wanted):
        children = [converted(array.field(index), wanted.field(index).type) for index in range(wanted.num_fields)]
        own = [None, *map(buffer_of, union_parts(array))]
        return pa.Array.from_buffers(wanted, count, own, children=children)
    if types.is_list_view(have) or types.is_large_list_view(have):
        return converted(_from_views(array), wanted)
    child = converted(array.values, wanted.field(0).type)
    if types.is_fixed_size_list(wanted):
        return pa.Array.from_buffers(wanted, count, buffers[:1], offset=array.offset, children=[child])
    if types.is_list_view(wanted) or types.is_large_list_view(wanted):
        offsets = row_offsets(array)
        own = [validity(array), buffer_of(offsets[:-1]), buffer_of(np.diff(offsets))]
        return pa.Array.from_buffers(wanted, count, own, children=[child])
    return pa.Array.from_buffers(wanted, count, buffers[:2], offset=array.offset, children=[child])


def _from_views(array: Any) -> Any:
    """A list array of the values of a list view; pyarrow's own cast gives arrays that are not valid."""
    kind = array.type
    large = types.is_large_list_view(kind)
    dtype = np.dtype(np.int64 if large else np.int32)
    starts, sizes = (
        np.frombuffer(buffer, dtype, len(array), array.offset * dtype.itemsize) for buffer in array.buffers()[1:3]
    )
    offsets = np.zeros(len(array) + 1, np.int64)
    np.cumsum(sizes, out=offsets[1:])
    places = np.repeat(starts - offsets[:-1], sizes) + np.arange(offsets[-1])
    values = taken(converted(array.values, plain_type(kind.value_type)), pa.array(places))
    field = kind.value_field.with_type(values.type)
    plain: Any = pa.large_list(field) if large else pa.list_(field)
    own = [validity(array), buffer_of(offsets.astype(dtype))]
    return pa.Array.from_buffers(plain, len(array), own, children=[values])
