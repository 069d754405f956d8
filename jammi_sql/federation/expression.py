"""Expressions over the columns of a relation, by position, with their types."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

__all__ = [
    "Call",
    "Case",
    "Cast",
    "Column",
    "Expression",
    "InList",
    "Literal",
    "ScalarQuery",
    "columns_of",
    "conjuncts",
    "shifted",
]


@dataclass(frozen=True, slots=True)
class Column:
    """The column at ``index`` of the relation below; of a join, those of the left side come first."""

    index: int
    type: Any


@dataclass(frozen=True, slots=True)
class Literal:
    """A value; ``NULL`` has a type too."""

    value: pa.Scalar

    @property
    def type(self) -> Any:
        """Its type."""
        return self.value.type


@dataclass(frozen=True, slots=True)
class Call:
    """A scalar function, by its name in Substrait: ``and``, ``equal``, ``substr``."""

    function: str
    arguments: tuple[Expression, ...]
    type: Any


@dataclass(frozen=True, slots=True)
class Cast:
    """``CAST``; with ``null_on_failure`` it is TRY_CAST."""

    operand: Expression
    type: Any
    null_on_failure: bool = False


@dataclass(frozen=True, slots=True)
class Case:
    """``CASE WHEN condition THEN value ... ELSE otherwise END``; without ``otherwise``, NULL."""

    branches: tuple[tuple[Expression, Expression], ...]
    otherwise: Expression | None
    type: Any


@dataclass(frozen=True, slots=True)
class InList:
    """``operand IN (options)``."""

    operand: Expression
    options: tuple[Expression, ...]

    @property
    def type(self) -> pa.DataType:
        """Boolean."""
        return pa.bool_()


@dataclass(frozen=True, slots=True)
class ScalarQuery:
    """The value of a sub-query that gives one row: its text in the dialect of the source in which it stands."""

    text: str
    type: Any


Expression = Column | Literal | Call | Cast | Case | InList | ScalarQuery


def children(expression: Expression) -> tuple[Expression, ...]:
    """The expressions right below."""
    match expression:
        case Call(_, arguments):
            return arguments
        case Cast(operand):
            return (operand,)
        case Case(branches, otherwise):
            parts = tuple(part for branch in branches for part in branch)
            return parts if otherwise is None else (*parts, otherwise)
        case InList(operand, options):
            return (operand, *options)
        case _:
            return ()


def columns_of(expression: Expression) -> Iterator[Column]:
    """The columns that it reads, each as often as it stands there."""
    if isinstance(expression, Column):
        yield expression
    for child in children(expression):
        yield from columns_of(child)


def conjuncts(expression: Expression) -> list[Expression]:
    """The parts of a chain of ANDs."""
    if isinstance(expression, Call) and expression.function == "and":
        return [part for argument in expression.arguments for part in conjuncts(argument)]
    return [expression]


def shifted(expression: Expression, by: int) -> Expression:
    """The same over columns that begin ``by`` places later."""
    match expression:
        case Column(index, data_type):
            return Column(index + by, data_type)
        case Call(function, arguments, data_type):
            return Call(function, tuple(shifted(argument, by) for argument in arguments), data_type)
        case Cast(operand, data_type, null_on_failure):
            return Cast(shifted(operand, by), data_type, null_on_failure)
        case Case(branches, otherwise, data_type):
            moved = tuple((shifted(condition, by), shifted(value, by)) for condition, value in branches)
            return Case(moved, None if otherwise is None else shifted(otherwise, by), data_type)
        case InList(operand, options):
            return InList(shifted(operand, by), tuple(shifted(option, by) for option in options))
        case _:
            return expression
