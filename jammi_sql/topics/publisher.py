"""Publishing: a batch is committed to the log, then handed to the broker."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any

import pyarrow as pa

from .. import faults
from ..arrow.batches import as_batch, conform
from ..arrow.ranges import encode_ranges
from ..errors import (
    BatchSchemaMismatch,
    Error,
    InvalidParameter,
    OperationalError,
    PublishTenantMismatch,
    TopicNotFound,
)
from ..ports import Broker, Clock, Store, Transaction
from ..tenancy import TenantId
from .catalog import CatalogTopic, TopicCatalog, tenant_text
from .definition import TopicDefinition
from .delivery import DeliveredBatch
from .log import Append, Appended, Log
from .offset import Offset, datetime_of
from .watch import HeadWatch

__all__ = ["Publisher"]

_logger = logging.getLogger("jammi_sql.topics")

GROUP_COUNT = 1024
GROUP_BYTES = 64 << 20


class _Publish:
    """One publish that waits for its commit."""

    __slots__ = ("_signal", "append", "batch", "error", "leads", "offset", "tenant")

    def __init__(self, append: Append, tenant: TenantId | None, batch: pa.RecordBatch) -> None:
        self.append = append
        self.tenant = tenant
        self.batch = batch
        self.offset: Offset | None = None
        self.error: BaseException | None = None
        self.leads = False
        self._signal = threading.Lock()
        self._signal.acquire()

    @property
    def done(self) -> bool:
        return self.offset is not None or self.error is not None

    def wait(self) -> None:
        self._signal.acquire()

    def wake(self) -> None:
        self._signal.release()


class _CommitFailed(Exception):
    """The commit itself failed, and with what."""

    def __init__(self, error: Exception) -> None:
        super().__init__(error)
        self.error = error


class Publisher:
    """Commits batches and hands them over.

    Publishes that wait at the same time share one transaction and one fsync, each with its own offset and its own
    error. One of the waiting threads commits for all (the leader); there is no thread of the publisher's own, so a
    single publisher pays for no hand-off.
    """

    def __init__(
        self, store: Store, catalog: TopicCatalog, log: Log, broker: Broker, watch: HeadWatch, clock: Clock
    ) -> None:
        self._store = store
        self._catalog = catalog
        self._log = log
        self._broker = broker
        self._watch = watch
        self._clock = clock
        self._resolved: dict[object, CatalogTopic] = {}
        self._waiting: deque[_Publish] = deque()
        self._leading = False
        self._lock = threading.Lock()

    def publish_scoped(self, topic: TopicDefinition, tenant: TenantId | str | None, batch: Any) -> Offset:
        """Publish one batch under ``tenant`` (``None`` for a global row) and return its offset when it is on disk.

        ``batch`` is a ``pyarrow.RecordBatch`` or anything with ``__arrow_c_stream__`` or ``__arrow_c_array__``; its
        columns have the topic's names and types, in any order. Raises ``PublishTenantMismatch`` for a topic of another
        tenant, ``BatchSchemaMismatch``, ``NotNullViolation``, ``InvalidParameter`` for an empty batch, ``TopicNotFound``.
        A broker that fails costs nothing but a warning.
        """
        tenant = TenantId.optional(tenant)
        check_tenant(topic, tenant)
        whole = as_batch(batch)
        key = (topic.id, topic.tenant, topic.name)
        remembered = self._resolved.get(key)
        if remembered is not None:
            try:
                return self.publish(remembered, tenant, _complete(whole, topic, remembered))
            except (TopicNotFound, BatchSchemaMismatch):
                pass  # what is remembered may be old: altered, renamed, or dropped and made anew elsewhere
        registered = self._resolved[key] = self._catalog.resolve(self._store, topic)
        return self.publish(registered, tenant, _complete(whole, topic, registered))

    def publish(self, topic: CatalogTopic, tenant: TenantId | None, batch: pa.RecordBatch) -> Offset:
        """As ``publish_scoped``, for a topic that is resolved. ``TopicNotFound`` when it changed since."""
        publish = self._prepare(topic, tenant, batch)
        with self._lock:
            self._waiting.append(publish)
            leads = not self._leading
            self._leading = True
        if not leads:
            try:
                publish.wait()
            except BaseException:  # Ctrl-C: nobody waits for this one any more, and it leads nobody
                self._abandon(publish)
                raise
            leads = publish.leads
        if leads:
            self._lead()
        if publish.error is not None:
            raise publish.error
        assert publish.offset is not None
        return publish.offset

    def publish_all(
        self, transaction: Transaction, topic: CatalogTopic, tenant: TenantId | None, batches: Iterable[pa.RecordBatch]
    ) -> tuple[int, int]:
        """Append consecutive batches inside ``transaction``; they are handed over when it commits.

        Returns the offsets ``[first, end)`` that they got. ``batches`` is read one by one; past ``GROUP_BYTES`` the hand-over
        is left to the log, so that memory stays bounded.
        """
        publishes: list[_Publish] = []
        size, first, end = 0, 0, 0
        for batch in batches:
            publish = self._prepare(topic, tenant, batch)
            appended = self._log.append(transaction, [publish.append], self._clock.now_us())
            if appended is None:
                raise TopicNotFound(f"topic {topic.name} changed or was dropped while it was written to")
            self._place([publish], appended)
            first, end = (first if end else appended[0].offset), appended[0].offset + 1
            size += publish.append.payload.size
            if size <= GROUP_BYTES:
                publishes.append(publish)
            faults.point("publish.after_insert")
        if size <= GROUP_BYTES:
            transaction.after_commit(lambda: self._hand_over(publishes))
        else:
            transaction.after_commit(self._watch.nudge)
        return first, end

    def _prepare(self, topic: CatalogTopic, tenant: TenantId | None, batch: pa.RecordBatch) -> _Publish:
        if not batch.num_rows:
            raise InvalidParameter(
                f"an empty batch cannot be published to topic {topic.name}", hint="publish at least one row"
            )
        batch = conform(batch, topic.codec.schema, topic.name)
        payload = topic.codec.encode(batch)
        append = Append(topic, tenant_text(tenant), batch.num_rows, encode_ranges(batch), payload)
        return _Publish(append, tenant, batch)

    # --- group commit ---

    def _abandon(self, publish: _Publish) -> None:
        """Take back a publish whose thread was interrupted; one that a leader has taken already goes on without it."""
        with self._lock:
            if publish in self._waiting:
                self._waiting.remove(publish)
            following = self._pass_on() if publish.leads else None
        if following is not None:
            following.wake()

    def _pass_on(self) -> _Publish | None:
        """Who leads next, to be woken without the lock; the caller holds it."""
        following = self._waiting[0] if self._waiting else None
        self._leading = following is not None
        if following is not None:
            following.leads = True
        return following

    def _lead(self) -> None:
        """Commit what waits, once, then let the next waiting thread lead."""
        with self._lock:
            group: list[_Publish] = []
            size = 0
            while self._waiting and len(group) < GROUP_COUNT and size < GROUP_BYTES:
                publish = self._waiting.popleft()
                group.append(publish)
                size += publish.append.payload.size
        own = group[0]
        try:
            self._commit(group)
        finally:
            for publish in group:
                if not publish.done:
                    publish.error = OperationalError("the publish was interrupted; it may or may not be committed")
            with self._lock:
                following = self._pass_on()
            for publish in group:
                if publish is not own:
                    publish.wake()
            if following is not None:
                following.wake()

    def _commit(self, group: list[_Publish]) -> None:
        try:
            if self._commit_together(group):
                return
        except _CommitFailed as failure:
            # It may be on disk all the same, so nothing of it is tried again.
            for publish in group:
                publish.error = failure.error
            return
        except Exception as error:
            if len(group) == 1:
                group[0].error = error
                return
        if len(group) == 1:
            group[0].error = TopicNotFound(f"topic {group[0].append.topic.name} changed or was dropped")
            return
        # One of them cannot be committed. Alone, each gets its own answer.
        for publish in group:
            self._commit([publish])

    def _commit_together(self, group: list[_Publish]) -> bool:
        with self._store.begin() as transaction:
            appended = self._log.append(transaction, [publish.append for publish in group], self._clock.now_us())
            if appended is None:
                transaction.rollback()
                return False
            self._place(group, appended)
            faults.point("publish.after_insert")
            transaction.after_commit(lambda: self._hand_over(group))
            try:
                transaction.commit()
            except BaseException as error:
                for publish in group:
                    publish.offset = None
                if isinstance(error, Exception):
                    raise _CommitFailed(error) from error
                raise
        return True

    @staticmethod
    def _place(publishes: Sequence[_Publish], appended: Sequence[Appended]) -> None:
        for publish, where in zip(publishes, appended, strict=True):
            publish.offset = Offset(where.offset, datetime_of(where.produced_us))

    def _hand_over(self, publishes: Sequence[_Publish]) -> None:
        for publish in publishes:
            offset = publish.offset
            assert offset is not None
            topic = publish.append.topic
            try:
                faults.point("publish.before_hand_over")
                self._broker.publish(
                    topic.definition, DeliveredBatch(offset, offset.produced_at, publish.batch, publish.tenant)
                )
                faults.point("publish.after_hand_over")
            except Exception as error:  # the log is the truth: whatever a broker raises costs latency, not the publish
                reason = error.message if isinstance(error, Error) else repr(error)
                _logger.warning("topic %s offset %d was not handed over: %s", topic.name, offset.value, reason)
                self._watch.nudge()


def check_tenant(topic: TopicDefinition, tenant: TenantId | None) -> None:
    """``PublishTenantMismatch`` where the topic belongs to somebody else than the publisher."""
    if topic.tenant is not None and topic.tenant != tenant:
        raise PublishTenantMismatch(topic.name, topic.tenant, tenant)


def _complete(batch: pa.RecordBatch, topic: TopicDefinition, registered: CatalogTopic) -> pa.RecordBatch:
    """``batch`` with NULL for columns that were added to the topic after the definition in hand was made."""
    schema = registered.codec.schema
    if schema is topic.schema or len(schema) == len(topic.schema):
        return batch
    for field in schema:
        if field.nullable and field.name not in topic.schema.names and field.name not in batch.schema.names:
            batch = batch.append_column(field, pa.nulls(batch.num_rows, field.type))
    return batch
