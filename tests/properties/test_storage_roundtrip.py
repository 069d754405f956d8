"""What a store's column holds, over random types and values: it comes back bit for bit, and damage is noticed."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from jammi_sql.arrow.storage import Encoded, column_codec
from jammi_sql.errors import DataCorrupted
from tests.storage_support import SCALARS, arrays, data_types, exact

_MANY = settings(
    max_examples=max(60, settings().max_examples),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@st.composite
def columns(draw: Any, kinds: st.SearchStrategy[Any]) -> Any:
    """An array of a random type and length."""
    return draw(arrays(draw(kinds), draw(st.sampled_from([0, 1, 2, 3, 7]))))


def _as_stored(array: pa.Array | None, before: int) -> Any:
    """As it comes out of a store: nothing under the nulls; and a slice, if there are values ``before``."""
    if array is None:
        return None
    clean = pa.array(array.to_pylist(), array.type)
    return pa.concat_arrays([clean.slice(0, before), clean]).slice(len(clean.slice(0, before)))


def _check(array: pa.Array, before: int) -> None:
    codec = column_codec(array.type)
    encoded = codec.encode(array)
    _check_encoded(encoded, codec.storage, len(array))
    stored = _as_stored(encoded.values, before), _as_stored(encoded.specials, before)
    for values, specials in ((encoded.values, encoded.specials), stored):
        decoded = codec.decode(values, specials)
        decoded.validate()
        assert decoded.type.equals(array.type, check_metadata=True)
        assert exact(decoded) == exact(array)
        again = codec.encode(decoded)
        assert again.values.equals(encoded.values)  # one value, one form, whatever lay under its nulls
        assert (again.specials is None) == (encoded.specials is None)


def _check_encoded(encoded: Encoded, storage: pa.DataType, count: int) -> None:
    encoded.values.validate(full=True)
    assert encoded.values.type == storage and len(encoded.values) == count
    if encoded.specials is not None:
        encoded.specials.validate(full=True)
        assert encoded.specials.type == pa.binary() and len(encoded.specials) == count
        assert encoded.specials.null_count < count
        assert not any(
            value.is_valid and special.is_valid for value, special in zip(encoded.values, encoded.specials, strict=True)
        )


@_MANY
@given(columns(st.sampled_from(SCALARS)), st.integers(0, 2))
def test_values_without_parts_come_back_bit_for_bit(array, before):
    _check(array, before)


@_MANY
@given(columns(data_types(3)), st.integers(0, 2))
def test_nested_values_come_back_bit_for_bit(array, before):
    _check(array, before)


@_MANY
@given(columns(st.sampled_from(SCALARS)))
def test_one_value_is_stored_as_in_a_column(array):
    codec = column_codec(array.type)
    encoded = codec.encode(array)
    values = encoded.values.to_pylist()
    specials = [None] * len(array) if encoded.specials is None else encoded.specials.to_pylist()
    for scalar, value, special in zip(array, values, specials, strict=True):
        if scalar.is_valid:
            assert repr(codec.encode_value(scalar)) == repr(value if special is None else special)  # -0.0 too


@_MANY
@given(columns(data_types(2)), st.data())
def test_damaged_bytes_are_refused_or_are_a_value(array, data):
    codec = column_codec(array.type)
    assume(len(array) > 0 and codec.storage == pa.binary())
    rows = codec.encode(array).values.to_pylist()
    place = data.draw(st.integers(0, len(rows) - 1))
    row = bytearray(rows[place] or b"")
    if row and data.draw(st.booleans()):
        row[data.draw(st.integers(0, len(row) - 1))] = data.draw(st.integers(0, 255))
    row = row[: data.draw(st.integers(max(0, len(row) - 3), len(row)))] + data.draw(st.binary(max_size=3))
    rows[place] = bytes(row)
    try:
        decoded = codec.decode(pa.array(rows, pa.binary()))
    except DataCorrupted as error:
        assert error.message.startswith("a stored value of type ")
    else:
        decoded.validate()
        assert exact(codec.decode(codec.encode(decoded).values)) == exact(decoded)
