"""An engine's parts that keep cached tables."""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import pyarrow as pa

from .. import faults
from ..errors import Error, InvalidParameter, ReadOnlyStore, UndefinedTable
from ..logs import about, reason
from ..ports import Clock, Store
from ..results import Result
from ..tables.cached import CachedCatalog, CachedTable, Copy, CopySweeper
from ..tables.cached.table import NO_TOPIC, write_copy
from ..tenancy import TenantId
from ..topics.catalog import TopicCatalog
from ..topics.segments.lock import CompactionLock
from ..topics.segments.pins import SegmentPins
from ..topics.segments.storage import SegmentStorage

if TYPE_CHECKING:
    from .session import Session

__all__ = ["CacheKeeper", "Caches", "OpenSession"]

FOLDER = "cached"
_logger = logging.getLogger("jammi_sql.tables")
_PULL = 0.2
"""Seconds between two looks at whether a refresh is to end."""
_SECOND_US = 1_000_000
_AGAIN_US = 10 * _SECOND_US
"""How long a table is left alone after a refresh that failed."""

Check = Callable[[], None]
OpenSession = Callable[[TenantId | None], "Session"]


class Caches:
    """Makes copies of queries' results, and swaps them. One refresh at a time works on a store, in whichever process.

    A copy is written first, under a name that nobody knows; one transaction then makes it the table's. Whoever reads the old
    one reads on: its file stays for a while. So a crash leaves the old copy, and a file that the sweeper removes.
    """

    def __init__(
        self,
        store: Store,
        catalog: CachedCatalog,
        topics: TopicCatalog,
        segments: SegmentStorage,
        clock: Clock,
        grace: float,
    ) -> None:
        self._store = store
        self._topics = topics
        self._clock = clock
        self.catalog = catalog
        self.storage = segments.beside(FOLDER, "copy")
        self.pins = SegmentPins()
        self._lock = CompactionLock(store, name="caching", what="refresh of a cached table")
        alone = store.folder is not None and self.storage.location == str(store.folder.absolute() / FOLDER)
        self.sweeper = CopySweeper(store, catalog, self.storage, self._lock, self.pins, clock, grace, alone=alone)

    @contextmanager
    def refreshing(self, check: Check) -> Iterator[None]:
        """No other refresh of the store runs meanwhile. Raises ``ReadOnlyStore``, ``InvalidParameter``, 55P03."""
        if self._store.read_only:
            raise ReadOnlyStore("the store is read-only", hint="refresh where it is written")
        if not self.storage.exists:
            raise InvalidParameter(
                "there is no place for the copies of cached tables of this store",
                hint="connect with segments= a URL of an object store, or a folder that all its processes share",
            )
        with self._lock.held(check):
            yield

    def first_copy(
        self, query: str, home: str, tenant: TenantId | None, topic: int, check: Check, open_session: OpenSession
    ) -> tuple[str, Copy, int, int]:
        """The folder and the first copy of a table to come, as of when, and the next offset of the topic then."""
        folder = self.catalog.new_folder()
        began, offset = self._clock.now_us(), self._offset(topic)
        return folder, self._copied(folder, query, home, tenant, check, open_session), began, offset

    def forget(self, copy: Copy) -> None:
        """Remove a copy that became no table's."""
        with suppress(Error):  # the sweeper finds it
            self.storage.delete(copy.path)

    def refresh(self, table: CachedTable, check: Check, open_session: OpenSession) -> Copy:
        """Make the copy anew, inside ``refreshing``. What goes wrong is noted, and raised; the old copy stays."""
        try:
            began, offset = self._clock.now_us(), self._offset(table.topic)
            copy = self._copied(table.folder, table.query, table.home, table.tenant, check, open_session)
        except Exception as error:
            check()  # who was told to stop has nothing to say about the table
            with self._store.begin() as transaction:
                self.catalog.note_failure(transaction, table, reason(error))
            raise
        moved = False
        try:
            with self._store.begin() as transaction:
                moved = self.catalog.move(transaction, table, copy, began, offset)
                faults.point("cache.before_switch")
        finally:
            if not moved:
                self.forget(copy)
        if not moved:
            raise UndefinedTable(
                f"cached table {table.name} was dropped meanwhile", hint="CREATE CACHED TABLE makes one"
            )
        faults.point("cache.after_switch")
        return copy

    def _copied(
        self, folder: str, query: str, home: str, tenant: TenantId | None, check: Check, open_session: OpenSession
    ) -> Copy:
        session = open_session(tenant)
        try:
            session.current_schema = home
            faults.point("cache.before_file")
            result = session.execute(query)
            if not result.bounded:
                result.close()
                from .live import refuse_unbounded  # noqa: PLC0415 - it knows relations, of which these are some

                raise refuse_unbounded(None)
            assert result.schema is not None
            path = f"{folder}/{secrets.token_hex(8)}"
            copy = write_copy(self.storage, path, result.schema, _pulled(result, check))
            faults.point("cache.after_file")
            return copy
        finally:
            session.close()

    def _offset(self, number: int) -> int:
        """The next offset of a topic that is followed; ``UndefinedTable`` where it is gone."""
        if number == NO_TOPIC:
            return 0
        topic = self._topics.numbered(self._store, number)
        if topic is None:
            raise UndefinedTable(
                "the topic that the cached table follows was dropped", hint="drop the cached table and make it anew"
            )
        return topic.next_offset

    # --- by itself ---

    def round(self, stopped: threading.Event, open_session: OpenSession) -> None:
        """Make anew what is due, of all tenants; nothing while another process does."""
        for table in self.catalog.kept(self._store):
            if stopped.is_set():
                return
            if self._is_due(table):
                self._refresh_due(table, stopped, open_session)

    def _refresh_due(self, table: CachedTable, stopped: threading.Event, open_session: OpenSession) -> None:
        def check() -> None:
            if stopped.is_set():
                raise _Stopped

        with self._lock.tried() as held:
            if not held:
                return
            now = self.catalog.numbered(self._store, table.number)
            if now is None or not self._is_due(now):
                return
            try:
                self.refresh(now, check, open_session)
            except _Stopped:
                return
            except Exception as error:
                if reason(error) != now.failure:  # said once, not every time
                    _logger.warning(
                        "cached table %s cannot be refreshed: %s", now.name, reason(error), extra=about(error)
                    )

    def _is_due(self, table: CachedTable) -> bool:
        age = self._clock.now_us() - table.attempted_us
        if table.failure and age < _AGAIN_US:
            return False
        if table.refresh_us and age >= table.refresh_us:
            return True
        if table.topic == NO_TOPIC or age < _SECOND_US:
            return False
        topic = self._topics.numbered(self._store, table.topic)
        return topic is None or topic.next_offset != table.seen_offset


class _Stopped(Exception):
    """The engine closes."""


def _pulled(result: Result, check: Check) -> Iterator[pa.RecordBatch]:
    try:
        while True:
            check()
            try:
                batch = result.next_batch(_PULL)
            except TimeoutError:
                continue
            if batch is None:
                return
            if batch.num_rows:
                yield batch
    finally:
        result.close()


class CacheKeeper:
    """One thread per engine that looks, once a second, which cached tables are due, and which files nobody needs."""

    def __init__(self, caches: Caches, open_session: OpenSession, interval: float = 1.0) -> None:
        self._caches = caches
        self._open_session = open_session
        self._interval = interval
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="jammi-caches", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        told = ""
        works: tuple[Callable[[], None], ...] = (
            lambda: self._caches.round(self._closed, self._open_session),
            lambda: self._caches.sweeper.round(self._closed),
        )
        while not self._closed.wait(self._interval):
            failure: Exception | None = None
            for work in works:
                try:
                    work()
                except Exception as error:  # a keeper that died would let the copies grow old without a word
                    failure = error
            said = "" if failure is None else reason(failure)
            if said and said != told and not self._closed.is_set():
                _logger.warning("cached tables cannot be kept: %s", said, extra=about(failure))
            told = said

    def close(self) -> None:
        """End the thread; what it refreshes is left as it was."""
        self._closed.set()
        if self._thread is not threading.current_thread():
            self._thread.join(timeout=60)
