"""This machine's clock against the times in the log."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Final

from ...stores import load_queries
from ..finding import Finding, ok, warning
from .subject import Folder

__all__ = ["clock"]

_AHEAD: Final = 1.0  # seconds


def clock(folder: Folder) -> Iterator[Finding]:
    """Whether the newest batch is of the past: times in a log never fall, so one of the future stays until it is past."""
    with folder.store() as store:
        newest: int = store.query(load_queries("doctor", "sqlite")["newest"]).column(0)[0].as_py()
    ahead = newest / 1e6 - time.time()
    if ahead > _AHEAD:
        yield warning(
            f"the newest batch was produced {ahead:.0f} s in the future of this machine's clock",
            "set the clock (NTP); until it has caught up, produced_at of that topic stands still",
        )
    else:
        yield ok("no batch is from the future of this machine's clock")
