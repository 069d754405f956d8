"""One value or another: CASE, which COALESCE is too by the time it is planned, and NULLIF."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
from pyarrow import types

from ..expression import UnreadableExpression
from .comparison import compared
from .entry import FLOATS, INTEGERS, TEXTS, TRUTHS, Entry, Types
from .logic import true_or, truth
from .operand import Operand, called, constant

__all__ = ["CHOICE"]

_EXACT: Types = INTEGERS | TEXTS | TRUTHS | frozenset((pa.date32(), pa.binary()))
_CHOSEN: Types = _EXACT | FLOATS


def _case(operands: Sequence[Operand]) -> Operand:
    """Condition, value, condition, value, and so on, and the value where no condition is true."""
    *pairs, otherwise = operands
    values = [*pairs[1::2], otherwise]
    type_ = next((value.type for value in values if not types.is_null(value.type)), pa.null())
    if not (type_ in _CHOSEN or types.is_timestamp(type_)):
        raise UnreadableExpression(f"a choice of {type_}")
    chosen = _as(otherwise, type_)
    for condition, value in zip(reversed(pairs[::2]), reversed(pairs[1::2]), strict=True):
        chosen = _chosen(truth(condition), _as(value, type_), chosen)
    return chosen


def _chosen(condition: Operand, value: Operand, otherwise: Operand) -> Operand:
    return called("if_else", value.type, [true_or(condition, False), value, otherwise])


def _as(value: Operand, type_: pa.DataType) -> Operand:
    if types.is_null(value.type) and value.literal is not None:
        return constant(pa.scalar(None, type_))
    if value.type != type_:
        raise UnreadableExpression(f"a choice of {type_} and {value.type}")
    return value


def _nullif(operands: Sequence[Operand]) -> Operand:
    value = operands[0]
    return _chosen(compared("equal", *operands), constant(pa.scalar(None, value.type)), value)


CHOICE = (
    # Of floats both do not take -0.0 for 0.0 as comparisons do.
    Entry("case_equal", (_EXACT, _EXACT), lambda operands: compared("equal", *operands)),
    Entry("case", None, _case),
    Entry("nullif", (_EXACT, _EXACT), _nullif),
)
