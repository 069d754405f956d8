"""A live statement: the query run over each delivery of a subscription."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from datafusion import DataFrame, LogicalPlan, SessionContext

from ..arrow.batches import join_columns
from ..arrow.dataset import LazyDataset
from ..arrow.expression import UnreadableExpression
from ..arrow.filter import Filter, compile_filter
from ..arrow.program import UNDECIDED, Program, compile_program
from ..errors import Error
from ..errors_datafusion import is_pushdown_failure
from ..plan.shape import Shape
from ..topics.entries import LogEntry
from ..topics.relation import ENGINE_COLUMNS, coalesced, relation_batch, relation_schema, runs_of
from ..topics.subscription import Subscription
from .asof import AsofJoins
from .frame_source import FrameSource
from .planning import Planning

__all__ = ["LiveProvider", "LiveQuery", "LiveSource"]

Translate = Callable[[BaseException], BaseException]


class LiveProvider(LazyDataset):
    """The relation of a live subscription: whatever was delivered last. It shows what DataFusion pushes into it."""

    def __init__(self, schema: pa.Schema) -> None:
        super().__init__(relation_schema(schema))
        self.pushed: Any = None
        self.entries: Sequence[LogEntry] = ()

    def plan(self, columns: Sequence[str] | None, filter: pc.Expression | None) -> None:  # noqa: A002
        self.pushed = filter

    def produce(
        self,
        scan: None,
        partition: int,
        columns: Sequence[str] | None,
        filter: pc.Expression | None,  # noqa: A002
    ) -> Iterator[pa.RecordBatch]:
        if self.entries:
            wanted = None if filter is None else compile_filter(filter, self._schema)
            yield self.rows(self.entries, self._schema.names if columns is None else list(columns), wanted)

    def rows(self, entries: Sequence[LogEntry], names: Sequence[str], wanted: Filter | None) -> pa.RecordBatch:
        """The rows of ``entries`` that fulfil ``wanted``, with the columns ``names``."""
        needed = [name for name in self._schema.names if name in names or (wanted and name in wanted.columns)]
        own = [name for name in needed if name not in ENGINE_COLUMNS]
        rows = join_columns([entry.batch for entry in entries], own)
        batch = relation_batch(runs_of(entries), rows, self._schema, needed)
        kept = batch if wanted is None else wanted.apply(batch)
        return kept if needed == list(names) else kept.select(list(names))


class LiveQuery:
    """A planned query that is run over deliveries.

    Where the plan is filters and projections whose expressions are all on the kernels' list, it is run by them, in
    microseconds; anything else, and the deliveries of which they cannot tell, is a DataFusion query for each group of
    deliveries. With ``shape.joined`` a group is one batch: other relations are read as of each batch, and rows stay in
    offset order.
    """

    def __init__(
        self,
        context: SessionContext,
        shape: Shape,
        provider: LiveProvider,
        translate: Translate,
        planning: Planning,
        asofs: AsofJoins | None = None,
    ) -> None:
        self._asofs = asofs
        self._context = context
        self._planning = planning
        self._plan = shape.plan
        self._joined = shape.joined
        self._provider = provider
        self._translate = translate
        self._running: FrameSource | None = None
        self._program: Program | None = None
        frame = context.create_dataframe_from_logical_plan(shape.plan)
        try:
            optimized = frame.optimized_logical_plan()
            self.schema: pa.Schema = context.create_dataframe_from_logical_plan(optimized).schema()
            self._program = None if shape.joined else _program(optimized, provider.schema, self.schema)
            provider.pushed = None
            frame.execution_plan()
        except Exception as error:
            if self._program is None or not is_pushdown_failure(error):
                raise translate(error) from error
        if self._program is not None:
            self.filter = self._program.pushed
        else:
            self.filter = None if provider.pushed is None else compile_filter(provider.pushed, provider.schema)

    def run(self, entries: Sequence[LogEntry]) -> Iterator[pa.RecordBatch]:
        """The rows that the query makes of ``entries``, in offset order."""
        groups: Iterator[Sequence[LogEntry]] = ([entry] for entry in entries) if self._joined else coalesced(entries)
        for group in groups:
            try:
                made = None if self._program is None else self._computed(self._program, group)
            except UNDECIDED:
                made = None
            if made is None:
                yield from self._query(group)
            elif made.num_rows:
                yield made

    def _computed(self, program: Program, group: Sequence[LogEntry]) -> pa.RecordBatch:
        return program.run(self._provider.rows(group, program.columns, program.pushed))

    def _query(self, group: Sequence[LogEntry]) -> Iterator[pa.RecordBatch]:
        self._provider.entries = group
        now = self._planning.renewed()  # other relations are read now, with the statement's own tenant

        def translate(error: BaseException) -> BaseException:
            return now.failure if isinstance(now.failure, Error) else self._translate(error)

        try:
            with now.in_force():
                if self._asofs is not None:
                    self._asofs.refresh(self._provider, group, lambda frame: self._rows(frame, translate))
                frame: DataFrame = self._context.create_dataframe_from_logical_plan(self._plan)
                source = self._running = FrameSource(frame, self.schema, translate, now.release)
        except BaseException:
            now.release()
            raise
        try:
            batch = source.next_batch(None)
            while batch is not None:
                following = source.next_batch(None)
                if following is None:
                    source.close()  # what it read other relations from, before the reader thinks about the last rows
                if batch.num_rows:
                    yield batch
                batch = following
        finally:
            source.close()
            self._running = None
            self._provider.entries = ()

    def _rows(self, frame: DataFrame, translate: Translate) -> Iterator[pa.RecordBatch]:
        source = self._running = FrameSource(frame, frame.schema(), translate)
        try:
            while (batch := source.next_batch(None)) is not None:
                yield batch
        finally:
            source.close()
            self._running = None

    def cancel(self) -> None:
        """Stop a DataFusion query that runs."""
        running = self._running
        if running is not None:
            running.cancel()


def _program(plan: LogicalPlan, schema: pa.Schema, result: pa.Schema) -> Program | None:
    try:
        return compile_program(plan, schema, result)
    except UnreadableExpression:
        return None


class LiveSource:
    """The batches of a live statement, as its subscription delivers."""

    def __init__(
        self,
        subscription: Subscription,
        query: LiveQuery,
        skip: int,
        fetch: int | None,
        closed: Callable[[], None] = lambda: None,
    ) -> None:
        """``closed`` is called once, when nothing is read any more."""
        self._closed: Callable[[], None] | None = closed
        self._subscription = subscription
        self._query = query
        self._skip = skip
        self._left = fetch
        self._made: Iterator[pa.RecordBatch] | None = None
        self._making: asyncio.Future[pa.RecordBatch | None] | None = None
        self._cancelled = False
        self._lock = threading.Lock()

    @property
    def schema(self) -> pa.Schema:
        """The schema of every batch."""
        return self._query.schema

    def next_batch(self, timeout: float | None) -> pa.RecordBatch | None:
        """The next rows.

        ``None`` at the end; ``TimeoutError`` when none came in time, after which one may ask again.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            if self._left == 0 or self._cancelled:
                return None
            batch = self._made_next()
            if batch is not None:
                return batch
            entries = self._subscription.take(None if deadline is None else max(0.0, deadline - time.monotonic()))
            if not entries:
                return None
            self._made = self._query.run(entries)

    async def anext_batch(self) -> pa.RecordBatch | None:
        """As ``next_batch``, for an event loop."""
        while True:
            if self._left == 0 or self._cancelled:
                return None
            if self._making is None and self._made is not None:
                self._making = asyncio.get_running_loop().run_in_executor(None, self._made_next)
            if self._making is not None:
                await asyncio.wait((self._making,))  # a cancelled task leaves it for the next one
                making, self._making = self._making, None
                batch = making.result()
                if batch is not None:
                    return batch
            await self._subscription.wait_async()
            entries = self._subscription.take_ready()
            if not entries:
                return None
            self._made = self._query.run(entries)

    def _made_next(self) -> pa.RecordBatch | None:
        with self._lock:
            for batch in self._made or ():
                kept = self._limited(batch)
                if kept is not None:
                    return kept
            self._made = None
        return None

    def _limited(self, batch: pa.RecordBatch) -> pa.RecordBatch | None:
        if self._skip:
            passed = min(self._skip, batch.num_rows)
            self._skip -= passed
            batch = batch.slice(passed)
        if self._left is not None:
            batch = batch.slice(0, self._left)
            self._left -= batch.num_rows
        return batch if batch.num_rows else None

    def cancel(self) -> None:
        """End it, from any thread."""
        self._cancelled = True
        self._subscription.close()
        self._query.cancel()

    def close(self) -> None:
        """Leave the topic."""
        self._subscription.close()
        closed, self._closed = self._closed, None
        if closed is not None:
            closed()
