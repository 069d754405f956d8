"""A relation under other names of its columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from .dataset import LazyDataset
from .expression import read_expression, renamed

__all__ = ["RenamedDataset"]


class RenamedDataset(LazyDataset):
    """``inner``, whose columns have ``prefix`` before their names here."""

    def __init__(self, inner: LazyDataset, prefix: str) -> None:
        fields = [field.with_name(prefix + field.name) for field in inner.schema]
        super().__init__(pa.schema(fields))
        self._inner = inner
        self._names = {prefix + field.name: field.name for field in inner.schema}

    def plan(self, columns: Sequence[str] | None, filter: pc.Expression | None) -> Any:  # noqa: A002
        return self._inner.plan(self._back(columns), self._filter(filter))

    def partitions(self, scan: Any) -> int:
        return self._inner.partitions(scan)

    def produce(
        self,
        scan: Any,
        partition: int,
        columns: Sequence[str] | None,
        filter: pc.Expression | None,  # noqa: A002
    ) -> Iterator[pa.RecordBatch]:
        schema = self._projected(columns)
        for batch in self._inner.produce(scan, partition, self._back(columns), self._filter(filter)):
            yield batch if not schema.names else pa.RecordBatch.from_arrays(batch.columns, schema=schema)

    def _back(self, columns: Sequence[str] | None) -> list[str] | None:
        return None if columns is None else [self._names[name] for name in columns]

    def _filter(self, pushed: Any) -> Any:
        return None if pushed is None else renamed(read_expression(pushed), self._names)
