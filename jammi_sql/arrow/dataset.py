"""A lazy relation for DataFusion, written in Python.

DataFusion scans a subclass of ``pyarrow.dataset.Dataset`` without knowing that its fragments are not files: it asks
``scanner`` once while it plans, and runs one ``produce`` per partition. Filters that it passes are *exact*: it drops
its own copy, so ``produce`` must apply them with SQL's meaning (``arrow.filter``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads

from ..shutdown import producer_began, producer_ended, producer_goes_on

__all__ = ["LazyDataset"]


class LazyDataset(pads.Dataset):
    """Base of the providers; a subclass gives ``produce`` and, where it has several, ``partitions``.

    ``Dataset.__init__`` is not called: there is no C++ dataset behind it, and pyarrow's own methods
    (``join``, ``sort_by``, ``replace_schema``) must not be used on it.
    """

    def __init__(self, schema: pa.Schema) -> None:
        self._schema = schema
        # DataFusion keeps an exception's text but not its class: the session raises this one instead.
        self.failure: BaseException | None = None

    @property
    def schema(self) -> pa.Schema:
        return self._schema

    def plan(self, columns: Sequence[str] | None, filter: pc.Expression | None) -> None:  # noqa: A002
        """Told while planning what will be asked; may be called several times."""

    def partitions(self) -> int:
        """Into how many parts the relation falls; they are produced in parallel."""
        return 1

    def produce(
        self,
        partition: int,
        columns: Sequence[str] | None,
        filter: pc.Expression | None,  # noqa: A002
    ) -> Iterator[pa.RecordBatch]:
        """The rows of a partition that fulfil ``filter``, with ``columns`` in that order (``None``: all).

        Runs on DataFusion's threads: it MUST NOT wait for long nor call DataFusion.
        """
        raise NotImplementedError

    # --- what DataFusion calls ---

    def scanner(self, columns: Any = None, filter: Any = None, **_: Any) -> _Scanner:  # type: ignore[override] # noqa: A002
        try:
            self.plan(columns, filter)
        except Exception as error:
            self.failure = error
            raise
        return _Scanner(self._projected(columns), iter(()))

    def get_fragments(self, filter: Any = None) -> Iterator[Any]:  # noqa: A002
        return iter([_Fragment(self, partition) for partition in range(self.partitions())])

    def _projected(self, columns: Sequence[str] | None) -> pa.Schema:
        if columns is None:
            return self._schema
        return pa.schema([self._schema.field(name) for name in columns])

    def _guarded(
        self,
        partition: int,
        columns: Sequence[str] | None,
        filter: pc.Expression | None,  # noqa: A002
    ) -> Iterator[pa.RecordBatch]:
        producer_began()
        try:
            batches = self.produce(partition, columns, filter)
            while True:
                producer_goes_on()
                try:
                    batch = next(batches, None)
                except Exception as error:
                    self.failure = error
                    raise
                if batch is None:
                    return
                yield batch
        finally:
            producer_ended()


class _Scanner:
    __slots__ = ("_batches", "projected_schema")

    def __init__(self, projected_schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> None:
        self.projected_schema = projected_schema
        self._batches = batches

    def to_batches(self) -> Iterator[pa.RecordBatch]:
        return self._batches


class _Fragment:
    __slots__ = ("_dataset", "_partition")

    def __init__(self, dataset: LazyDataset, partition: int) -> None:
        self._dataset = dataset
        self._partition = partition

    def scanner(self, schema: Any = None, columns: Any = None, filter: Any = None, **_: Any) -> _Scanner:  # noqa: A002
        dataset = self._dataset
        return _Scanner(
            dataset._projected(columns),
            dataset._guarded(self._partition, columns, filter),
        )
