"""A lazy relation for DataFusion, written in Python.

DataFusion scans a subclass of ``pyarrow.dataset.Dataset`` without knowing that its fragments are not files: it asks
``scanner`` once while it plans, and runs one ``produce`` per partition. Filters that it passes are *exact*: it drops
its own copy, so ``produce`` must apply them with SQL's meaning (``arrow.filter``).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads
from datafusion import SessionConfig

from ..errors import InterfaceError

__all__ = ["LazyDataset", "producers", "stop_producing"]


class _Producers:
    """The partitions being produced, for the end of the process.

    A thread of DataFusion's that asks for Python's lock while the interpreter goes down aborts the process. So once the
    end has begun, a thread that comes for a batch is parked for good, and the end waits until every partition that is
    not through has been parked or dropped.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._live = 0
        self._parked = 0
        self._ending = False

    def begin(self) -> None:
        with self._lock:
            self._live += 1

    def end(self) -> None:
        with self._lock:
            self._live -= 1

    def park_at_the_end(self) -> None:
        """Does nothing until the end has begun; then does not return, or raises on the main thread."""
        if not self._ending:
            return
        if threading.current_thread() is threading.main_thread():
            raise InterfaceError("the interpreter is shutting down")
        with self._lock:
            self._parked += 1
        while True:
            time.sleep(3600)

    def stop(self, timeout: float) -> None:
        self._ending = True
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            _let_go_of_dropped()
            with self._lock:
                if self._live <= self._parked:
                    return
            time.sleep(0.005)


def _let_go_of_dropped() -> None:
    """What Rust dropped without Python's lock is freed by the next call into it."""
    SessionConfig()


producers = _Producers()


def stop_producing(timeout: float = 5.0) -> None:
    """Give out no further batches and wait until nobody makes one. For the end of the process only."""
    producers.stop(timeout)


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
        producers.begin()
        try:
            batches = self.produce(partition, columns, filter)
            while True:
                producers.park_at_the_end()
                try:
                    batch = next(batches, None)
                except Exception as error:
                    self.failure = error
                    raise
                if batch is None:
                    return
                yield batch
        finally:
            producers.end()


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
