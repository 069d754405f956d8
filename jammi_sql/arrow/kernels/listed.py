"""The list of expressions that pyarrow's kernels compute with DataFusion's meaning, and what compiles them.

What is not on the list is left to DataFusion. ``tests/properties/test_kernel_entries.py`` runs every entry both ways.
"""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from ..expression import Call, Field, Literal, Membership, Node, UnreadableExpression
from .arithmetic import ARITHMETIC
from .cast import CASTS
from .choice import CHOICE
from .comparison import COMPARISONS, member
from .entry import Entry
from .logic import LOGIC, truth
from .operand import Operand, column, constant
from .text import TEXT

__all__ = ["LISTED", "compile_condition", "compile_value", "entry_of"]

LISTED: tuple[Entry, ...] = (*LOGIC, *COMPARISONS, *CHOICE, *ARITHMETIC, *CASTS, *TEXT)

_BY_NAME: dict[str, list[Entry]] = {}
for _entry in LISTED:
    _BY_NAME.setdefault(_entry.name, []).append(_entry)


def entry_of(function: str, operands: Sequence[Operand]) -> Entry:
    """The entry for a function of such operands; ``UnreadableExpression`` where there is none."""
    for entry in _BY_NAME.get(function, ()):
        if entry.accepts(operands):
            return entry
    raise UnreadableExpression(f"no kernel for {function} of {', '.join(str(operand.type) for operand in operands)}")


def compile_value(node: Node, schema: pa.Schema) -> Operand:
    """The values of ``node`` over batches with the columns of ``schema``, or some of them.

    Raises ``UnreadableExpression`` for what is not on the list.
    """
    match node:
        case Field(name):
            index = schema.get_field_index(name)
            if index < 0:
                raise UnreadableExpression(f"column {name} is not there once")
            return column(name, schema.field(index).type)
        case Literal(value):
            return constant(value)
        case Membership(operand, values):
            return member(compile_value(operand, schema), values)
        case Call(function, arguments):
            operands = [compile_value(argument, schema) for argument in arguments]
            return entry_of(function, operands).build(operands)


def compile_condition(node: Node, schema: pa.Schema) -> Operand:
    """As ``compile_value``, of a truth value."""
    return truth(compile_value(node, schema))
