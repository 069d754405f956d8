"""Transactions and savepoints of clients."""

from __future__ import annotations

from ..dialect import quote_identifier
from ..engine.session import Session
from ..errors import ActiveTransaction, FailedTransaction, InvalidParameter
from .calls import Call
from .clients import Client, Clients, Transaction
from .work import Seat, Work

__all__ = ["Transactions"]


class Transactions:
    """Opens and ends them.

    In the protocol a client names the transaction of each statement. The session of an open one is without autocommit, so
    that a COMMIT among its statements begins the next, as in a program's own connection.
    """

    def __init__(self, clients: Clients, work: Work) -> None:
        self._clients = clients
        self._work = work

    async def begin(self, call: Call) -> bytes:
        """Open one, and return its handle."""
        client = call.client
        seat = client.seat
        client.abandoned = None
        if client.transaction is not None or seat.session.in_transaction:
            seat = Seat(client.session.twin())
        transaction = self._clients.opened(client, seat)
        try:
            await self._work.run(seat, lambda: _open(seat.session))
        except BaseException:
            await self._forget(transaction)
            raise
        return transaction.id

    async def end(self, call: Call, id_: bytes, *, commit: bool) -> None:
        """Commit or roll back."""
        client = call.client
        if client.abandoned and client.abandoned == id_:
            client.abandoned = None
            if commit:
                raise FailedTransaction(
                    "the transaction was undone, for it lay idle", hint="roll it back, and begin anew"
                )
            return
        transaction = self._clients.transaction(id_, call.identity)
        session = transaction.seat.session
        try:
            await self._work.run(transaction.seat, lambda: _close(session, commit=commit))
        finally:
            await self._forget(transaction)

    async def _forget(self, transaction: Transaction) -> None:
        self._clients.ended(transaction)
        session = transaction.seat.session
        if transaction.is_own:
            session.set_autocommit(True)
        else:
            await self._work.run(Seat(session), session.close)

    async def savepoint(self, call: Call, transaction_id: bytes, name: str) -> bytes:
        """Set a savepoint, and return its handle."""
        if not name:
            raise InvalidParameter("a savepoint has a name")
        transaction = self._clients.transaction(transaction_id, call.identity)
        session = transaction.seat.session
        text = f"SAVEPOINT {quote_identifier(name)}"
        await self._work.run(transaction.seat, lambda: session.execute(text))
        handle = transaction.id + len(transaction.savepoints).to_bytes(4, "big") + name.encode()
        transaction.savepoints[handle] = name
        return handle

    async def end_savepoint(self, call: Call, id_: bytes, *, release: bool) -> None:
        """Release a savepoint, or roll back to it; those set after it are gone."""
        transaction, name = self._clients.savepoint(id_, call.identity)
        session = transaction.seat.session
        text = f"{'RELEASE' if release else 'ROLLBACK TO'} {quote_identifier(name)}"
        await self._work.run(transaction.seat, lambda: session.execute(text))
        handles = list(transaction.savepoints)
        for handle in handles[handles.index(id_) + (0 if release else 1) :]:
            del transaction.savepoints[handle]

    async def abandon(self, transaction: Transaction) -> None:
        """Undo one whose client does nothing."""
        client, session = transaction.client, transaction.seat.session
        if transaction.is_own:
            client.abandoned = transaction.id
        await self._work.run(transaction.seat, lambda: _close(session, commit=False))
        await self._forget(transaction)

    async def abandon_session(self, client: Client) -> None:
        """Undo what a client began by a statement, and then did nothing."""
        client.abandoned = b""
        session = client.session
        await self._work.run(client.seat, lambda: _close(session, commit=False))


def _open(session: Session) -> None:
    if session.in_transaction:
        raise ActiveTransaction("a transaction is open already")
    session.set_autocommit(False)
    session.begin()


def _close(session: Session, *, commit: bool) -> None:
    if session.in_transaction:
        if commit:
            session.commit()
        else:
            session.rollback()
