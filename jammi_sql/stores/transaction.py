"""A write transaction of a store."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import ParamSpec, Protocol, Self, TypeVar

import pyarrow as pa

from .. import faults
from ..errors import (
    ConnectionClosed,
    Error,
    FailedTransaction,
    InterfaceError,
    InternalError,
    LockNotAvailable,
    OperationalError,
    ProgrammingError,
    UndefinedObject,
)
from ..ports import NamedQuery, Parameters

__all__ = ["StoreTransaction", "TransactionConnection", "TransactionStream", "gone"]

_logger = logging.getLogger("jammi_sql.stores")

_P = ParamSpec("_P")
_R = TypeVar("_R")


def gone() -> ProgrammingError:
    """For who reads on in a stream that was closed."""
    return ProgrammingError(
        "the rows of this result are gone: it was closed, or its transaction ended",
        sqlstate="24000",
        hint="run the statement again",
    )


class TransactionStream(Protocol):
    """An open result."""

    def next_batch(self) -> pa.RecordBatch | None: ...

    def close(self) -> None: ...


class TransactionConnection(Protocol):
    """What a transaction needs of its connection."""

    def query(self, query: NamedQuery, parameters: Parameters = ()) -> pa.Table: ...

    def stream(self, query: NamedQuery, parameters: Parameters = ()) -> TransactionStream: ...

    def execute(self, query: NamedQuery, parameters: Parameters = ()) -> int: ...

    def command(self, text: str) -> None: ...

    def commit(self) -> None: ...

    def rollback_to(self, text: str) -> None: ...

    def script(self, text: str) -> None: ...

    def end_streams(self) -> None: ...

    def rollback(self) -> None: ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class _Savepoint:
    """A savepoint, and how many callbacks there were when it was made."""

    name: str
    callbacks: int


class StoreTransaction:
    """The ``Transaction`` of a ``SqliteStore``, made by its ``begin``; that of other stores is made of it.

    May be used from any thread, by one at a time: others wait. A statement that breaks a constraint leaves the
    transaction open; of one with a ``RecordBatch`` the rows before the offending one stay, unless a savepoint is
    rolled back to.

    SQLite itself rolls a transaction back when the disk is full or fails, and would run what follows outside of one. So
    after any ``OperationalError`` or ``InternalError`` it is rolled back here as well, and the rest is refused with
    ``FailedTransaction`` (25P02) until ``rollback``.
    """

    __slots__ = (
        "__weakref__",
        "_callbacks",
        "_check",
        "_clean",
        "_connection",
        "_ended",
        "_failure",
        "_finish",
        "_lock",
        "_over",
        "_savepoints",
    )

    committed = False
    undoes_statements = True

    def __init__(
        self, connection: TransactionConnection, check: Callable[[], None], finish: Callable[[], None]
    ) -> None:
        """``connection`` is in a transaction;

        ``check`` raises where the store may not be used, ``finish`` gives the lock back and may be called again.
        """
        self._connection = connection
        self._check = check
        self._finish = finish
        self._lock = threading.Lock()
        self._clean = False  # whether the connection is known to be in no transaction
        self._ended: type[InterfaceError] | None = None
        self._over = False  # and the lock is given back
        self._failure: Error | None = None
        self._callbacks: list[Callable[[], None]] = []
        self._savepoints: list[_Savepoint] = []

    def query(self, query: NamedQuery, parameters: Parameters = ()) -> pa.Table:
        """As ``Reader.query``; sees the transaction's own writes."""
        return self._run(self._connection.query, query, parameters)

    def stream(self, query: NamedQuery, parameters: Parameters = ()) -> Iterator[pa.RecordBatch]:
        """As ``Reader.stream``; sees the transaction's own writes. The transaction's end is its end too."""
        stream = self._run(self._connection.stream, query, parameters)
        try:
            while (batch := self._run(stream.next_batch)) is not None:
                yield batch
        finally:
            with self._lock:
                stream.close()

    def execute(self, query: NamedQuery, parameters: Parameters = ()) -> int:
        """As ``Transaction.execute``."""
        return self._run(self._connection.execute, query, parameters)

    def lock(self, name: str) -> None:
        """As ``Transaction.lock``: nothing is left to exclude."""

    def script(self, text: str) -> None:
        """As ``Transaction.script``. Ends the streams, of which the rest is wanted no more: SQLite changes no table that
        is being read."""
        self._run(self._script, text)

    def savepoint(self, name: str) -> None:
        """Begin a nested part. A savepoint of the same name is hidden until the new one is released."""
        self._run(self._savepoint, name)

    def rollback_to(self, name: str) -> None:
        """Undo back to the savepoint, which stays. Raises ``UndefinedObject`` when there is none of that name."""
        self._run(self._rollback_to, name)

    def release(self, name: str) -> None:
        """Forget the savepoint and those after it, and keep their work.

        Raises ``UndefinedObject`` as ``rollback_to``.
        """
        self._run(self._release, name)

    def after_commit(self, callback: Callable[[], None]) -> None:
        """As ``Transaction.after_commit``; a rollback to an earlier savepoint forgets ``callback``."""
        self._run(self._callbacks.append, callback)

    def commit(self) -> None:
        """Make it durable and give the lock back. When it raises, everything is undone and the transaction is over."""
        self._check()
        with self._lock:
            try:
                self._require_open()
                try:
                    faults.point("store.before_commit")
                    self._connection.end_streams()
                    self._connection.commit()
                    self._clean = True
                    faults.point("store.after_commit")
                except BaseException:
                    self._undo()
                    raise
                self._call_back()
            finally:
                try:
                    self._end(InterfaceError)
                except BaseException:  # Ctrl-C right here must not keep the lock
                    self._end(InterfaceError)
                    raise

    def _call_back(self) -> None:
        """Tell everybody that the work is durable: nobody's trouble with that can undo it, nor keep it from the next."""
        interrupt: BaseException | None = None
        for callback in self._callbacks:
            try:
                callback()
            except Exception:
                _logger.exception("the transaction is committed; what was to happen after it failed")
            except BaseException as error:  # Ctrl-C
                interrupt = error
        if interrupt is not None:
            raise interrupt

    def rollback(self) -> None:
        """Undo everything and give the lock back; nothing when the transaction is over."""
        if self._over:
            return
        self._check()
        with self._lock:
            try:
                if self._ended is None:
                    self._undo()
            finally:
                try:
                    self._end(InterfaceError)
                except BaseException:  # as in commit
                    self._end(InterfaceError)
                    raise

    def expire(self, timeout: float) -> None:
        """Roll back because the store closes, after a running call.

        Raises ``LockNotAvailable`` when that outlasts ``timeout``.
        """
        if not self._lock.acquire(timeout=timeout):
            raise LockNotAvailable(
                f"a write still ran after {timeout:g} s, the store is not closed",
                hint="close it again when it has ended",
            )
        try:
            if self._ended is None:
                self._undo()
                self._end(ConnectionClosed)
        finally:
            self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self.rollback()
        elif self._ended is None:
            self.commit()

    def _run(self, call: Callable[_P, _R], *arguments: _P.args, **named: _P.kwargs) -> _R:
        self._check()
        with self._lock:
            self._require_open()
            try:
                return call(*arguments, **named)
            except (OperationalError, InternalError) as error:
                self._failure = error
                self._undo()
                raise

    def _require_open(self) -> None:
        if self._ended is ConnectionClosed:
            raise ConnectionClosed("the store is closed, and the transaction was rolled back")
        if self._ended is not None:
            raise self._ended("the transaction is over", hint="begin another one")
        if self._failure is not None:
            raise FailedTransaction(
                "the transaction was rolled back after an earlier error", hint="roll it back, then run it again"
            ) from self._failure

    def _end(self, refusal: type[InterfaceError]) -> None:
        if self._ended is None:
            if not self._clean:  # Ctrl-C came first: without its connection the transaction cannot go on
                self._connection.close()
            self._ended = refusal
        self._finish()
        self._over = True

    def _undo(self) -> None:
        self._connection.rollback()
        self._clean = True

    def _script(self, text: str) -> None:
        self._connection.end_streams()
        self._connection.script(text)

    def _savepoint(self, name: str) -> None:
        self._connection.command(f"SAVEPOINT level_{len(self._savepoints)}")
        self._savepoints.append(_Savepoint(name, len(self._callbacks)))

    def _rollback_to(self, name: str) -> None:
        level = self._level(name)
        self._connection.rollback_to(f"ROLLBACK TO level_{level}")
        del self._callbacks[self._savepoints[level].callbacks :]
        del self._savepoints[level + 1 :]

    def _release(self, name: str) -> None:
        level = self._level(name)
        self._connection.command(f"RELEASE level_{level}")
        del self._savepoints[level:]

    def _level(self, name: str) -> int:
        """The number of the innermost savepoint of that name: names are any text, so SQLite gets numbers."""
        for level in range(len(self._savepoints) - 1, -1, -1):
            if self._savepoints[level].name == name:
                return level
        raise UndefinedObject(f"there is no savepoint {name!r}", hint="SAVEPOINT makes one")
