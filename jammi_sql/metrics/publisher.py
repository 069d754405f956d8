"""A publisher that is measured."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from time import perf_counter

import pyarrow as pa

from ..ports import Broker, Clock, Store, Transaction
from ..tenancy import TenantId
from ..topics.catalog import CatalogTopic, TopicCatalog
from ..topics.log import Log
from ..topics.offset import Offset
from ..topics.publisher import Publisher
from ..topics.watch import HeadWatch
from .recorder import Recorder

__all__ = ["MeteredPublisher"]


class MeteredPublisher(Publisher):
    """A ``Publisher`` that takes down what it committed and how long that took."""

    def __init__(
        self,
        store: Store,
        catalog: TopicCatalog,
        log: Log,
        broker: Broker,
        watch: HeadWatch,
        clock: Clock,
        recorder: Recorder,
    ) -> None:
        super().__init__(store, catalog, log, broker, watch, clock)
        self._recorder = recorder

    def publish(
        self,
        topic: CatalogTopic,
        tenant: TenantId | None,
        batch: pa.RecordBatch,
        check: Callable[[], None] | None = None,
    ) -> Offset:
        """As ``Publisher.publish``."""
        began = perf_counter()
        offset = super().publish(topic, tenant, batch, check)
        seconds = perf_counter() - began
        self._recorder.published(topic.name, 1, batch.num_rows, batch.nbytes)
        self._recorder.published_in(topic.name, seconds)
        return offset

    def publish_all(
        self, transaction: Transaction, topic: CatalogTopic, tenant: TenantId | None, batches: Iterable[pa.RecordBatch]
    ) -> tuple[int, int]:
        """As ``Publisher.publish_all``; it counts when the transaction commits."""
        counted = _Counted(batches)
        bounds = super().publish_all(transaction, topic, tenant, counted)
        transaction.after_commit(
            lambda: self._recorder.published(topic.name, counted.batches, counted.rows, counted.size)
        )
        return bounds


class _Counted:
    """Batches that are counted on their way."""

    def __init__(self, batches: Iterable[pa.RecordBatch]) -> None:
        self._rest = batches
        self.batches = self.rows = self.size = 0

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        for batch in self._rest:
            yield batch
            self.batches += 1
            self.rows += batch.num_rows
            self.size += batch.nbytes
