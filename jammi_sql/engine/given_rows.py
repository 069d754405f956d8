"""The rows that a program gives to executemany and adbc_ingest."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa

__all__ = ["given_rows"]


def given_rows(reader: pa.RecordBatchReader, waiting: Callable[[Callable[[], Any]], Any]) -> pa.RecordBatchReader:
    """``reader``, each batch of which is waited for in ``waiting``, which gives what a call gives: it may come from anywhere,
    and not soon."""

    def batches() -> Iterator[pa.RecordBatch]:
        while (batch := waiting(lambda: next(reader, None))) is not None:
            yield batch

    return pa.RecordBatchReader.from_batches(reader.schema, batches())
