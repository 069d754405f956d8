"""What all sources that are reached through ADBC have in common."""

from __future__ import annotations

import atexit
import threading
import time
import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import ClassVar, Final, TypeVar

import adbc_driver_manager
import pyarrow as pa

from ..adbc.driver import DRIVER_ERRORS, close_database
from ..adbc.pool import ConnectionPool
from ..checking import current_check
from ..errors import (
    ConnectionClosed,
    ConnectionLost,
    DataError,
    Error,
    FeatureNotSupported,
    LockNotAvailable,
    OperationalError,
    ProgrammingError,
)
from .casting import exactly
from .credentials import Secrets, resolved
from .definition import SourceDefinition
from .link import Link
from .options import whole
from .relation import RemoteColumn, RemoteRelation
from .scan import ThreadedScan
from .source import Check, IngestMode
from .waiting import Ended, asked_once, attended

__all__ = ["AttachedDatabase"]

_REMEMBERED: Final = 60.0  # seconds
_WAIT: Final = 60.0
_STALLED: Final = 0.5
_PAUSE: Final = 0.1
_CLOSING: Final = 2.0
_PRESENT: Final = pa.schema([("present", pa.int64())])

_T = TypeVar("_T")
_open: weakref.WeakSet[AttachedDatabase] = weakref.WeakSet()


@atexit.register
def _end() -> None:
    """A thread that reads inside a driver while the interpreter goes down may abort the process."""
    for source in list(_open):
        source.close()


class _AllStalled(Exception):
    """Every connection is lent to a scan whose batches nobody takes."""


class AttachedDatabase(ABC):
    """A ``Source`` over one ADBC database, with a pool of connections, made when they are first needed."""

    kind: ClassVar[str]
    begin: ClassVar[str] = "BEGIN"
    """Begins a transaction that writes."""
    local: ClassVar[bool] = False
    """Whether it is a file of this machine: a commit that failed is known to have failed."""

    direct: ClassVar[Mapping[str, str]] = {}
    """The driver's options for statements of few rows or none."""

    def __init__(self, definition: SourceDefinition, *, dialect: str | None, location: str) -> None:
        self.dialect = dialect
        self.location = location
        self.quote = '"'
        self.definition = definition
        self.retry_for = 10.0
        self._secrets = Secrets()
        self._database: adbc_driver_manager.AdbcDatabase | None = None
        self._opening = threading.Lock()
        self._closed = False
        self._memory: dict[tuple[str, str], tuple[float, RemoteRelation]] = {}
        self._scans: weakref.WeakSet[ThreadedScan] = weakref.WeakSet()
        self._stalls: dict[int, Callable[[], bool]] = {}  # of the scans that have a connection
        self._pool_size = whole(definition.kind, definition.options, "pool_size", 1, 1000)
        self._pool: ConnectionPool[Link] = ConnectionPool(
            self._connected,
            limit=self._pool_size,
            timeout=_WAIT,
            purpose=f"to {definition.name} ",
            hint="do less at once, or attach it with a larger pool_size",
            what=f"the source {definition.name}",
        )
        _open.add(self)

    # --- what a kind of source brings ---

    @abstractmethod
    def _open_database(self, options: dict[str, str]) -> adbc_driver_manager.AdbcDatabase:
        """The driver's database; ``options`` are the attachment's, with references followed."""

    @abstractmethod
    def _open_link(self, database: adbc_driver_manager.AdbcDatabase) -> Link:
        """A connection, with its settings."""

    @abstractmethod
    def _translate(self, error: BaseException, doing: str) -> Error:
        """The error to raise for one of the driver's."""

    @abstractmethod
    def _schemas(self, link: Link) -> list[str]:
        """As ``Source.schemas``."""

    @abstractmethod
    def _relation_names(self, link: Link, schema: str) -> list[str]:
        """As ``Source.relation_names``."""

    @abstractmethod
    def _relation(self, link: Link, schema: str, name: str) -> RemoteRelation | None:
        """As ``Source.relation``."""

    @abstractmethod
    def _describe(self, link: Link, text: str) -> tuple[RemoteColumn, ...]:
        """As ``Source.describe``."""

    @abstractmethod
    def _ingest(self, link: Link, schema: str, name: str, rows: pa.RecordBatchReader, mode: IngestMode) -> int:
        """As ``Source.ingest``, within a transaction that has begun."""

    def _run(self, link: Link, text: str) -> int:
        """Run one statement; how many rows it wrote."""
        return link.update(text, f"writing to {self.definition.name}", self.direct)

    def _batches(self, link: Link, text: str, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        """The rows of a text, cast to ``schema``."""
        for batch in link.batches(text, f"reading from {self.definition.name}"):
            yield exactly(batch, schema)

    def _begin_moment(self, check: Check) -> tuple[Link, str]:
        """A connection that keeps one moment of the source, and the text by which others see the same."""
        raise FeatureNotSupported(f"a scan of {self.definition.name} has one part: it does not share a moment")

    # --- a transaction that writes ---

    def take_for_writing(self, check: Check) -> Link:
        """A connection on which may be written."""
        return self.take(check)

    def begin_writing(self, link: Link) -> None:
        """Begin a transaction."""
        link.update(self.begin, "beginning a transaction", self.direct)

    def commit(self, link: Link) -> None:
        """Commit it."""
        link.update("COMMIT", "committing", self.direct)

    def undo(self, link: Link) -> None:
        """Roll it back."""
        link.update("ROLLBACK", "undoing a transaction", self.direct)

    # --- the contract ---

    def schemas(self) -> list[str]:
        """As ``Source.schemas``."""
        return self._asked(self._schemas)

    def relation_names(self, schema: str) -> list[str]:
        """As ``Source.relation_names``."""
        return self._asked(lambda link: self._relation_names(link, schema))

    def relation(self, schema: str, name: str) -> RemoteRelation | None:
        """As ``Source.relation``."""
        known = self._memory.get((schema, name))
        if known is not None and time.monotonic() - known[0] < _REMEMBERED:
            return known[1]
        found = self._asked(lambda link: self._relation(link, schema, name))
        if found is None:
            self._memory.pop((schema, name), None)
        else:
            self._memory[schema, name] = (time.monotonic(), found)
        return found

    def refresh(self) -> bool:
        """As ``Source.refresh``."""
        found = bool(self._memory)
        self._memory.clear()
        return found

    def partitions(self, relation: RemoteRelation, alias: str, most: int) -> list[str]:
        """As ``Source.partitions``: none, unless the kind of source knows better."""
        return []

    def scan(self, texts: Sequence[str], schema: pa.Schema, check: Check, *, of_a_user: bool = False) -> ThreadedScan:
        """As ``Source.scan``."""
        self._require_open()
        scan = ThreadedScan(_SourceReading(self, schema, keeps=not of_a_user), texts, check)
        self._scans.add(scan)
        return scan

    def describe(self, text: str, check: Check) -> tuple[RemoteColumn, ...]:
        """As ``Source.describe``."""
        return self._asked(lambda link: self._describe(link, text), check)

    def execute(self, texts: Sequence[str], check: Check) -> int:
        """As ``Source.execute``."""

        def run(link: Link) -> int:
            rows = -1
            for text in texts:
                rows = self._run(link, text)
            return rows

        return self._written(run, check)

    def ingest(self, schema: str, name: str, rows: pa.RecordBatchReader, mode: IngestMode, check: Check) -> int:
        """As ``Source.ingest``."""
        return self._written(lambda link: self._ingest(link, schema, name, rows, mode), check)

    def close(self) -> None:
        """As ``Source.close``."""
        self._closed = True
        for scan in list(self._scans):
            scan.close()
        with suppress(LockNotAvailable):  # what still runs closes its connection itself
            self._pool.close(_CLOSING)
        self._release()

    # --- connections ---

    def _asked(self, ask: Callable[[Link], _T], check: Check | None = None) -> _T:
        """What ``ask`` returns, on a connection; tried again where the connection is lost."""
        lease = _Lease(self)
        return attended(lambda: lease.ask(ask), check or current_check(), end=lease.end)

    def _written(self, run: Callable[[Link], int], check: Check) -> int:
        """What ``run`` returns, in a transaction that is committed; a connection that is lost while it begins is tried again."""
        lease = _Lease(self)
        try:
            return attended(lambda: lease.write(run), check, end=lease.end)
        finally:
            self.refresh()  # it may have been DDL

    def take(self, check: Check, timeout: float | None = None) -> Link:
        """A connection, to be given back."""
        self._require_open()
        return self._pool.take(check=check, timeout=timeout)

    def take_for_scan(self, check: Check, stalled: Callable[[], bool]) -> Link:
        """As ``take``. Where all are lent to scans whose batches nobody takes, one beyond the limit: who should take them
        may wait for this very scan, as a merge join does that reads both of its sides."""
        since = time.monotonic()

        def looked() -> None:
            check()
            waits = list(self._stalls.values())
            if (
                time.monotonic() - since >= _STALLED
                and self._pool_size <= len(waits) < 2 * self._pool_size
                and all(wait() for wait in waits)
            ):
                raise _AllStalled

        try:
            link = self.take(looked)
        except _AllStalled:
            link = self._connected()
        self._stalls[id(link)] = stalled
        return link

    def give_back(self, link: Link, *, usable: bool) -> None:
        """End the loan."""
        self._stalls.pop(id(link), None)
        if not usable:
            link.close()
        self._pool.give_back(link)

    def lost(self) -> None:
        """A connection was lost: those that are idle are lost as well."""
        self._pool.discard_idle()

    def _connected(self) -> Link:
        self._require_open()
        try:
            return self._open_link(self._opened())
        except OperationalError as error:
            if error.sqlstate.startswith("28"):
                with self._opening:  # the password may have been changed: look its reference up again
                    self._database = None
            raise

    def _opened(self) -> adbc_driver_manager.AdbcDatabase:
        with self._opening:
            if self._database is None:
                options = resolved(self.definition)
                self._secrets = Secrets.of(options)
                try:
                    self._database = self._open_database(options)
                except DRIVER_ERRORS as error:
                    cause = None if self._secrets.within(str(error)) else error
                    raise self.translated(error, f"connecting to {self.definition.name}") from cause
            return self._database

    def translated(self, error: BaseException, doing: str) -> Error:
        """The error to raise for one of the driver's, without secrets."""
        found = self._translate(error, doing)
        if self._secrets.within(found.message):
            found.message = self._secrets.hidden(found.message)
            found.args = (found.message,)
        return found

    def _release(self) -> None:
        """Give up the connections that nobody uses, and the database with them; it is opened again when it is needed."""
        self._pool.discard_idle()
        with self._opening:
            database, self._database = self._database, None
        if database is not None:
            close_database(database)

    def _require_open(self) -> None:
        if self._closed:
            raise ConnectionClosed(f"the source {self.definition.name} is closed")


class _Lease:
    """One call on one connection, which another thread may end."""

    def __init__(self, source: AttachedDatabase) -> None:
        self._source = source
        self._link: Link | None = None
        self._ended = False
        self._retry_for = 0.0 if asked_once.get() else source.retry_for

    def end(self) -> None:
        self._ended = True
        link = self._link
        if link is not None:
            link.end()

    def _check(self) -> None:
        if self._ended:
            raise Ended

    def ask(self, ask: Callable[[Link], _T]) -> _T:
        return self._retried(self._source.take, None, ask)

    def write(self, run: Callable[[Link], int]) -> int:
        source = self._source

        def written(link: Link) -> int:
            try:
                rows = run(link)
                self._check()
            except BaseException:
                try:
                    source.undo(link)
                except Error:
                    link.close()  # which undoes it as well
                raise
            self._commit(link)
            return rows

        return self._retried(source.take_for_writing, source.begin_writing, written)

    def _commit(self, link: Link) -> None:
        try:
            self._source.commit(link)
        except Error as error:
            link.close()
            state = (getattr(error.__cause__, "sqlstate", None) or "").strip("\0")
            said = state.strip("0") or self._source.local
            if said and not isinstance(error, ConnectionLost):
                raise  # the database's own word: it is not committed
            raise OperationalError(
                f"the connection was lost during the commit: {error.message}",
                sqlstate="08007",
                hint="look whether the rows are there before it is done again",
            ) from error

    def _retried(
        self, take: Callable[[Check], Link], begin: Callable[[Link], None] | None, then: Callable[[Link], _T]
    ) -> _T:
        """What ``then`` returns. A connection that is lost is tried again; after ``begin``, where there is one, no more."""
        source = self._source
        deadline = time.monotonic() + self._retry_for
        while True:
            usable, begun = False, False
            try:
                link = self._link = take(self._check)
                try:
                    self._check()
                    if begin is not None:
                        begin(link)
                        begun = True
                    result = then(link)
                    usable = True
                    return result
                except ConnectionLost:
                    link.close()
                    raise
                except Error:
                    usable = True
                    raise
                finally:
                    self._link = None
                    source.give_back(link, usable=usable and not self._ended)
            except ConnectionLost:
                if begun or self._ended or time.monotonic() + _PAUSE >= deadline:
                    raise
                source.lost()
            time.sleep(_PAUSE)


class _SourceReading:
    """How an ``AttachedDatabase`` reads the texts of a scan."""

    def __init__(self, source: AttachedDatabase, schema: pa.Schema, *, keeps: bool) -> None:
        self._keeps = keeps
        self.retry_for = source.retry_for
        self._source = source
        self._schema = schema
        self._holder: Link | None = None
        self._moment: str | None = None

    def begin(self, parts: int, check: Check) -> None:
        if parts > 1:
            self._holder, self._moment = self._source._begin_moment(check)

    @contextmanager
    def link(self, check: Check, stalled: Callable[[], bool]) -> Iterator[Link]:
        source = self._source
        link = source.take_for_scan(check, stalled)
        usable = False
        try:
            if self._moment is not None:
                link = self._joined(link, check, stalled)
            yield link
            if self._moment is not None:
                link.update("COMMIT", "ending a scan", source.direct)
            usable = self._keeps and not link.closed
        except ConnectionLost:
            source.lost()
            raise
        except (ProgrammingError, DataError):
            source.refresh()  # its tables may be others than was remembered: the next statement sees them
            raise
        finally:
            source.give_back(link, usable=usable)

    def _joined(self, link: Link, check: Check, stalled: Callable[[], bool]) -> Link:
        """The connection in the scan's moment; another one where this one, which was idle, is lost."""
        assert self._moment is not None
        try:
            link.update(self._moment, "beginning a scan", self._source.direct)
            return link
        except ConnectionLost:
            self._source.give_back(link, usable=False)
            self._source.lost()
        fresh = self._source.take_for_scan(check, stalled)
        try:
            fresh.update(self._moment, "beginning a scan", self._source.direct)
        except BaseException:
            self._source.give_back(fresh, usable=False)
            raise
        return fresh

    def batches(self, link: Link, text: str) -> Iterator[pa.RecordBatch]:
        if len(self._schema):
            yield from self._source._batches(link, text, self._schema)
            return
        # Rows are counted alone, and there may be no column to name.
        for batch in self._source._batches(link, f"SELECT 1 AS present FROM (\n{text}\n) AS q", _PRESENT):
            yield batch.select([])

    def end(self) -> None:
        holder, self._holder = self._holder, None
        if holder is not None:
            threading.Thread(target=holder.close, name="jammi-source-close", daemon=True).start()
