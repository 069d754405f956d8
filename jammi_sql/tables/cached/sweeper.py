"""Files of copies that nobody needs any more."""

from __future__ import annotations

import logging
import re
from collections.abc import Collection

from ...logs import about
from ...ports import Clock, Store
from ...topics.segments.file_sweeper import FileSweeper
from ...topics.segments.lock import CompactionLock
from ...topics.segments.pins import SegmentPins
from ...topics.segments.storage import SegmentStorage
from .catalog import CachedCatalog

__all__ = ["CopySweeper"]

_logger = logging.getLogger("jammi_sql.tables")

_OURS = re.compile(r"[0-9a-f-]{36}/[0-9a-f]{16}\.(parquet|arrow)")


class CopySweeper(FileSweeper):
    """Deletes copies that were replaced or dropped, and, once, what a refresh left that died. Where others may have files
    too, only those in the folders of this store's tables."""

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
        super().__init__(store, catalog, storage, lock, pins, clock, grace)
        self._alone = alone

    def _unknown(self, path: str, own: Collection[str]) -> None:
        if _OURS.fullmatch(path) and (self._alone or path.partition("/")[0] in own):
            self._storage.delete(path)
            shown = self._storage.display(path)
            _logger.info("removed %s, which a refresh left unfinished", shown, extra=about(path=shown))
