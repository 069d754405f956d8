"""How far a query is, by the metrics of its plan, which DataFusion keeps while it runs."""

from __future__ import annotations

from typing import Any

from ..results import Progress

__all__ = ["measured"]


def measured(plan: Any) -> Progress:
    """What the scans of a physical plan have read so far, and its busiest step put out.

    A scan written in Python has no metrics: the step above it stands for it, with what it put out.
    """
    return _measured(plan)[0]


def _measured(node: Any) -> tuple[Progress, bool]:
    """The progress of a step and all below it, and whether one of them is a scan that told of itself."""
    metrics = (
        node.metrics()
    )  # before those below, which run on: else it would seem to have put out more than it took in
    rows = None if metrics is None else metrics.output_rows
    children = [_measured(child) for child in node.children()]
    below = sum((progress for progress, _ in children), Progress())
    if rows is None:
        return below, any(told for _, told in children)
    if any(told for _, told in children):
        return Progress(below.rows, below.bytes, max(below.most, rows)), True
    return Progress(rows, _bytes(metrics), max(below.most, rows)), True


def _bytes(metrics: Any) -> int:
    """Bytes read of files; of anything else, what its rows take in memory."""
    scanned: int = metrics.sum_by_name("bytes_scanned") or 0
    return scanned or sum(metric.value or 0 for metric in metrics.metrics() if metric.name == "output_bytes")
