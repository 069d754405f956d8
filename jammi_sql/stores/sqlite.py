"""The embedded store: one SQLite file in a folder, reached through ADBC.

Several processes may use one folder. Reads go through a pool of connections, writes through one connection behind a
fair lock: threads of this process queue at the lock, and only its holder competes with other processes for SQLite's
own.
"""

from __future__ import annotations

import os
import random
import shutil
import tempfile
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import adbc_driver_manager
import adbc_driver_sqlite
import pyarrow as pa

from .. import faults
from ..adbc.driver import DRIVER_ERRORS, close_database
from ..adbc.pool import ConnectionPool
from ..adbc.queries import load_queries
from ..errors import ConnectionClosed, InterfaceError, LockNotAvailable, ReadOnlyStore, StoreIOError
from ..ports import Claim, NamedQuery, Parameters
from .commit_watch import CommitWatch, Trust
from .fair_lock import STRETCH, FairLock
from .file_claim import claim_file
from .file_events import NoFileEvents, file_events
from .migrations import load_migrations, migrate
from .snapshot import StoreSnapshot
from .sqlite_connection import SqliteConnection
from .sqlite_errors import translated
from .sqlite_file import APPLICATION_ID, StoreFile, find_store_file, untouched_store_file
from .transaction import StoreTransaction

__all__ = ["SqliteStore"]

_READERS: Final = 8
_SNAPSHOTS: Final = 256
_SETTLING: Final = 1.0  # seconds
_WRITER_CACHE_KIB: Final = 64 << 10  # with SQLite's own 2 MB, rows in the order of no index go to the disk one by one
_CLAIMS: Final = "segments"  # the folder that the files of claims are in
_PAGE: Final = 4096  # SQLite's default page size, which the store keeps


class SqliteStore:
    """The ``Store`` on SQLite; made by ``open`` or ``temporary``, closed by ``close`` or a ``with`` block.

    Safe for threads; not for a child made by ``os.fork``, in which every call is ``InterfaceError``.
    """

    kind = "sqlite"
    committed = True
    alone = None

    def __init__(
        self,
        file: StoreFile,
        *,
        read_only: bool,
        lock_timeout: float,
        max_bytes: int | None,
        durable: bool,
    ) -> None:
        self.read_only = read_only
        self.location = str(file.path.parent)
        self.folder = file.path.parent
        self.on_retry: Callable[[str], None] | None = None
        self._file = file
        self._lock_timeout = lock_timeout
        self._process = os.getpid()
        self._closed = False
        self._queries = load_queries("store", self.kind)
        self._write_lock = FairLock()
        self._writer: SqliteConnection | None = None
        self._transaction: StoreTransaction | None = None
        self._watcher: SqliteConnection | None = None
        self._watching = threading.Lock()
        self._last_version = 0
        self._log_path = f"{file.path}-wal"
        self._log_mark = (0, 0)
        self._marked_at = self._asked_at = 0.0
        self._events_trust = Trust()
        self._removal: Callable[[], object] | None = None
        # The time limit first: while another process opens or closes the store, even a PRAGMA may have to wait.
        opening = (
            f"PRAGMA busy_timeout = {int(lock_timeout * 1000)}",
            f"PRAGMA synchronous = {'FULL' if durable else 'OFF'}",
        )
        self._reading_pragmas = (*opening, "PRAGMA query_only = ON")
        # In the end none: SQLite's back-off sleeps up to 100 ms, the loop in begin is quicker and ends on time. A
        # transaction that has begun in a database with a write-ahead log never waits.
        self._writing_pragmas = (
            *opening,
            "PRAGMA foreign_keys = ON",
            f"PRAGMA cache_size = {-_WRITER_CACHE_KIB}",
            *(() if max_bytes is None else (f"PRAGMA max_page_count = {max(1, max_bytes // _PAGE)}",)),
            "PRAGMA busy_timeout = 0",
        )
        self._readers = ConnectionPool(self._open_reader, limit=_READERS, timeout=lock_timeout)
        # Apart from the readers: a result that somebody reads slowly keeps its connection.
        self._snapshots = ConnectionPool(self._open_reader, limit=_SNAPSHOTS, timeout=lock_timeout, keep=_READERS)
        self._open_snapshots: weakref.WeakSet[StoreSnapshot] = weakref.WeakSet()
        try:
            self._database: adbc_driver_manager.AdbcDatabase = adbc_driver_sqlite.connect(file.uri)
        except DRIVER_ERRORS as error:
            raise translated(error, "opening the store") from error

    @classmethod
    def open(
        cls,
        folder: str | os.PathLike[str],
        *,
        read_only: bool = False,
        lock_timeout: float = 10.0,
        max_bytes: int | None = None,
    ) -> Self:
        """The store in ``folder``, made if missing and brought up to date.

        ``lock_timeout``: seconds that a write waits for other writers. ``max_bytes``: writes of this process that
        would let the file grow past it are ``DiskFull``; the write-ahead log beside it (some 4 MB) does not count.

        Raises ``StoreVersionError`` for what is no store or one of a newer version, ``ReadOnlyStore`` and
        ``StoreIOError`` for a folder that cannot be written or read; what is there then stays as it is.
        """
        file = find_store_file(Path(os.path.abspath(folder)), read_only=read_only)
        store = cls(file, read_only=read_only, lock_timeout=lock_timeout, max_bytes=max_bytes, durable=True)
        store._prepare()
        return store

    @classmethod
    def inspect(cls, folder: str | os.PathLike[str], *, lock_timeout: float = 10.0) -> Self:
        """The store in ``folder`` as it is, of whatever version, for a look: no file is made, changed or removed.

        Raises as ``untouched_store_file``.
        """
        file = untouched_store_file(Path(os.path.abspath(folder)))
        return cls(file, read_only=True, lock_timeout=lock_timeout, max_bytes=None, durable=True)

    @classmethod
    def temporary(cls) -> Self:
        """A private store in a folder of its own, removed by ``close`` or when the process ends.

        Its commits do not wait for the disk.
        """
        folder = tempfile.mkdtemp(prefix="jammi-")
        file = find_store_file(Path(folder), read_only=False)
        store = cls(file, read_only=False, lock_timeout=10.0, max_bytes=None, durable=False)
        store._removal = weakref.finalize(store, _remove, folder, os.getpid())
        store._prepare()
        return store

    def query(self, query: NamedQuery, parameters: Parameters = ()) -> pa.Table:
        """As ``Reader.query``: what is committed, from any thread; at most eight run at once."""
        self._require_parent()
        connection = self._readers.take()
        try:
            return connection.query(query, parameters)
        finally:
            self._readers.give_back(connection)
            if self._file.frozen is not None and self._file.state() != self._file.frozen:
                raise StoreIOError(
                    f"somebody writes to the store {self.location}, whose folder this process may not write",
                    hint="open it again, or make its folder writable, which lets readers and writers share it",
                )

    def stream(self, query: NamedQuery, parameters: Parameters = ()) -> Iterator[pa.RecordBatch]:
        """As ``Reader.stream``: what is committed when the first batch is asked for."""
        with closing(self.snapshot()) as snapshot:
            yield from snapshot.stream(query, parameters)

    def snapshot(self) -> StoreSnapshot:
        """As ``Store.snapshot``; at most 256 are open at once."""
        self._require_parent()
        connection = self._snapshots.take()
        try:
            connection.command("BEGIN")
            connection.query(self._queries["data_version"])  # a transaction sees what is there when it first reads
        except BaseException:
            connection.rollback()
            self._snapshots.give_back(connection)
            raise
        snapshot = StoreSnapshot(connection, self._snapshots.give_back)
        self._open_snapshots.add(snapshot)
        return snapshot

    def begin(self, *, timeout: float | None = None, check: Callable[[], None] | None = None) -> StoreTransaction:
        """As ``Store.begin``; ``timeout`` is in seconds, by default the store's ``lock_timeout``."""
        self._require_parent()
        if self.read_only:
            raise ReadOnlyStore(
                f"the store {self.location} is open read-only", hint="open it without read_only to write"
            )
        limit = self._lock_timeout if timeout is None else timeout
        deadline = time.monotonic() + limit
        ticket = object()
        writer: SqliteConnection | None = None
        transaction: StoreTransaction | None = None
        try:
            if not self._write_lock.acquire(limit, ticket=ticket, check=check):
                raise self._locked(limit)
            self._require_open()
            writer = self._open_writer()
            self._retry(lambda connection: connection.command("BEGIN IMMEDIATE"), writer, deadline, check)
            faults.point("store.after_begin")
            transaction = StoreTransaction(writer, self._require_parent, lambda: self._end_transaction(ticket))
            self._transaction = transaction
            self._require_open()  # close() may have come too early to see the transaction
            return transaction
        except BaseException:
            try:
                if transaction is not None:
                    transaction.rollback()
                elif writer is not None:
                    writer.rollback()
            finally:
                self._end_transaction(ticket)
            raise

    def _locked(self, limit: float) -> LockNotAvailable:
        own = self._write_lock.owner == threading.get_ident()
        return LockNotAvailable(
            f"the store {self.location} stayed locked for {limit:g} s",
            hint="this thread itself began the open transaction: commit it or roll it back first"
            if own
            else "another transaction of this process is open: end it sooner, or wait longer with timeout",
        )

    def claim(self, name: str) -> Claim | None:
        """As ``Store.claim``, by a lock on a file in the store's folder."""
        return claim_file(self.folder / _CLAIMS / f".{name}")

    def changes(self) -> int:
        """As ``Store.changes``: SQLite's ``data_version`` on a connection that never writes, some 10 µs, when idle 1 µs.

        The commits of this process are made on another connection, so they count like those of other processes.
        """
        self._require_parent()
        with self._watching:
            self._require_open()
            if self._log_is_quiet():
                return self._last_version
            if self._watcher is None:
                self._watcher = self._open_reader()
            version: int = self._watcher.query(self._queries["data_version"]).column(0)[0].as_py()
            self._last_version = version
            return version

    def watch(self, interval: float) -> CommitWatch:
        """As ``Store.watch``: it hears writes to the write-ahead log where the file system tells of them."""
        self._require_parent()
        self._require_open()
        log = Path(f"{os.path.realpath(self._file.path)}-wal")  # SQLite keeps it beside what a link points to
        events = NoFileEvents() if self._events_trust.lost else file_events(log)
        return CommitWatch(self.changes, events, interval, trust=self._events_trust)

    def _log_is_quiet(self) -> bool:
        """Whether the write-ahead log's file is as it was when SQLite was last asked, which costs a tenth of asking.

        SQLite writes the log, then syncs it, then lets readers see the commit, which is when its answer changes. So the
        log moves before there is anything to hear of, by as long as the sync lasts, and two commits within the same few
        milliseconds may leave one and the same mark. Therefore SQLite is asked every time for a second after a mark was
        first seen, and after that once a second whatever the file says: a commit whose sync lasts less than a second is
        found at the next question, and no other later than a second after it can be seen.
        """
        try:
            state = os.stat(self._log_path)
        except OSError:
            return False
        mark = (state.st_mtime_ns, state.st_size)
        now = time.monotonic()
        if mark != self._log_mark:
            self._log_mark, self._marked_at = mark, now
        elif self._asked_at - self._marked_at >= _SETTLING and now - self._asked_at < _SETTLING:
            return True
        self._asked_at = now
        return False

    def backup(self, folder: str | os.PathLike[str]) -> None:
        """As ``Store.backup``: SQLite's ``VACUUM INTO``, then a sync of the new file and its folder."""
        self._require_parent()
        self._require_open()
        place = Path(os.path.abspath(folder))
        try:
            place.mkdir(parents=True, exist_ok=True)
            if any(place.iterdir()):
                raise StoreIOError(f"{place} is not empty", hint="give a folder that is empty or does not exist yet")
            copy = place / self._file.path.name
            connection = SqliteConnection(self._database, self._reading_pragmas[:2])
            try:
                connection.execute(self._queries["copy_into"], (str(copy),))
            finally:
                connection.close()
            for path in (copy, place):
                _sync(path)
        except OSError as error:
            raise StoreIOError(f"the store cannot be copied to {place}: {error.strerror}") from error

    def close(self) -> None:
        """Roll an open transaction back, wait for running calls and release everything; later calls do nothing.

        Raises ``LockNotAvailable`` when a call outlasts ``lock_timeout``: the store then refuses new calls, and
        ``close`` may be called again. In a forked child it does nothing: the files are the parent's.
        """
        if os.getpid() != self._process:
            return
        self._closed = True
        transaction = self._transaction
        if transaction is not None:
            transaction.expire(self._lock_timeout)
        if not self._write_lock.acquire(self._lock_timeout):
            raise LockNotAvailable(
                f"a write still ran after {self._lock_timeout:g} s, the store is not closed",
                hint="close it again when it has ended",
            )
        try:
            if self._writer is not None:
                self._writer.close()
            self._readers.close(self._lock_timeout)
            for snapshot in list(self._open_snapshots):  # of results that nobody read to their end
                snapshot.close()
            self._snapshots.close(self._lock_timeout)
            with self._watching:
                if self._watcher is not None:
                    self._watcher.close()
            close_database(self._database)
            if self._removal is not None:
                self._removal()
        finally:
            self._write_lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _prepare(self) -> None:
        try:
            if not self.read_only:
                self._retry(self._initialise, self._open_writer(), time.monotonic() + self._lock_timeout)
            migrate(self, load_migrations(self.kind))
        except BaseException:
            self.close()
            raise

    def _initialise(self, connection: SqliteConnection) -> None:
        """Mark the file as a store's and give it a write-ahead log; all of it is a no-op the next time.

        The mark comes first, so that a file with a log always carries it in its own header.
        """
        if connection.query(self._queries["application_id"]).column(0)[0].as_py() == 0:
            connection.script(f"PRAGMA application_id = {APPLICATION_ID}")
        mode = connection.query(self._queries["journal_mode_wal"]).column(0)[0].as_py()
        if mode != "wal":
            raise StoreIOError(
                f"the file system of {self.location} cannot hold a store: it has no shared memory",
                hint="give a folder on a local disk",
            )

    def _retry(
        self,
        call: Callable[[SqliteConnection], None],
        connection: SqliteConnection,
        deadline: float,
        check: Callable[[], None] | None = None,
    ) -> None:
        """Call until no other process has the lock, or the deadline is past, or ``check`` raises."""
        looked = time.monotonic()
        while True:
            try:
                call(connection)
                return
            except LockNotAvailable as error:
                left = deadline - time.monotonic()
                if left <= 0:
                    raise LockNotAvailable(
                        f"another process kept the store {self.location} locked", hint=error.hint
                    ) from error
                if self.on_retry is not None:
                    self.on_retry("locked")
            if check is not None and time.monotonic() - looked >= STRETCH / 2:
                check()
                looked = time.monotonic()
            # SQLite keeps no queue: short and uneven pauses find the gap between two commits of a busy process.
            time.sleep(min(left, random.uniform(0.0002, 0.001)))

    def _open_reader(self) -> SqliteConnection:
        return SqliteConnection(self._database, self._reading_pragmas)

    def _open_writer(self) -> SqliteConnection:
        """The one connection for writing, opened anew after a rollback that failed. The caller holds the write lock."""
        if self._writer is None or self._writer.closed:
            self._writer = SqliteConnection(self._database, self._writing_pragmas)
        return self._writer

    def _end_transaction(self, ticket: object) -> None:
        """Give the write lock back; nothing when it was given back already."""
        if self._write_lock.holds(ticket):
            self._transaction = None
        self._write_lock.withdraw(ticket)

    def _require_open(self) -> None:
        if self._closed:
            raise ConnectionClosed(f"the store {self.location} is closed")

    def _require_parent(self) -> None:
        if os.getpid() != self._process:
            raise InterfaceError(
                "the store was opened before a fork, and SQLite's connections do not survive one",
                hint="open the store in the child, or start processes with 'spawn'",
            )


def _remove(folder: str, process: int) -> None:
    if os.getpid() == process:
        shutil.rmtree(folder, ignore_errors=True)


def _sync(path: Path) -> None:
    """Bring a file or folder to the disk. The copy's file is nobody's store yet, so that no lock of SQLite's is lost."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
