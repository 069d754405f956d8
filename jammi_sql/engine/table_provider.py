"""A table that is computed when it is scanned, such as a system view."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from ..arrow.dataset import LazyDataset
from ..arrow.filter import compile_filter

__all__ = ["TableProvider"]


class TableProvider(LazyDataset):
    """The rows of ``compute()``, which is called when a statement is planned."""

    def __init__(self, schema: pa.Schema, compute: Callable[[], pa.Table]) -> None:
        super().__init__(schema)
        self._compute = compute

    def plan(self, columns: Sequence[str] | None, filter: pc.Expression | None) -> pa.Table:  # noqa: A002
        return self._compute()

    def produce(
        self,
        scan: pa.Table,
        partition: int,
        columns: Sequence[str] | None,
        filter: pc.Expression | None,  # noqa: A002
    ) -> Iterator[pa.RecordBatch]:
        wanted = None if filter is None else compile_filter(filter, self._schema)
        for batch in scan.to_batches():
            kept = batch if wanted is None else wanted.apply(batch)
            yield kept if columns is None else kept.select(list(columns))
