"""Hands over to a crowd what other processes published."""

from __future__ import annotations

from ..errors import Error
from ..ports import Store
from ..tenancy import TenantId
from .catalog import TopicCatalog
from .delivered import DeliveredBatch
from .log import EVERYBODY, Log
from .offset import Offset, datetime_of
from .tail import Tail

__all__ = ["CrowdFeeder"]

_MOST = 1024


class CrowdFeeder:
    """Reads new batches once and appends them to a tail, as if they had been published here.

    To wake thousands who then look into the log, each for itself, costs far more: most of them want nothing of it.
    """

    def __init__(self, store: Store, catalog: TopicCatalog, log: Log) -> None:
        self._store = store
        self._catalog = catalog
        self._log = log

    def feed(self, topic: int, tail: Tail, head: int) -> None:
        """Let ``tail`` have the batches of a topic, by its number, below ``head``, or at least know of them."""
        try:
            self._feed(topic, tail, head)
        except Error:  # damaged, dropped, removed: each reader finds out for itself
            pass
        tail.notify(head)

    def _feed(self, number: int, tail: Tail, head: int) -> None:
        start = tail.head
        if not start or head - start > _MOST:  # it has seen nothing yet, or it is for the log to tell
            return
        topic = self._catalog.numbered(self._store, number)  # as it is now: its schema is as new as its batches
        if topic is None:
            return
        while start < head:
            chunk = self._log.read(self._store, topic, EVERYBODY, start, head, limit=_MOST)
            for entry in chunk.entries:
                produced_at = datetime_of(entry.produced_us)
                tenant = TenantId(entry.tenant) if entry.tenant else None
                offset = Offset(entry.offset, produced_at)
                tail.append(DeliveredBatch(offset, produced_at, entry.batch, tenant), own=False)
            start = chunk.end
