"""The shared store: a schema of a PostgreSQL database, reached through ADBC.

Any number of processes on any number of machines may use it. Reads and writes go through one pool of connections;
transactions run at the same time, and exclude each other where they change the same topic or table.
"""

from __future__ import annotations

import logging
import os
import threading
import time
import weakref
from collections.abc import Callable, Collection, Iterator
from contextlib import closing
from functools import partial
from types import TracebackType
from typing import Final, Self, TypeVar

import adbc_driver_manager
import adbc_driver_postgresql
import pyarrow as pa

from .. import faults
from ..adbc.driver import DRIVER_ERRORS, close_database
from ..adbc.pool import ConnectionPool
from ..adbc.postgres_errors import translated
from ..adbc.postgres_url import completed, is_address_in, schema_in, shown
from ..adbc.queries import load_queries
from ..checking import current_check
from ..errors import (
    ConnectionClosed,
    ConnectionLost,
    Error,
    FeatureNotSupported,
    InterfaceError,
    InvalidParameter,
    PermissionDenied,
    ReadOnlyStore,
    StoreVersionError,
)
from ..ports import Claim, CommitWatch, NamedQuery, Parameters, WriteAlone
from .migrations import load_migrations, migrate
from .postgres_connection import PostgresConnection
from .postgres_transaction import PostgresTransaction, lock_number
from .postgres_watch import Notifier, PostgresWatch
from .snapshot import StoreSnapshot
from .watchdog import Watchdog

__all__ = ["PostgresStore"]

_OLDEST: Final = 140000
_LONGEST_NAME: Final = 63  # bytes
_FIRST_PAUSE: Final = 0.05  # seconds
_LAST_PAUSE: Final = 1.0
_READ: Final = (
    "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SELECT pg_current_snapshot()"  # which takes the snapshot
)
_WRITE: Final = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"

_T = TypeVar("_T")

_logger = logging.getLogger("jammi_sql.stores")


class PostgresStore:
    """The ``Store`` on PostgreSQL; made by ``open``, closed by ``close`` or a ``with`` block.

    Safe for threads; not for a child made by ``os.fork``, in which every call is ``InterfaceError``.
    """

    kind = "postgres"
    committed = True
    folder = None

    def __init__(
        self,
        url: str,
        *,
        schema: str,
        read_only: bool,
        lock_timeout: float,
        pool_size: int,
        retry_timeout: float,
    ) -> None:
        if not schema or len(schema.encode()) > _LONGEST_NAME or "\0" in schema:
            raise InvalidParameter("a schema's name has 1 to 63 bytes", hint="leave schema out for jammi")
        if pool_size < 2:
            raise InvalidParameter("pool_size is at least 2")
        self.read_only = read_only
        self.location = f"{shown(url)}, schema {schema}"
        self.schema = schema
        self._url = completed(url)
        self._lock_timeout = lock_timeout
        self._retry_timeout = retry_timeout
        self._process = os.getpid()
        self._closed = False
        self._queries = load_queries("store", self.kind)
        quoted = schema.replace('"', '""')
        self._settings = "; ".join(
            (
                f'SET search_path = "{quoted}"',
                f"SET lock_timeout = {max(1, int(lock_timeout * 1000))}",
                f"SET default_transaction_read_only = {'on' if read_only else 'off'}",
                "SET default_transaction_isolation = 'read committed'",
                "SET client_encoding = 'UTF8'",
                "SET cursor_tuple_fraction = 1",  # a stream is read to its end
                "SET jit = off",
                # All queries of the log have an index in whose order they read a few rows; before the server has counted a
                # new topic's rows it takes them for few, and sorts all that follow for each piece of a replay.
                "SET enable_bitmapscan = off",
                # A commit that returned is on disk, whatever the role's default is.
                "SELECT set_config('synchronous_commit', 'on', false)"
                " WHERE current_setting('synchronous_commit') = 'off'",
            )
        )
        self.on_retry: Callable[[str], None] | None = None
        self._database: adbc_driver_manager.AdbcDatabase | None = None
        self._connecting = threading.Lock()
        pool_hint = "do less at once, or raise pool_size"
        self._pool = ConnectionPool(
            self._connect, limit=pool_size, timeout=lock_timeout, purpose=f"to {shown(url)} ", hint=pool_hint
        )
        # Apart from them: a result that somebody reads slowly keeps its connection.
        self._snapshots = ConnectionPool(
            self._connect,
            limit=pool_size * 2,
            timeout=lock_timeout,
            keep=pool_size,
            purpose=f"for reading from {shown(url)} ",
            hint=pool_hint,
        )
        self._open_snapshots: weakref.WeakSet[StoreSnapshot] = weakref.WeakSet()
        self._transactions: weakref.WeakSet[PostgresTransaction] = weakref.WeakSet()
        self._watchdog = Watchdog(self._at_work)
        self._notifier = Notifier(self._tell, f"{schema}.committed")

    @classmethod
    def open(
        cls,
        url: str,
        *,
        schema: str | None = None,
        read_only: bool = False,
        lock_timeout: float = 10.0,
        pool_size: int = 16,
        retry_timeout: float = 10.0,
    ) -> Self:
        """The store in ``schema`` of the database at ``url``, made if missing and brought up to date.

        Without ``schema`` it is that of the URL (``?schema=name``), else ``jammi``.
        ``lock_timeout``: seconds that a statement waits for another transaction, or for one of the ``pool_size``
        connections. ``retry_timeout``: seconds in which reads, and transactions that have not begun, are tried again on new
        connections when the server is gone.

        Raises ``ConnectionLost`` (08001) for a server that cannot be reached, ``PermissionDenied`` where the role may
        not do what is needed, ``StoreVersionError`` for a schema that is no store's or one of a newer version, and for a
        server before PostgreSQL 14.
        """
        store = cls(
            url,
            schema=schema or schema_in(url) or "jammi",
            read_only=read_only,
            lock_timeout=lock_timeout,
            pool_size=pool_size,
            retry_timeout=retry_timeout,
        )
        try:
            store._prepare()
        except BaseException:
            store.close()
            raise
        return store

    # --- reading ---

    def query(self, query: NamedQuery, parameters: Parameters = ()) -> pa.Table:
        """As ``Reader.query``: what is committed, from any thread. Tried again where the connection is lost."""
        return self._retried(lambda: self._queried(query, parameters))

    def _queried(self, query: NamedQuery, parameters: Parameters) -> pa.Table:
        connection = self._pool.take()
        try:
            return connection.query(query, parameters)
        finally:
            self._pool.give_back(connection)

    def stream(self, query: NamedQuery, parameters: Parameters = ()) -> Iterator[pa.RecordBatch]:
        """As ``Reader.stream``: what is committed when the first batch is asked for."""
        with closing(self.snapshot()) as snapshot:
            yield from snapshot.stream(query, parameters)

    def snapshot(self) -> StoreSnapshot:
        """As ``Store.snapshot``; at most twice ``pool_size`` are open at once."""
        connection = self._retried(lambda: self._begun(self._snapshots, _READ))
        snapshot = StoreSnapshot(connection, self._snapshots.give_back)
        self._open_snapshots.add(snapshot)
        return snapshot

    # --- writing ---

    def begin(self, *, timeout: float | None = None, check: Callable[[], None] | None = None) -> PostgresTransaction:
        """As ``Store.begin``; ``timeout`` is in seconds, by default the store's ``lock_timeout``.

        The wait is one for a connection here; later, for locks, it is the store's ``lock_timeout`` for each.
        """
        self._require_writable()
        connection = self._retried(lambda: self._begun(self._pool, _WRITE, timeout=timeout, check=check), check)
        given_back = threading.Lock()

        def finish() -> None:
            if given_back.acquire(blocking=False):
                connection.check = None
                self._pool.give_back(connection)

        try:
            faults.point("store.after_begin")
            transaction = PostgresTransaction(
                connection,
                self._require_parent,
                finish,
                lock_name=self._queries["lock_name"],
                space=self.schema,
                committed=self._notifier.signal,
            )
        except BaseException:
            connection.rollback()
            finish()
            raise
        self._transactions.add(transaction)
        return transaction

    @property
    def alone(self) -> WriteAlone:
        """As ``Store.alone``: to begin, and to commit, are two round trips less."""
        return self._write_alone

    def _write_alone(
        self,
        statement: Callable[[], tuple[NamedQuery, Parameters] | None],
        *,
        check: Callable[[], None] | None = None,
    ) -> pa.Table | None:
        self._require_writable()
        return self._retried(lambda: self._written_alone(statement, check), check)

    def _written_alone(
        self, statement: Callable[[], tuple[NamedQuery, Parameters] | None], check: Callable[[], None] | None
    ) -> pa.Table | None:
        connection = self._pool.take(check=check)
        connection.check = check
        try:
            given = statement()
            if given is None:
                return None
            faults.point("store.before_commit")
            table = connection.write_alone(*given)
            try:
                faults.point("store.after_commit")
                self._notifier.signal()
            except Exception:  # it is committed all the same
                _logger.exception("a statement is committed; what was to happen after it failed")
            return table
        except Exception:
            raise
        except BaseException:  # Ctrl-C: who knows where
            connection.close()
            raise
        finally:
            connection.check = None
            self._pool.give_back(connection)

    @staticmethod
    def _begun(
        pool: ConnectionPool[PostgresConnection],
        text: str,
        *,
        timeout: float | None = None,
        check: Callable[[], None] | None = None,
    ) -> PostgresConnection:
        connection = pool.take(timeout=timeout, check=check)
        connection.check = check
        try:
            connection.begin(text)
        except BaseException:
            connection.check = None
            connection.rollback()
            pool.give_back(connection)
            raise
        return connection

    def claim(self, name: str) -> Claim | None:
        """As ``Store.claim``, by an advisory lock of a connection of its own, which ends with it."""
        connection = self._retried(self._connect)
        try:
            rows = connection.query(self._queries["claim"], (lock_number(self.schema, f"claim {name}"),))
            claimed = bool(rows.column(0)[0].as_py())
        except BaseException:
            connection.close()
            raise
        if claimed:
            return connection
        connection.close()
        return None

    # --- commits of others ---

    def changes(self) -> int:
        """As ``Store.changes``: the server's own snapshot, so that commits in other databases count as well."""
        mark: int = self._queried(self._queries["commit_mark"], ()).column(0)[0].as_py()
        return mark

    def watch(self, interval: float) -> CommitWatch:
        """As ``Store.watch``: it hears notifications where psycopg is there, and asks every ``interval`` seconds, at least
        20 ms, where it is not."""
        self._require_open()
        return PostgresWatch(self.changes, self._url, self._notifier, interval)

    def _tell(self, channel: str, payload: str) -> None:
        self._queried(self._queries["notify"], (channel, payload))

    # --- the rest ---

    def backup(self, folder: str | os.PathLike[str]) -> None:
        """Refused with 0A000: PostgreSQL has better means."""
        raise FeatureNotSupported(
            "a store on PostgreSQL is not copied by backup()",
            hint=f"use the server's own: pg_dump --schema={self.schema}, pg_basebackup, or archiving",
        )

    def close(self) -> None:
        """Roll open transactions back, wait for running calls and release everything; later calls do nothing.

        Raises ``LockNotAvailable`` when a call outlasts ``lock_timeout``: the store then refuses new calls, and
        ``close`` may be called again. In a forked child it does nothing: the connections are the parent's.
        """
        if os.getpid() != self._process:
            return
        self._notifier.close()  # which may have something to send
        self._closed = True
        self._watchdog.close()
        for transaction in list(self._transactions):
            transaction.expire(self._lock_timeout)
        self._pool.close(self._lock_timeout)
        for snapshot in list(self._open_snapshots):  # of results that nobody read to their end
            snapshot.close()
        self._snapshots.close(self._lock_timeout)
        with self._connecting:
            database, self._database = self._database, None
        if database is not None:
            close_database(database)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _prepare(self) -> None:
        with closing(self._connect()) as connection:
            row = connection.query(self._queries["server"], (self.schema,)).to_pylist()[0]
            if row["version"] < _OLDEST:
                raise StoreVersionError(
                    f"{self.location}: the server is PostgreSQL {row['version'] // 10000}",
                    hint="PostgreSQL 14 is the oldest that works",
                )
            if row["other_tables"]:
                raise StoreVersionError(
                    f"{self.location}: the schema has tables, and is no store's",
                    hint="give another one with schema=; this one was left as it is",
                )
            if not row["schemas"]:
                self._make_schema(connection)
        migrate(self, load_migrations(self.kind))

    def _make_schema(self, connection: PostgresConnection) -> None:
        if self.read_only:
            raise ReadOnlyStore(
                f"{self.location}: there is no store", hint="open it once without read_only, which makes it"
            )
        quoted = self.schema.replace('"', '""')
        connection.begin(_WRITE)
        # Two that make it at the same time would get an error in spite of IF NOT EXISTS.
        connection.query(self._queries["lock_name"], (lock_number(self.schema, "schema"),))
        try:
            connection.script(f'CREATE SCHEMA IF NOT EXISTS "{quoted}"')
        except PermissionDenied as error:
            raise PermissionDenied(
                f"{self.location}: the role may not make the schema",
                hint=f'let an administrator run CREATE SCHEMA "{quoted}" AUTHORIZATION the_role, or GRANT CREATE ON DATABASE',
            ) from error
        connection.commit()

    def _connect(self) -> PostgresConnection:
        self._require_open()
        with self._connecting:
            if self._database is None:
                try:
                    self._database = adbc_driver_postgresql.connect(self._url)
                except DRIVER_ERRORS as error:
                    raise self._unreachable(error) from error
            database = self._database
        try:
            return PostgresConnection(database, self._settings, self._watchdog, partial(is_address_in, self._url))
        except ConnectionLost as error:
            raise self._unreachable(error) from error

    def _at_work(self, processes: Collection[int]) -> set[int]:
        """Which of these processes of the server are at work, asked on a new connection."""
        with closing(self._connect()) as connection:
            rows = connection.query(self._queries["at_work"], (str(list(processes)),))
        return {int(str(process)) for process in rows.column(0).to_pylist()}

    def _unreachable(self, error: BaseException) -> Error:
        found = error if isinstance(error, Error) else translated(error, "connecting")
        if not isinstance(found, ConnectionLost):
            return found
        return ConnectionLost(
            f"{self.location}: {found.message}",
            sqlstate="08001",
            hint="check that the server runs, and its address; jammi-sql doctor tells more",
        )

    def _retried(self, call: Callable[[], _T], check: Callable[[], None] | None = None) -> _T:
        """Call until the connection holds, for as long as a restart or a failover takes."""
        self._require_parent()
        check = check or current_check()
        deadline = time.monotonic() + self._retry_timeout
        pause = _FIRST_PAUSE
        while True:
            try:
                return call()
            except ConnectionLost:
                if self._closed or time.monotonic() + pause >= deadline:
                    raise
                if self.on_retry is not None:
                    self.on_retry("connection")
                self._pool.discard_idle()
                self._snapshots.discard_idle()
            if check is not None:
                check()
            time.sleep(pause)
            pause = min(_LAST_PAUSE, pause * 2)

    def _require_writable(self) -> None:
        if self.read_only:
            raise ReadOnlyStore(
                f"the store {self.location} is open read-only", hint="open it without read_only to write"
            )

    def _require_open(self) -> None:
        if self._closed:
            raise ConnectionClosed(f"the store {self.location} is closed")

    def _require_parent(self) -> None:
        if os.getpid() != self._process:
            raise InterfaceError(
                "the store was opened before a fork, and its connections do not survive one",
                hint="open the store in the child, or start processes with 'spawn'",
            )
