"""What the server keeps for its clients: sessions, transactions, prepared statements, results that wait."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote

import pyarrow as pa

from ..engine.origin import Origin
from ..engine.session import Session
from ..errors import ConnectionLost, FailedTransaction, InvalidParameter, NoActiveTransaction, UndefinedObject
from ..results import Result
from .framing import Framing
from .identity import Identity
from .known_types import KnownTypes
from .options import Limits
from .work import Seat

__all__ = ["Client", "Clients", "Prepared", "Transaction", "Waiting"]

_LONGEST: Final = 200  # characters that are kept of what a client calls itself


def _address(peer: str) -> str:
    """An address and port as users write them, of gRPC's ``ipv4:127.0.0.1:5000`` or ``ipv6:%5B::1%5D:5000``."""
    family, _, address = unquote(peer).partition(":")
    return address if family in ("ipv4", "ipv6") else peer


def _handle() -> bytes:
    return secrets.token_bytes(16)


@dataclass(eq=False)
class Client:
    """One client: a cookie, or a connection where it keeps none.

    Its session lives as long as it does. The first transaction that it opens is its session's own, so that settings and
    temporary tables outlive a commit; further ones at the same time have sessions of their own.
    """

    identity: Identity
    seat: Seat
    key: str = field(default_factory=lambda: secrets.token_urlsafe(18))
    transaction: Transaction | None = None
    abandoned: bytes | None = None
    """The transaction in its session that was undone because it lay idle, until it rolls it back; ``b""`` for one that was
    begun by a statement, until it has been told."""
    busy: int = 0
    results: dict[bytes, Waiting] = field(default_factory=dict)
    """Its results that are not through."""
    unread: int = 0
    """How many of them nobody fetches."""
    finite: int = 0
    """How many of them have an end."""
    prepared: int = 0
    """How many prepared statements it has."""
    touched: float = field(default_factory=time.monotonic)
    peers: set[str] = field(default_factory=set)
    greeted: bool = False
    """Whether it was given its cookie."""
    types: KnownTypes = field(default_factory=KnownTypes)
    """Those of the parameters of its statements."""
    attended: bool = False
    """Whether it is one of ours, which names its session in each call."""

    @property
    def session(self) -> Session:
        """Its session."""
        return self.seat.session


@dataclass(eq=False)
class Transaction:
    """An open transaction and the session that it is in."""

    client: Client
    seat: Seat
    id: bytes = field(default_factory=_handle)
    savepoints: dict[bytes, str] = field(default_factory=dict)
    touched: float = field(default_factory=time.monotonic)

    @property
    def is_own(self) -> bool:
        """Whether it is in the client's own session."""
        return self.seat is self.client.seat


@dataclass(eq=False)
class Prepared:
    """A prepared statement with the parameters that were bound last."""

    client: Client
    text: str
    parameters: pa.Schema
    """A column for each parameter, by its key; of type null where only a value tells."""
    schema: pa.Schema | None
    is_update: bool
    transaction: bytes | None
    handle: bytes = field(default_factory=_handle)
    rows: pa.Table | None = None

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys of its parameters."""
        return tuple(self.parameters.names)


@dataclass(eq=False)
class Waiting:
    """A result that is to be fetched, or is being so."""

    client: Client
    result: Result
    schema: pa.Schema
    session: Session | None = None
    """A session that ends with it."""
    batches: list[pa.RecordBatch] = field(default_factory=list)
    """The first of its batches, which were pulled already."""
    is_whole: bool = False
    """Whether those are all."""
    handle: bytes = field(default_factory=_handle)
    made: float = field(default_factory=time.monotonic)
    fetched: bool = False
    framing: Framing = field(init=False)

    def __post_init__(self) -> None:
        self.framing = Framing(self.schema)

    def close(self) -> None:
        """Let go of it."""
        self.result.cancel()
        self.result.close()
        if self.session is not None:
            self.session.close()


class Clients:
    """All of them. Everything here belongs to the event loop, but for what it says of sessions."""

    def __init__(self, new_session: Callable[[Identity], Session], limits: Limits) -> None:
        self._new_session = new_session
        self._limits = limits
        self._by_key: dict[str, Client] = {}
        self._by_peer: dict[tuple[str, Identity], Client] = {}
        self._transactions: dict[bytes, Transaction] = {}
        self._prepared: dict[bytes, Prepared] = {}
        self._waiting: dict[bytes, Waiting] = {}
        self._unread: dict[bytes, Waiting] = {}  # in the order in which they were made

    @property
    def count(self) -> int:
        """How many clients there are."""
        return len(self._by_key)

    @property
    def transactions(self) -> int:
        """How many transactions were opened and not ended."""
        return len(self._transactions)

    @property
    def results(self) -> list[Waiting]:
        """The results that are not through."""
        return list(self._waiting.values())

    # --- clients ---

    def find(self, cookie: str | None, peer: str, identity: Identity, user_agent: str | None = None) -> Client:
        """The client of a call, a new one where there is none; ``user_agent`` is the program that it says it is."""
        client = self._by_key.get(cookie) if cookie else None
        if client is None or client.identity != identity:
            client = self._by_peer.get((peer, identity))
        if client is None:
            client = Client(identity, Seat(self._new_session(identity)))
            self._by_key[client.key] = client
            self._by_peer[peer, identity] = client
            client.peers.add(peer)
            client.session.origin = Origin(
                "flight", _address(peer), None if user_agent is None else user_agent[:_LONGEST]
            )
        client.touched = time.monotonic()
        return client

    def attended(self, key: str, identity: Identity) -> Client:
        """The client of a session that one of ours names, a new one where it names none; ``ConnectionLost`` (08006) for a
        session that is over: its successor would have neither its tenant nor its settings.
        """
        if not key:
            client = Client(identity, Seat(self._new_session(identity)), attended=True)
            self._by_key[client.key] = client
            return client
        found = self._by_key.get(key)
        if found is None or found.identity != identity or not found.attended:
            raise ConnectionLost("the session is over: the server let go of it", hint="connect again")
        found.touched = time.monotonic()
        return found

    def is_reading(self, client: Client) -> bool:
        """Whether a result that has an end is being fetched by it, or waits to be."""
        return any(each.client is client and each.result.bounded for each in self._waiting.values())

    def drop(self, client: Client) -> list[Session]:
        """Forget a client and all that it has; returns its sessions, whose end undoes its transactions."""
        sessions = [client.session]
        self._by_key.pop(client.key, None)
        for peer in client.peers:
            self._by_peer.pop((peer, client.identity), None)
        for transaction in [each for each in self._transactions.values() if each.client is client]:
            self._transactions.pop(transaction.id, None)
            if not transaction.is_own:
                sessions.append(transaction.seat.session)
        if client.prepared:
            for prepared in [each for each in self._prepared.values() if each.client is client]:
                del self._prepared[prepared.handle]
        for waiting in list(client.results.values()):
            self.forget(waiting)
        return sessions

    # --- sessions for statements ---

    def transaction(self, id_: bytes, identity: Identity) -> Transaction:
        """The open transaction with that id; ``NoActiveTransaction`` (25P01) where there is none of this identity."""
        found = self._transactions.get(id_)
        if found is None or found.client.identity != identity:
            raise NoActiveTransaction(
                "there is no such transaction: it is over",
                hint=f"one that lies idle for {self._limits.transaction_timeout:g} s is undone",
            )
        found.touched = time.monotonic()
        return found

    def seat(self, client: Client, transaction: bytes | None, *, follows: bool) -> Seat | None:
        """Where a statement runs: in its transaction, or in the client's session; ``None``: in a session of its own.

        ``follows``: the call could not name a transaction, so it belongs to the one that is open. Others that name none are
        on their own, as the protocol has it.
        """
        if transaction is not None:
            return self.transaction(transaction, client.identity).seat
        if client.abandoned is not None:
            if not client.abandoned:
                client.abandoned = None
            raise FailedTransaction(
                f"the transaction was undone: it had been idle for {self._limits.transaction_timeout:g} s",
                hint="roll it back, and begin anew",
            )
        if client.transaction is None or follows:
            return client.seat
        return None

    def check_one_transaction(self, client: Client) -> None:
        """``InvalidParameter`` where it cannot be told which transaction a call without one belongs to."""
        if sum(each.client is client for each in self._transactions.values()) > 1:
            raise InvalidParameter(
                "several transactions are open, and the call does not say which one it belongs to",
                sqlstate="25001",
                hint="end the others first",
            )

    def opened(self, client: Client, seat: Seat) -> Transaction:
        """Take down a transaction that was begun."""
        transaction = Transaction(client, seat)
        self._transactions[transaction.id] = transaction
        if transaction.is_own:
            client.transaction = transaction
        return transaction

    def ended(self, transaction: Transaction) -> None:
        """Forget a transaction that is over."""
        self._transactions.pop(transaction.id, None)
        if transaction.client.transaction is transaction:
            transaction.client.transaction = None

    def savepoint(self, id_: bytes, identity: Identity) -> tuple[Transaction, str]:
        """The transaction of a savepoint, and its name."""
        for transaction in self._transactions.values():
            if id_ in transaction.savepoints and transaction.client.identity == identity:
                transaction.touched = time.monotonic()
                return transaction, transaction.savepoints[id_]
        raise UndefinedObject("there is no such savepoint", sqlstate="3B001")

    # --- prepared statements and results ---

    def keep_prepared(self, prepared: Prepared) -> None:
        """Remember a prepared statement; ``InvalidParameter`` (53400) where the client has too many."""
        if prepared.client.prepared >= self._limits.prepared:
            raise InvalidParameter(
                f"there are {self._limits.prepared} prepared statements already", sqlstate="53400", hint="close some"
            )
        self._prepared[prepared.handle] = prepared
        prepared.client.prepared += 1

    def prepared(self, handle: bytes, identity: Identity) -> Prepared:
        """The prepared statement with that handle."""
        found = self._prepared.get(handle)
        if found is None or found.client.identity != identity:
            raise InvalidParameter("there is no such prepared statement", sqlstate="26000", hint="prepare it again")
        return found

    def close_prepared(self, handle: bytes, identity: Identity) -> None:
        """Forget a prepared statement; nothing where there is none."""
        found = self._prepared.get(handle)
        if found is not None and found.client.identity == identity:
            del self._prepared[handle]
            found.client.prepared -= 1

    def keep(self, waiting: Waiting) -> Waiting:
        """Remember a result until it is fetched; ``InvalidParameter`` (53400) where the client fetches none of too many."""
        client = waiting.client
        if client.unread >= self._limits.unread:
            waiting.close()
            raise InvalidParameter(
                f"{client.unread} results wait to be fetched", sqlstate="53400", hint="fetch or cancel them"
            )
        self._waiting[waiting.handle] = self._unread[waiting.handle] = client.results[waiting.handle] = waiting
        client.unread += 1
        client.finite += waiting.result.bounded
        return waiting

    def fetched(self, waiting: Waiting) -> None:
        """A result is fetched from now on."""
        waiting.fetched = True
        if self._unread.pop(waiting.handle, None) is not None:
            waiting.client.unread -= 1

    def waiting(self, handle: bytes, identity: Identity) -> Waiting | None:
        """The result with that handle, fetched or not; ``None`` where it is over."""
        found = self._waiting.get(handle)
        return found if found is not None and found.client.identity == identity else None

    def forget(self, waiting: Waiting) -> None:
        """Close a result."""
        if self._waiting.pop(waiting.handle, None) is not None:
            client = waiting.client
            self.fetched(waiting)
            del client.results[waiting.handle]
            client.finite -= waiting.result.bounded
            client.touched = time.monotonic()
            waiting.close()

    def awaited(self, within: float) -> bool:
        """Whether a result is being fetched, or was made so few seconds ago that its client may not have asked for it yet."""
        now = time.monotonic()
        return len(self._unread) < len(self._waiting) or any(now - each.made < within for each in self._unread.values())

    # --- time ---

    def overdue(self) -> tuple[list[Waiting], list[Transaction], list[Client], list[Client]]:
        """Results that nobody fetched, transactions and sessions' own ones that lie idle, and clients that are gone."""
        now, limits = time.monotonic(), self._limits
        unread = [each for each in self._unread.values() if now - each.made > limits.unread_timeout]

        def is_idle(client: Client, seat: Seat, touched: float) -> bool:
            since = now - max(touched, seat.used)
            return since > limits.transaction_timeout and not seat.turn.locked() and not client.finite

        idle = [each for each in self._transactions.values() if is_idle(each.client, each.seat, each.touched)]
        by_text = [
            client
            for client in self._by_key.values()
            if client.transaction is None and client.session.in_transaction and is_idle(client, client.seat, 0.0)
        ]
        gone = [
            client
            for client in self._by_key.values()
            if not client.busy and not client.results and now - client.touched > limits.session_timeout
        ]
        return unread, idle, by_text, gone

    def all(self) -> list[Client]:
        """Every client."""
        return list(self._by_key.values())
