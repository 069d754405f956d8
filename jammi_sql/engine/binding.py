"""Values as DataFusion's binding takes them."""

from __future__ import annotations

import pyarrow as pa

__all__ = ["bindable"]


def bindable(value: pa.Scalar) -> pa.Scalar:
    """The binding takes no NULL of a nested type, and below a list nothing of which no more is known than that it is NULL."""
    if not pa.types.is_nested(value.type):
        return value
    if not value.is_valid:
        return pa.scalar(None, pa.null())
    if pa.types.is_list(value.type) and pa.types.is_null(value.type.value_type):
        return value
    known = _known(value.type)
    return value if known == value.type else value.cast(known)


def _known(data_type: pa.DataType) -> pa.DataType:
    """The type with text, which can become most others, in place of no type."""
    if pa.types.is_null(data_type):
        return pa.string()
    if pa.types.is_struct(data_type):
        return pa.struct([field.with_type(_known(field.type)) for field in data_type])
    if pa.types.is_list(data_type):
        return pa.list_(data_type.value_field.with_type(_known(data_type.value_type)))
    return data_type
