"""Queries whose values are known once they are planned, such as ``SELECT 1`` or ``SELECT now()``."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
from datafusion import DataFrame, LogicalPlan

from ..arrow.layouts import laid_out
from ..shutdown import calling

__all__ = ["constant_rows", "is_constant"]


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
