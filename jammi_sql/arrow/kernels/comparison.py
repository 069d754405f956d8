"""Comparisons and lists, in DataFusion's order: NaN is equal to itself and greatest, -0.0 equals 0.0 but in a list."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ..expression import MIRRORED, UnreadableExpression
from ..order import FLOATS, NEGATIVE_ZERO, float_bits, order_key, order_keys, order_kind
from .entry import Build, Entry
from .logic import UNKNOWN
from .operand import Evaluate, Operand, called, constant, kernel_of
from .stored import stored, widened

__all__ = ["COMPARISONS", "compared", "member"]

_PYTHON: dict[str, Callable[[Any, Any], bool]] = {
    "equal": operator.eq,
    "not_equal": operator.ne,
    "less": operator.lt,
    "less_equal": operator.le,
    "greater": operator.gt,
    "greater_equal": operator.ge,
}


def compared(function: str, left: Operand, right: Operand) -> Operand:
    """Row by row: true, false, or null where one of them is."""
    if left.literal is not None and right.literal is None:
        function, left, right = MIRRORED[function], right, left
    left, right = stored(left), stored(right)
    if right.literal is None:
        return _pairwise(function, left, right)
    if not right.literal.is_valid:
        return constant(UNKNOWN)
    literal = _typed(right.literal, left.type)
    kind = order_kind(left.type)
    if kind in FLOATS:
        return _float_against_literal(function, left, literal)
    if kind is None:
        return _keys_against_literal(function, left, literal)
    return called(function, pa.bool_(), [widened(left), widened(constant(literal))])


def _typed(value: Any, type_: pa.DataType) -> Any:
    """A literal or list in the operand's own type: DataFusion makes them equal, but may name a time zone otherwise."""
    if value.type == type_:
        return value
    if order_kind(value.type) is None or order_kind(value.type) != order_kind(type_):
        raise UnreadableExpression(f"{type_} is compared with {value.type}")
    try:
        return value.cast(type_)
    except pa.ArrowException as error:
        raise UnreadableExpression(f"{type_} is compared with {value.type}: {error}") from error


def _narrowed(values: Any, type_: pa.DataType) -> Any:
    """A list in the operand's own type: DataFusion passes lists as Python values, so float32 arrives as float64."""
    if order_kind(type_) in FLOATS and order_kind(values.type) in FLOATS:
        narrowed = values.cast(type_)
        if order_keys(narrowed.cast(values.type)) == order_keys(values):
            return narrowed
    return _typed(values, type_)


def _float_against_literal(function: str, operand: Operand, literal: pa.Scalar[Any]) -> Operand:
    """Total order by the bits: as signed integers positive floats rise, as unsigned ones negative floats fall.

    One integer comparison is enough, because the literal's sign is known: every float of the other sign lies on
    the right side of it in that reading. Zeros are equal, so one of them is picked to stand for both.
    """
    evaluate = operand.evaluate
    signed, unsigned = float_bits(literal.type)
    key = order_key(literal)
    assert key is not None
    sign = 1 << (signed.bit_width - 1)
    is_zero = key in (0, NEGATIVE_ZERO)
    if is_zero and function in ("equal", "not_equal"):
        kernel, magnitude = kernel_of(function), pa.scalar(sign - 1, signed)
        zero = pa.scalar(0, signed)
        return Operand(
            pa.bool_(), lambda batch: kernel([pc.bit_wise_and(evaluate(batch).view(signed), magnitude), zero])
        )
    # Above and not above zero are asked of +0, below and not below of -0.
    if (function in ("greater", "less_equal")) if is_zero else key > 0:
        bits, kernel = pa.scalar(0 if is_zero else key, signed), kernel_of(function)
        return Operand(pa.bool_(), lambda batch: kernel([evaluate(batch).view(signed), bits]))
    bits, kernel = pa.scalar(sign if is_zero else sign + ~key, unsigned), kernel_of(MIRRORED[function])
    return Operand(pa.bool_(), lambda batch: kernel([evaluate(batch).view(unsigned), bits]))


def _pairwise(function: str, left: Operand, right: Operand) -> Operand:
    if left.type != right.type:
        raise UnreadableExpression(f"{left.type} is compared with {right.type}")
    kind = order_kind(left.type)
    if kind is None:
        return _keys_pairwise(function, left, right)
    if kind in FLOATS:
        left, right = _float_keys(left), _float_keys(right)
    return called(function, pa.bool_(), [widened(left), widened(right)])


def _float_keys(operand: Operand) -> Operand:
    """The order key of each float as a signed integer, with -0.0 as 0.0."""
    signed, _ = float_bits(operand.type)
    evaluate = operand.evaluate
    zero, magnitude = pa.scalar(0, signed), pa.scalar((1 << (signed.bit_width - 1)) - 1, signed)
    negative_zero = pa.scalar(NEGATIVE_ZERO, signed)

    def step(batch: pa.RecordBatch) -> Any:
        bits: Any = evaluate(batch).view(signed)
        keys: Any = pc.if_else(pc.less(bits, zero), pc.bit_wise_xor(bits, magnitude), bits)
        return pc.if_else(pc.equal(keys, negative_zero), zero, keys)

    return Operand(signed, step)


def _keys_against_literal(function: str, operand: Operand, literal: pa.Scalar[Any]) -> Operand:
    """Lists, structs, maps and intervals, for which no kernel exists, value by value in Python."""
    compare, wanted, evaluate = _PYTHON[function], order_key(literal), operand.evaluate
    return Operand(
        pa.bool_(),
        lambda batch: pa.array(
            [None if key is None else compare(key, wanted) for key in order_keys(evaluate(batch))], pa.bool_()
        ),
    )


def _keys_pairwise(function: str, left: Operand, right: Operand) -> Operand:
    compare, first, second = _PYTHON[function], left.evaluate, right.evaluate

    def step(batch: pa.RecordBatch) -> Any:
        pairs = zip(order_keys(first(batch)), order_keys(second(batch)), strict=True)
        return pa.array([None if x is None or y is None else compare(x, y) for x, y in pairs], pa.bool_())

    return Operand(pa.bool_(), step)


def member(operand: Operand, listed: pa.Array[Any]) -> Operand:
    """Whether a value is in a list; null for NULL, and for what is not there where the list has a NULL."""
    operand = stored(operand)
    if order_kind(operand.type) is None:
        raise UnreadableExpression(f"{operand.type} is looked for in a list")
    values = _narrowed(listed.drop_null(), operand.type)
    if order_kind(operand.type) in FLOATS:
        # DataFusion hashes the bits here, so unlike in a comparison -0.0 is not 0.0. pyarrow would take all NaN as one.
        signed, _ = float_bits(operand.type)
        values = values.view(signed)
        floats = operand.evaluate
        evaluate: Evaluate = lambda batch: floats(batch).view(signed)  # noqa: E731
    else:
        wide = widened(operand)
        values, evaluate = values.cast(wide.type), wide.evaluate
    options = pc.SetLookupOptions(values, skip_nulls=True)
    is_in, if_else = kernel_of("is_in"), kernel_of("if_else")
    has_null = listed.null_count > 0

    def found(batch: pa.RecordBatch) -> Any:
        array = evaluate(batch)
        result = is_in([array], options)
        if has_null:  # not among the others: unknown, it might be the NULL
            return if_else([result, result, UNKNOWN])
        if array.null_count:
            return if_else([array.is_valid(), result, UNKNOWN])
        return result

    return Operand(pa.bool_(), found)


def _comparison(function: str) -> Build:
    return lambda operands: compared(function, *operands)


def _distinct(inverted: bool) -> Build:
    """As a comparison, but with an answer for NULL."""

    def build(operands: Sequence[Operand]) -> Operand:
        same = compared("equal", *operands)
        left, right = (called("is_null", pa.bool_(), [stored(operand)]) for operand in operands)
        # Where the comparison knows nothing, one is NULL: they are the same if both are.
        both = called("and", pa.bool_(), [left, right])
        known = called("coalesce", pa.bool_(), [same, both])
        return known if inverted else called("invert", pa.bool_(), [known])

    return build


COMPARISONS = (
    *(Entry(function, None, _comparison(function)) for function in _PYTHON),
    Entry("is_distinct", None, _distinct(inverted=False)),
    Entry("is_not_distinct", None, _distinct(inverted=True)),
)
