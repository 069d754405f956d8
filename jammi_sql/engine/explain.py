"""EXPLAIN of the dialect's own statements."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

import pyarrow as pa

from ..dialect import statements
from ..errors import UnboundedResult
from ..results import BatchResult, Result
from .explain_sources import explain_sources
from .live import describe_subscribing

if TYPE_CHECKING:
    from .session import Session

__all__ = ["explain"]

Parameters = Mapping[str, pa.Scalar]
_PLAN = pa.schema([("plan_type", pa.string()), ("plan", pa.string())])


def explain(session: Session, statement: statements.Explain, parameters: Parameters) -> Result:
    """The steps of a statement, in the columns of DataFusion's EXPLAIN; with ANALYZE it is run, and its time shown."""
    inner = statement.statement
    if isinstance(inner, statements.Query) and not inner.subscribes and not inner.asofs:
        told = explain_sources(session, inner, parameters, analyze=statement.analyze)
        if told is not None:
            return told
    if statement.analyze:
        return _rows(_analyzed(session, inner, parameters))
    if isinstance(inner, statements.Query):
        return _rows(describe_subscribing(session, inner, parameters))
    if isinstance(inner, statements.Insert):
        from .describe_change import describe_insert  # noqa: PLC0415 - they import the table of handlers

        return _rows(describe_insert(session, inner, parameters))
    if isinstance(inner, (statements.Update, statements.Delete, statements.Merge)):
        from .describe_change import describe_change  # noqa: PLC0415 - as above

        return _rows(describe_change(session, inner, parameters))
    return _rows([("jammi_plan", type(inner).__name__)])


def _analyzed(session: Session, inner: statements.Statement, parameters: Parameters) -> list[tuple[str, str]]:
    from .statements import HANDLERS  # noqa: PLC0415 - the table of handlers names this module

    began = time.perf_counter()
    result = HANDLERS[type(inner)](session, inner, parameters)
    if not result.bounded:
        result.close()
        raise UnboundedResult("EXPLAIN ANALYZE of a subscribe that never ends", hint="add until => 'latest' or LIMIT")
    rows = 0
    while (batch := result.next_batch()) is not None:
        rows += batch.num_rows
    result.close()
    seconds = time.perf_counter() - began
    changed = "" if result.schema is not None else f", {max(0, result.rowcount)} written"
    return [
        ("jammi_plan", type(inner).__name__),
        ("jammi_metrics", f"rows: {rows} returned{changed}; elapsed: {seconds * 1000:.3f} ms"),
    ]


def _rows(lines: list[tuple[str, str]]) -> BatchResult:
    columns = [pa.array([line[place] for line in lines], pa.string()) for place in (0, 1)]
    return BatchResult.of(pa.Table.from_arrays(columns, schema=_PLAN))
