"""An engine's parts that keep segments."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from ..errors import InvalidParameter
from ..ports import Clock, Store
from ..topics.catalog import TopicCatalog
from ..topics.log import Log
from ..topics.segments.catalog import SegmentCatalog
from ..topics.segments.compactor import Compactor, SegmentSize
from ..topics.segments.keeper import SegmentKeeper
from ..topics.segments.lock import CompactionLock
from ..topics.segments.pins import SegmentPins
from ..topics.segments.reader import SegmentReader
from ..topics.segments.storage import SegmentStorage
from ..topics.segments.sweeper import SegmentSweeper

__all__ = ["FOLDER", "SegmentOptions", "Segments", "segment_storage"]

FOLDER = "segments"


@dataclass(frozen=True, slots=True)
class SegmentOptions:
    """Where segments are (``None``: in the store's folder if it has one), how large, and how they are kept."""

    location: str | None = None
    size: SegmentSize = field(default_factory=SegmentSize)
    grace: float = 600.0
    """Seconds that a dropped segment's file stays for those who read it."""
    background: bool = True
    """Whether a thread compacts what is sealed. ``CALL jammi.compact`` works without it."""


def segment_storage(store: Store, catalog: SegmentCatalog, location: str | None) -> SegmentStorage:
    """Where the segments of ``store`` are: once they are somewhere, they stay there.

    ``InvalidParameter`` where ``location`` says something else than before.
    """
    kept = catalog.location(store)
    if location is not None:
        location = SegmentStorage.at(location).location  # nothing is kept of one that is refused
    if location is not None and kept is None and not store.read_only:
        with store.begin() as transaction:
            if not catalog.known_paths(transaction):
                catalog.set_location(transaction, location)
        kept = catalog.location(store)
    if location is not None and location != kept:
        raise InvalidParameter(
            f"the segments of this store are {f'at {kept}' if kept is not None else 'in its folder'}",
            hint="leave segments out, or give that",
        )
    if kept is not None:
        return SegmentStorage.at(kept)
    if store.folder is None:
        return SegmentStorage.nowhere()
    folder = store.folder / FOLDER
    if not store.read_only:
        folder.mkdir(parents=True, exist_ok=True)
    return SegmentStorage.folder(folder)


@dataclass(frozen=True, slots=True, eq=False)
class Segments:
    """The parts of an engine that keep segments."""

    catalog: SegmentCatalog
    storage: SegmentStorage
    files: SegmentReader
    pins: SegmentPins
    compactor: Compactor
    sweeper: SegmentSweeper
    keeper: SegmentKeeper | None

    @classmethod
    def of(
        cls,
        store: Store,
        topics: TopicCatalog,
        log: Log,
        catalog: SegmentCatalog,
        storage: SegmentStorage,
        files: SegmentReader,
        clock: Clock,
        options: SegmentOptions,
        on_segment: Callable[[str, int], None] | None = None,
    ) -> Segments:
        """Those on ``store``; the thread of the background work runs at once. ``on_segment`` as ``Compactor`` has it."""
        lock = CompactionLock(store)
        pins = SegmentPins()
        compactor = Compactor(store, topics, log, catalog, storage, lock, clock, options.size, on_segment)
        sweeper = SegmentSweeper(store, catalog, storage, lock, pins, clock, options.grace)
        kept = options.background and not store.read_only and storage.exists
        keeper = SegmentKeeper(compactor, sweeper, files) if kept else None
        return cls(catalog, storage, files, pins, compactor, sweeper, keeper)

    def close(self) -> None:
        """End the thread and close the files."""
        if self.keeper is not None:
            self.keeper.close()
        self.files.close()
