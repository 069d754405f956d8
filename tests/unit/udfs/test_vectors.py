"""Likeness and distance of vectors."""

from __future__ import annotations

import math
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jammi_sql.engine.functions import shipped_functions
from jammi_sql.errors import DataError

FUNCTIONS = {function.name: function for function in shipped_functions()}
TYPES = [
    pa.list_(pa.float32(), 2),
    pa.list_(pa.float64(), 2),
    pa.list_(pa.float16(), 2),
    pa.list_(pa.field("item", pa.float32(), nullable=False), 2),
    pa.list_(pa.float32()),
    pa.list_(pa.float64()),
    pa.large_list(pa.float32()),
    pa.list_(pa.int32()),
]


@pytest.mark.parametrize("a", TYPES, ids=str)
@pytest.mark.parametrize("b", [TYPES[0], TYPES[5]], ids=str)
def test_every_type_of_vector_is_accepted(sql: Any, a: pa.DataType, b: pa.DataType) -> None:
    columns = {"a": pa.array([[3, 4], [1, 0]], a), "b": pa.array([[0, 0], [1, 0]], b)}
    assert sql.column("l2_distance(a, b)", **columns) == [5.0, 0.0]
    assert sql.column("cosine_similarity(a, b)", **columns) == [None, 1.0]


def test_a_column_is_compared_with_a_literal(sql: Any) -> None:
    vectors = pa.array([[1, 0], [0, 2], [-3, 0]], pa.list_(pa.float32(), 2))
    assert sql.column("cosine_similarity(v, [1, 0])", v=vectors) == [1.0, 0.0, -1.0]
    assert sql.column("cosine_similarity([0.0, 1.5], v)", v=vectors) == [0.0, 1.0, 0.0]


@pytest.mark.parametrize("name", ["cosine_similarity", "l2_distance"])
@pytest.mark.parametrize("fixed", [True, False])
def test_a_null_or_a_vector_with_a_null_gives_null_in_its_row_alone(sql: Any, name: str, fixed: bool) -> None:
    kind = pa.list_(pa.float32(), 2) if fixed else pa.list_(pa.float32())
    a = pa.array([None, [1, None], [1, 1], [1, 1], [1, 1]], kind)
    b = pa.array([[1, 1], [1, 1], None, [None, 1], [1, 1]], kind)
    found = sql.column(f"{name}(a, b)", a=a, b=b)
    assert found[:4] == [None] * 4
    assert found[4] == pytest.approx(1.0 if name == "cosine_similarity" else 0.0)


@pytest.mark.parametrize("name", ["cosine_similarity", "l2_distance"])
def test_vectors_of_different_lengths_are_an_error_that_names_the_function(sql: Any, name: str) -> None:
    with pytest.raises(DataError, match=f"{name}: the vectors have 2 and 3 elements") as caught:
        sql.value(f"{name}([1, 2], [1, 2, 3])")
    assert caught.value.sqlstate == "22000"


def test_rows_may_have_different_lengths_as_long_as_the_pairs_agree(sql: Any) -> None:
    a = pa.array([[3, 4], [], [2], None], pa.list_(pa.float64()))
    b = pa.array([[0, 0], [], [5], [1]], pa.list_(pa.float64()))
    assert sql.column("l2_distance(a, b)", a=a, b=b) == [5.0, 0.0, 3.0, None]
    assert sql.column("cosine_similarity(a, a)", a=a) == [1.0, None, 1.0, None]


def test_rounding_never_carries_the_similarity_past_one(sql: Any) -> None:
    vectors = [[i / 10, j / 7] for i in range(1, 60) for j in range(1, 20)]
    multiples = [[7 * x, 7 * y] for x, y in vectors]
    assert max(sql.column("cosine_similarity(a, b)", a=vectors, b=multiples)) == 1.0


def test_empty_columns_are_fine(sql: Any) -> None:
    assert sql.column("l2_distance(a, a)", a=pa.array([], pa.list_(pa.float32(), 2))) == []
    assert sql.column("cosine_similarity(a, a)", a=pa.array([None], pa.list_(pa.float32()))) == [None]


def test_nan_and_infinity_pass_through_without_a_warning(sql: Any) -> None:
    a = pa.array([[math.nan, 1], [math.inf, 1], [1e200, 1e200]], pa.list_(pa.float64()))
    found = sql.column("l2_distance(a, [0, 0])", a=a)
    assert math.isnan(found[0])
    assert found[1:] == [math.inf, math.inf]
    assert all(math.isnan(value) for value in sql.column("cosine_similarity(a, [1, 1])", a=a)[:2])


def test_a_slice_of_a_column_is_read_at_its_own_place() -> None:
    vectors = pa.array([[9, 9], [3, 4], None, [0, 1]], pa.list_(pa.float64()))
    zeros = pa.array([[0, 0]] * 4, pa.list_(pa.float64()))
    assert FUNCTIONS["l2_distance"](vectors[1:], zeros[1:]).to_pylist() == [5.0, None, 1.0]
    nulls = pa.array([[None, 9], [3, 4], [None, 1], [0, 1]], pa.list_(pa.float64()))
    assert FUNCTIONS["l2_distance"](nulls[1:], zeros[1:]).to_pylist() == [5.0, None, 1.0]


numbers = st.floats(-1e6, 1e6, allow_subnormal=False)
pairs = st.integers(0, 5).flatmap(
    lambda size: st.tuples(*[st.none() | st.lists(numbers | st.none(), min_size=size, max_size=size)] * 2)
)


@given(st.lists(pairs, max_size=6))
def test_distances_agree_with_plain_python(
    rows: list[tuple[list[float | None] | None, list[float | None] | None]],
) -> None:
    a, b = (pa.array([row[side] for row in rows], pa.list_(pa.float64())) for side in (0, 1))
    distances = FUNCTIONS["l2_distance"](a, b).to_pylist()
    cosines = FUNCTIONS["cosine_similarity"](a, b).to_pylist()
    for (x, y), distance, cosine in zip(rows, distances, cosines, strict=True):
        if x is None or y is None or None in x or None in y:
            assert distance is None
            assert cosine is None
            continue
        xs, ys = [value or 0.0 for value in x], [value or 0.0 for value in y]
        assert distance == pytest.approx(math.dist(xs, ys))
        norms = math.hypot(*xs) * math.hypot(*ys)
        if cosine is None:
            assert norms == pytest.approx(0.0)
        else:
            assert -1.0 <= cosine <= 1.0
            assert cosine * norms == pytest.approx(sum(p * q for p, q in zip(xs, ys, strict=True)), rel=1e-6, abs=1e-3)
