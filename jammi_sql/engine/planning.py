"""One statement's view of the catalogue: taken once, when the statement begins."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from datafusion import DataFrame, SessionContext

from ..arrow.dataset import failure_report
from ..dialect.statements import Fragment
from ..errors import DataCorrupted, Error, QueryCanceled, UndefinedTable
from ..errors_datafusion import translate
from ..ports import Reader, Snapshot
from ..sources.catalog import AttachedSource
from ..sources.relation import RemoteRelation
from ..sources.source import Source
from ..tables.cached import CachedTable
from ..tables.catalog import CatalogTable
from ..tenancy import TenantId
from ..topics.catalog import CatalogTopic
from ..topics.segments.segment import Segment

if TYPE_CHECKING:
    from ..sources.files import FileRelation
    from .federating import Federated
    from .remote_provider import SourceProvider
    from .services import Services

__all__ = ["Planning", "RemoteTable", "TableView"]

_current: ContextVar[Planning | None] = ContextVar("planning", default=None)
# How DataFusion begins what it says of a file. Further on the message may quote a value of the statement's.
_OF_A_FILE = re.compile(r"^(\w+ error: )*(parquet|object store)( argument)? error", re.IGNORECASE | re.MULTILINE)
ReadTable = Callable[[CatalogTable], None]


@dataclass(frozen=True, slots=True)
class RemoteTable:
    """A table of an attached database, as a statement found it."""

    source: Source
    relation: RemoteRelation


@dataclass(frozen=True, slots=True)
class TableView:
    """A table as a statement reads it: from where, and as whom."""

    table: CatalogTable
    reader: Reader
    tenant: TenantId | None


class Planning:
    """The topics and tables that a statement may mean, as of one moment; its tenant and where it reads.

    ``words`` are the identifiers of the statement's text, so that one query finds all that it may name. All of it
    is that of the statement's beginning, whatever the session does while the result is read: it is read from one
    snapshot of the store, which lives until the last one that ``retain``\\ ed the planning has let go of it.
    """

    def __init__(
        self,
        services: Services,
        reader: Reader,
        tenant: TenantId | None,
        words: Iterable[str],
        *,
        read_table: ReadTable | None = None,
        once: bool = False,
    ) -> None:
        """``read_table`` is told each table that is read.

        With ``once`` its plan is run once, now, and may therefore name files.
        """
        self.once = once
        self.views = False
        """Whether scans of files give views of text."""
        self.markers: dict[str, Fragment] = {}
        """What belongs in the place of a marker in the statement's text: conditions of as-of joins."""
        self.context: SessionContext | None = None
        """Where the statement is planned, if not where all are."""
        self._finishing: list[Callable[[], None]] = []
        self._services = services
        self.reader = reader
        self.tenant = tenant
        self.words = frozenset(words)
        self._read_table = read_table
        self._topics: dict[tuple[str, str], CatalogTopic] = {}
        self._tables: dict[tuple[str, str], CatalogTable] = {}
        self._loaded = False
        self._views = 0
        self._snapshot: Snapshot | None = None
        self._holders = 1
        self._lock = threading.Lock()
        self._active = True
        self._segments: list[tuple[CatalogTopic, list[Segment]]] = []
        self._listed: dict[tuple[int, int, int], list[Segment]] = {}
        self._unpin: list[Callable[[], None]] = []
        self.named = False
        """Whether topics and tables must come as relations with a name, none as a plan of its own."""
        self.attached: Sequence[AttachedSource] | None = None
        """What is attached, once that was asked for."""
        self.file_relations: dict[tuple[str, ...], Any] = {}
        """The attached files that it names, by their paths."""
        self.file_tables: dict[tuple[str, str, str], Any] = {}
        """The attached files that it scans, as tables of DataFusion's, by their paths."""
        self.remote: dict[tuple[str, str, str], RemoteTable] = {}
        """The tables of attached databases that it reads, by their paths."""
        self.providers: list[tuple[str, SourceProvider]] = []
        """Of each source that it reads: its name, and what reads it."""
        self.federated: Federated | None = None
        """The query with what its sources compute, once it was planned."""
        self.keeps_joins = False
        """Whether its joins are made as its plan has them: one of them is about NULLs as well, or their order was chosen here."""
        self.looked_at = False
        """Whether nothing of it is run: EXPLAIN."""
        self.whole: str | None = None
        """Why each table of a source is read by itself, where that is so."""
        self._copies: list[CachedTable] = []
        self._shown: list[tuple[DataFrame, Sequence[str]]] = []
        self.files: list[FileRelation] = []
        """The attached files that DataFusion scans for it."""
        self.failure: BaseException | None = None

    @classmethod
    def current(cls) -> Planning | None:
        """That of the statement which this thread plans."""
        return _current.get()

    @contextmanager
    def in_force(self) -> Iterator[None]:
        """Let the relations that DataFusion plans on this thread be this statement's."""
        token, reporting = _current.set(self), failure_report.set(self._report)
        try:
            yield
        finally:
            _current.reset(token)
            failure_report.reset(reporting)

    def _report(self, error: BaseException) -> None:
        if self.failure is None:
            self.failure = error

    def renewed(self) -> Planning:
        """The same for another moment."""
        return Planning(self._services, self.reader, self.tenant, self.words, read_table=self._read_table)

    # --- names ---

    def topic(self, namespace: str, name: str) -> CatalogTopic | None:
        """The topic of that name that the session sees."""
        self._load()
        topic = self._topics.get((namespace, name))
        if topic is None and name not in self.words:
            # A name that the text does not spell: a view's, or one that an API call asks for.
            return self._services.catalog.lookup(self.moment, self.tenant, namespace, name)
        return topic

    def table(self, namespace: str, name: str) -> CatalogTable | None:
        """The table of that name that the session sees."""
        self._load()
        table = self._tables.get((namespace, name))
        if table is None and name not in self.words:
            return self._services.tables.lookup(self.moment, self.tenant, namespace, name)
        return table

    def cached(self, namespace: str, name: str) -> CachedTable | None:
        """The cached table of that name that the session sees; its copy stays until this is released."""
        found = self._services.caches.catalog.lookup(self.moment, self.tenant, namespace, name)
        return None if found is None else self._keep_copy(found)

    def copy_of(self, table: CachedTable) -> CachedTable:
        """``table``, which an earlier statement found, as it is now. ``UndefinedTable`` where this one may not see it."""
        now = self._services.caches.catalog.numbered(self.moment, table.number)
        if now is None or now.tenant not in (None, self.tenant):
            raise UndefinedTable(f"table {table.name} does not exist", hint="SHOW TABLES lists what is there")
        return self._keep_copy(now)

    def _keep_copy(self, table: CachedTable) -> CachedTable:
        caches = self._services.caches
        with self._lock:
            self._unpin.append(caches.pins.pin([table.copy.path]))
        self._copies.append(table)
        self._check_copy(table)
        return table

    def _check_copy(self, table: CachedTable) -> None:
        caches = self._services.caches
        size = caches.storage.size(table.copy.path)
        if size != table.copy.size:
            what = "is missing" if size is None else f"has {size} bytes, not {table.copy.size}"
            raise DataCorrupted(
                f"cached table {table.name}: its copy {caches.storage.display(table.copy.path)} {what}",
                hint="REFRESH TABLE makes it anew",
            )

    @property
    def reads_tables(self) -> bool:
        """Whether the statement reads a companion table, so that what it computes holds while nobody writes."""
        return self._views > 0

    @property
    def reads_own_writes(self) -> bool:
        """Whether tables are read from a transaction that may go on changing them."""
        return self.reads_tables and not self.reader.committed

    @property
    def moment(self) -> Reader:
        """Where it reads: all as of the moment at which this is first asked for.

        A plan that is run after its statement was let go of reads what is there then.
        """
        with self._lock:
            if self._snapshot is None and self._holders and self.reader is self._services.store:
                self._snapshot = self._services.store.snapshot()
            return self.reader if self._snapshot is None else self._snapshot

    def _load(self) -> None:
        if self._loaded:
            return
        self._loaded = True
        services = self._services
        tables = services.tables.named(self.moment, self.tenant, self.words)
        self._tables = {(table.namespace, table.local_name): table for table in tables}
        topics = services.catalog.named(self.moment, self.tenant, self.words)
        self._topics = {(topic.namespace, topic.local_name): topic for topic in topics}

    # --- reading ---

    def bounds(self, topic: CatalogTopic, planned_by: Planning) -> tuple[int, int]:
        """The offsets ``[first, end)`` of ``topic``, which the statement ``planned_by`` found, for this statement.

        They are those of the statement's beginning. A view that was made earlier, and a live statement that is planned
        again for each delivery, see the log as it is now. ``UndefinedTable`` where this statement may not see the topic.
        """
        if planned_by is self and self._active:
            return topic.first_offset, topic.next_offset
        if topic.definition.tenant not in (None, self.tenant):
            raise UndefinedTable(f"topic {topic.name} does not exist", hint="SHOW TOPICS lists what is there")
        head = self._services.log.head(self.moment, topic)
        return head.first, head.next

    def view(self, table: CatalogTable, planned_by: Planning, columns: Iterable[str]) -> TableView:
        """``table``, which the statement ``planned_by`` found, as this statement reads ``columns`` of it.

        ``UndefinedTable`` where it may not see it, or where it is gone, or its columns are others since.
        """
        if table.definition.tenant not in (None, self.tenant):
            raise UndefinedTable(f"table {table.name} does not exist", hint="SHOW TABLES lists what is there")
        now: CatalogTable | None = table
        if planned_by is not self:
            now = self._services.tables.numbered(self.moment, table.number)
        if now is None or (now.schema_version != table.schema_version and not _has_still(now, table, columns)):
            raise UndefinedTable(
                f"table {table.name} was changed or dropped since this was planned",
                hint="make the view anew, or run the statement again",
            )
        self._views += 1
        if self._read_table is not None:
            self._read_table(now)
        return TableView(now, self.moment, self.tenant)

    def segments(self, topic: CatalogTopic, start: int, end: int) -> list[Segment]:
        """The segments of ``topic`` with offsets in ``[start, end)``, whose files stay until this is released."""
        place = (topic.number, start, end)
        found = self._listed.get(place)
        if found is None:
            kept = self._services.segments
            found = self._listed[place] = kept.catalog.of_topic(self.moment, topic.number, start, end)
            with self._lock:
                self._unpin.append(kept.pins.pin(segment.path for segment in found))
        return found

    def scans(self, topic: CatalogTopic, segments: list[Segment]) -> None:
        """DataFusion scans the files of ``segments`` for this statement. ``DataCorrupted`` where one is not the one written."""
        for segment in segments:
            self._services.segments.files.check(segment, topic.name)
        if not self.views:  # else they are those of the first plan
            self._segments.append((topic, segments))

    @property
    def scanned_rows(self) -> int:
        """Rows of the segments that DataFusion scans for this statement."""
        return sum(segment.row_count for _, segments in self._segments for segment in segments)

    @property
    def scans_files(self) -> bool:
        """Whether DataFusion itself scans files for this statement: their scans have no names."""
        return bool(self._segments or self.files or self._copies)

    def check_files(self) -> None:
        """Once DataFusion has listed the files that it scans: it passes over one that is missing without a word.

        ``DataCorrupted`` for one that is gone or changed.
        """
        for topic, segments in self._segments:
            for segment in segments:
                self._services.segments.files.check(segment, topic.name)
        for table in self._copies:
            self._check_copy(table)
        for relation in self.files:
            relation.check_files()

    def file_failure(self, error: BaseException) -> Error | None:
        """What an error of DataFusion's scan of files means; ``None`` where it is none of those."""
        if not self._segments or not _OF_A_FILE.search(str(error)):
            return None
        try:
            self.check_files()
        except Error as found:
            return found
        topics = ", ".join(topic.name for topic, _ in self._segments)
        return DataCorrupted(
            f"a segment of topic {topics} cannot be read: {error}", hint="restore its file from a backup"
        )

    def translator(self, fragment: Fragment) -> Callable[[BaseException], BaseException]:
        """Makes the error to raise out of one that came through DataFusion, of ``fragment``."""

        def to_error(error: BaseException) -> BaseException:
            if isinstance(error, Error):
                return error
            if "KeyboardInterrupt" in str(error):  # it struck inside of a relation, which DataFusion asked
                return KeyboardInterrupt()
            failure = self.failure
            if failure is not None:
                return failure if isinstance(failure, Error) else translate(failure, fragment.text, fragment.origin)
            unread = self.file_failure(error)
            if unread is not None:
                return unread
            return translate(error, fragment.text, fragment.origin)

        return to_error

    # --- results ---

    def shows(self, frame: DataFrame, names: Sequence[str]) -> None:
        """The columns of ``frame``, which all have other names there, are called ``names``, of which some may be the same."""
        self._shown.append((frame, names))

    def shown(self, frame: DataFrame, schema: pa.Schema) -> pa.Schema:
        """``schema``, that of ``frame``, with the names that its columns are to have."""
        for known, names in self._shown:
            if known is frame:
                fields = [field.with_name(name) for field, name in zip(schema, names, strict=True)]
                return pa.schema(fields, metadata=schema.metadata)  # type: ignore[arg-type] # invariant in the stubs
        return schema

    # --- attached databases ---

    def check(self) -> None:
        """``QueryCanceled`` once nobody wants what is read for this statement."""
        if not self._holders:
            raise QueryCanceled("the statement is over")

    def at_end(self, close: Callable[[], None]) -> None:
        """Call ``close`` when the last one lets go, which may be now."""
        with self._lock:
            if self._holders:
                self._unpin.append(close)
                return
        close()

    # --- end ---

    def finish(self) -> None:
        """The statement's plan is made: who plans with its relations again sees the log as it is then."""
        self._active = False
        finishing, self._finishing = self._finishing, []
        for done in finishing:
            done()

    def at_finish(self, done: Callable[[], None]) -> None:
        """Have ``done`` called when the plan is made."""
        self._finishing.append(done)

    def at_release(self, done: Callable[[], None]) -> None:
        """Have ``done`` called when nobody reads any more."""
        with self._lock:
            self._unpin.append(done)

    def retain(self) -> None:
        """Keep the snapshot for somebody who reads, until ``release``."""
        with self._lock:
            self._holders += 1

    def release(self) -> None:
        """Let go; the last one ends the snapshot. May be called from any thread."""
        with self._lock:
            self._holders -= 1
            ended, pins = None, []
            if not self._holders:
                ended, self._snapshot = self._snapshot, None
                pins, self._unpin = self._unpin, []
        for unpin in pins:
            unpin()
        if ended is not None:
            ended.close()


def _has_still(now: CatalogTable, before: CatalogTable, columns: Iterable[str]) -> bool:
    """Whether a table that was altered can be read as it was: an index or another column more does not matter."""
    return all(
        name in now.schema.names
        and now.schema.field(name).type.equals(before.schema.field(name).type)
        and (before.schema.field(name).nullable or not now.schema.field(name).nullable)
        for name in columns
    )
