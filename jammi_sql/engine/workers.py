"""DataFusion's threads: how many there are."""

from __future__ import annotations

import os

__all__ = ["keep_spare"]

_VARIABLE = "TOKIO_WORKER_THREADS"


def keep_spare() -> None:
    """Have twice as many threads as cores, where the user has not said how many; to be called before the first query.

    A join or an aggregate over one does not look up while it works on one batch of a side, which may be for minutes: it
    is not heard of that it was cancelled (apache/datafusion#19358). A query works in as many parts as there are cores,
    so that one that was cancelled would keep every thread, and all other queries waiting. With spare ones they share the
    cores with it until it looks up.
    """
    os.environ.setdefault(_VARIABLE, str(max(4, 2 * _cores())))


def _cores() -> int:
    affinity = getattr(os, "sched_getaffinity", None)  # not on every platform
    return os.cpu_count() or 1 if affinity is None else len(affinity(0))
