"""A lazy relation for DataFusion, written in Python.

DataFusion scans a subclass of ``pyarrow.dataset.Dataset`` without knowing that its fragments are not files: it asks
``scanner`` once while it plans, and runs one ``produce`` per partition. Filters that it passes are *exact*: it drops
its own copy, so ``produce`` must apply them with SQL's meaning (``arrow.filter``).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads

from ..shutdown import producer_began, producer_ended, producer_goes_on

__all__ = ["LazyDataset", "failure_report"]


class LazyDataset(pads.Dataset):
    """Base of the providers; a subclass gives ``produce`` and, where it needs them, ``plan`` and ``partitions``.

    One dataset may be planned and read by several statements at once (a view's): whatever a statement must keep between
    planning and reading is in the *scan*, which ``plan`` makes and the others get.

    ``Dataset.__init__`` is not called: there is no C++ dataset behind it, and pyarrow's own methods
    (``join``, ``sort_by``, ``replace_schema``) must not be used on it.
    """

    def __init__(self, schema: pa.Schema) -> None:
        self._schema = schema
        # DataFusion calls scanner and get_fragments one after the other on the thread that plans.
        self._planned = threading.local()

    @property
    def schema(self) -> pa.Schema:
        return self._schema

    def plan(self, columns: Sequence[str] | None, filter: pc.Expression | None) -> Any:  # noqa: A002
        """Told while planning what will be asked; may be called several times. Returns the scan."""
        return None

    def partitions(self, scan: Any) -> int:
        """Into how many parts the scan falls; they are produced in parallel."""
        return 1

    def produce(
        self,
        scan: Any,
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
        report = failure_report.get()
        try:
            self._planned.scan = (self.plan(columns, filter), report)
        except Exception as error:
            report(error)
            raise
        return _Scanner(self._projected(columns), iter(()))

    def get_fragments(self, filter: Any = None) -> Iterator[Any]:  # noqa: A002
        scan, report = self._planned.scan
        return iter([_Fragment(self, scan, report, partition) for partition in range(self.partitions(scan))])

    def _projected(self, columns: Sequence[str] | None) -> pa.Schema:
        if columns is None:
            return self._schema
        return pa.schema([self._schema.field(name) for name in columns])


def _unreported(error: BaseException) -> None:
    """Without a statement to tell, DataFusion's own error has to do."""


failure_report: ContextVar[Callable[[BaseException], None]] = ContextVar("failure_report", default=_unreported)
"""Who is told what a relation raised: DataFusion keeps an exception's text but not its class."""


def _guarded(batches: Iterator[pa.RecordBatch], report: Callable[[BaseException], None]) -> Iterator[pa.RecordBatch]:
    producer_began()
    try:
        while True:
            producer_goes_on()
            try:
                batch = next(batches, None)
            except Exception as error:
                report(error)
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
    __slots__ = ("_dataset", "_partition", "_report", "_scan")

    def __init__(
        self, dataset: LazyDataset, scan: Any, report: Callable[[BaseException], None], partition: int
    ) -> None:
        self._dataset = dataset
        self._scan = scan
        self._report = report
        self._partition = partition

    def scanner(self, schema: Any = None, columns: Any = None, filter: Any = None, **_: Any) -> _Scanner:  # noqa: A002
        produced = self._dataset.produce(self._scan, self._partition, columns, filter)
        return _Scanner(self._dataset._projected(columns), _guarded(produced, self._report))
