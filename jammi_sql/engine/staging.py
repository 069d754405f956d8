"""Rows that wait: for their transaction, or for whoever reads them while the transaction goes on."""

from __future__ import annotations

import mmap
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ..arrow.batches import conform, join, required_columns
from ..arrow.dataset import LazyDataset
from ..arrow.filter import compile_filter
from ..errors import StoreIOError
from ..results import BatchResult

__all__ = ["ROWS_PER_BATCH", "RowsRelation", "Staged", "remaining", "staging"]

ROWS_PER_BATCH = 65_536
_IN_MEMORY = 16 << 20


class Staged:
    """Batches of one schema, past 16 MB in a temporary file. Written once, then read as often as need be.

    The file has no name: nothing of it is left when the process is killed.
    As a ``BatchSource`` it is read once more, and closed with its result.
    """

    def __init__(self, schema: pa.Schema) -> None:
        self._schema = schema
        self._held: list[pa.RecordBatch] = []
        self._held_bytes = 0
        self._file: Any = None
        self._written: pa.Buffer | None = None
        self._writer: pa.ipc.RecordBatchStreamWriter | None = None
        self._reading: Iterator[pa.RecordBatch] | None = None
        self._cancelled = False
        self._lock = threading.Lock()
        self.rows = 0

    @property
    def schema(self) -> pa.Schema:
        """The schema of every batch."""
        return self._schema

    def add(self, batch: pa.RecordBatch) -> None:
        """Append; not after the first read."""
        self.rows += batch.num_rows
        if self._writer is not None:
            self._writer.write_batch(batch)
            return
        self._held.append(batch)
        self._held_bytes += batch.nbytes
        if self._held_bytes > _IN_MEMORY and len(self._held) > 1:
            self._spill()

    def _spill(self) -> None:
        try:
            self._file = tempfile.TemporaryFile(prefix="jammi-")  # noqa: SIM115 - closed with the rows
        except OSError as error:
            raise StoreIOError(
                f"no temporary file for the rows of a statement: {error.strerror}",
                hint="set TMPDIR to a folder with room",
            ) from error
        self._writer = pa.ipc.new_stream(self._file, self._schema)
        for held in self._held:
            self._writer.write_batch(held)
        self._held.clear()

    @property
    def single(self) -> pa.RecordBatch | None:
        """The one batch, where there is no other."""
        return self._held[0] if len(self._held) == 1 else None

    def batches(self) -> Iterator[pa.RecordBatch]:
        """All batches, from the first one on."""
        if self._file is None:
            yield from self._held
            return
        with self._lock:  # two scans of one query may begin at once
            if self._written is None:
                assert self._writer is not None
                self._writer.close()
                self._file.flush()
                self._written = pa.py_buffer(mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ))
        with pa.ipc.open_stream(self._written) as reader:
            yield from reader

    def close(self) -> None:
        """Forget the rows."""
        self._held.clear()
        self._reading = iter(())
        self._written = None  # whoever has a batch has its own hold of it
        if self._file is not None:
            self._file.close()

    # --- as a source ---

    def next_batch(self, timeout: float | None) -> pa.RecordBatch | None:
        """The next batch, at once."""
        if self._reading is None:
            self._reading = self.batches()
        return None if self._cancelled else next(self._reading, None)

    async def anext_batch(self) -> pa.RecordBatch | None:
        """The next batch, at once."""
        return self.next_batch(None)

    def cancel(self) -> None:
        """Stop after the batch being read."""
        self._cancelled = True


class RowsRelation(LazyDataset):
    """A relation of given rows; without any, only a schema to plan with.

    ``batches`` is asked for them at each scan.
    """

    def __init__(self, schema: pa.Schema, batches: Callable[[], Iterator[pa.RecordBatch]] = lambda: iter(())) -> None:
        super().__init__(schema)
        self.batches = batches

    def produce(
        self,
        scan: None,
        partition: int,
        columns: Sequence[str] | None,
        filter: pc.Expression | None,  # noqa: A002
    ) -> Iterator[pa.RecordBatch]:
        wanted = None if filter is None else compile_filter(filter, self._schema)
        for batch in self.batches():
            kept = batch if wanted is None else wanted.apply(batch)
            yield kept if columns is None else kept.select(list(columns))


def remaining(result: BatchResult, check: Callable[[], None]) -> Iterator[pa.RecordBatch]:
    """The rest of a result, batches without rows left out; ``check`` is called before each. Closes the result."""
    try:
        while (batch := result.next_batch()) is not None:
            check()
            if batch.num_rows:
                yield batch
    finally:
        result.close()


@contextmanager
def staging(rows: Iterator[pa.RecordBatch], schema: pa.Schema, name: str, what: str = "topic") -> Iterator[Staged]:
    """All of ``rows`` as batches of 65,536 rows with ``schema``; ``name`` and ``what`` are the target's, for errors."""
    staged = Staged(schema)
    required, target = required_columns(schema), f"{what} {name}"
    try:
        pending: list[pa.RecordBatch] = []
        count = 0
        for batch in rows:
            left = conform(batch, schema, required, target)
            while count + left.num_rows >= ROWS_PER_BATCH:
                taken = ROWS_PER_BATCH - count
                staged.add(join([*pending, left.slice(0, taken)]))
                left = left.slice(taken)
                pending, count = [], 0
            if left.num_rows:
                pending.append(left)
                count += left.num_rows
        if pending:
            staged.add(join(pending))
        yield staged
    finally:
        staged.close()
