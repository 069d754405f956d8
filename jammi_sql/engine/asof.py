"""As-of joins: each left row with the nearest right row in time.

The dialect left an ordinary join in the text, with a relation in the right side's place. Its rows are those of the right
side, of each key and time one, and its condition compares two numbers: that of the nearest row, which a function finds for
each left row, and that of the row itself. So DataFusion plans and runs the statement as any other: the left side is read as
a stream, in as many parts as it has, and is neither sorted nor held. The right side is read first, sorted by DataFusion,
which spills; of it are held the distinct keys, and a code of 8 bytes a row that is in a file where there are many.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
from datafusion import DataFrame, Expr, LogicalPlan, SessionContext, col, lit
from datafusion.functions import in_list

from ..arrow.nearest import NearestBuilder, Operator, is_key, is_time
from ..dialect import compose, parse_identifier_path
from ..dialect.statements import AsofComparison, AsofJoin, Fragment, Query, SubscribeCall
from ..errors import Error, FeatureNotSupported, StatementSyntaxError
from .asof_plan import KEY, TIME, Comparison, PlannedAsof
from .asof_rows import KeptRows, padded_rows, whole_rows
from .relations import inserted_relations
from .staging import remaining
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
_LISTED = 1_000
"""How many distinct keys of a delivery are handed to the right side."""
_READS = frozenset({"SELECT", "WITH", "FROM", ""})
_MIRRORED: Mapping[str, Operator] = {">=": "<=", ">": "<", "<=": ">=", "<": ">"}
_SIDES = "write a column of the left side, =, >=, >, <= or <, and a column of the right side; the rest belongs to WHERE"


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
        self._contexts = [context] if context is not None else [session.world.building_context, session.world.context]
        if context is None and session.memory_limit is not None:
            self._contexts.append(session.world.ordered_context)
        self._context = self._contexts[0]
        self.joins: list[PlannedAsof] = []
        self.relations: dict[str, Any] = {}
        for join in query.asofs:
            asof = self._planned(join)
            self.joins.append(asof)
            self.relations[join.relation] = asof.relation
            self._planning.markers[f'"{join.relation}_on"'] = asof.condition
            for contexts in self._contexts:
                self._register(asof, contexts)

    def _register(self, asof: PlannedAsof, context: SessionContext) -> None:
        for function in asof.functions():
            context.register_udf(function)
        for name in (asof.join.relation, f"{asof.join.relation}_row"):
            self._planning.at_finish(partial(context.deregister_udf, name))

    def _frame(self, text: Fragment, context: SessionContext | None = None, *, whole: bool = False) -> DataFrame:
        with inserted_relations(self._session.relations, {**self._inserted, **self.relations}):
            return self._session.queries.frame(
                self._planning, text, self._parameters, context or self._context, reads_only=True, whole=whole
            )

    # --- what is compared ---

    def _planned(self, join: AsofJoin) -> PlannedAsof:
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
                Comparison(
                    self._cast(left, common, has[0]), operator, self._cast(right, common, has[1]), common, (left, right)
                )
            )
        return PlannedAsof(join, schema, comparisons)

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
            raise self._planning.translator(text)(error) from error
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
            frame = self._session.queries.frame_of(self._planning, asof.plan, self._context)
            for condition in _bounds(asof, provider, entries):
                frame = frame.filter(condition)
            kept = _read(asof, run(frame), asof.columns)
            asof.relation.batches = padded_rows(kept, asof.relation.schema)

    # --- reading the right sides ---

    def fill(self) -> None:
        """Read the right sides, so that what is planned from now on has their rows."""
        self._check()
        merging = False
        for asof in self.joins:
            merging = self._fill(asof) or merging
        self._planning.context = self._context
        if merging:
            self._planning.context = self._session.world.merging_context(self._session.memory_limit)
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

    def _sorted(self, asof: PlannedAsof) -> DataFrame:
        return self._frame(asof.sorted_rows(asof.columns))

    def _checked(self) -> DataFrame:
        frame = self._frame(self._query.body)
        self._session.queries.schema_of(frame, self._planning, self._query.body)
        return frame

    def _ask_for_all(self) -> None:
        for asof in self.joins:
            asof.relation.asked.update(asof.relation.schema.names)

    def _fill(self, asof: PlannedAsof) -> bool:
        """Returns whether the right side is too large to be held."""
        session, schema = self._session, asof.relation.schema
        text = asof.sorted_rows(asof.columns)
        # Two sorts at once, and a merge of them, ask for more than a small limit has.
        result = session.queries.run(self._frame(text, self._contexts[-1]), self._planning, text)
        limit = session.memory_limit
        most = _HELD if limit is None else limit // _SHARE
        kept = _read(asof, remaining(result, session.running.check), asof.columns, most)
        self._planning.at_release(kept.close)
        self.relations[asof.join.relation] = whole_rows(kept, schema)
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


def _read(asof: PlannedAsof, rows: Iterator[pa.RecordBatch], columns: Sequence[str], most: int = _HELD) -> KeptRows:
    """Let the functions find the sorted rows; returns those that can be found, with ``columns``.

    Of these ``most`` bytes are held in memory.
    """
    builder = NearestBuilder(len(asof.keys))
    kept = KeptRows(pa.schema([asof.relation.schema.field(name) for name in columns]), most)
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


def _column_of(comparison: Comparison, alias: str, provider: LiveProvider) -> str | None:
    """The column of the subscription that the left side of a comparison is; ``None`` where it is none, as it is."""
    try:
        path = parse_identifier_path(comparison.given[0].text)
    except StatementSyntaxError:
        return None
    if len(path) > 2 or path[-1] not in provider.schema.names or (len(path) == 2 and path[0] != alias):
        return None
    return path[-1] if provider.schema.field(path[-1]).type.equals(comparison.type) else None


def _bounds(asof: PlannedAsof, provider: LiveProvider, entries: Sequence[LogEntry]) -> Iterator[Expr]:
    """Conditions that the right rows fulfil which can be found for the left rows of ``entries``."""
    for place, (comparison, column) in enumerate(zip(asof.comparisons, asof.plain, strict=True)):
        if column is None or pa.types.is_floating(comparison.type):
            continue
        values = provider.rows(entries, [column], None).column(0).drop_null()
        if comparison.operator == "=":
            distinct = values.unique()
            if 0 < len(distinct) <= _LISTED:
                yield in_list(col(f'"{KEY.format(place)}"'), [lit(value) for value in distinct])
        elif len(values):
            least, greatest = pc.min_max(values).values()
            time = col(f'"{TIME}"')
            yield time <= lit(greatest) if comparison.operator in (">=", ">") else time >= lit(least)


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
