"""The transaction of a session, from BEGIN to COMMIT."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

import pyarrow as pa

from ..errors import (
    ActiveTransaction,
    FailedTransaction,
    NoActiveTransaction,
    ProgrammingError,
    SerializationFailure,
)
from ..ports import NamedQuery, Parameters, Reader, Store, Transaction
from ..tables.catalog import CatalogTable, TableCatalog

__all__ = ["TransactionScope"]


class _PinnedReader:
    """Reads what a statement inside a transaction reads, also after the transaction ended.

    After a commit the store has it; after a rollback nobody has, and the offsets that it knew may be another's.
    """

    def __init__(self, transaction: Transaction, store: Store) -> None:
        self._transaction = transaction
        self._store = store
        self.ended: str | None = None

    @property
    def committed(self) -> bool:
        return self.ended == _COMMITTED

    def query(self, query: NamedQuery, parameters: Parameters = ()) -> pa.Table:
        return self._current().query(query, parameters)

    def stream(self, query: NamedQuery, parameters: Parameters = ()) -> Iterator[pa.RecordBatch]:
        return self._current().stream(query, parameters)

    def _current(self) -> Reader:
        if self.ended is None:
            return self._transaction
        if self.ended == _COMMITTED:
            return self._store
        raise ProgrammingError(
            "the transaction in which this result was begun was rolled back",
            sqlstate="24000",
            hint="run the statement again",
        )


_COMMITTED = "committed"
_ROLLED_BACK = "rolled back"

_STATEMENT = "\0statement"  # no user can write this name


class TransactionScope:
    """Where a session's statements read and write.

    Outside a transaction each statement that writes has one of its own. Inside, the store's write lock is taken by the
    first statement that writes (or by a savepoint), so that a transaction which only reads stands in nobody's way.
    """

    def __init__(self, store: Store, check: Callable[[], None], catalog: TableCatalog) -> None:
        """``check`` is called while a statement waits for the write lock; what it raises ends the wait."""
        self._store = store
        self._check = check
        self._catalog = catalog
        self._versions: dict[int, CatalogTable] = {}
        self._open = False
        self._transaction: Transaction | None = None
        self._pinned: _PinnedReader | None = None
        self._undone: list[Callable[[], None]] = []

    @property
    def is_open(self) -> bool:
        """Whether there was a BEGIN."""
        return self._open

    @property
    def has_written(self) -> bool:
        """Whether the open transaction holds the write lock."""
        return self._transaction is not None

    @property
    def reader(self) -> Reader:
        """The transaction where it wrote, so that it reads its own writes; else the store."""
        return self._store if self._pinned is None else self._pinned

    def begin(self) -> None:
        """``ActiveTransaction`` (25001) inside one."""
        if self._open:
            raise ActiveTransaction(
                "a transaction is open already", hint="COMMIT or ROLLBACK it first, or use SAVEPOINT"
            )
        self._open = True

    def commit(self) -> None:
        """``NoActiveTransaction`` (25P01) outside one. When it raises, everything was undone."""
        transaction, pinned = self._close("COMMIT")
        if transaction is not None and pinned is not None:
            pinned.ended = _ROLLED_BACK  # unless the next line succeeds
            transaction.commit()
            pinned.ended = _COMMITTED

    def rollback(self) -> None:
        """``NoActiveTransaction`` (25P01) outside one."""
        undone = self._undone
        transaction, pinned = self._close("ROLLBACK")
        if transaction is not None and pinned is not None:
            pinned.ended = _ROLLED_BACK
            transaction.rollback()
        self._look(undone)

    def after_rollback(self, look: Callable[[], None]) -> None:
        """Have ``look`` called after each rollback of the open transaction, all of it or to a savepoint. It MUST NOT raise."""
        if self._open:
            self._undone.append(look)

    @staticmethod
    def _look(undone: Sequence[Callable[[], None]]) -> None:
        for look in undone:
            look()

    def _close(self, what: str) -> tuple[Transaction | None, _PinnedReader | None]:
        self._require(what)
        closed = self._transaction, self._pinned
        self._transaction, self._pinned, self._open, self._versions = None, None, False, {}
        self._undone = []
        return closed

    def read(self, table: CatalogTable) -> None:
        """A statement reads ``table`` in this version.

        What an open transaction read must still hold when it first writes: else an update that is computed from it would
        undo somebody else's.
        """
        if self._open and self._transaction is None:
            self._versions.setdefault(table.number, table)

    def savepoint(self, name: str) -> None:
        """Begin a nested part."""
        self._require("SAVEPOINT")
        self.written().savepoint(name)

    def rollback_to(self, name: str) -> None:
        """``UndefinedObject`` where there is no such savepoint."""
        self._require("ROLLBACK TO")
        self.written().rollback_to(name)
        self._look(self._undone)

    def release(self, name: str) -> None:
        """``UndefinedObject`` where there is no such savepoint."""
        self._require("RELEASE")
        self.written().release(name)

    def _require(self, what: str) -> None:
        if not self._open:
            raise NoActiveTransaction(f"{what} outside a transaction", hint="BEGIN opens one")

    def written(self) -> Transaction:
        """The transaction of the store, begun where this is the first that the open one writes."""
        if self._transaction is None:
            transaction = self._store.begin(check=self._check)
            try:
                self._check_versions(transaction)
            except BaseException:
                transaction.rollback()
                raise
            self._transaction = transaction
            self._pinned = _PinnedReader(transaction, self._store)
        return self._transaction

    def _check_versions(self, transaction: Transaction) -> None:
        if not self._versions:
            return
        now = self._catalog.data_versions(transaction, self._versions)
        for number, table in self._versions.items():
            if now.get(number) != table.data_version:
                raise SerializationFailure(
                    f"table {table.name} was changed by another transaction after this one had read it",
                    hint="roll back, and run the transaction again",
                )

    @contextmanager
    def writing(self) -> Iterator[Transaction]:
        """A transaction for one statement: all of it happens or nothing does."""
        if not self._open:
            with self._store.begin(check=self._check) as transaction:
                yield transaction
            return
        transaction = self.written()
        transaction.savepoint(_STATEMENT)
        try:
            yield transaction
        except BaseException:
            with suppress(FailedTransaction):  # then the store undid everything already
                transaction.rollback_to(_STATEMENT)
                transaction.release(_STATEMENT)
            raise
        transaction.release(_STATEMENT)

    @contextmanager
    def changing(self) -> Iterator[Transaction]:
        """As ``writing``, for a statement that changes what it reads: meanwhile ``reader`` is the transaction too."""
        if self._open:
            with self.writing() as transaction:
                yield transaction
            return
        self._open = True
        try:
            yield self.written()
        except BaseException:
            self.rollback()
            raise
        self.commit()

    @contextmanager
    def trying(self) -> Iterator[Transaction]:
        """As ``changing``; where the store undoes a statement of its own that fails, without a way back to its beginning
        inside an open transaction: for a statement that is one statement of the store, or that goes on with
        ``changing``."""
        if self._open and self.written().undoes_statements:
            yield self.written()
            return
        with self.changing() as transaction:
            yield transaction

    def abandon(self) -> None:
        """Undo whatever is open."""
        if self._open:
            self.rollback()
