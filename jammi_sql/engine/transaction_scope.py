"""The transaction of a session, from BEGIN to COMMIT."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from ..errors import ActiveTransaction, FailedTransaction, NoActiveTransaction
from ..ports import Reader, Store, Transaction

__all__ = ["TransactionScope"]

_STATEMENT = "\0statement"  # no user can write this name


class TransactionScope:
    """Where a session's statements read and write.

    Outside a transaction each statement that writes has one of its own. Inside, the store's write lock is taken by the
    first statement that writes (or by a savepoint), so that a transaction which only reads stands in nobody's way.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._open = False
        self._transaction: Transaction | None = None

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
        return self._transaction if self._transaction is not None else self._store

    def begin(self) -> None:
        """``ActiveTransaction`` (25001) inside one."""
        if self._open:
            raise ActiveTransaction(
                "a transaction is open already", hint="COMMIT or ROLLBACK it first, or use SAVEPOINT"
            )
        self._open = True

    def commit(self) -> None:
        """``NoActiveTransaction`` (25P01) outside one. When it raises, everything was undone."""
        transaction = self._close("COMMIT")
        if transaction is not None:
            transaction.commit()

    def rollback(self) -> None:
        """``NoActiveTransaction`` (25P01) outside one."""
        transaction = self._close("ROLLBACK")
        if transaction is not None:
            transaction.rollback()

    def _close(self, what: str) -> Transaction | None:
        self._require(what)
        transaction, self._transaction, self._open = self._transaction, None, False
        return transaction

    def savepoint(self, name: str) -> None:
        """Begin a nested part."""
        self._require("SAVEPOINT")
        self._written().savepoint(name)

    def rollback_to(self, name: str) -> None:
        """``UndefinedObject`` where there is no such savepoint."""
        self._require("ROLLBACK TO")
        self._written().rollback_to(name)

    def release(self, name: str) -> None:
        """``UndefinedObject`` where there is no such savepoint."""
        self._require("RELEASE")
        self._written().release(name)

    def _require(self, what: str) -> None:
        if not self._open:
            raise NoActiveTransaction(f"{what} outside a transaction", hint="BEGIN opens one")

    def _written(self) -> Transaction:
        if self._transaction is None:
            self._transaction = self._store.begin()
        return self._transaction

    @contextmanager
    def writing(self) -> Iterator[Transaction]:
        """A transaction for one statement: all of it happens or nothing does."""
        if not self._open:
            with self._store.begin() as transaction:
                yield transaction
            return
        transaction = self._written()
        transaction.savepoint(_STATEMENT)
        try:
            yield transaction
        except BaseException:
            with suppress(FailedTransaction):  # then the store undid everything already
                transaction.rollback_to(_STATEMENT)
                transaction.release(_STATEMENT)
            raise
        transaction.release(_STATEMENT)

    def abandon(self) -> None:
        """Undo whatever is open."""
        if self._open:
            self.rollback()
