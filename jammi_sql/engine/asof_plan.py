"""One as-of join of a statement that is being planned: its comparisons, functions and condition."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
from datafusion import LogicalPlan, ScalarUDF

from ..arrow.nearest import Nearest, NearestBuilder, Operator
from ..dialect import compose, quote_identifier
from ..dialect.statements import AsofJoin, Fragment
from ..topics.relation import OFFSET, ROW_INDEX
from .asof_rows import RightSide, nullable

__all__ = ["KEY", "TIME", "Comparison", "PlannedAsof", "short"]

KEY, TIME = "__asof_key_{}", "__asof_time"
_OPERATORS: Mapping[str, Operator] = {">=": ">=", ">": ">", "<=": "<=", "<": "<"}


@dataclass(frozen=True, slots=True)
class Comparison:
    """A comparison with its sides in order: ``left operator right``, both as expressions of ``type``."""

    left: Fragment
    operator: str
    right: Fragment
    type: pa.DataType
    given: tuple[Fragment, Fragment]
    """The two expressions as they were written."""


class _Found:
    """The right side's rows as they are found by the functions in a plan; without any at first."""

    def __init__(self) -> None:
        self.nearest: Nearest = NearestBuilder(0).build()


class PlannedAsof:
    """One as-of join of a statement that is being planned."""

    def __init__(self, join: AsofJoin, schema: pa.Schema, comparisons: Sequence[Comparison]) -> None:
        self.join = join
        self.relation = RightSide(nullable(schema))
        self.plan: LogicalPlan | None = None
        self.plain: list[str | None] = [None] * len(comparisons)
        self.found = _Found()
        self.keys = [comparison for comparison in comparisons if comparison.operator == "="]
        self.time = next(comparison for comparison in comparisons if comparison.operator != "=")

    @property
    def comparisons(self) -> list[Comparison]:
        return [*self.keys, self.time]

    @property
    def columns(self) -> list[str]:
        """The columns of the right side that the statement asks for."""
        return [name for name in self.relation.schema.names if name in self.relation.asked]

    def functions(self) -> Iterator[ScalarUDF]:
        """``relation(keys, time)`` of a left row: the number of the nearest row; ``relation_row`` of a right one: its own."""
        found = self.found
        inputs = [comparison.type for comparison in self.comparisons]
        operator: Operator = _OPERATORS[self.time.operator]

        def nearest(*columns: pa.Array) -> pa.Array:
            return found.nearest.find(operator, columns[:-1], columns[-1])

        def row(*columns: pa.Array) -> pa.Array:
            return found.nearest.find(">=", columns[:-1], columns[-1])

        yield ScalarUDF.udf(nearest, inputs, pa.int64(), "stable", self.join.relation)
        yield ScalarUDF.udf(row, inputs, pa.int64(), "stable", f"{self.join.relation}_row")

    @property
    def condition(self) -> Fragment:
        """What belongs in the place of the marker in the statement's text."""
        left: list[str | Fragment] = []
        right: list[str | Fragment] = []
        for comparison in self.comparisons:
            left += [", " if left else "", comparison.left]
            right += [", " if right else "", comparison.right]
        name = self.join.relation
        return compose(f"{name}(", *left, f") = {name}_row(", *right, ")")

    def sorted_rows(self, columns: Sequence[str]) -> Fragment:
        """The right side by keys and time, with these and ``columns``; rows that can match nothing left out."""
        names = [KEY.format(place) for place in range(len(self.keys))]
        computed: list[str | Fragment] = []
        for name, comparison in zip([*names, TIME], self.comparisons, strict=True):
            computed += [_signless(comparison), f' AS "{name}", ']
        own = [name for name in (OFFSET, ROW_INDEX) if name in self.relation.schema.names]
        every = ", ".join(quote_identifier(name) for name in [*names, TIME, *columns])
        present = " AND ".join(f'"{name}" IS NOT NULL' for name in [*names, TIME])
        order = ", ".join(quote_identifier(name) for name in [*names, TIME, *(own if len(own) == 2 else ())])
        return compose(
            self.join.context,
            f"SELECT {every} FROM (SELECT ",
            *computed,
            "* FROM ",
            self.join.right,
            f'\n) AS "__asof" WHERE {present} ORDER BY {order}',
        )

    def describe(self) -> str:
        """A line for EXPLAIN."""
        how = {">=": "at or before", ">": "before", "<=": "at or after", "<": "after"}[self.time.operator]
        keys = ", ".join(f"{short(key.given[0])} = {short(key.given[1])}" for key in self.keys) or "none"
        kept = ", left rows without one kept" if self.join.keeps_left else ""
        name = self.join.relation if self.join.alias is None else f"{self.join.alias} as {self.join.relation}"
        return (
            f"AsofJoin: {name}, keys {keys}, the nearest {short(self.time.given[1])} "
            f"{how} {short(self.time.given[0])}{kept}"
        )


def _signless(comparison: Comparison) -> Fragment:
    """The right side's value to sort by: -0.0 sorts before 0.0, which it is equal to."""
    if not pa.types.is_floating(comparison.type):
        return comparison.right
    return compose("CASE WHEN ", comparison.right, " = 0 THEN 0 ELSE ", comparison.right, " END")


def short(fragment: Fragment) -> str:
    return " ".join(fragment.text.split())
