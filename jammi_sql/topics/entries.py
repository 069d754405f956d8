"""Batches as they are read from a log."""

from __future__ import annotations

from typing import NamedTuple

import pyarrow as pa

__all__ = ["Chunk", "LogEntry"]


class LogEntry(NamedTuple):
    """One batch read from the log. ``tenant`` is '' for none."""

    offset: int
    produced_us: int
    tenant: str
    batch: pa.RecordBatch


class Chunk(NamedTuple):
    """Some consecutive batches, and the offset at which to read on (those skipped are behind it)."""

    entries: list[LogEntry]
    end: int
