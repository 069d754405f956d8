"""As-of joins: each left row with the nearest right row in time.

The dialect left an ordinary join in the text, with a relation in the right side's place. Its rows are those of the right
side, of each key and time one, and its condition compares two numbers: that of the nearest row, which a function finds for
each left row, and that of the row itself. So DataFusion plans and runs the statement as any other: the left side is read as
a stream, in as many parts as it has, and is neither sorted nor held. The right side is read first, sorted by DataFusion,
which spills; of it are held the distinct keys, and a code of 8 bytes a row that is in a file where there are many.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
from datafusion import DataFrame, Expr, LogicalPlan, ScalarUDF, SessionContext, col, lit
from datafusion.functions import in_list

from ..arrow.dataset import LazyDataset
from ..arrow.filter import compile_filter
from ..arrow.nearest import Nearest, NearestBuilder, Operator, is_key, is_time
from ..dialect import compose, parse_identifier_path, quote_identifier
from ..dialect.statements import AsofComparison, AsofJoin, Fragment, Query, SubscribeCall
from ..errors import Error, FeatureNotSupported, StatementSyntaxError
from ..topics.relation import OFFSET, ROW_INDEX
from .relations import inserted_relations
from .staging import Staged, remaining
from .typed import type_name

if TYPE_CHECKING:
    from ..topics.entries import LogEntry
    from .live_source import LiveProvider
    from .planning import Planning
    from .session import Session

__all__ = ["AsofJoins", "asof_relations"]

Parameters = Mapping[str, pa.Scalar]
_HELD = 256 << 20
"""Bytes of a right side's rows up to which they are held in memory, where there is no limit of it."""
_SHARE = 8
"""The part of a memory limit that they may have: DataFusion keeps them with a hash table, and other things besides."""
_SLICE = 1_024
_LISTED = 1_000
"""How many distinct keys of a delivery are handed to the right side."""
_READS = frozenset({"SELECT", "WITH", "FROM", ""})
_KEY, _TIME = "__asof_key_{}", "__asof_time"
_OPERATORS: Mapping[str, Operator] = {">=": ">=", ">": ">", "<=": "<=", "<": "<"}
_MIRRORED: Mapping[str, Operator] = {">=": "<=", ">": "<", "<=": ">=", "<": ">"}
_SIDES = "write a column of the left side, =, >=, >, <= or <, and a column of the right side; the rest belongs to WHERE"


@dataclass(frozen=True, slots=True)
class _Comparison:
    """A comparison with its sides in order: ``left operator right``, both as expressions of ``type``."""

    left: Fragment
    operator: str
    right: Fragment
    type: pa.DataType
    given: tuple[Fragment, Fragment]
    """The two expressions as they were written."""


class _RightSide(LazyDataset):
    """The right side's rows, each under its number. It remembers which of its columns are asked for."""

    def __init__(self, schema: pa.Schema) -> None:
        super().__init__(schema)
        self.asked: set[str] = set()
        self.batches: Callable[[], Iterator[pa.RecordBatch]] = lambda: iter(())

    def plan(self, columns: Sequence[str] | None, filter: pc.Expression | None) -> None:  # noqa: A002
        self.asked.update(self._schema.names if columns is None else columns)
        if filter is not None:
            self.asked.update(compile_filter(filter, self._schema).columns)

    def produce(
        self,
        scan: None,
        partition: int,
        columns: Sequence[str] | None,
        filter: pc.Expression | None,  # noqa: A002
    ) -> Iterator[pa.RecordBatch]:
        wanted = None if filter is None else compile_filter(filter, self._schema)
        for batch in self.batches():
            kept = batch if wanted is None else wanted.apply(batch)
            yield kept if columns is None else kept.select(list(columns))


class _Found:
    """The right side's rows as they are found by the functions in a plan; without any at first."""

    def __init__(self) -> None:
        self.nearest: Nearest = NearestBuilder(0).build()


class _Asof:
    """One as-of join of a statement that is being planned."""

    def __init__(self, join: AsofJoin, schema: pa.Schema, comparisons: Sequence[_Comparison]) -> None:
        self.join = join
        self.relation = _RightSide(_nullable(schema))
        self.plan: LogicalPlan | None = None
        self.plain: list[str | None] = [None] * len(comparisons)
        self.found = _Found()
        self.keys = [comparison for comparison in comparisons if comparison.operator == "="]
        self.time = next(comparison for comparison in comparisons if comparison.operator != "=")

    @property
    def comparisons(self) -> list[_Comparison]:
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
        names = [_KEY.format(place) for place in range(len(self.keys))]
        computed: list[str | Fragment] = []
        for name, comparison in zip([*names, _TIME], self.comparisons, strict=True):
            computed += [_signless(comparison), f' AS "{name}", ']
        own = [name for name in (OFFSET, ROW_INDEX) if name in self.relation.schema.names]
        every = ", ".join(quote_identifier(name) for name in [*names, _TIME, *columns])
        present = " AND ".join(f'"{name}" IS NOT NULL' for name in [*names, _TIME])
        order = ", ".join(quote_identifier(name) for name in [*names, _TIME, *(own if len(own) == 2 else ())])
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
        keys = ", ".join(f"{_short(key.given[0])} = {_short(key.given[1])}" for key in self.keys) or "none"
        kept = ", left rows without one kept" if self.join.keeps_left else ""
        name = self.join.relation if self.join.alias is None else f"{self.join.alias} as {self.join.relation}"
        return (
            f"AsofJoin: {name}, keys {keys}, the nearest {_short(self.time.given[1])} "
            f"{how} {_short(self.time.given[0])}{kept}"
        )


def _signless(comparison: _Comparison) -> Fragment:
    """The right side's value to sort by: -0.0 sorts before 0.0, which it is equal to."""
    if not pa.types.is_floating(comparison.type):
        return comparison.right
    return compose("CASE WHEN ", comparison.right, " = 0 THEN 0 ELSE ", comparison.right, " END")


def _short(fragment: Fragment) -> str:
    return " ".join(fragment.text.split())


class AsofJoins:
    """The as-of joins of a statement that is being planned, their relations and functions in force meanwhile."""

    def __init__(
        self,
        session: Session,
        planning: Planning,
        query: Query,
        parameters: Parameters,
        inserted: Mapping[str, Any],
        context: SessionContext | None = None,
    ) -> None:
        """``inserted`` are the other relations of the text. ``context`` is where it is planned, if not where all are.

        Raises ``StatementSyntaxError`` (42601), ``FeatureNotSupported`` (0A000) and what planning the two sides raises.
        """
        self._session = session
        self._planning = planning
        self._query = query
        self._parameters = parameters
        self._inserted = dict(inserted)
        self._contexts = [context] if context is not None else [session.building_context, session.context]
        if context is None and session.settings.memory_limit is not None:
            self._contexts.append(session.ordered_context)
        self._context = self._contexts[0]
        self.joins: list[_Asof] = []
        self.relations: dict[str, Any] = {}
        for join in query.asofs:
            asof = self._planned(join)
            self.joins.append(asof)
            self.relations[join.relation] = asof.relation
            self._planning.markers[f'"{join.relation}_on"'] = asof.condition
            for contexts in self._contexts:
                self._register(asof, contexts)

    def _register(self, asof: _Asof, context: SessionContext) -> None:
        for function in asof.functions():
            context.register_udf(function)
        for name in (asof.join.relation, f"{asof.join.relation}_row"):
            self._planning.at_finish(partial(context.deregister_udf, name))

    def _frame(self, text: Fragment, context: SessionContext | None = None, *, whole: bool = False) -> DataFrame:
        with inserted_relations(self._session.relations, {**self._inserted, **self.relations}):
            return self._session.frame(
                self._planning, text, self._parameters, context or self._context, reads_only=True, whole=whole
            )

    # --- what is compared ---

    def _planned(self, join: AsofJoin) -> _Asof:
        schema = self._frame(compose(join.context, "SELECT * FROM ", join.right), whole=True).schema()
        sides = [self._ordered(join, comparison) for comparison in join.comparisons]
        types = self._types(join, sides)
        comparisons = []
        for (left, operator, right), (common, has), comparison in zip(sides, types, join.comparisons, strict=True):
            allowed = is_key(common) if operator == "=" else is_time(common)
            if not allowed:
                what = "a key" if operator == "=" else "the time"
                raise FeatureNotSupported(
                    f"{what} of an as-of join cannot be of type {common}",
                    position=comparison.position,
                    hint="cast both sides to "
                    + ("text or numbers" if operator == "=" else "a number, a date or a timestamp"),
                )
            comparisons.append(
                _Comparison(
                    self._cast(left, common, has[0]), operator, self._cast(right, common, has[1]), common, (left, right)
                )
            )
        return _Asof(join, schema, comparisons)

    def _cast(self, expression: Fragment, wanted: pa.DataType, has: pa.DataType) -> Fragment:
        if wanted.equals(has):
            return compose("(", expression, "\n)")
        return compose("arrow_cast((", expression, f"\n), '{type_name(self._session, wanted)}')")

    def _ordered(self, join: AsofJoin, comparison: AsofComparison) -> tuple[Fragment, str, Fragment]:
        first, second = comparison.first, comparison.second
        on_left = self._failure(join, first, join.left)
        if on_left is None and self._failure(join, second, join.right) is None:
            return first, comparison.operator, second
        if self._failure(join, second, join.left) is None and self._failure(join, first, join.right) is None:
            return second, _MIRRORED.get(comparison.operator, comparison.operator), first
        for expression in (first, second):
            if (
                self._failure(join, expression, join.left) is not None
                and self._failure(join, expression, join.right) is not None
            ):
                failure = self._failure(join, expression, join.left, " CROSS JOIN ", join.right)
                if failure is not None:
                    raise failure
                raise FeatureNotSupported(
                    "an expression of columns of both sides in an as-of join",
                    position=expression.origin(0),
                    hint=_SIDES,
                )
        raise _one_sided(comparison)

    def _failure(self, join: AsofJoin, expression: Fragment, *table: str | Fragment) -> Error | None:
        """Why an expression cannot be computed over a table; ``None`` where it can."""
        try:
            self._frame(compose(join.context, "SELECT (", expression, "\n) AS value FROM ", *table), whole=True)
        except Error as failure:
            return failure
        return None

    def _types(
        self, join: AsofJoin, sides: Sequence[tuple[Fragment, str, Fragment]]
    ) -> list[tuple[pa.DataType, tuple[pa.DataType, pa.DataType]]]:
        """For each comparison the type that DataFusion compares in, and those of its two sides."""
        pieces: list[str | Fragment] = []
        for place, (left, operator, right) in enumerate(sides):
            pieces += [
                ", " if pieces else "",
                "(", left, f"\n) {operator} (", right, f'\n) AS "c{place}", (',
                left, f'\n) AS "l{place}", (', right, f'\n) AS "r{place}"',
            ]  # fmt: skip
        frame = self._frame(
            compose(join.context, "SELECT ", *pieces, " FROM ", join.left, " CROSS JOIN ", join.right), whole=True
        )
        text = self._query.body
        try:
            optimized = frame.optimized_logical_plan()
            given = self._context.create_dataframe_from_logical_plan(optimized).schema()
            common = _compared(self._context, optimized)
        except Exception as error:
            raise self._session.translator(self._planning, text)(error) from error
        for place, comparison in enumerate(join.comparisons):
            if f"c{place}" not in common:  # computed while it was planned: there is no column in it
                raise _one_sided(comparison)
        return [
            (_plain(common[f"c{place}"]), (given.field(f"l{place}").type, given.field(f"r{place}").type))
            for place in range(len(sides))
        ]

    # --- reading the right sides for each delivery of a live subscription ---

    def follow(self, call: SubscribeCall, provider: LiveProvider) -> None:
        """Have ``refresh`` read the right sides for the deliveries of ``call``, which ``provider`` shows."""
        self._check()
        for asof in self.joins:
            asof.plan = self._sorted(asof).logical_plan()
            if asof.join.subscribe is not None and asof.join.subscribe[0] == call.position:
                asof.plain = [
                    _column_of(comparison, asof.join.subscribe[1], provider) for comparison in asof.comparisons
                ]

    def refresh(
        self,
        provider: LiveProvider,
        entries: Sequence[LogEntry],
        run: Callable[[DataFrame], Iterator[pa.RecordBatch]],
    ) -> None:
        """Read the right sides as they are now, for the left rows of ``entries``; ``run`` gives the rows of a frame."""
        for asof in self.joins:
            assert asof.plan is not None
            frame = self._context.create_dataframe_from_logical_plan(asof.plan)
            for condition in _bounds(asof, provider, entries):
                frame = frame.filter(condition)
            kept = _read(asof, run(frame), asof.columns)
            asof.relation.batches = _padded(kept, asof.relation.schema)

    # --- reading the right sides ---

    def fill(self) -> None:
        """Read the right sides, so that what is planned from now on has their rows."""
        self._check()
        merging = False
        for asof in self.joins:
            merging = self._fill(asof) or merging
        self._planning.context = self._context
        if merging:
            self._planning.context = self._session.merging_context()
            for asof in self.joins:
                self._register(asof, self._planning.context)

    def _check(self) -> None:
        """Plan the statement before anything is read: for its errors, and for the columns that it asks for."""
        for asof in self.joins:
            asof.relation.asked.clear()
        frames: list[Callable[[], DataFrame]] = [partial(self._sorted, asof) for asof in reversed(self.joins)]
        if self._query.keyword in _READS:
            frames.insert(0, self._checked)
        else:
            self._ask_for_all()
        for frame in frames:  # a right side may read another one
            try:
                frame().execution_plan()
            except Error:
                raise
            except Exception:  # what cannot be pushed down is found out, and done without, where it is run
                self._ask_for_all()

    def _sorted(self, asof: _Asof) -> DataFrame:
        return self._frame(asof.sorted_rows(asof.columns))

    def _checked(self) -> DataFrame:
        frame = self._frame(self._query.body)
        self._session.schema_of(frame, self._planning, self._query.body)
        return frame

    def _ask_for_all(self) -> None:
        for asof in self.joins:
            asof.relation.asked.update(asof.relation.schema.names)

    def _fill(self, asof: _Asof) -> bool:
        """Returns whether the right side is too large to be held."""
        session, schema = self._session, asof.relation.schema
        text = asof.sorted_rows(asof.columns)
        # Two sorts at once, and a merge of them, ask for more than a small limit has.
        result = session.run(self._frame(text, self._contexts[-1]), self._planning, text)
        limit = session.settings.memory_limit
        most = _HELD if limit is None else limit // _SHARE
        kept = _read(asof, remaining(result, session.running.check), asof.columns, most)
        self._planning.at_release(kept.close)
        self.relations[asof.join.relation] = _whole(kept, schema)
        return kept.staged is not None


def _one_sided(comparison: AsofComparison) -> Error:
    return StatementSyntaxError(
        "a comparison in an as-of join is between a column of the left side and one of the right side",
        position=comparison.position,
        hint=_SIDES,
    )


def asof_relations(
    session: Session, planning: Planning, query: Query, parameters: Parameters, inserted: Mapping[str, Any]
) -> dict[str, Any]:
    """The relations for the right sides of the as-of joins of ``query``, read now. ``inserted`` are its other ones."""
    if not query.asofs:
        return {}
    joins = AsofJoins(session, planning, query, parameters, inserted)
    joins.fill()
    return joins.relations


def _read(asof: _Asof, rows: Iterator[pa.RecordBatch], columns: Sequence[str], most: int = _HELD) -> _Kept:
    """Let the functions find the sorted rows; returns those that can be found, with ``columns``.

    Of these ``most`` bytes are held in memory.
    """
    builder = NearestBuilder(len(asof.keys))
    kept = _Kept(pa.schema([asof.relation.schema.field(name) for name in columns]), most)
    try:
        for batch in rows:
            kept.add(builder.add(batch))
        kept.add(builder.end())
        asof.found.nearest = builder.build()
    except BaseException:
        builder.close()
        kept.close()
        raise
    return kept


def _column_of(comparison: _Comparison, alias: str, provider: LiveProvider) -> str | None:
    """The column of the subscription that the left side of a comparison is; ``None`` where it is none, as it is."""
    try:
        path = parse_identifier_path(comparison.given[0].text)
    except StatementSyntaxError:
        return None
    if len(path) > 2 or path[-1] not in provider.schema.names or (len(path) == 2 and path[0] != alias):
        return None
    return path[-1] if provider.schema.field(path[-1]).type.equals(comparison.type) else None


def _bounds(asof: _Asof, provider: LiveProvider, entries: Sequence[LogEntry]) -> Iterator[Expr]:
    """Conditions that the right rows fulfil which can be found for the left rows of ``entries``."""
    for place, (comparison, column) in enumerate(zip(asof.comparisons, asof.plain, strict=True)):
        if column is None or pa.types.is_floating(comparison.type):
            continue
        values = provider.rows(entries, [column], None).column(0).drop_null()
        if comparison.operator == "=":
            distinct = values.unique()
            if 0 < len(distinct) <= _LISTED:
                yield in_list(col(f'"{_KEY.format(place)}"'), [lit(value) for value in distinct])
        elif len(values):
            least, greatest = pc.min_max(values).values()
            time = col(f'"{_TIME}"')
            yield time <= lit(greatest) if comparison.operator in (">=", ">") else time >= lit(least)


class _Kept:
    """The rows of a right side, the keys in front of them left out; past ``most`` bytes in a file."""

    def __init__(self, schema: pa.Schema, most: int) -> None:
        self._most = most
        self.schema = schema
        self.held: list[pa.RecordBatch] = []
        self.staged: Staged | None = None
        self._bytes = 0

    def add(self, batch: pa.RecordBatch | None) -> None:
        if batch is None or not batch.num_rows:
            return
        rows = pa.RecordBatch.from_arrays(
            batch.columns[batch.num_columns - len(self.schema) :], schema=_nullable(self.schema)
        )
        if self.staged is not None:
            self.staged.add(rows)
            return
        self.held.append(rows)
        self._bytes += rows.nbytes
        if self._bytes > self._most:
            self.staged = Staged(_nullable(self.schema))
            for held in self.held:
                self.staged.add(held)
            self.held = []

    def batches(self) -> Iterator[pa.RecordBatch]:
        yield from self.held if self.staged is None else self.staged.batches()

    def close(self) -> None:
        self.held = []
        if self.staged is not None:
            self.staged.close()


def _nullable(schema: pa.Schema) -> pa.Schema:
    return pa.schema([field.with_nullable(True) for field in schema])


def _whole(kept: _Kept, schema: pa.Schema) -> Any:
    """The kept rows with all columns of ``schema``, NULL where nobody asked for one."""
    whole, padded = _nullable(schema), _padded(kept, schema)
    if kept.staged is None:
        batches = list(padded()) or [pa.RecordBatch.from_pylist([], schema=whole)]
        return SessionContext().read_batches(batches).into_view()
    relation = _RightSide(whole)
    relation.batches = partial(_slices, padded)
    return relation


def _slices(batches: Callable[[], Iterator[pa.RecordBatch]]) -> Iterator[pa.RecordBatch]:
    """Small batches: a sort must have room for one of them, whatever the others have taken."""
    for batch in batches():
        for start in range(0, batch.num_rows, _SLICE):
            yield batch.slice(start, _SLICE)


def _padded(kept: _Kept, schema: pa.Schema) -> Callable[[], Iterator[pa.RecordBatch]]:
    whole = _nullable(schema)

    def padded() -> Iterator[pa.RecordBatch]:
        for batch in kept.batches():
            columns = [
                batch.column(field.name) if field.name in kept.schema.names else pa.nulls(batch.num_rows, field.type)
                for field in whole
            ]
            yield pa.RecordBatch.from_arrays(columns, schema=whole)

    return padded


def _plain(data_type: pa.DataType) -> pa.DataType:
    """The type without its layout."""
    if pa.types.is_dictionary(data_type):
        return _plain(data_type.value_type)
    if pa.types.is_string_view(data_type):
        return pa.string()
    return pa.binary() if pa.types.is_binary_view(data_type) else data_type


def _compared(context: SessionContext, plan: LogicalPlan) -> dict[str, pa.DataType]:
    """The types in which the comparisons of a plan's outermost projection are made, by the names of their columns."""
    projection = plan.to_variant()
    below = context.create_dataframe_from_logical_plan(plan.inputs()[0])
    found: dict[str, pa.DataType] = {}
    for expression in projection.projections():
        name, variant = expression.schema_name(), expression.to_variant()
        if type(variant).__name__ == "Alias":
            variant = variant.expr().to_variant()
        if type(variant).__name__ == "BinaryExpr":
            found[name] = below.select(Expr(variant.left()).alias("value")).schema().field(0).type
    return found
