"""Numbers: arithmetic that wraps as DataFusion's does, or raises where DataFusion has an error to raise itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from .entry import FLOATS, INTEGERS, SIGNED, Build, Entry, by_kernel
from .operand import Operand, Undecided, kernel_of

__all__ = ["ARITHMETIC"]


def _of_floats(function: str) -> Build:
    """Of two NaN with other bits either may be the result, as the compiler of the library pleased."""

    def build(operands: Sequence[Operand]) -> Operand:
        right = operands[1].argument
        left = operands[0].argument if operands[1].literal is None else operands[0].evaluate
        kernel, is_nan, both = kernel_of(function), kernel_of("is_nan"), kernel_of("and")

        def step(batch: pa.RecordBatch) -> Any:
            first, second = left(batch), right(batch)
            result = kernel([first, second])
            if is_nan([result]).true_count and both([is_nan([first]), is_nan([second])]).true_count:
                raise Undecided(f"{function} of two NaN")
            return result

        return Operand(operands[0].type, step)

    return build


ARITHMETIC = (
    Entry("add", (INTEGERS, INTEGERS), by_kernel("add")),
    Entry("add", (FLOATS, FLOATS), _of_floats("add")),
    Entry("subtract", (INTEGERS, INTEGERS), by_kernel("subtract")),
    Entry("subtract", (FLOATS, FLOATS), _of_floats("subtract")),
    Entry("multiply", (INTEGERS, INTEGERS), by_kernel("multiply")),
    Entry("multiply", (FLOATS, FLOATS), _of_floats("multiply")),
    # A zero divisor, the least integer through -1 and roots of negative numbers are DataFusion's to report.
    Entry("divide", (INTEGERS, INTEGERS), by_kernel("divide_checked")),
    Entry("divide", (FLOATS, FLOATS), _of_floats("divide")),
    Entry("remainder", (INTEGERS, INTEGERS), by_kernel("remainder_checked")),
    Entry("remainder", (FLOATS, FLOATS), _of_floats("remainder")),
    Entry("negate", (SIGNED | FLOATS,), by_kernel("negate")),
    Entry("abs", (INTEGERS,), by_kernel("abs_checked")),
    Entry("abs", (FLOATS,), by_kernel("abs")),
    Entry("floor", (FLOATS,), by_kernel("floor")),
    Entry("ceil", (FLOATS,), by_kernel("ceil")),
    Entry("sqrt", (FLOATS,), by_kernel("sqrt_checked")),
    Entry("isnan", (FLOATS,), by_kernel("is_nan", pa.bool_())),
    Entry("bit_wise_and", (INTEGERS, INTEGERS), by_kernel("bit_wise_and")),
    Entry("bit_wise_or", (INTEGERS, INTEGERS), by_kernel("bit_wise_or")),
    Entry("bit_wise_xor", (INTEGERS, INTEGERS), by_kernel("bit_wise_xor")),
)
