"""What stands between a result's batches and the rows that a cursor hands out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from ..results import Result
from .values import rows

__all__ = ["RowBuffer"]

# Rows are made of a batch this many at a time, so that the first row of a large batch does not wait for all of it.
_ROWS_AT_ONCE = 2_048


class RowBuffer:
    """The part of a result that is not handed out yet, as rows or as batches, in any mixture."""

    __slots__ = ("__weakref__", "_batch", "_result", "_rows", "_start")

    def __init__(self, result: Result, schema: pa.Schema) -> None:
        self._result = result
        self._batch = pa.RecordBatch.from_pylist([], schema=schema)
        self._start = 0  # of what is left of _batch
        self._rows: list[tuple[Any, ...]] = []  # the first ones of what is left, the next one last

    def take(self, size: int, *, wait: bool = True) -> list[tuple[Any, ...]]:
        """1 to ``size`` rows, none at the end; without ``wait``, none when none have arrived."""
        if not self._rows and not self._fill(wait):
            return []
        size = min(size, len(self._rows))
        taken = self._rows[: -size - 1 : -1]
        del self._rows[-size:]
        self._start += size
        return taken

    def next_batch(self, timeout: float | None = None) -> pa.RecordBatch | None:
        """The rest of the batch begun, or the next one that has rows, or ``None`` at the end.

        ``TimeoutError`` when none came for ``timeout`` seconds, after which one may ask again.
        """
        while not (batch := self._leave_rest()).num_rows:
            following = self._result.next_batch(timeout)
            if following is None:
                return None
            self._batch = following
        return batch

    async def anext_batch(self) -> pa.RecordBatch | None:
        """As ``next_batch``, for an event loop."""
        while not (batch := self._leave_rest()).num_rows:
            following = await self._result.anext_batch()
            if following is None:
                return None
            self._batch = following
        return batch

    def batches(self) -> Iterator[pa.RecordBatch]:
        """All that is left, pulled as it is asked for."""
        while (batch := self.next_batch()) is not None:
            yield batch

    def cancel(self) -> None:
        """Cancel the result, from any thread."""
        self._result.cancel()

    def close(self) -> None:
        """Close the result, from any thread."""
        self._result.close()

    def _fill(self, wait: bool) -> bool:
        while self._start >= self._batch.num_rows:
            try:
                batch = self._result.next_batch(None if wait else 0)
            except TimeoutError:
                return False
            if batch is None:
                return False
            self._batch, self._start = batch, 0
        self._rows = rows(self._batch.slice(self._start, _ROWS_AT_ONCE))
        self._rows.reverse()
        return True

    def _leave_rest(self) -> pa.RecordBatch:
        rest = self._batch.slice(self._start)
        self._batch, self._start, self._rows = self._batch.slice(0, 0), 0, []
        return rest
