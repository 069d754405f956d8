"""A cached table as a relation."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from datafusion import SessionContext

from ..arrow.dataset import LazyDataset
from ..arrow.filter import compile_filter
from ..errors import UndefinedTable
from ..sources.files.aside import aside
from ..sources.files.formats import FileFormat
from ..sources.files.options import FileOptions
from ..sources.files.reading import read_files
from ..tables.cached import CachedTable
from .caching import Caches
from .planning import Planning

__all__ = ["CachedProvider", "scanned_copy"]

_PLAIN = FileOptions()


def scanned_copy(
    context: SessionContext, caches: Caches, table: CachedTable, reach: Callable[[SessionContext], None]
) -> Any:
    """DataFusion's own scan of the copy that the table has now, for a plan that is run once."""

    def make() -> Any:
        reach(context)
        address = caches.storage.file_url(table.copy.path)
        return read_files(context, [address], FileFormat(table.copy.format), _PLAIN, table.copy.schema).into_view()

    return aside(make)


class CachedProvider(LazyDataset):
    """For plans that are kept: each statement that runs one reads the copy that there is then."""

    def __init__(self, caches: Caches, table: CachedTable, planning: Planning) -> None:
        super().__init__(table.copy.schema)
        self._caches = caches
        self._table = table
        self._planning = planning

    def plan(self, columns: Sequence[str] | None, filter: pc.Expression | None) -> CachedTable:  # noqa: A002
        planning = Planning.current() or self._planning.renewed()
        now = planning.copy_of(self._table)
        if not now.copy.schema.equals(self._schema):
            raise UndefinedTable(
                f"cached table {now.name} has other columns since this was planned",
                hint="make the view anew, or run the statement again",
            )
        return now

    def produce(
        self,
        scan: CachedTable,
        partition: int,
        columns: Sequence[str] | None,
        filter: pc.Expression | None,  # noqa: A002
    ) -> Iterator[pa.RecordBatch]:
        wanted = None if filter is None else compile_filter(filter, self._schema)
        for batch in self._read(scan):
            kept = batch if wanted is None else wanted.apply(batch)
            yield kept if columns is None else kept.select(list(columns))

    def _read(self, table: CachedTable) -> Iterator[pa.RecordBatch]:
        with self._caches.storage.open(table.copy.path) as file:
            batches: Iterator[pa.RecordBatch]
            if table.copy.format == "parquet":
                batches = pq.ParquetFile(file).iter_batches()
            else:
                reader = pa.ipc.open_file(file)
                batches = (reader.get_batch(number) for number in range(reader.num_record_batches))
            for batch in batches:
                yield pa.RecordBatch.from_arrays(
                    [column.cast(field.type) for column, field in zip(batch.columns, self._schema, strict=True)],
                    schema=self._schema,
                )
