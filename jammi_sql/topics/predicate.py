"""Which rows of a batch a subscriber wants."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from datafusion import DataFrame, Expr, LogicalPlan, SessionConfig, SessionContext

from ..arrow.batches import join
from ..arrow.dataset import LazyDataset
from ..arrow.expression import Node, UnreadableExpression
from ..arrow.filter import Filter
from ..arrow.program import UNDECIDED, Program, compile_program, pushed_filter
from ..dialect.complexity import check_complexity
from ..dialect.tokens import tokenize
from ..errors import PredicateParse, PredicateUnsupported, StatementSyntaxError
from ..errors_datafusion import is_pushdown_failure, position_in_message, translate
from ..shutdown import calling

__all__ = ["Predicate"]

RELATION = "topic"
_MASK = pa.schema([("mask", pa.bool_())])


class Predicate:
    """A condition over a topic's columns, compiled once.

    Where all of its expressions are on the kernels' list, it is evaluated by them; everything else that DataFusion knows
    for one row, and batches of which the kernels cannot tell, is evaluated by DataFusion over many batches at a time.
    A row passes when the condition is true, not when it is unknown.

    Two that are made alike are one object where it is certain that they mean the same: what is evaluated by kernels
    depends on nothing but the row. So those who want the same find each other by it.
    """

    __slots__ = ("__weakref__", "_evaluator", "_program", "_pushed", "text")

    def __init__(
        self, text: str, pushed: Filter | None, program: Program | None, evaluator: MaskEvaluator | None
    ) -> None:
        self.text = text
        self._pushed = pushed
        self._program = program
        self._evaluator = evaluator

    @classmethod
    def match_all(cls) -> Predicate:
        """Every row."""
        return _ALL

    @classmethod
    def from_sql(cls, schema: pa.Schema, text: str, *, context: SessionContext | None = None) -> Predicate:
        """The condition ``text`` over ``schema``; an empty text matches every row.

        Raises ``PredicateParse`` (42601, or 42703/42883 for an unknown column or function) and
        ``PredicateUnsupported`` (0A000) for sub-queries, aggregates and window functions, ``StatementTooComplex``
        (54001) for a chain of conditions that DataFusion would crash on. ``context`` brings a
        session's functions; without one there are DataFusion's own.
        """
        if not text.strip():
            return cls.match_all()
        with suppress(StatementSyntaxError):  # the parser says it better
            check_complexity(tokenize(text))
        probe = _Probe(schema)
        frame = (context or _default_context()).read_table(probe)
        expression = _parse(frame, text)
        try:
            filtered = frame.filter(expression)
            if "Subquery:" in filtered.logical_plan().display_indent():
                raise PredicateUnsupported("a predicate cannot hold a sub-query", hint=_HINT, position=0)
            pushed = pushed_filter(filtered.optimized_logical_plan(), schema)
            masked = frame.select(expression.alias("mask"))
            plan = masked.optimized_logical_plan()
            program = _program(plan, schema)
            if program is None:
                _check(filtered)
            key = (text, plan.display_indent(), schema)
        except PredicateUnsupported:
            raise
        except Exception as error:
            raise _translate(error, text) from error
        if program is None or context is not None:
            return cls(text, pushed, program, MaskEvaluator(masked, probe))
        with _known_lock:
            known = _known.get(key)
            if known is None:
                known = _known[key] = cls(text, pushed, program, MaskEvaluator(masked, probe))
        return known

    @property
    def matches_all(self) -> bool:
        """Whether it is ``match_all()``."""
        return self._evaluator is None

    @property
    def quick(self) -> bool:
        """Whether it takes microseconds to evaluate, as a rule."""
        return self._evaluator is None or self._program is not None

    @property
    def optional(self) -> bool:
        """Whether its batches may be handed out without it, as they are filtered later on."""
        return False

    @property
    def pruning_node(self) -> Node | None:
        """What every matching row fulfils, for skipping batches by their column ranges."""
        return None if self._pushed is None else self._pushed.node

    def mask(self, batch: pa.RecordBatch) -> pa.BooleanArray:
        """True, false or null for each row."""
        if self._evaluator is None:
            return pa.repeat(True, batch.num_rows)
        if self._program is not None:
            with suppress(*UNDECIDED):
                mask: Any = self._program.run(batch).column(0)
                return mask  # type: ignore[no-any-return]
        return self._evaluator.mask(batch)

    def select(self, batches: Sequence[pa.RecordBatch]) -> list[pa.RecordBatch | None]:
        """The matching rows of each batch, ``None`` where there are none. The batches share one schema."""
        if self.matches_all:
            return [batch if batch.num_rows else None for batch in batches]
        if len(batches) == 1 or (self._program is not None and len(batches) < _WORTH_JOINING):
            return [self._select_one(batch) for batch in batches]
        joined = join(batches)
        mask: pa.BooleanArray = pc.fill_null(self.mask(joined), False)  # type: ignore[type-var, assignment] # stubs
        kept = joined.filter(mask)
        counts = _prefix_counts(mask)
        selected: list[pa.RecordBatch | None] = []
        row = 0
        for batch in batches:
            end = row + batch.num_rows
            first, last = counts[row], counts[end]
            if last == first:
                selected.append(None)
            else:
                selected.append(batch if last - first == batch.num_rows else kept.slice(first, last - first))
            row = end
        return selected

    def _select_one(self, batch: pa.RecordBatch) -> pa.RecordBatch | None:
        mask = self.mask(batch)
        count = mask.true_count
        if count in (0, batch.num_rows):  # mostly: and to filter costs more than to look
            return batch if count else None
        return batch.filter(mask)

    def __repr__(self) -> str:
        return f"Predicate({self.text!r})"


_WORTH_JOINING = 8
"""So many small batches take the kernels less time together than one by one; to join fewer costs more."""

_ALL = Predicate("", None, None, None)
# By text and plan: the text has the literals in full, the plan says what ``now()`` was, and which types are meant.
_known: weakref.WeakValueDictionary[tuple[str, str, pa.Schema], Predicate] = weakref.WeakValueDictionary()
_known_lock = threading.Lock()


def _check(frame: DataFrame) -> None:
    """Plan to the end, which refuses what no row has by itself, such as window functions."""
    try:
        frame.execution_plan()
    except Exception as error:
        if not is_pushdown_failure(error):
            raise


def _program(plan: LogicalPlan, schema: pa.Schema) -> Program | None:
    with suppress(UnreadableExpression):
        return compile_program(plan, schema, _MASK)
    return None


def _prefix_counts(mask: pa.BooleanArray) -> Sequence[int]:
    """How many rows are true before each row, and in all."""
    ones: Any = pc.cumulative_sum(mask.cast(pa.int64()), start=0)  # type: ignore[call-overload] # the stubs want a scalar
    return [0, *memoryview(ones.buffers()[1]).cast("q")[ones.offset : ones.offset + len(ones)].tolist()]


class MaskEvaluator:
    """Evaluates a planned expression over a batch. DataFusion has no other way to do so from Python."""

    __slots__ = ("_lock", "_plan", "_probe", "_runner")

    def __init__(self, frame: DataFrame, probe: _Probe) -> None:
        self._plan = frame.logical_plan()
        self._probe = probe
        self._runner = _default_context()
        self._lock = threading.Lock()

    def mask(self, batch: pa.RecordBatch) -> pa.BooleanArray:
        """One value per row, in order."""
        with self._lock, calling():
            self._probe.current = batch
            try:
                frame = self._runner.create_dataframe_from_logical_plan(self._plan)
                parts = [part.column(0) for part in frame.collect()]
            except Exception as error:
                raise translate(error, "") from error
            finally:
                self._probe.current = None
        mask: Any = pa.concat_arrays(parts) if parts else pa.array([], pa.bool_())
        if pa.types.is_null(mask.type):  # the condition is a bare NULL
            mask = mask.cast(pa.bool_())
        assert isinstance(mask, pa.BooleanArray)
        return mask


class _Probe(LazyDataset):
    """A relation that shows what DataFusion pushes into it, and later yields one given batch."""

    def __init__(self, schema: pa.Schema) -> None:
        super().__init__(schema)
        self.pushed: Any = None
        self.current: pa.RecordBatch | None = None

    def plan(self, columns: Sequence[str] | None, filter: pc.Expression | None) -> None:  # noqa: A002
        self.pushed = filter

    def produce(
        self,
        scan: None,
        partition: int,
        columns: Sequence[str] | None,
        filter: pc.Expression | None,  # noqa: A002
    ) -> Iterator[pa.RecordBatch]:
        batch = self.current
        if batch is not None:
            yield batch if columns is None else batch.select(list(columns))


_context: SessionContext | None = None
_context_lock = threading.Lock()


def _default_context() -> SessionContext:
    """One partition: the order of the rows is kept."""
    global _context  # noqa: PLW0603 - one context for the process, made when first needed
    with _context_lock:
        if _context is None:
            _context = SessionContext(
                SessionConfig(
                    {
                        "datafusion.sql_parser.map_string_types_to_utf8view": "false",
                        "datafusion.execution.target_partitions": "1",
                        "datafusion.execution.time_zone": "UTC",
                    }
                )
            )
        return _context


_HINT = "use columns, functions, CASE and casts of one row; filter on the rest in the query around subscribe"


def _parse(frame: DataFrame, text: str) -> Expr:
    try:
        expression = frame.parse_sql_expr(text)
    except Exception as error:
        raise _translate(error, text) from error
    if expression.variant_name() == "Alias":
        raise PredicateParse("predicate: a condition has no name", hint="leave AS out")
    return expression


def _translate(error: Exception, text: str) -> PredicateParse | PredicateUnsupported:
    message = str(error).removeprefix("DataFusion error: ")
    if any(word in message for word in ("AggregateFunction", "WindowFunction", "Aggregate functions are not allowed")):
        return PredicateUnsupported("a predicate cannot hold an aggregate or a window function", hint=_HINT, position=0)
    # An expression names a table in a sub-query alone, and none is registered here.
    names_table = "table '" in message and "not found" in message
    if names_table or "Subquery" in message or "subquery" in message:
        return PredicateUnsupported("a predicate cannot hold a sub-query", hint=_HINT, position=0)
    state = None
    if "No field named" in message:
        state = "42703"
    elif "Invalid function" in message:
        state = "42883"
    return PredicateParse(
        f"predicate: {message}",
        sqlstate=state,
        position=position_in_message(message, text),
        hint="write a condition over the topic's columns, such as kind = 'X' AND value > 1",
    )
