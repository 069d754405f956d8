"""Queries whose values are known once they are planned, such as ``SELECT 1``, which pools of connections send all the time."""

from __future__ import annotations

from typing import Any, Final

import pyarrow as pa
from datafusion import DataFrame, LogicalPlan

from ..arrow.layouts import laid_out
from ..shutdown import calling
from ..topics.remembered import Remembered
from .known import REMEMBERED_TEXT

__all__ = ["Constants", "constant_rows", "is_constant"]

_REMEMBERED: Final = 64
_LARGEST: Final = 4096  # bytes


class Constants:
    """The rows of queries that are literals alone as they are written, by their text: nothing but DataFusion's options decides
    what they mean. ``now()`` is none of them, nor what was computed of literals."""

    def __init__(self) -> None:
        self._rows: Remembered[str, pa.RecordBatch] = Remembered(_REMEMBERED)

    def row(self, text: str) -> pa.RecordBatch | None:
        """The row of a query without parameters, where it is known."""
        return self._rows.get(text)

    def keep(self, text: str, plan: LogicalPlan, rows: list[pa.RecordBatch]) -> None:
        """A query was planned as ``plan``, before optimisation, and gave ``rows``. Of one with parameters nobody may ask."""
        if len(text) <= REMEMBERED_TEXT and len(rows) == 1 and rows[0].nbytes <= _LARGEST and is_constant(plan):
            self._rows[text] = rows[0]


def is_constant(plan: LogicalPlan) -> bool:
    """Whether a plan is one row of literals. Where it was optimised, nothing is left to wait for or to stop."""
    projection = plan.to_variant()
    if type(projection).__name__ != "Projection":
        return False
    (below,) = plan.inputs()
    return type(below.to_variant()).__name__ == "EmptyRelation" and all(map(_is_literal, projection.projections()))


def _is_literal(expression: Any) -> bool:
    kind = expression.variant_name()
    return kind == "Literal" or (kind == "Alias" and _is_literal(expression.to_variant().expr()))


def constant_rows(frame: DataFrame, schema: pa.Schema) -> list[pa.RecordBatch]:
    """The row of such a plan: at once, where a stream takes two switches of threads for a batch and two for its end."""
    with calling():
        batches = frame.collect()
    return [laid_out(batch, schema) for batch in batches]
