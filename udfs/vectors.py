"""Likeness and distance of vectors, for embeddings.

Every list of numbers is accepted (fixed-size or not, of any float or integer type) and computed in double precision.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from jammi_sql.errors import DataError
from jammi_sql.function import scalar_function

__all__ = ["cosine_similarity", "l2_distance"]

Floats = npt.NDArray[np.float64]
RowSums = Callable[[Floats, Floats], Floats]
VECTOR = pa.list_(pa.float64())


@scalar_function(inputs=[VECTOR, VECTOR], returns=pa.float64(), example="cosine_similarity([1, 0], [2, 0]) = 1.0")
def cosine_similarity(a: Any, b: Any) -> pa.DoubleArray:
    """The cosine of the angle between two vectors, from -1 (opposite) to 1 (same direction).

    NULL when either vector is NULL, holds a NULL, is empty or has length zero. Vectors with different numbers of
    elements are ``DataError`` 22000.
    """

    def similarity(x: Floats, y: Floats, row_sums: RowSums) -> Any:
        norms = np.sqrt(row_sums(x, x)) * np.sqrt(row_sums(y, y))
        # rounding may carry parallel vectors just past 1
        cosine = np.clip(row_sums(x, y) / norms, -1.0, 1.0)
        return pa.array(cosine, mask=norms == 0.0)

    return _row_wise("cosine_similarity", a, b, similarity)


@scalar_function(inputs=[VECTOR, VECTOR], returns=pa.float64(), example="l2_distance([0, 0], [3, 4]) = 5.0")
def l2_distance(a: Any, b: Any) -> pa.DoubleArray:
    """The straight-line (Euclidean) distance between two vectors.

    NULL when either vector is NULL or holds a NULL, 0 for two empty ones. Vectors with different numbers of
    elements are ``DataError`` 22000.
    """

    def distance(x: Floats, y: Floats, row_sums: RowSums) -> Any:
        difference = x - y
        return pa.array(np.sqrt(row_sums(difference, difference)))

    return _row_wise("l2_distance", a, b, distance)


def _row_wise(name: str, a: Any, b: Any, compute: Callable[[Floats, Floats, RowSums], Any]) -> Any:
    """``compute`` over the flat elements of the rows where neither vector is NULL or holds one."""
    lengths_a, lengths_b = pc.list_value_length(a), pc.list_value_length(b)
    differs = pc.fill_null(pc.not_equal(lengths_a, lengths_b), False)
    if pc.any(differs).as_py():
        row = pc.index(differs, True).as_py()
        raise DataError(
            f"{name}: the vectors have {lengths_a[row]} and {lengths_b[row]} elements",
            hint="compare vectors of the same model, with the same number of elements",
        )
    whole = pc.and_(_is_whole(a), _is_whole(b))
    lengths = lengths_a.filter(whole).to_numpy(zero_copy_only=False)
    x = a.filter(whole).flatten().to_numpy(zero_copy_only=False)
    y = b.filter(whole).flatten().to_numpy(zero_copy_only=False)

    def row_sums(left: Floats, right: Floats) -> Floats:
        if len(lengths) and lengths[0] and (lengths == lengths[0]).all():
            shape = (len(lengths), int(lengths[0]))
            return np.asarray(np.einsum("ij,ij->i", left.reshape(shape), right.reshape(shape)))
        rows = np.repeat(np.arange(len(lengths)), lengths)
        return np.bincount(rows, weights=left * right, minlength=len(lengths)).astype(np.float64)

    # infinities and overflow give inf and NaN as everywhere in SQL's floats, not warnings
    with np.errstate(all="ignore"):
        values = compute(x, y, row_sums)
    return pc.replace_with_mask(pa.nulls(len(a), pa.float64()), whole, values)


def _is_whole(vectors: Any) -> pa.BooleanArray:
    """For each row whether it is a vector without NULLs."""
    whole = vectors.is_valid().to_numpy(zero_copy_only=False).copy()
    # a NULL cast from a fixed-size list keeps elements behind it, which flatten() and the indices see differently
    valid = vectors.drop_null()
    elements = valid.flatten()
    if elements.null_count:
        holed = valid.value_parent_indices().filter(elements.is_null()).to_numpy()
        whole[np.flatnonzero(whole)[holed]] = False
    return pa.array(whole)
