"""EXPLAIN of a query that reads attached databases: what each is told, and why the rest is computed here."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

import pyarrow as pa

from ..dialect.statements import Query
from ..results import BatchResult
from .live import bounded_relations
from .relations import inserted_relations

if TYPE_CHECKING:
    from .planning import Planning
    from .session import Session

__all__ = ["explain_sources"]

_PLAN = pa.schema([("plan_type", pa.string()), ("plan", pa.string())])


def explain_sources(
    session: Session, query: Query, parameters: Mapping[str, pa.Scalar], *, analyze: bool
) -> BatchResult | None:
    """In the columns of DataFusion's EXPLAIN; ``None`` for a query that reads no source.

    DataFusion's plans, a row ``source name`` for each statement that is sent, with the rows expected (with ``analyze``: that
    came, and how long they were waited for), and a row ``computed here`` with reasons.
    """
    with session.queries.planned(query.words, once=True) as planning:
        planning.looked_at = not analyze
        with inserted_relations(session.relations, bounded_relations(session, planning, query, parameters)):
            frame = session.queries.frame(planning, query.body, parameters, reads_only=True)
            if not planning.providers:
                return None
            try:
                logical = frame.optimized_logical_plan().display_indent()
                physical = frame.execution_plan().display_indent()
            except Exception as error:
                raise planning.translator(query.body)(error) from error
            began = time.perf_counter()
            rows = 0
            if analyze:
                result = session.queries.run(frame, planning, query.body)
                while (batch := result.next_batch()) is not None:
                    rows += batch.num_rows
                result.close()
            elapsed = time.perf_counter() - began
    lines = [("logical_plan", logical), ("physical_plan", physical), *_sources(planning, analyze=analyze)]
    if analyze:
        lines.append(("jammi_metrics", f"rows: {rows} returned; elapsed: {elapsed * 1000:.3f} ms"))
    columns = [pa.array([line[place] for line in lines], pa.string()) for place in (0, 1)]
    return BatchResult.of(pa.Table.from_arrays(columns, schema=_PLAN))


def _sources(planning: Planning, *, analyze: bool) -> list[tuple[str, str]]:
    lines: list[tuple[str, str]] = []
    for name, provider in planning.providers:
        if analyze:
            note = f"rows: {provider.rows}; waited: {provider.seconds * 1000:.3f} ms"
        else:
            expected = provider.expected
            note = "rows: unknown" if expected is None else f"rows: about {expected:.0f}"
        lines.append((f"source {name}", "\n".join((*provider.sent, note))))
    if planning.federated is None:
        why = planning.whole or "pushdown is off"
        return [*lines, ("computed here", f"each table is read by itself: {why}")]
    stayed = [f"{source}: {why}" for source, why in planning.federated.stayed]
    return [*lines, ("computed here", "\n".join(stayed))] if stayed else lines
