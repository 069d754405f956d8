"""What was committed at one moment: a connection with an open read transaction."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import pyarrow as pa

from ..errors import ProgrammingError
from ..finalizing import finalize, ready
from ..ports import NamedQuery, Parameters
from .transaction import TransactionStream

__all__ = ["SnapshotConnection", "StoreSnapshot"]


class SnapshotConnection(Protocol):
    """What a snapshot needs of its connection."""

    def query(self, query: NamedQuery, parameters: Parameters = ()) -> pa.Table: ...

    def stream(self, query: NamedQuery, parameters: Parameters = ()) -> TransactionStream: ...

    def rollback(self) -> None: ...


class StoreSnapshot:
    """The ``Snapshot`` of a store, made by its ``snapshot``. May be used from any thread; they take turns."""

    __slots__ = ("__weakref__", "_connection", "_give_back", "_lock")

    committed = True

    def __init__(self, connection: SnapshotConnection, give_back: Callable[[Any], None]) -> None:
        """``connection`` is in a transaction; ``give_back`` takes it when it is not any more."""
        ready()
        self._lock = threading.Lock()
        self._give_back = give_back
        self._connection: SnapshotConnection | None = connection  # last: what has it is whole, wherever Ctrl-C strikes

    def query(self, query: NamedQuery, parameters: Parameters = ()) -> pa.Table:
        """As ``Reader.query``."""
        with self._lock:
            return self._open().query(query, parameters)

    def stream(self, query: NamedQuery, parameters: Parameters = ()) -> Iterator[pa.RecordBatch]:
        """As ``Reader.stream``."""
        with self._lock:
            stream = self._open().stream(query, parameters)
        try:
            while True:
                with self._lock:
                    batch = stream.next_batch()
                if batch is None:
                    return
                yield batch
        finally:
            with self._lock:
                stream.close()

    def close(self) -> None:
        """As ``Snapshot.close``."""
        with self._lock:
            connection, self._connection = self._connection, None
            if connection is not None:
                connection.rollback()
        if connection is not None:
            self._give_back(connection)

    def __del__(self) -> None:
        # Not here: the thread that happens to collect it may hold the very lock that giving back takes.
        if getattr(self, "_connection", None) is not None and not sys.is_finalizing():
            finalize(self.close)

    def _open(self) -> SnapshotConnection:
        if self._connection is None:
            raise ProgrammingError(
                "the rows of this result are gone: it was closed", sqlstate="24000", hint="run the statement again"
            )
        return self._connection
