"""Conditions that the store computes: which rows cannot be wanted.

What DataFusion pushes down is read as a tree (``arrow.expression``), and as much of it as the store can say is said
there. The rest, and all of it once more, is computed here by ``arrow.filter``: so a condition of the store need only
leave out no row that is wanted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from math import prod

import pyarrow as pa

from ..arrow.expression import Call, Field, Literal, Membership, Node
from ..arrow.order import FLOATS, order_kind
from .catalog import CatalogTable
from .column import StoredColumn
from .rendering import TableRenderer
from .rendering.renderer import quoted

__all__ = ["Condition", "condition_of"]

Value = int | float | str | bytes | None

_OPERATORS = {"equal": "=", "less": "<", "less_equal": "<=", "greater": ">", "greater_equal": ">="}
_PLACE = "\0"  # no name holds it
_NARROW = 256  # rows
_LONGEST_LIST = 1000  # values of an IN; SQLite takes 32,766 parameters, but then a scan is quicker


@dataclass(frozen=True, slots=True)
class Condition:
    """Conjuncts with a zero character in the place of each value.

    ``indexed``: an index finds the rows; ``narrow``: there are few of them.
    """

    terms: tuple[str, ...]
    values: tuple[Value, ...]
    indexed: bool
    narrow: bool

    def text(self, renderer: TableRenderer, first: int) -> str:
        """The condition with its parameters from the one with the number ``first`` on."""
        pieces = " AND ".join(self.terms).split(_PLACE)
        numbers = (renderer.parameter(first + place) for place in range(len(self.values)))
        return "".join(piece + number for piece, number in zip_longest(pieces, numbers, fillvalue=""))


@dataclass(frozen=True, slots=True)
class _Term:
    text: str
    values: tuple[Value, ...]
    column: str | None
    """The column that must have one of few values, where it is such a term."""
    ranged: str | None = None
    """The column that is bounded, where it is such a term."""


def condition_of(node: Node, table: CatalogTable) -> Condition | None:
    """What the store can say of a filter; ``None`` where it can say nothing."""
    terms = [term for conjunct in _conjuncts(node) if (term := _term(conjunct, table)) is not None]
    if not terms:
        return None
    fixed = {term.column: len(term.values) for term in terms if term.column is not None}
    bounded = {term.ranged for term in terms if term.ranged is not None}
    indexes = [*table.keys, *(index.columns for index in table.definition.indexes)]
    wholes = [key for key in table.keys if fixed.keys() >= set(key)]
    narrow = any(prod(fixed[column] for column in key) <= _NARROW for key in wholes)
    indexed = bool(wholes) or any(columns[0] in fixed or columns[0] in bounded for columns in indexes)
    return Condition(
        tuple(term.text for term in terms), tuple(value for term in terms for value in term.values), indexed, narrow
    )


def equal_to(values: Sequence[tuple[StoredColumn, Value]]) -> Condition:
    """Columns that have given stored values, of a whole key among them."""
    return Condition(
        tuple(f"{_quoted(column)} = {_PLACE}" for column, _ in values), tuple(value for _, value in values), True, True
    )


def _conjuncts(node: Node) -> Iterator[Node]:
    match node:
        case Call("and_kleene", arguments):
            for argument in arguments:
                yield from _conjuncts(argument)
        case _:
            yield node


def _term(node: Node, table: CatalogTable) -> _Term | None:
    match node:
        case Call("is_null", (Field(name),)):
            return _Term(f"{_quoted(table.column(name))} IS NULL", (), None)
        case Call("is_valid", (Field(name),)):
            return _Term(f"{_quoted(table.column(name))} IS NOT NULL", (), None)
        case Call(function, (Field(name), Literal(value))) if function in _OPERATORS:
            return _comparison(function, table, table.column(name), value)
        case Membership(Field(name), values):
            return _membership(table, table.column(name), values)
        case Call("or_kleene", (left, right)):
            one, other = _term(left, table), _term(right, table)
            if one is None or other is None:
                return None
            same = one.column if one.column == other.column else None
            return _Term(f"({one.text} OR {other.text})", (*one.values, *other.values), same)
        case _:
            return None


def _quoted(column: StoredColumn) -> str:
    return quoted(column.physical)


def _comparison(function: str, table: CatalogTable, column: StoredColumn, value: pa.Scalar) -> _Term | None:
    stored = _stored(table, column, value)
    if stored is None:
        return None
    name = _quoted(column)
    if function == "equal":
        return _Term(f"{name} = {_PLACE}", (stored,), column.name)
    if function in ("less", "less_equal") and order_kind(column.field.type) in FLOATS:
        # NaNs are above all numbers in the store; those with a sign are below all others here.
        nan = table.renderer.is_nan(column.physical)
        return _Term(f"({name} {_OPERATORS[function]} {_PLACE} OR {nan})", (stored,), None)
    return _Term(f"{name} {_OPERATORS[function]} {_PLACE}", (stored,), None, column.name)


def _membership(table: CatalogTable, column: StoredColumn, values: pa.Array) -> _Term | None:
    present = values.drop_null()
    if not 0 < len(present) <= _LONGEST_LIST:
        return None
    stored: list[Value] = []
    for value in present:
        one = _stored(table, column, value)
        if one is None:
            return None
        stored.append(one)
    name = _quoted(column)
    places = ", ".join([_PLACE] * len(stored))
    return _Term(f"{name} IN ({places})", tuple(stored), column.name)


def _stored(table: CatalogTable, column: StoredColumn, value: pa.Scalar) -> Value:
    """A literal as the store keeps it; ``None`` where it has none that compares alike."""
    if not column.codec.comparable or not value.is_valid:
        return None
    data_type = column.field.type
    if not value.type.equals(data_type):
        if order_kind(value.type) is None or order_kind(value.type) != order_kind(data_type):
            return None
        try:
            value = value.cast(data_type)
        except pa.ArrowException:
            return None
    return table.renderer.encode_value(column.codec, value)
