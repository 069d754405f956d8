"""Files of segments that nobody needs any more."""

from __future__ import annotations

import logging
import re
from collections.abc import Collection

from ... import faults
from ...logs import about
from .file_sweeper import FileSweeper

__all__ = ["SegmentSweeper"]

_logger = logging.getLogger("jammi_sql.topics")

_OURS = re.compile(r"[0-9a-f-]{36}/\d{20}-[0-9a-f]{16}\.parquet")


class SegmentSweeper(FileSweeper):
    """Deletes the files of segments that were dropped, and, once, what a compaction left that died; warns of files that are
    not of this store."""

    def _deleted(self) -> None:
        faults.point("sweep.after_delete")

    def _unknown(self, path: str, own: Collection[str]) -> None:
        shown = self._storage.display(path)
        if _OURS.fullmatch(path) and path.partition("/")[0] in own:
            self._storage.delete(path)
            _logger.info("removed %s, which a compaction left unfinished", shown, extra=about(path=shown))
        else:
            _logger.warning("%s is no segment of this store and is not read", shown, extra=about(path=shown))
