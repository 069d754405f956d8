"""Casts. Those that may fail do so for the same values as DataFusion's, which then reports it."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow.compute as pc

from .entry import FLOATS, INTEGERS, SIGNED, TEXTS, TRUTHS, Build, Entry
from .operand import Operand, called

__all__ = ["CASTS"]


def _cast(safe: bool, through: str | None = None) -> Build:
    """The first operand in the type of the second."""

    def build(operands: Sequence[Operand]) -> Operand:
        value, type_ = operands[0], operands[1].type
        if through is not None:
            value = called(through, value.type, [value])
        options = pc.CastOptions.safe(type_) if safe else pc.CastOptions.unsafe(type_)
        return called("cast", type_, [value], options)

    return build


CASTS = (
    Entry("cast", (INTEGERS, INTEGERS), _cast(safe=True), alike=False),
    Entry("cast", (INTEGERS, FLOATS), _cast(safe=False), alike=False),  # rounded to the nearest, which "safe" refuses
    Entry("cast", (FLOATS, FLOATS), _cast(safe=False), alike=False),
    Entry("cast", (FLOATS, SIGNED), _cast(safe=True, through="trunc"), alike=False),
    Entry("cast", (TRUTHS, INTEGERS | TEXTS), _cast(safe=True), alike=False),
    Entry("cast", (INTEGERS, TEXTS), _cast(safe=True), alike=False),
    Entry("cast", (TEXTS, TEXTS), _cast(safe=True), alike=False),
)
