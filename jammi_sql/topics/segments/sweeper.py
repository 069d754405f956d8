"""Files of segments that nobody needs any more."""

from __future__ import annotations

import logging
import re
import threading

from ... import faults
from ...logs import about
from ...ports import Clock, Store
from .catalog import SegmentCatalog
from .lock import CompactionLock
from .pins import SegmentPins
from .storage import SegmentStorage

__all__ = ["SegmentSweeper"]

_logger = logging.getLogger("jammi_sql.topics")

_OURS = re.compile(r"[0-9a-f-]{36}/\d{20}-[0-9a-f]{16}\.parquet")


class SegmentSweeper:
    """Deletes the files of segments that were dropped, and, once, what a crash left.

    A dropped file stays for ``grace`` seconds, for statements of other processes that read it, and until those of this
    process have ended.
    """

    def __init__(
        self,
        store: Store,
        segments: SegmentCatalog,
        storage: SegmentStorage,
        lock: CompactionLock,
        pins: SegmentPins,
        clock: Clock,
        grace: float,
    ) -> None:
        self._store = store
        self._segments = segments
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
        for file in self._segments.dropped(self._store):
            if stopped.is_set() or file.dropped_us > limit:
                return
            if self._pins.holds(file.path):
                continue
            self._storage.delete(file.path)
            faults.point("sweep.after_delete")
            with self._store.begin() as transaction:
                self._segments.forget_dropped(transaction, file.path)

    def remove_orphans(self) -> None:
        """Delete files that a compaction which died left, and warn of files that are not of this store.

        Does nothing while a compaction runs: its file is no orphan.
        """
        with self._lock.tried() as held:
            if not held:
                return
            # Another store may have its segments in the same place.
            own = self._segments.folders(self._store)
            self._storage.delete_unfinished(own)
            there = [file.path for file in self._storage.files()]
            known = self._segments.known_paths(self._store)
            for path in there:
                if path in known:
                    continue
                shown = self._storage.display(path)
                if _OURS.fullmatch(path) and path.partition("/")[0] in own:
                    self._storage.delete(path)
                    _logger.info("removed %s, which a compaction left unfinished", shown, extra=about(path=shown))
                else:
                    _logger.warning("%s is no segment of this store and is not read", shown, extra=about(path=shown))
            self._looked = True
