"""Values on their way into a statement, and columns on their way out of it.

Everything here is on the path of each read and each publish: one ``RecordBatch`` is built from one struct array (5 µs
for three values, where an array per value costs 8), and a result that has the declared schema is passed on as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final, cast

import pyarrow as pa

from ..errors import DataCorrupted, DataError, InterfaceError, InternalError, NumericValueOutOfRange
from ..ports import NamedQuery, Parameters

__all__ = ["bound", "conformed"]

_TYPES: Final[Mapping[type, pa.DataType]] = {
    int: pa.int64(),
    str: pa.utf8(),
    bytes: pa.binary(),
    float: pa.float64(),
    type(None): pa.null(),
}


def bound(parameters: Parameters) -> pa.RecordBatch | None:
    """The batch to bind, or ``None`` where there are no parameters.

    Raises ``InterfaceError`` for a value of another type than ``ports.Value``, ``NumericValueOutOfRange`` for an
    integer outside 64 bits, ``DataError`` for text that UTF-8 cannot hold and for NaN, which SQLite would store as
    NULL.
    """
    if isinstance(parameters, pa.RecordBatch):
        return parameters
    values = tuple(parameters)
    if not values:
        return None
    kinds = tuple(map(type, values))
    if float in kinds and any(value != value for value in values):
        raise DataError("the store's columns cannot hold NaN as a number", hint="store it inside an encoded batch")
    try:
        return pa.RecordBatch.from_struct_array(cast("pa.StructArray", pa.array((values,), _layout(kinds))))
    except (OverflowError, pa.ArrowInvalid) as error:
        raise NumericValueOutOfRange("an integer parameter does not fit into 64 bits") from error
    except UnicodeEncodeError as error:
        raise DataError("a text parameter holds a lone surrogate, which UTF-8 cannot hold", sqlstate="22021") from error


@lru_cache(maxsize=512)
def _layout(kinds: tuple[type, ...]) -> pa.StructType:
    fields = []
    for number, kind in enumerate(kinds, 1):
        if kind not in _TYPES:
            raise InterfaceError(f"parameter {number} is a {kind.__name__}, not an int, str, bytes, float or None")
        fields.append(pa.field(str(number), _TYPES[kind]))
    return pa.struct(fields)


def conformed(table: pa.Table, query: NamedQuery) -> pa.Table:
    """``table`` with exactly the schema that the query declares.

    ADBC guesses a column's type from its first rows, and takes int64 where all of them are NULL or there are none.
    Raises ``DataCorrupted`` where a stored value is of another kind than declared or no valid UTF-8, and
    ``InternalError`` where the statement's columns are not the declared ones.
    """
    wanted = query.returns
    if wanted is None:
        raise InternalError(f"{query.name} declares no columns: it is for execute")
    actual = table.schema
    if actual != wanted:
        if actual.names != wanted.names:
            raise InternalError(f"{query.name} returns the columns {actual.names}, declared are {wanted.names}")
        if not table.num_rows:  # of which the driver guessed every type
            return wanted.empty_table()
        columns = [_column(table.column(index), field, query) for index, field in enumerate(wanted)]
        table = pa.Table.from_arrays(columns, schema=wanted)
    for index in _texts(query):
        try:
            table.column(index).validate(full=True)
        except pa.ArrowInvalid as error:
            raise DataCorrupted(f"{query.name}: the store's column {wanted.names[index]} holds invalid text") from error
    return table


@lru_cache(maxsize=512)
def _texts(query: NamedQuery) -> tuple[int, ...]:
    """The columns that must be checked for valid text."""
    return tuple(index for index, field in enumerate(query.returns or ()) if pa.types.is_string(field.type))


def _column(column: pa.ChunkedArray[Any], field: pa.Field[Any], query: NamedQuery) -> pa.ChunkedArray[Any]:
    if column.type == field.type:
        return column
    if pa.types.is_int64(column.type):
        if column.null_count == len(column):
            return pa.chunked_array([pa.nulls(len(column), field.type)])
        if pa.types.is_integer(field.type) or pa.types.is_float64(field.type):
            try:
                return column.cast(field.type)  # safe: raises where a value does not fit
            except pa.ArrowInvalid as error:
                raise DataCorrupted(
                    f"{query.name}: a value in the store's column {field.name} is out of range"
                ) from error
    raise DataCorrupted(f"{query.name}: the store's column {field.name} holds {column.type} where {field.type} must be")
