"""Publishing: a batch is committed to the log, then handed to the broker."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Any

import pyarrow as pa

from .. import faults
from ..arrow.batches import as_batch, conform
from ..arrow.ranges import MINIMUM_ROWS, encode_ranges
from ..errors import (
    BatchSchemaMismatch,
    ConnectionLost,
    Error,
    InvalidParameter,
    OperationalError,
    PublishTenantMismatch,
    TopicNotFound,
    is_transient,
)
from ..logs import about, reason
from ..ports import Broker, Clock, Store, Transaction, WriteAlone
from ..tenancy import TenantId
from .appending import Append
from .catalog import CatalogTopic, TopicCatalog, tenant_text
from .definition import TopicDefinition, check_definition
from .delivery import DeliveredBatch
from .log import Log
from .offset import Offset, datetime_of
from .remembered import Remembered
from .watch import HeadWatch

__all__ = ["Publisher"]

_logger = logging.getLogger("jammi_sql.topics")

GROUP_COUNT = 1024
GROUP_BYTES = 64 << 20
_ALONE_BYTES = 32 << 20  # in one statement: a store may cut more into several


# How long a waiting publish sleeps at most before it looks around: some libraries install signal handlers under which
# Ctrl-C does not end a wait on a lock, its caller may have cancelled it, and who led may be gone.
_STRETCH = 0.2
_REMEMBERED = 1024
_TRIES = 4


class _Attempt:
    """How far a transaction of publishes came. One place for all of them: wherever Ctrl-C strikes, they agree."""

    __slots__ = ("committed", "committing", "started")

    def __init__(self) -> None:
        self.started = False  # who is abandoned after that is published all the same
        self.committing = False
        self.committed = False


class _Publish:
    """One publish that waits for its commit."""

    __slots__ = (
        "_append",
        "_signal",
        "abandoned",
        "attempt",
        "batch",
        "check",
        "error",
        "offset",
        "refused",
        "tenant",
        "topic",
    )

    def __init__(
        self, topic: CatalogTopic, tenant: TenantId | None, batch: pa.RecordBatch, check: Callable[[], None] | None
    ) -> None:
        self.topic = topic
        self.tenant = tenant
        self.batch = batch
        self.check = check
        self.offset: Offset | None = None
        self.error: BaseException | None = None
        self.attempt: _Attempt | None = None
        self.refused = False
        self.abandoned = False
        self._append: Append | None = None
        self._signal: threading.Lock | None = None

    @property
    def done(self) -> bool:
        """Whether there is an answer for its caller; an offset alone is none before it is on disk."""
        return self.error is not None or (self.attempt is not None and self.attempt.committed)

    @property
    def append(self) -> Append:
        """What goes into the log, encoded when it is first asked for."""
        if self._append is None:
            topic, batch = self.topic, self.batch
            payload = topic.codec.encode(batch)
            self._append = Append(topic, tenant_text(self.tenant), batch.num_rows, encode_ranges(batch), payload)
        return self._append

    def look(self) -> None:
        """Let the caller's ``check`` end this publish, and no other one."""
        if self.check is not None:
            try:
                self.check()
            except BaseException:
                self.refused = True
                raise

    def follow(self) -> None:
        """Make ready to wait; who leads has no need of it. The publisher's lock is held."""
        self._signal = threading.Lock()
        self._signal.acquire()

    def wait(self) -> None:
        """Until it is woken, or for a stretch."""
        assert self._signal is not None
        self._signal.acquire(timeout=_STRETCH)

    def wake(self) -> None:
        """The publisher's lock is held."""
        if self._signal is not None and self._signal.locked():
            self._signal.release()


class Publisher:
    """Commits batches and hands them over.

    Publishes that wait at the same time share one transaction and one fsync, each with its own offset and its own
    error. One of the waiting threads commits for all (the leader); there is no thread of the publisher's own, so a
    single publisher pays for no hand-off. A leader that is interrupted or cancelled leaves what it had taken where it
    was, for the next one.
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
        self._resolved: Remembered[object, CatalogTopic] = Remembered(_REMEMBERED)
        # Ctrl-C may come between any two calls: these three change together, in one assignment.
        self._waiting: deque[_Publish] = deque()
        self._taken: list[_Publish] = []
        self._leading: _Publish | None = None
        self._lock = threading.Lock()

    def publish_scoped(self, topic: TopicDefinition, tenant: TenantId | str | None, batch: Any) -> Offset:
        """Publish one batch under ``tenant`` (``None`` for a global row) and return its offset when it is on disk.

        ``batch`` is a ``pyarrow.RecordBatch`` or anything with ``__arrow_c_stream__`` or ``__arrow_c_array__``; its
        columns have the topic's names and types, in any order. Raises ``PublishTenantMismatch`` for a topic of another
        tenant, ``BatchSchemaMismatch``, ``NotNullViolation``, ``InvalidParameter`` for an empty batch, ``TopicNotFound``.
        A broker that fails costs nothing but a warning.
        """
        tenant = TenantId.optional(tenant)
        check_definition(topic)
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

    def publish(
        self,
        topic: CatalogTopic,
        tenant: TenantId | None,
        batch: pa.RecordBatch,
        check: Callable[[], None] | None = None,
    ) -> Offset:
        """As ``publish_scoped``, for a topic that is resolved. ``TopicNotFound`` when it changed since.

        ``check`` is called some five times a second while it waits; what it raises ends it, and nothing is published.
        """
        publish = self._prepare(topic, tenant, batch, check)
        if batch.num_rows >= MINIMUM_ROWS:
            _ = publish.append  # by the threads at once; small ones by who leads, without a fight for Python's lock
        try:
            leads = self._enqueue(publish)
            while True:
                if leads:
                    self._lead()
                else:
                    publish.wait()
                if publish.done:
                    break
                if not leads:
                    self._look(publish)
                leads = self._take_over(publish)
        finally:
            try:
                self._leave(publish)
            except BaseException:  # Ctrl-C right here
                self._leave(publish)
                raise
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
            ((offset, _),) = appended
            first, end = (first if end else offset), offset + 1
            size += publish.append.payload.size
            if size <= GROUP_BYTES:
                publishes.append(publish)
            faults.point("publish.after_insert")
        if size <= GROUP_BYTES:
            transaction.after_commit(lambda: self._hand_over(publishes))
        else:
            transaction.after_commit(self._watch.nudge)
        return first, end

    def _prepare(
        self,
        topic: CatalogTopic,
        tenant: TenantId | None,
        batch: pa.RecordBatch,
        check: Callable[[], None] | None = None,
    ) -> _Publish:
        if not batch.num_rows:
            raise InvalidParameter(
                f"an empty batch cannot be published to topic {topic.name}", hint="publish at least one row"
            )
        codec = topic.codec
        batch = conform(batch, codec.schema, codec.required, f"topic {topic.name}")
        return _Publish(topic, tenant, batch, check)

    # --- group commit ---

    def _enqueue(self, publish: _Publish) -> bool:
        """Let it wait for its commit; whether it leads."""
        with self._lock:
            if self._leading is not None:
                publish.follow()
            self._waiting.append(publish)
            if self._leading is None:
                self._leading = publish
            return self._leading is publish

    def _take_over(self, publish: _Publish) -> bool:
        """Let it lead where nobody does, and where it led: then its own turn has not come yet."""
        with self._lock:
            self._settle(publish)
            if self._leading is None and not publish.done:
                self._leading = publish
            return self._leading is publish

    def _look(self, publish: _Publish) -> None:
        """Let its ``check`` end the wait, unless it is being written already: then its answer is on the way."""
        try:
            publish.look()
        except Exception:
            with self._lock:
                if not publish.done and not (publish.attempt is not None and publish.attempt.started):
                    publish.abandoned = True
                    raise

    def _leave(self, publish: _Publish) -> None:
        """Its caller goes: it leads no more, and if nobody has taken it yet, it is published no more."""
        if publish.done and self._leading is not publish:
            return  # who committed it has done the rest
        with self._lock:
            publish.abandoned = True
            self._settle(publish)
            if not publish.done and publish in self._waiting:
                self._waiting.remove(publish)
            if self._leading is None and self._waiting:
                self._waiting[0].wake()

    def _settle(self, publish: _Publish) -> None:
        """With the lock held: if it leads, end that. What it had taken has its answer now, or waits where it waited."""
        if self._leading is not publish:
            return
        again: list[_Publish] = []
        for taken in self._taken:
            if not taken.done and taken.attempt is not None and taken.attempt.committing:
                taken.error = OperationalError(
                    "the publish was interrupted; it may or may not be committed", sqlstate="08007"
                )
            if not taken.done and not taken.abandoned:
                again.append(taken)
        waiting = deque([*again, *self._waiting]) if again else self._waiting
        if waiting:  # the next to lead comes first: it writes while the others go their ways
            waiting[0].wake()
        for taken in self._taken:
            if taken.done:
                taken.wake()
        self._waiting, self._taken, self._leading = waiting, [], None

    def _lead(self) -> None:
        """Commit what waits, once."""
        with self._lock:
            taken, rest = list(islice(self._waiting, GROUP_COUNT)), deque(islice(self._waiting, GROUP_COUNT, None))
            self._taken, self._waiting = taken, rest
        group, size = [], 0
        for publish in taken:
            if size >= GROUP_BYTES:
                break  # the others wait where they waited
            try:
                size += publish.append.payload.size
            except Exception as error:
                publish.error = error
            else:
                group.append(publish)
        if group:
            self._commit(group)

    def _commit(self, group: list[_Publish], tries: int = _TRIES) -> bool:
        """Commit them together, or each alone where that fails. ``False``: the store could not be written at all.

        What others stood in the way of is tried again.
        """
        leader = self._leading
        assert leader is not None
        attempt = _Attempt()
        for publish in group:
            publish.attempt = attempt
        failure: Exception
        try:
            if self._write(group, attempt, leader.look):
                return True
            failure = TopicNotFound(f"topic {group[0].topic.name} changed or was dropped")
        except Exception as error:
            if leader.refused:
                raise
            # Who could not begin cannot do so alone. After a failed commit it may be on disk all the same.
            if not attempt.started or attempt.committing:
                for publish in group:
                    publish.error = error
                return attempt.started
            failure = error
        if len(group) == 1:
            # Its commit never began. Who waits for a single lock may be told of a deadlock too: others queue behind it.
            if tries > 1 and is_transient(failure):
                return self._commit(group, tries - 1)
            group[0].error = failure
            return True
        # One of them cannot be committed. Alone, each gets its own answer.
        for number, publish in enumerate(group):
            if not self._commit([publish]):
                for following in group[number + 1 :]:
                    following.error = publish.error
                return False
        return True

    def _write(self, group: list[_Publish], attempt: _Attempt, check: Callable[[], None]) -> bool:
        """Append and commit those that are still wanted; ``False`` where a topic is not what it is taken for."""
        alone = self._store.alone
        if alone is not None and (len(group) == 1 or sum(each.append.payload.size for each in group) <= _ALONE_BYTES):
            return self._write_alone(alone, group, attempt, check)
        transaction = self._store.begin(check=check)
        try:
            group = self._started(group, attempt)
            if not group:
                return True
            if not self._append(transaction, group, attempt):
                return False
            attempt.committing = True
            transaction.commit()
            return True
        finally:
            transaction.rollback()

    def _write_alone(
        self, alone: WriteAlone, group: list[_Publish], attempt: _Attempt, check: Callable[[], None]
    ) -> bool:
        """As ``_write``, in one statement."""

        def appends() -> list[Append]:
            nonlocal group
            group = self._started(group, attempt)
            attempt.committing = bool(group)
            return [publish.append for publish in group]

        try:
            appended = self._log.append_alone(alone, appends, self._clock.now_us, check)
        except Exception as error:
            # Whatever else it is, it says that nothing is committed.
            attempt.committing = isinstance(error, Error) and error.sqlstate == "08007"
            if isinstance(error, ConnectionLost):
                attempt.started = False
            raise
        if appended is None:
            attempt.committing = False
            return False
        self._place(group, appended)
        attempt.committed = True
        self._hand_over(group)
        return True

    def _started(self, group: list[_Publish], attempt: _Attempt) -> list[_Publish]:
        """Those whose callers have not gone; from now on it is too late for that."""
        with self._lock:
            attempt.started = True
            return [publish for publish in group if not publish.abandoned]

    def _append(self, transaction: Transaction, group: list[_Publish], attempt: _Attempt) -> bool:
        appended = self._log.append(transaction, [publish.append for publish in group], self._clock.now_us())
        if appended is None:
            return False
        self._place(group, appended)
        faults.point("publish.after_insert")

        def after() -> None:
            attempt.committed = True
            self._hand_over(group)

        transaction.after_commit(after)
        return True

    @staticmethod
    def _place(publishes: Sequence[_Publish], appended: Sequence[tuple[int, int]]) -> None:
        for publish, (offset, produced_us) in zip(publishes, appended, strict=True):
            publish.offset = Offset(offset, datetime_of(produced_us))

    def _hand_over(self, publishes: Sequence[_Publish]) -> None:
        for publish in publishes:
            offset = publish.offset
            assert offset is not None
            topic = publish.topic
            try:
                faults.point("publish.before_hand_over")
                self._broker.publish(
                    topic.definition, DeliveredBatch(offset, offset.produced_at, publish.batch, publish.tenant)
                )
                faults.point("publish.after_hand_over")
            except Exception as error:  # the log is the truth: whatever a broker raises costs latency, not the publish
                _logger.warning(
                    "topic %s offset %d was not handed over: %s",
                    topic.name,
                    offset.value,
                    reason(error),
                    extra=about(error, topic=topic.name, offset=offset.value, broker=self._broker.driver_kind),
                )
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
