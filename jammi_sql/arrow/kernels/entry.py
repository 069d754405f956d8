"""One line of the list of expressions that pyarrow's kernels compute as DataFusion does."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from .operand import Operand, called

__all__ = ["FLOATS", "INTEGERS", "NUMBERS", "SIGNED", "TEXTS", "TRUTHS", "Build", "Entry", "Types", "by_kernel"]

Types = frozenset[pa.DataType]
Build = Callable[[Sequence[Operand]], Operand]

SIGNED: Types = frozenset({pa.int8(), pa.int16(), pa.int32(), pa.int64()})
INTEGERS: Types = SIGNED | {pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64()}
FLOATS: Types = frozenset({pa.float32(), pa.float64()})
NUMBERS: Types = INTEGERS | FLOATS
TEXTS: Types = frozenset({pa.string(), pa.large_string()})
TRUTHS: Types = frozenset({pa.bool_()})


@dataclass(frozen=True, slots=True)
class Entry:
    """An expression on the list, for operands of some types.

    ``takes`` has the types per operand, ``None`` for any number of operands of types that ``build`` looks at itself.
    ``alike``: all operands have one type. ``build`` raises ``UnreadableExpression`` for what is not on the list after
    all.
    """

    name: str
    takes: tuple[Types, ...] | None
    build: Build
    alike: bool = True

    def accepts(self, operands: Sequence[Operand]) -> bool:
        """Whether the types of the operands are those of this entry."""
        if self.takes is None:
            return True
        if len(operands) != len(self.takes):
            return False
        if self.alike and len({operand.type for operand in operands}) > 1:
            return False
        return all(operand.type in types for operand, types in zip(operands, self.takes, strict=True))


def by_kernel(
    function: str, result: pa.DataType | Mapping[pa.DataType, pa.DataType] | None = None, options: Any = None
) -> Build:
    """A kernel called with the operands. ``result`` is the type, by the first operand's if need be; ``None``: that."""

    def build(operands: Sequence[Operand]) -> Operand:
        type_ = operands[0].type
        if isinstance(result, Mapping):
            type_ = result[type_]
        elif result is not None:
            type_ = result
        return called(function, type_, operands, options)

    return build
