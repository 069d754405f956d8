"""A store that is measured."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from os import PathLike
from time import perf_counter
from types import TracebackType
from typing import Self

import pyarrow as pa

from ..ports import Claim, CommitWatch, NamedQuery, Parameters, Snapshot, Store, Transaction, WriteAlone
from .port import Record
from .recorder import Recorder

__all__ = ["MeteredStore", "MeteredTransaction"]


class MeteredStore:
    """The ``Store`` around another one, which takes down how long its work takes and what it tries again.

    Streams and snapshots are the other one's own: how long they take is for their readers to say.
    """

    def __init__(self, store: Store, recorder: Recorder) -> None:
        self.kind = store.kind
        self.read_only = store.read_only
        self.location = store.location
        self.folder = store.folder
        self._store = store
        self._begin, self._query = recorder.store("begin"), recorder.store("query")
        self._execute, self._commit = recorder.store("execute"), recorder.store("commit")
        store.on_retry = recorder.retried

    @property
    def committed(self) -> bool:
        """As ``Reader.committed``."""
        return self._store.committed

    @property
    def on_retry(self) -> Callable[[str], None] | None:
        """As ``Store.on_retry``."""
        return self._store.on_retry

    @on_retry.setter
    def on_retry(self, retried: Callable[[str], None] | None) -> None:
        self._store.on_retry = retried

    def query(self, query: NamedQuery, parameters: Parameters = ()) -> pa.Table:
        """As ``Reader.query``."""
        began = perf_counter()
        table = self._store.query(query, parameters)
        self._query(perf_counter() - began)
        return table

    def stream(self, query: NamedQuery, parameters: Parameters = ()) -> Iterator[pa.RecordBatch]:
        """As ``Reader.stream``."""
        return self._store.stream(query, parameters)

    def begin(self, *, timeout: float | None = None, check: Callable[[], None] | None = None) -> MeteredTransaction:
        """As ``Store.begin``; a wait that ends without the lock counts too."""
        began = perf_counter()
        try:
            transaction = self._store.begin(timeout=timeout, check=check)
        finally:
            self._begin(perf_counter() - began)
        return MeteredTransaction(transaction, self._query, self._execute, self._commit)

    @property
    def alone(self) -> WriteAlone | None:
        """As ``Store.alone``; it counts as a commit."""
        return None if self._store.alone is None else self._write_alone

    def _write_alone(
        self,
        statement: Callable[[], tuple[NamedQuery, Parameters] | None],
        *,
        check: Callable[[], None] | None = None,
    ) -> pa.Table | None:
        assert self._store.alone is not None
        began = perf_counter()
        table = self._store.alone(statement, check=check)
        if table is not None:
            self._commit(perf_counter() - began)
        return table

    def snapshot(self) -> Snapshot:
        """As ``Store.snapshot``."""
        return self._store.snapshot()

    def claim(self, name: str) -> Claim | None:
        """As ``Store.claim``."""
        return self._store.claim(name)

    def changes(self) -> int:
        """As ``Store.changes``."""
        return self._store.changes()

    def watch(self, interval: float) -> CommitWatch:
        """As ``Store.watch``."""
        return self._store.watch(interval)

    def backup(self, folder: str | PathLike[str]) -> None:
        """As ``Store.backup``."""
        self._store.backup(folder)

    def close(self) -> None:
        """As ``Store.close``."""
        self._store.close()


class MeteredTransaction:
    """The ``Transaction`` of a ``MeteredStore``."""

    __slots__ = ("_commit", "_execute", "_query", "_transaction")

    def __init__(self, transaction: Transaction, query: Record, execute: Record, commit: Record) -> None:
        self._transaction = transaction
        self._query = query
        self._execute = execute
        self._commit = commit

    @property
    def committed(self) -> bool:
        """As ``Reader.committed``."""
        return self._transaction.committed

    def query(self, query: NamedQuery, parameters: Parameters = ()) -> pa.Table:
        """As ``Reader.query``."""
        began = perf_counter()
        table = self._transaction.query(query, parameters)
        self._query(perf_counter() - began)
        return table

    def stream(self, query: NamedQuery, parameters: Parameters = ()) -> Iterator[pa.RecordBatch]:
        """As ``Reader.stream``."""
        return self._transaction.stream(query, parameters)

    def execute(self, query: NamedQuery, parameters: Parameters = ()) -> int:
        """As ``Transaction.execute``."""
        began = perf_counter()
        count = self._transaction.execute(query, parameters)
        self._execute(perf_counter() - began)
        return count

    @property
    def undoes_statements(self) -> bool:
        """As ``Transaction.undoes_statements``."""
        return self._transaction.undoes_statements

    def lock(self, name: str) -> None:
        """As ``Transaction.lock``."""
        self._transaction.lock(name)

    def script(self, text: str) -> None:
        """As ``Transaction.script``."""
        self._transaction.script(text)

    def savepoint(self, name: str) -> None:
        """As ``Transaction.savepoint``."""
        self._transaction.savepoint(name)

    def rollback_to(self, name: str) -> None:
        """As ``Transaction.rollback_to``."""
        self._transaction.rollback_to(name)

    def release(self, name: str) -> None:
        """As ``Transaction.release``."""
        self._transaction.release(name)

    def after_commit(self, callback: Callable[[], None]) -> None:
        """As ``Transaction.after_commit``."""
        self._transaction.after_commit(callback)

    def commit(self) -> None:
        """As ``Transaction.commit``; the callbacks are part of the time, since others wait for them."""
        began = perf_counter()
        self._transaction.commit()
        self._commit(perf_counter() - began)

    def rollback(self) -> None:
        """As ``Transaction.rollback``."""
        self._transaction.rollback()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        began = perf_counter()
        self._transaction.__exit__(kind, error, trace)
        if kind is None:
            self._commit(perf_counter() - began)
