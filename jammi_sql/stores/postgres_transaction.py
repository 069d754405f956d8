"""A write transaction on PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from hashlib import blake2b

import pyarrow as pa

from ..ports import NamedQuery, Parameters
from .postgres_connection import PostgresConnection
from .transaction import StoreTransaction

__all__ = ["PostgresTransaction", "lock_number"]


class PostgresTransaction(StoreTransaction):
    """The ``Transaction`` of a ``PostgresStore``: READ COMMITTED, with locks held to its end on all that it looks up to
    change it, so that what it read of that is what it changes.

    After a statement that failed the server runs nothing more in it until a savepoint is rolled back to.
    """

    __slots__ = ("_lock_name", "_space")

    undoes_statements = False

    def __init__(
        self,
        connection: PostgresConnection,
        check: Callable[[], None],
        finish: Callable[[], None],
        *,
        lock_name: NamedQuery,
        space: str,
        committed: Callable[[], None],
    ) -> None:
        """``space``: what keeps the names that are locked apart from those of other stores of the server.

        ``committed`` is called after the commit.
        """
        super().__init__(connection, check, finish)
        self._lock_name = lock_name
        self._space = space
        self._callbacks.append(committed)

    def query(self, query: NamedQuery, parameters: Parameters = ()) -> pa.Table:
        """As ``Reader.query``; sees the transaction's own writes. Takes the locks that ``query`` names."""
        return super().query(_locking(query) if query.lock else query, parameters)

    def lock(self, name: str) -> None:
        """As ``Transaction.lock``, by an advisory lock."""
        super().query(self._lock_name, (lock_number(self._space, name),))


@lru_cache(maxsize=256)
def _locking(query: NamedQuery) -> NamedQuery:
    return replace(query, text=f"{query.text} {query.lock}")


def lock_number(space: str, name: str) -> int:
    """The number of an advisory lock: the server knows them by 64 bits alone."""
    digest = blake2b(f"{space}\0{name}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)
