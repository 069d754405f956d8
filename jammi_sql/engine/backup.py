"""A copy of a store with its segments."""

from __future__ import annotations

import shutil
from os import PathLike
from pathlib import Path
from typing import Any

from ..errors import StoreIOError
from ..stores import SqliteStore
from ..topics.segments.storage import SegmentStorage
from .caching import FOLDER as COPIES
from .segmenting import FOLDER
from .services import Services

__all__ = ["back_up"]

_PIECE = 1 << 20


def back_up(services: Services, path: str | PathLike[str]) -> None:
    """Write the store, as of one moment, and the files of its segments into a folder, which is made or empty.

    The copy has its segments in its own folder, wherever they were. Raises ``StoreIOError``, ``DiskFull``.
    """
    segments = services.segments
    caches = services.caches
    with (
        segments.pins.pinned(segments.catalog.known_paths(services.store)),
        caches.pins.pinned(caches.catalog.known_paths(services.store)),
    ):
        services.store.backup(path)
        with SqliteStore.open(path) as copy:
            with copy.begin() as transaction:
                segments.catalog.settle(transaction)
                caches.catalog.settle(transaction)
            target = SegmentStorage.folder(Path(path) / FOLDER)
            for name in sorted(segments.catalog.known_paths(copy)):
                _copy(segments.storage, target, name, "put the file back, or TRUNCATE its topic past it")
            copies = target.beside(COPIES, "copy")
            for name in sorted(caches.catalog.known_paths(copy)):
                _copy(caches.storage, copies, name, "REFRESH TABLE of the cached table makes it anew")


def _copy(source: SegmentStorage, target: SegmentStorage, path: str, hint: str) -> None:
    def write(sink: Any) -> None:
        with source.open(path) as file:
            shutil.copyfileobj(file, sink, _PIECE)

    try:
        target.create(path, write)
    except FileNotFoundError as error:
        raise StoreIOError(
            f"the {source.what} {source.display(path)} is missing, so the backup is not whole",
            hint=hint,
        ) from error
