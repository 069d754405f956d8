"""The contracts between the layers, as Protocols.

Each docstring says what an implementation MUST and MUST NOT do; ``tests/conformance`` checks it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self, runtime_checkable

import pyarrow as pa

if TYPE_CHECKING:
    from .topics.definition import TopicDefinition, TopicId
    from .topics.delivery import BrokerSubscription, ConsumerOffsetSnapshot, DeliveredBatch
    from .topics.offset import Offset
    from .topics.predicate import Predicate

__all__ = [
    "Broker",
    "Claim",
    "Clock",
    "CommitWatch",
    "NamedQuery",
    "Parameters",
    "Reader",
    "Snapshot",
    "Store",
    "Transaction",
    "WriteAlone",
]

Value = int | str | bytes | float | None
Parameters = Sequence[Value] | pa.RecordBatch


@dataclass(frozen=True, slots=True, eq=False)
class NamedQuery:
    """A statement for the store: its text with the store's parameters, and the schema of what it returns.

    Parameters are ``?1`` ``?2`` on SQLite and ``$1`` ``$2`` on PostgreSQL. With a ``RecordBatch`` as parameters SQLite
    runs the statement once per row; on PostgreSQL it runs once, and each column is one array, for ``unnest``.

    ``returns`` is ``None`` for a statement without rows. A text or blob column of a query MUST NOT be
    NULL (use ``coalesce``): ADBC's SQLite driver guesses column types from the first rows. ``lock`` is what a transaction
    adds to the text, on stores where others may write meanwhile.
    """

    name: str
    text: str
    returns: pa.Schema | None
    lock: str = ""


class Reader(Protocol):
    """Where committed rows (or a transaction's own) are read."""

    @property
    def committed(self) -> bool:
        """Whether everything read here is committed, and may be remembered."""
        ...

    def query(self, query: NamedQuery, parameters: Parameters = ()) -> pa.Table:
        """The whole result, with exactly the schema ``query.returns``.

        With a ``RecordBatch`` as parameters it is meant for each of its rows (see ``NamedQuery``).
        MUST be callable from any thread. MUST NOT leave a cursor or a snapshot open.
        """
        ...

    def stream(self, query: NamedQuery, parameters: Parameters = ()) -> Iterator[pa.RecordBatch]:
        """The result batch by batch, each with exactly the schema ``query.returns``; NULL is allowed in every column.

        Begins when the first batch is asked for, and sees one moment. MUST be callable from any thread, by one at a time;
        several streams may be read in turn. What it holds is released at its end, or when it is closed.
        """
        ...


class Snapshot(Reader, Protocol):
    """What was committed at one moment. It stands in no writer's way, but the store keeps what it sees until ``close``."""

    def close(self) -> None:
        """Release it, from any thread; its streams end with an error. MUST NOT raise, MAY be called twice."""
        ...


class Transaction(Reader, Protocol):
    """One write transaction.

    It MUST be serialisable against others as to what it locked: on SQLite the whole store from its begin to its end, on
    PostgreSQL the topics that it appends to and the tables that it looked up, each from then on. As a context manager it
    commits on success and rolls back on an exception.
    """

    @property
    def undoes_statements(self) -> bool:
        """Whether a statement that breaks a constraint leaves the transaction as it was.

        Where not, nothing runs after it but ``rollback_to`` and ``rollback``.
        """
        ...

    def execute(self, query: NamedQuery, parameters: Parameters = ()) -> int:
        """Run a statement without rows; with a ``RecordBatch``, for each row. Returns how many rows it wrote or removed."""
        ...

    def lock(self, name: str) -> None:
        """Exclude other transactions that lock the same name, until the end; what they committed is seen from now on."""
        ...

    def script(self, text: str) -> None:
        """Run DDL made by this package's own renderers, one statement."""
        ...

    def savepoint(self, name: str) -> None:
        """Begin a nested part; ``name`` is any text."""
        ...

    def rollback_to(self, name: str) -> None:
        """Undo back to the savepoint, which stays."""
        ...

    def release(self, name: str) -> None:
        """Forget the savepoint and keep its work."""
        ...

    def after_commit(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` once the work is durable, on a store with one write lock before that is given up.

        There the callbacks of all transactions of a process run in commit order. They MUST be quick and MUST NOT raise;
        one that does is logged, the others run all the same, and ``commit`` does not fail.
        """
        ...

    def commit(self) -> None:
        """Make it durable. When it returned, the work is on disk; when it raised, nothing is, unless the error is 08007:
        then the connection was lost on the way, and nobody here knows."""
        ...

    def rollback(self) -> None:
        """Undo everything. MUST NOT raise when the transaction is over."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class WriteAlone(Protocol):
    """Runs a statement that writes as a transaction of its own, where that saves a store round trips."""

    def __call__(
        self,
        statement: Callable[[], tuple[NamedQuery, Parameters] | None],
        *,
        check: Callable[[], None] | None = None,
    ) -> pa.Table | None:
        """The result of what ``statement`` gives, which is committed when this returns, ``None`` where that is ``None``.

        ``statement`` is asked right before it runs, and again where it certainly was not run. ``check`` as in
        ``Store.begin``. When it raised, nothing is committed, unless the error is 08007: then nobody here knows.
        """
        ...


class Claim(Protocol):
    """A name that nobody else has; the system gives it back when its holder dies."""

    def close(self) -> None:
        """Give it back. MAY be called twice."""
        ...


class CommitWatch(Protocol):
    """Tells one thread that somebody committed. MUST cost next to nothing while nobody does and nothing is asked."""

    def wait(self, timeout: float | None = None) -> bool:
        """Sleep until somebody commits, or ``wake``, or for ``timeout`` seconds; whether somebody committed.

        MUST be true once after one or many commits since it was made or was true, within a second of the commit whatever
        signal of it was lost; MAY be true without one. Raises what a query raises, misses nothing by it, and MAY be
        called again. MUST NOT return without a pause over and over because others commit a lot.
        """
        ...

    def wake(self) -> None:
        """Let the running ``wait`` return, or the next one. From any thread; MUST be quick."""
        ...

    def close(self) -> None:
        """Release what it holds: threads, handles, connections of its own. While no ``wait`` runs."""
        ...


class Store(Reader, Protocol):
    """A durable home of topics, tables and catalogue."""

    kind: str
    """``sqlite`` or ``postgres``."""
    read_only: bool
    location: str
    """For messages: never with credentials."""
    on_retry: Callable[[str], None] | None
    """Called when something is tried again, with what stood in the way: ``locked``, ``serialization``, ``connection``.

    ``None``: nobody wants to know. It MUST be quick and MUST NOT raise.
    """

    @property
    def folder(self) -> Path | None:
        """On this machine, for what is kept beside it; ``None`` where the store is somewhere else."""
        ...

    def begin(self, *, timeout: float | None = None, check: Callable[[], None] | None = None) -> Transaction:
        """Begin one, where there is one write lock with it, waiting at most ``timeout`` seconds (default: the store's limit).

        ``check`` MUST be called some five times a second while the transaction waits for others, now or later; what it
        raises ends the wait. MUST be fair between threads of a process. Raises ``LockNotAvailable`` (55P03) at the limit,
        ``ReadOnlyStore`` on a read-only store.
        """
        ...

    @property
    def alone(self) -> WriteAlone | None:
        """``None`` where a statement by itself costs as much as in a transaction."""
        ...

    def snapshot(self) -> Snapshot:
        """What is committed now, for statements that read several things which must agree."""
        ...

    def changes(self) -> int:
        """A number that differs from the last one returned whenever somebody committed in between.

        MUST be cheap (microseconds): a watch may poll it a hundred times a second. Called from one thread at a time.
        """
        ...

    def claim(self, name: str) -> Claim | None:
        """Have ``name`` among all processes that use the store; ``None`` where somebody has it."""
        ...

    def watch(self, interval: float) -> CommitWatch:
        """A watch over commits from now on, of this process and of all others.

        ``interval``: seconds in which it SHOULD tell of a commit, and which lie between two questions where nothing
        but questions tells of one. Each has its own; it MUST be closed before the store. Raises what a query raises.
        """
        ...

    def backup(self, folder: str | PathLike[str]) -> None:
        """Write a consistent copy into ``folder``, which is made or empty; opening the copy restores it.

        Readers and writers go on meanwhile. The copy is on disk when it returns. Raises ``StoreIOError``, ``DiskFull``.
        """
        ...

    def close(self) -> None:
        """Release files and connections. MUST wait for running calls, MAY be called twice."""
        ...


class Clock(Protocol):
    """Wall time for ``produced_at``."""

    def now_us(self) -> int:
        """Microseconds since 1970 in UTC."""
        ...


@runtime_checkable
class Broker(Protocol):
    """Hands committed batches to subscribers. It is a hint: the log is the truth.

    It MUST NOT persist anything that the log does not have, and MAY lose, repeat or reorder
    hand-overs: the subscriber heals all of it by offset.
    """

    driver_kind: str
    """``memory``, ``polling`` or ``jetstream``."""

    @property
    def heal_interval(self) -> float:
        """Seconds in which the engine finds itself what was committed while the broker is silent.

        It MAY change, and the engine follows within two seconds. A broker MAY leave it out: 0.25.
        """
        ...

    def register_topic(self, topic: TopicDefinition) -> None:
        """Make ready for a topic; again is a no-op."""
        ...

    def drop_topic(self, topic_id: TopicId) -> None:
        """Forget a topic; an unknown one is a no-op."""
        ...

    def publish(self, topic: TopicDefinition, delivered: DeliveredBatch) -> None:
        """Hand a committed batch over. MUST NOT block on a slow subscriber. Raises ``DriverError``."""
        ...

    def subscribe(self, topic_id: TopicId, predicate: Predicate, from_offset: Offset | None) -> BrokerSubscription:
        """The batches handed over from now on, those before ``from_offset`` and those without a matching row left out."""
        ...

    def list_consumers(self, topic_id: TopicId) -> list[ConsumerOffsetSnapshot]:
        """One snapshot per live subscription of the topic."""
        ...

    def close(self) -> None:
        """End all subscriptions. MAY be called twice. A broker MAY leave it out."""
        ...
