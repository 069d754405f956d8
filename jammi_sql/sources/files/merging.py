"""One schema for files that have several."""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa

from ...errors import ProgrammingError

__all__ = ["merged_schema"]

_UNITS = ("s", "ms", "us", "ns")


def merged_schema(schemas: Iterable[tuple[str, pa.Schema]], *, guessed: bool) -> pa.Schema:
    """The columns of all files, by name, in the order in which they are met. All may be NULL.

    ``schemas`` are paths and what the files have. Where two files have a column of different types, the result is one that
    holds every value of both; else ``ProgrammingError`` (42804) names both files. ``guessed`` types of text files may
    become text.
    """
    fields: dict[str, tuple[pa.DataType, str]] = {}
    for path, schema in schemas:
        if len(set(schema.names)) != len(schema.names):
            twice = next(name for name in schema.names if schema.names.count(name) > 1)
            raise ProgrammingError(f"{path} has two columns {twice}", sqlstate="42701", hint="rename one in the file")
        for field in schema:
            known = fields.get(field.name)
            if known is None:
                fields[field.name] = (field.type, path)
                continue
            merged = _merged(known[0], field.type, guessed=guessed)
            if merged is None:
                raise ProgrammingError(
                    f"column {field.name} is {known[0]} in {known[1]}, and {field.type} in {path}",
                    sqlstate="42804",
                    hint="write the files with one type, or attach them apart",
                )
            fields[field.name] = (merged, known[1])
    return pa.schema([pa.field(name, _readable(data_type, guessed)) for name, (data_type, _) in fields.items()])


def _readable(data_type: pa.DataType, guessed: bool) -> pa.DataType:
    return pa.string() if guessed and pa.types.is_null(data_type) else data_type


def _merged(one: pa.DataType, other: pa.DataType, *, guessed: bool) -> pa.DataType | None:
    if one.equals(other) or pa.types.is_null(other):
        return one
    if pa.types.is_null(one):
        return other
    for left, right in ((one, other), (other, one)):
        wider = _wider(left, right)
        if wider is not None:
            return wider
    if pa.types.is_struct(one) and pa.types.is_struct(other):
        return _merged_struct(one, other, guessed=guessed)
    if pa.types.is_list(one) and pa.types.is_list(other):
        item = _merged(one.value_type, other.value_type, guessed=guessed)
        return None if item is None else pa.list_(item)
    if guessed and not pa.types.is_nested(one) and not pa.types.is_nested(other):
        if {one, other} == {pa.int64(), pa.float64()}:
            return pa.float64()
        return pa.string()
    return None


def _merged_struct(one: pa.StructType, other: pa.StructType, *, guessed: bool) -> pa.DataType | None:
    if not guessed:
        return None  # who reads nested columns of two shapes is told, not guessed for
    fields = {field.name: field.type for field in one}
    for field in other:
        merged = _merged(fields.get(field.name, pa.null()), field.type, guessed=guessed)
        if merged is None:
            return None
        fields[field.name] = merged
    return pa.struct([pa.field(name, data_type) for name, data_type in fields.items()])


def _wider(narrow: pa.DataType, wide: pa.DataType) -> pa.DataType | None:
    """``wide`` where it holds every value of ``narrow`` exactly."""
    types = pa.types
    if types.is_integer(narrow) and types.is_integer(wide):
        signs = types.is_signed_integer(narrow), types.is_signed_integer(wide)
        more = wide.bit_width > narrow.bit_width
        return wide if more and (signs[0] == signs[1] or signs == (False, True)) else None
    if types.is_floating(wide) and types.is_floating(narrow):
        return wide if wide.bit_width > narrow.bit_width else None
    if types.is_float64(wide) and types.is_integer(narrow):
        return wide if narrow.bit_width < wide.bit_width else None
    if types.is_timestamp(narrow) and types.is_timestamp(wide):
        return wide if narrow.tz == wide.tz and _UNITS.index(wide.unit) > _UNITS.index(narrow.unit) else None
    if types.is_decimal128(narrow) and types.is_decimal128(wide):
        return wide if narrow.scale == wide.scale and wide.precision > narrow.precision else None
    texts = (pa.string(), pa.large_string(), pa.string_view())
    if narrow in texts and wide in texts:
        return wide if texts.index(wide) > texts.index(narrow) else None
    return None
