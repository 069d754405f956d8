"""What is particular to a store in the SQL of companion tables: names, values, batches."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jammi_sql.arrow.storage import column_codec
from jammi_sql.errors import InternalError
from jammi_sql.tables.rendering import PostgresTables, SqliteTables, TableRenderer, renderer_of
from tests.storage_support import SCALARS, arrays, exact

STORES: list[TableRenderer] = [SqliteTables(), PostgresTables()]


@st.composite
def columns(draw: Any) -> Any:
    return draw(arrays(draw(st.sampled_from(SCALARS)), draw(st.sampled_from([0, 1, 2, 3, 7]))))


@given(columns(), st.integers(0, 2))
def test_values_come_back_bit_for_bit_from_every_store(array: pa.Array, before: int) -> None:
    codec = column_codec(array.type)
    for renderer in STORES:
        encoded = renderer.encode(codec, array)
        assert encoded.values.type == renderer.stored_type(codec)
        assert exact(renderer.decode(codec, encoded.values, encoded.specials)) == exact(array)
    whole = PostgresTables().encode(codec, pa.concat_arrays([array, array]))
    assert whole.specials is None
    cut = whole.values.slice(min(before, len(array)))
    assert exact(PostgresTables().decode(codec, cut, None))[-len(array) or None :] == exact(array)


def test_postgres_keeps_nan_among_the_numbers_and_text_as_bytes() -> None:
    renderer, codec = PostgresTables(), column_codec(pa.float32())
    nans = pa.array([0x7FC00001, 0xFFC00000, 0x7F800001, 0x3F800000, None], pa.uint32()).view(pa.float32())
    encoded = renderer.encode(codec, nans)
    assert encoded.specials is None
    assert encoded.values.null_count == 1
    assert renderer.decode(codec, encoded.values, None).view(pa.uint32()).equals(nans.view(pa.uint32()))
    assert renderer.encode_value(codec, nans[0]) is None
    text = column_codec(pa.large_utf8())
    assert renderer.encode(text, pa.array(["ž\0", None], pa.large_utf8())).values.to_pylist() == ["ž\0".encode(), None]
    assert renderer.encode_value(text, pa.scalar("ž\0", pa.large_utf8())) == "ž\0".encode()


LONG = "ž" * 40


@pytest.mark.parametrize("renderer", STORES, ids=lambda one: one.kind)
def test_stored_names_are_apart(renderer: TableRenderer) -> None:
    names = ["a", "A", "xmin", "oid", LONG, f"{LONG}x", f"{LONG}y", "a_2"]
    stored = renderer.physical_names(names)
    assert len({name.lower() if renderer.kind == "sqlite" else name for name in stored}) == len(names)
    assert renderer.physical_names(["b"], ["b"]) == ["b_2"]


def test_names_fit_into_postgres() -> None:
    renderer = PostgresTables()
    stored = renderer.physical_names(
        [LONG, f"{LONG}x", "ctid", "tableoid", *(f"{LONG}{number}" for number in range(20))]
    )
    stored += [renderer.storage_name(LONG, 2**62 - 1), renderer.later_name(LONG, stored, 7)]
    assert max(len(name.encode()) for name in stored) <= 63
    assert not {"ctid", "tableoid"}.intersection(stored)
    assert renderer.later_name("a", ["a"], 2) != renderer.later_name("a", ["a"], 3)


def test_a_batch_that_changes_a_row_twice_is_cut() -> None:
    rows = pa.record_batch(
        {"tenant": ["", "", "", "", ""], "k": [1, 2, 1, 1, 3], "v": pa.array([1, 2, 3, 4, 5])}  # type: ignore[arg-type]
    )
    pieces = list(PostgresTables().pieces(rows, (0, 1)))
    assert [piece.column(2).to_pylist() for piece in pieces] == [[1, 2], [3], [4, 5]]
    assert list(PostgresTables().pieces(rows)) == [rows]
    assert list(SqliteTables().pieces(rows, (0, 1))) == [rows]
    keys = pa.record_batch({"k": pa.array([0.0, -0.0, None, None, float("nan"), float("nan")])})  # type: ignore[arg-type]
    assert [piece.num_rows for piece in PostgresTables().pieces(keys, (0,))] == [1, 4, 1]
    assert sum(piece.num_rows for piece in PostgresTables().pieces(keys.slice(0, 0), (0,))) == 0


def test_a_large_batch_is_cut_by_bytes() -> None:
    rows = pa.record_batch({"v": [b"x" * (1 << 20)] * 64})  # type: ignore[arg-type]
    pieces = list(PostgresTables().pieces(rows))
    assert sum(piece.num_rows for piece in pieces) == 64
    assert max(piece.nbytes for piece in pieces) <= 17 << 20


def test_a_kind_of_store_without_tables_is_an_error() -> None:
    with pytest.raises(InternalError):
        renderer_of("oracle")
