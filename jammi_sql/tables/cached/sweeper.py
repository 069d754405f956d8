"""Files of copies that nobody needs any more."""

from __future__ import annotations

import logging
import re
import threading

from ...logs import about
from ...ports import Clock, Store
from ...topics.segments.lock import CompactionLock
from ...topics.segments.pins import SegmentPins
from ...topics.segments.storage import SegmentStorage
from .catalog import CachedCatalog

__all__ = ["CopySweeper"]

_logger = logging.getLogger("jammi_sql.tables")

_OURS = re.compile(r"[0-9a-f-]{36}/[0-9a-f]{16}\.(parquet|arrow)")


class CopySweeper:
    """Deletes copies that were replaced or dropped, ``grace`` seconds later and when no statement of this process reads
    them; and, once, what a crash left."""

    def __init__(
        self,
        store: Store,
        catalog: CachedCatalog,
        storage: SegmentStorage,
        lock: CompactionLock,
        pins: SegmentPins,
        clock: Clock,
        grace: float,
        *,
        alone: bool,
    ) -> None:
        """``alone``: nobody else has files at that place."""
        self._alone = alone
        self._store = store
        self._catalog = catalog
        self._storage = storage
        self._lock = lock
        self._pins = pins
        self._clock = clock
        self._grace_us = int(grace * 1_000_000)
        self._looked = False

    def round(self, stopped: threading.Event) -> None:
        """Delete what may go now."""
        if not self._looked:
            self.remove_orphans()
        limit = self._clock.now_us() - self._grace_us
        for file in self._catalog.dropped(self._store):
            if stopped.is_set() or file.dropped_us > limit:
                return
            if self._pins.holds(file.path):
                continue
            self._storage.delete(file.path)
            with self._store.begin() as transaction:
                self._catalog.forget_dropped(transaction, file.path)

    def remove_orphans(self) -> None:
        """Delete files that a refresh which died left. Does nothing while one runs: its file is no orphan.

        Where others may have files too, only those in the folders of this store's tables.
        """
        with self._lock.tried() as held:
            if not held:
                return
            own = self._catalog.folders(self._store)
            self._storage.delete_unfinished(own)
            there = [file.path for file in self._storage.files()]
            known = self._catalog.known_paths(self._store)
            for path in there:
                mine = self._alone or path.partition("/")[0] in own
                if path not in known and mine and _OURS.fullmatch(path):
                    self._storage.delete(path)
                    shown = self._storage.display(path)
                    _logger.info("removed %s, which a refresh left unfinished", shown, extra=about(path=shown))
            self._looked = True
