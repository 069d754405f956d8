"""Truth values: Kleene's AND, OR and NOT, and the tests of one value."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
from pyarrow import types

from ..expression import UnreadableExpression
from .entry import Build, Entry
from .operand import Operand, called, constant, kernel_of
from .stored import stored

__all__ = ["LOGIC", "UNKNOWN", "true_or", "truth"]

UNKNOWN = pa.scalar(None, pa.bool_())


def truth(operand: Operand) -> Operand:
    """``operand`` as a condition; a NULL of any type is one."""
    if operand.literal is not None and not operand.literal.is_valid:
        return constant(UNKNOWN)
    if not types.is_boolean(operand.type):
        raise UnreadableExpression(f"{operand.type} is taken for a truth value")
    return operand


def true_or(operand: Operand, unknown: bool) -> Operand:
    """``operand`` with ``unknown`` for NULL."""
    return called("coalesce", pa.bool_(), [operand, constant(pa.scalar(unknown))])


def _inverted(operand: Operand) -> Operand:
    return called("invert", pa.bool_(), [operand])


def _and(operands: Sequence[Operand]) -> Operand:
    left, right = (truth(operand).evaluate for operand in operands)
    kernel = kernel_of("and_kleene")

    def step(batch: pa.RecordBatch) -> Any:
        first = left(batch)
        if first.true_count == 0 and first.null_count == 0:
            return first  # false whatever the rest is; the counts are cached, the kernels are not
        return kernel([first, right(batch)])

    return Operand(pa.bool_(), step)


def _or(operands: Sequence[Operand]) -> Operand:
    left, right = (truth(operand).evaluate for operand in operands)
    kernel = kernel_of("or_kleene")

    def step(batch: pa.RecordBatch) -> Any:
        first = left(batch)
        if first.true_count == len(first):
            return first
        return kernel([first, right(batch)])

    return Operand(pa.bool_(), step)


def _of_null(function: str) -> Build:
    return lambda operands: called(function, pa.bool_(), [stored(operands[0])])


def _of_truth(unknown: bool, inverted: bool) -> Build:
    def build(operands: Sequence[Operand]) -> Operand:
        known = true_or(truth(operands[0]), unknown)
        return _inverted(known) if inverted else known

    return build


LOGIC = (
    Entry("and_kleene", None, _and),
    Entry("or_kleene", None, _or),
    Entry("invert", None, lambda operands: _inverted(truth(operands[0]))),
    Entry("is_null", None, _of_null("is_null")),
    Entry("is_valid", None, _of_null("is_valid")),
    Entry("is_true", None, _of_truth(unknown=False, inverted=False)),
    Entry("is_not_true", None, _of_truth(unknown=False, inverted=True)),
    Entry("is_false", None, _of_truth(unknown=True, inverted=True)),
    Entry("is_not_false", None, _of_truth(unknown=True, inverted=False)),
)
