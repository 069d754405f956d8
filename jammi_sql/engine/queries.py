"""The queries of a session: planned by DataFusion, and their rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pyarrow as pa
from datafusion import DataFrame, LogicalPlan, SessionContext, SQLOptions

from ..dialect import compose, filled
from ..dialect.statements import Fragment
from ..errors import StatementSyntaxError
from ..results import BatchResult, BatchSource, IterableSource
from .access import check_output
from .binding import bindable
from .constants import constant_rows, is_constant
from .frame_source import FrameSource
from .planning import Planning
from .renaming import is_at_risk, with_own_names
from .staging import Staged, remaining

if TYPE_CHECKING:
    from .session import Session

__all__ = ["Queries"]

Parameters = Mapping[str, pa.Scalar]

# Statements that DataFusion runs while it plans them, or whose rows are only a count.
_READ_ONLY = SQLOptions().with_allow_ddl(False).with_allow_dml(False).with_allow_statements(False)

_NULL_SAFE = "DISTINCT FROM"
"""What a plan shows that has an equality, maybe under NOT, of which DataFusion forgets, where it flattens inner joins, that it
holds of NULLs."""


class Queries:
    """Makes frames of DataFusion's out of the text of a statement, and results out of those."""

    def __init__(self, session: Session) -> None:
        self._session = session

    # --- planning ---

    def new_planning(self, words: frozenset[str], *, once: bool = False) -> Planning:
        """The catalogue as the session sees it now; ``once`` as ``Planning`` has it."""
        session = self._session
        return Planning(
            session.engine.services, session.reader, session.tenant, words, read_table=session.scope.read, once=once
        )

    @contextmanager
    def planned(self, words: frozenset[str], *, once: bool = False) -> Iterator[Planning]:
        """A statement's view of the catalogue, in force while it is planned and started; ``once`` as ``Planning`` has it."""
        planning = self.new_planning(words, once=once)
        try:
            with planning.in_force():
                yield planning
        finally:
            planning.finish()
            planning.release()

    def frame(
        self,
        planning: Planning,
        fragment: Fragment,
        parameters: Parameters,
        context: SessionContext | None = None,
        *,
        reads_only: bool = False,
        whole: bool = False,
    ) -> DataFrame:
        """``fragment`` planned by DataFusion, which runs DDL on the way, and cut where it reads attached databases.

        ``whole``: not cut, for one that is only looked at.
        """
        session = self._session
        fragment = filled(fragment, planning.markers) if planning.markers else fragment
        chosen = context or planning.context or session.world.context

        def plan() -> DataFrame:
            return self._planned_in(chosen, planning, fragment, parameters, reads_only=reads_only)

        try:
            frame = plan()
            chosen = self.context_for(planning, chosen)
            if session.access is not None:
                check_output(session.access, frame.logical_plan())
            # What DataFusion runs while it plans must not be planned again.
            if whole or not (planning.once or reads_only):
                return frame
            if session.settings.pushdown and session.relations.takes_filters and self.may_be_cut(planning):
                from .federating import federated  # noqa: PLC0415 - nothing of it where nothing is attached

                again = plan if planning.scans_files else lambda: frame
                planning.federated = federated(session, planning, chosen, again)
            if planning.federated is None and is_at_risk(planning.words) and planning.once:
                return with_own_names(session, planning, chosen, plan) or frame
        except Exception as error:
            raise planning.translator(fragment)(error) from error
        return frame if planning.federated is None else planning.federated.frame

    def plain_frame(self, planning: Planning, fragment: Fragment, parameters: Parameters) -> DataFrame:
        """A query planned by DataFusion as it stands, nothing of it cut out."""
        try:
            return self._planned_in(self._session.world.context, planning, fragment, parameters, reads_only=True)
        except Exception as error:
            raise planning.translator(fragment)(error) from error

    def _planned_in(
        self,
        context: SessionContext,
        planning: Planning,
        fragment: Fragment,
        parameters: Parameters,
        *,
        reads_only: bool,
    ) -> DataFrame:
        values = {key: bindable(value) for key, value in parameters.items()}
        if reads_only:
            frame = context.sql_with_options(fragment.text, _READ_ONLY, param_values=values)
        else:
            frame = context.sql(fragment.text, param_values=values)
        # In a context that keeps its joins as they are, where they must be kept.
        if not planning.keeps_joins:
            planning.keeps_joins = _NULL_SAFE in frame.logical_plan().display_indent()
        return self.frame_of(planning, frame.logical_plan(), context) if planning.keeps_joins else frame

    def frame_of(self, planning: Planning, plan: LogicalPlan, context: SessionContext) -> DataFrame:
        """A plan, or a part of one, that was made for this statement, to be run in ``context``."""
        return self.context_for(planning, context).create_dataframe_from_logical_plan(plan)

    def context_for(self, planning: Planning, context: SessionContext) -> SessionContext:
        """Where a statement is optimised that was planned in ``context``."""
        return self._session.worlds.in_given_order(context) if planning.keeps_joins else context

    def may_be_cut(self, planning: Planning) -> bool:
        """Whether a statement reads attached databases, by name or through views, all of them as the session sees them.

        A view that was made without a tenant reads what was attached then; under a tenant the same name may be another's.
        """
        session = self._session
        if session.world.catalog.own_words(planning.words):
            return session.tenant is None and bool(session.relations.source_names())
        return bool(planning.remote)

    def schema_of(self, frame: DataFrame, planning: Planning, fragment: Fragment) -> pa.Schema:
        """The columns of a planned query; an error where one has a name that Arrow does not take."""
        return self._optimized(frame, planning, fragment)[1]

    def _optimized(self, frame: DataFrame, planning: Planning, fragment: Fragment) -> tuple[DataFrame, pa.Schema]:
        """A planned query after optimisation, and its columns.

        Before it a plan does not know its types yet: those of UNION and CASE are coerced on the way.
        """
        try:
            known = frame
            # That of a federated query was made from an optimised one.
            if planning.federated is None or frame is not planning.federated.frame:
                optimized = frame.optimized_logical_plan()
                known = self._session.world.context.create_dataframe_from_logical_plan(optimized)
            schema: pa.Schema = known.schema()
        except Exception as error:
            raise planning.translator(fragment)(error) from error
        return known, planning.shown(frame, schema)

    # --- rows ---

    def stream(
        self,
        frame: DataFrame,
        planning: Planning,
        fragment: Fragment,
        instead: DataFrame | None = None,
    ) -> BatchResult:
        """The rows of a planned query, for whoever reads them later.

        ``instead`` is another plan of it to run, whose columns may have other layouts of the same values.
        """
        result = self.run(frame, planning, fragment, instead)
        return self._read_ahead(result) if planning.reads_own_writes else result

    def run(
        self,
        frame: DataFrame,
        planning: Planning,
        fragment: Fragment,
        instead: DataFrame | None = None,
    ) -> BatchResult:
        """The rows of a planned query, for a statement that reads them itself; ``instead`` as for ``stream``."""
        known, schema = self._optimized(frame, planning, fragment)
        if instead is None and is_constant(known.logical_plan()):
            try:
                rows = constant_rows(known, schema)
            except Exception as error:
                raise planning.translator(fragment)(error) from error
            return self.result(IterableSource(schema, rows))
        planning.retain()
        try:
            source = FrameSource(instead or frame, schema, planning.translator(fragment), planning.release)
            try:
                planning.check_files()
            except BaseException:
                source.close()
                planning.retain()  # closing let go of it once
                raise
        except BaseException:
            planning.release()
            raise
        return self.result(source)

    def _read_ahead(self, result: BatchResult) -> BatchResult:
        """All rows, now: what comes later in the transaction may change the tables that they are read from."""
        staged = Staged(result.schema)
        try:
            for batch in remaining(result, self._session.running.check):
                staged.add(batch)
        except BaseException:
            staged.close()
            raise
        return BatchResult(staged)

    def result(self, source: BatchSource, *, bounded: bool = True) -> BatchResult:
        """A result that the session can cancel and that keeps the statement's time limit."""
        session = self._session
        limited = bounded or session.settings.statement_timeout is not None  # a live one has no end to be in time for
        return BatchResult(session.running.watch(source, limited=limited, live=not bounded), bounded=bounded)

    def collect(self, frame: DataFrame, planning: Planning, fragment: Fragment) -> pa.Table:
        """All rows of a planned query."""
        result = self.run(frame, planning, fragment)
        batches = []
        while (batch := result.next_batch()) is not None:
            batches.append(batch)
        return pa.Table.from_batches(batches, schema=result.schema)

    def evaluate(self, fragment: Fragment, parameters: Parameters, position: int | None = None) -> pa.Scalar:
        """The value of an expression without columns."""
        wrapped = compose("SELECT (", fragment, "\n) AS value")
        with self.planned(frozenset()) as planning:
            frame = self.frame(planning, wrapped, parameters, reads_only=True)
            if len(frame.schema()) != 1:
                raise StatementSyntaxError("one value is wanted here", position=position)
            table = self.collect(frame, planning, wrapped)
        if table.num_rows != 1:
            raise StatementSyntaxError("one value is wanted here", position=position)
        value: pa.Scalar = table.column(0)[0]
        return value
