"""A statement for a source, as it grows: FROM, WHERE, GROUP BY, HAVING, ORDER BY and LIMIT of one SELECT."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence, Set
from dataclasses import dataclass, replace
from itertools import count, islice, product
from typing import Any, Literal

import pyarrow as pa

from ..sources.relation import RemoteColumn, RemoteRelation
from .dialects import Dialect
from .expression import Call, Column, Expression, ScalarQuery, columns_of, conjuncts
from .expression import Literal as Constant
from .extent import Extent
from .said import NotSaid, Said

__all__ = ["JoinKind", "Measure", "Select", "SortKey"]

JoinKind = Literal["inner", "left", "right", "full", "semi", "anti"]
_JOINS = {"inner": "JOIN", "left": "LEFT JOIN", "right": "RIGHT JOIN", "full": "FULL JOIN"}
_PASSED_ON = re.compile(r"t\d+\.c\d+")
"""A column of a query that is a table of its own."""
_LONGEST = 100_000
"""Characters of a column's text: beyond, expressions that were put into each other are computed here."""

_MOST_FORMS = 16
"""In which a key is known that has columns which are there more than once."""


@dataclass(frozen=True, slots=True)
class Measure:
    """An aggregate function, by its name in Substrait."""

    function: str
    arguments: tuple[Expression, ...]
    distinct: bool
    condition: Expression | None
    type: Any


@dataclass(frozen=True, slots=True)
class SortKey:
    """One of ORDER BY."""

    expression: Expression
    descending: bool
    nulls_first: bool


@dataclass(frozen=True, slots=True)
class Select:
    """One SELECT in the dialect of a source. Each method gives a new one, or raises ``NotSaid`` and changes nothing.

    ``aliases`` numbers the tables of the whole statement. ``extent`` is how many rows are to be expected. ``table`` is the one
    that it reads where it reads but one as it is, so that its rows may be read in shares.
    """

    dialect: Dialect
    aliases: Callable[[], int]
    source: str
    columns: tuple[Said, ...]
    extent: Extent
    table: tuple[str, RemoteRelation] | None = None
    where: tuple[str, ...] = ()
    group: tuple[str, ...] | None = None
    having: tuple[str, ...] = ()
    order: tuple[str, ...] = ()
    limit: str = ""
    joined: bool = False
    """Whether ``source`` is a join, which stands in parentheses as the side of another one."""

    @classmethod
    def of(
        cls, dialect: Dialect, relation: RemoteRelation, columns: Sequence[int], aliases: Callable[[], int]
    ) -> Select:
        """``columns`` of a table, by their indices in it."""
        alias = f"t{aliases()}"
        said = tuple(
            Said(
                f"{alias}.{dialect.quote(relation.columns[index].name)}",
                relation.columns[index].type,
                relation.columns[index],
            )
            for index in columns
        )
        places = {relation.columns[index].name: place for place, index in enumerate(columns)}
        keys = tuple(
            frozenset(places[name] for name in key) for key in relation.keys if all(name in places for name in key)
        )
        source = f"{dialect.table(relation)} AS {alias}"
        rows = None if relation.rows is None else float(relation.rows)
        return cls(dialect, aliases, source, said, Extent(rows, keys=keys, unique=keys), (alias, relation))

    @classmethod
    def of_text(cls, dialect: Dialect, text: str, columns: Sequence[RemoteColumn]) -> Select:
        """The columns of a query in the source's own dialect."""
        said = tuple(Said(f"t0.{dialect.quote(column.name)}", column.type, column) for column in columns)
        return cls(dialect, cls.numbering(), f"(\n{text}\n) AS t0", said, Extent(None))

    @staticmethod
    def numbering() -> Callable[[], int]:
        """New numbers for the tables of one statement."""
        numbers = count(1)
        return lambda: next(numbers)

    @property
    def rows(self) -> float | None:
        """How many are to be expected, ``None`` for nobody knows."""
        return self.extent.rows

    # --- growing ---

    def filter(self, condition: Expression) -> Select:
        """WHERE, or HAVING above a GROUP BY."""
        base = self.nested() if self.limit else self
        texts = tuple(base.dialect.value(part, base.columns).text for part in conjuncts(condition))
        extent = base.extent.filtered(base._share(condition))
        if base.group is not None:
            return replace(base, having=(*base.having, *texts), extent=extent)
        return replace(base, where=(*base.where, *texts), extent=extent)

    def project(self, expressions: Sequence[Expression]) -> Select:
        """Other columns over those there are."""
        columns = tuple(self.dialect.say(expression, self.columns) for expression in expressions)
        if any(len(column.text) > _LONGEST for column in columns):
            raise NotSaid("the expression is long")
        moved: dict[int, list[int]] = {}
        for place, expression in enumerate(expressions):
            if isinstance(expression, Column):
                moved.setdefault(expression.index, []).append(place)

        def forms(key: frozenset[int]) -> Iterable[Iterable[int]]:
            return islice(product(*(moved.get(column, ()) for column in sorted(key))), _MOST_FORMS)

        return replace(self, columns=columns, extent=self.extent.moved(forms))

    def join(self, kind: JoinKind, right: Select, condition: Expression) -> Select:
        """A join on ``condition``, over the columns of both sides, those of the left first."""
        left = self.plain()
        right = right.plain()
        if kind in ("semi", "anti"):
            return left._half_join(kind, right, condition)
        if kind in ("left", "full"):
            right = right._bare(keep_where=kind == "left")
        if kind in ("right", "full"):
            left = left._bare(keep_where=kind == "right")
        columns = (*left.columns, *right.columns)
        texts = tuple(self.dialect.value(part, columns).text for part in _wanted(condition))
        if not texts:
            raise NotSaid("a join without a condition is made here")
        on, where = texts, (*left.where, *right.where)
        if kind == "left":
            on, where = (*texts, *right.where), left.where
        elif kind == "right":
            on, where = (*texts, *left.where), right.where
        source = f"{left.source} {_JOINS[kind]} {right._in_parentheses()} ON {' AND '.join(on)}"
        equal = {
            column.index
            for part in conjuncts(condition)
            if getattr(part, "function", "") == "equal"
            for column in columns_of(part)
        }
        others = right.extent.shifted(len(left.columns))
        linked = _linked(condition, len(left.columns))
        extent = replace(left.extent.joined(others, equal, kind), unique=left.extent.paired(others, linked, kind))
        return replace(left, source=source, columns=columns, where=where, extent=extent, table=None, joined=True)

    def not_in(self, right: Select, condition: Expression) -> Select:
        """The rows whose value is NOT IN those of the other: ``condition`` says that the two are equal."""
        left, right = self.plain(), right.plain()
        width = len(left.columns)
        sides = condition.arguments if isinstance(condition, Call) and condition.function == "equal" else ()
        used = [{column.index < width for column in columns_of(side)} for side in sides]
        if used == [{False}, {True}]:
            sides = (sides[1], sides[0])
        elif used != [{True}, {False}]:
            raise NotSaid("NOT IN under more than one condition is computed here")
        columns = (*left.columns, *right.columns)
        value, other = (left.dialect.value(side, columns) for side in sides)
        left.dialect.compare("equal", value, other)
        inner = f"SELECT {other.text} {right._rest()}"
        where = (*left.where, f"({value.text} NOT IN ({inner}))")
        return replace(left, where=where, extent=left.extent.filtered(0.5))

    def _half_join(self, kind: JoinKind, right: Select, condition: Expression) -> Select:
        columns = (*self.columns, *right.columns)
        texts = tuple(self.dialect.value(part, columns).text for part in _wanted(condition))
        inner = " AND ".join((*right.where, *texts)) or "TRUE"
        word = "EXISTS" if kind == "semi" else "NOT EXISTS"
        text = f"({word} (SELECT 1 FROM {right.source} WHERE {inner}))"
        return replace(self, where=(*self.where, text), extent=self.extent.filtered(0.5))

    def aggregate(self, keys: Sequence[Expression], measures: Sequence[Measure]) -> Select:
        """GROUP BY ``keys``; the columns are the keys, then the measures."""
        base = self.plain()
        dialect = base.dialect
        grouped = [dialect.value(key, base.columns) for key in keys]
        group = tuple(dialect.group_key(said) for said in grouped if not said.constant)
        columns = [Said(said.text, said.type) for said in grouped]
        for measure in measures:
            arguments = [dialect.value(argument, base.columns) for argument in measure.arguments]
            text = dialect.measure(measure.function, arguments, measure.type, distinct=measure.distinct)
            if measure.condition is not None:
                if not text.endswith(")") or text.startswith("("):
                    raise NotSaid(f"{measure.function} with FILTER is computed here")
                text = f"{text} FILTER (WHERE {dialect.value(measure.condition, base.columns).text})"
            columns.append(Said(dialect.in_range(measure.function, text, arguments), measure.type))
        if keys and not group:
            raise NotSaid("GROUP BY of constants is computed here")
        rows = 1.0 if not keys else None if base.rows is None else max(1.0, base.rows / 10)
        once = (frozenset(range(len(keys))),)
        extent = Extent(rows, base.extent.share, once, once)
        return replace(base, columns=tuple(columns), group=group, extent=extent, table=None)

    def sort(self, keys: Sequence[SortKey]) -> Select:
        """ORDER BY; it lasts until something is put around it."""
        base = self.nested() if self.limit else self
        said = [(base.dialect.value(key.expression, base.columns), key) for key in keys]
        texts = tuple(
            base.dialect.sort_key(value, descending=key.descending, nulls_first=key.nulls_first)
            for value, key in said
            if not value.constant
        )
        return replace(base, order=texts, table=None)

    def fetch(self, count: int | None, offset: int) -> Select:
        """LIMIT and OFFSET."""
        base = self.nested() if self.limit else self
        extent = base.extent.limited(None if count is None else float(count))
        return replace(base, limit=base.dialect.limit(count, offset), extent=extent, table=None)

    def union(self, others: Sequence[Select]) -> Select:
        """UNION ALL with others of the same types."""
        parts = [self, *others]
        columns = [[part.columns[place] for part in parts] for place in range(len(self.columns))]
        mixed = {place for place, each in enumerate(columns) if any(said.column != each[0].column for said in each)}
        parts = [part._meaning(mixed) for part in parts]
        texts = [f"SELECT {part._listed()} {part._rest()}" for part in parts]
        if any(part.order or part.limit for part in parts):
            raise NotSaid("UNION of limited queries is made here")
        alias = f"t{self.aliases()}"
        given = tuple(
            Said(f"{alias}.c{place}", column.type, column.column) for place, column in enumerate(parts[0].columns)
        )
        known = [part.rows for part in parts]
        rows = None if None in known else sum(row for row in known if row is not None)
        source = f"({' UNION ALL '.join(texts)}) AS {alias}"
        return Select(self.dialect, self.aliases, source, given, Extent(rows))

    def combined(self, word: Literal["INTERSECT", "EXCEPT"], other: Select) -> Select:
        """Of the rows of this, each once, those that the other has, or has not: NULL is NULL in that."""
        # Each is there once anyway: no GROUP BY for it.
        base = replace(self, group=None) if self.group and not self.having and not self.limit else self
        parts = [part._compared() for part in (base, other)]
        if any(pa.types.is_floating(column.type) for part in parts for column in part.columns):
            raise NotSaid(f"{word} of doubles is made here: they are told apart by their bits")
        texts = [f"SELECT {part._listed()} {part._rest()}" for part in parts]
        alias = f"t{self.aliases()}"
        given = tuple(Said(f"{alias}.c{place}", column.type) for place, column in enumerate(parts[0].columns))
        once = (frozenset(range(len(given))),)
        extent = Extent(self.rows, keys=once, unique=once)
        source = f"({f' {word} '.join(texts)}) AS {alias}"
        return Select(
            self.dialect, self.aliases, source, given, extent.limited(other.rows if word == "INTERSECT" else None)
        )

    def _compared(self) -> Select:
        """As the part of a set operation whose rows are compared."""
        base = self.nested() if self.limit else replace(self, order=())
        said = [
            base.dialect.value(Column(place, column.type), base.columns) for place, column in enumerate(base.columns)
        ]
        columns = (Said(base.dialect.set_key(each), each.type) for each in said)
        return replace(base, columns=tuple(columns))

    def _meaning(self, places: Set[int]) -> Select:
        """With the values that the columns at ``places`` mean here, in whatever form they are kept there."""
        columns = list(self.columns)
        for place in places:
            if columns[place].column is not None:
                said = self.dialect.value(Column(place, columns[place].type), self.columns)
                self.dialect.group_key(said)
                columns[place] = Said(said.text, said.type)
        return replace(self, columns=tuple(columns))

    # --- changes ---

    def delete(self) -> str:
        """DELETE of the rows that this reads of one table."""
        alias, relation = self._changed()
        return f"DELETE FROM {self.dialect.table(relation)} AS {alias}{self._conditions()}"

    def update(self, columns: Sequence[str]) -> str:
        """UPDATE of the rows that this reads of one table: its columns but the first are the new values of ``columns``."""
        alias, relation = self._changed()
        values = [
            f"{self.dialect.quote(name)} = {self.dialect.assigned(value, relation.column(name))}"
            for name, value in zip(columns, self.columns[1:], strict=True)
        ]
        return f"UPDATE {self.dialect.table(relation)} AS {alias} SET {', '.join(values)}{self._conditions()}"

    def _changed(self) -> tuple[str, RemoteRelation]:
        if self.table is None or self.group is not None or self.limit:
            raise NotSaid("the rows are not those of one table")
        return self.table

    def _conditions(self) -> str:
        return f" WHERE {' AND '.join(self.where)}" if self.where else ""

    # --- the text ---

    def text(self, wanted: Sequence[int], more: Sequence[str] = ()) -> str:
        """The statement that delivers the columns ``wanted``, as ``c0``, ``c1``, ...; ``more`` are further conditions."""
        listed = ", ".join(f"{self._delivered(self.columns[index])} AS c{index}" for index in wanted) or "1 AS c0"
        return f"SELECT {listed} {self._rest(more)}"

    def _delivered(self, said: Said) -> str:
        column = said.column
        if column is None:
            return self.dialect.deliver(said)
        return said.text if column.read is None else column.read.replace("{}", said.text)

    def scalar(self) -> ScalarQuery:
        """Its one value, where it is an aggregate of all rows; ``NotSaid`` for other statements."""
        if len(self.columns) != 1 or self.group != () or self.having or self.limit:
            raise NotSaid("a sub-query that is no aggregate of all rows is computed here")
        (column,) = self.columns
        return ScalarQuery(f"(SELECT {column.text} {self._rest()})", column.type)

    def check_deliverable(self) -> None:
        """``NotSaid`` for a column that was computed and cannot be handed over."""
        for column in self.columns:
            if column.column is None:
                self.dialect.deliver(column)

    def _listed(self) -> str:
        return ", ".join(f"{column.text} AS c{place}" for place, column in enumerate(self.columns)) or "1 AS c0"

    def _rest(self, more: Sequence[str] = ()) -> str:
        parts = [f"FROM {self.source}"]
        conditions = (*self.where, *more)
        if conditions:
            parts.append(f"WHERE {' AND '.join(conditions)}")
        if self.group:
            parts.append(f"GROUP BY {', '.join(self.group)}")
        if self.having:
            parts.append(f"HAVING {' AND '.join(self.having)}")
        if self.order:
            parts.append(f"ORDER BY {', '.join(self.order)}")
        return " ".join(parts) + self.limit

    # --- shapes ---

    def nested(self) -> Select:
        """The same as a table of its own."""
        alias = f"t{self.aliases()}"
        source = f"(SELECT {self._listed()} {self._rest()}) AS {alias}"
        columns = tuple(
            Said(f"{alias}.c{place}", column.type, column.column) for place, column in enumerate(self.columns)
        )
        return Select(self.dialect, self.aliases, source, columns, self.extent)

    def plain(self) -> Select:
        """Without GROUP BY, ORDER BY and LIMIT of its own. An order without a limit means nothing to what is around it."""
        if self.group is None and not self.limit:
            return replace(self, order=())
        return self.nested()

    def _bare(self, *, keep_where: bool) -> Select:
        """As the side of an outer join that may be missing: nothing is computed of its columns, which would not be NULL."""
        computed = any(column.column is None and not _PASSED_ON.fullmatch(column.text) for column in self.columns)
        return self.nested() if computed or (self.where and not keep_where) else self

    def _in_parentheses(self) -> str:
        return f"({self.source})" if self.joined else self.source

    def _share(self, condition: Expression) -> float:
        """How much of the rows a condition leaves, roughly."""
        share = 1.0
        for part in conjuncts(condition):
            function = getattr(part, "function", "")
            if function == "equal":
                used = {column.index for column in columns_of(part)}
                single = self.rows and any(key <= used and len(key) == 1 for key in self.extent.keys)
                share *= 1.0 / self.rows if single and self.rows else 0.05
            elif function == "not_equal":
                share *= 0.9
            else:
                share *= 0.3
        return share


def _wanted(condition: Expression) -> list[Expression]:
    """The parts of a join's condition that say something."""
    return [part for part in conjuncts(condition) if not (isinstance(part, Constant) and part.value.as_py() is True)]


def _linked(condition: Expression, width: int) -> set[int]:
    """The columns of a join that are each equal to something of the other side alone; the left one has ``width`` columns."""
    linked: set[int] = set()
    for part in conjuncts(condition):
        if isinstance(part, Call) and part.function == "equal":
            for side, other in (part.arguments, part.arguments[::-1]):
                if isinstance(side, Column) and all(
                    (each.index < width) != (side.index < width) for each in columns_of(other)
                ):
                    linked.add(side.index)
    return linked
