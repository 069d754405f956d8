"""The files of segments."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from ...stores import load_queries
from ...topics.segments.catalog import SegmentCatalog
from ...topics.segments.storage import SegmentStorage
from ..finding import Finding, ok, problem, warning
from ..sizes import free_space, shown_bytes
from .subject import Folder

__all__ = ["segment_files"]

_FOLDER: Final = "segments"
_NAMED: Final = 3


def segment_files(folder: Folder) -> Iterator[Finding]:
    """Whether every file that the catalogue has is there, whole in size, and which are nobody's."""
    catalog = SegmentCatalog(load_queries("segments", "sqlite"))
    with folder.store() as store:
        location = catalog.location(store)
        sizes = catalog.file_sizes(store)
        known = catalog.known_paths(store)
        folders = catalog.folders(store)
    storage = SegmentStorage.folder(folder.path / _FOLDER) if location is None else SegmentStorage.at(location)
    place = Path(storage.location) if storage.local else None
    if place is not None:
        yield from _rights(place, bool(sizes))
        if place.is_dir() and not os.path.samefile(place.parent, folder.path):
            yield from free_space(place, "segments")
    # Listed after the catalogue was read: what is written meanwhile may look like nobody's, never as missing.
    there = {file.path: file.size for file in storage.files()}
    missing = sorted(path for path in sizes if path not in there)
    other = sorted(path for path, size in sizes.items() if path in there and there[path] != size)
    if missing:
        yield problem(
            f"{len(missing)} segment files are missing: {_some(storage, missing)}",
            "put them back from a backup; without them the log has a gap, and TRUNCATE TOPIC past it is what is left",
        )
    if other:
        yield problem(
            f"{len(other)} segment files have another size than when they were written: {_some(storage, other)}",
            "put them back from a backup",
        )
    orphans = sorted(path for path in there if path not in known and path.partition("/")[0] in folders)
    foreign = sorted(path for path in there if path not in known and path.partition("/")[0] not in folders)
    if orphans:
        yield warning(
            f"{len(orphans)} files are of no segment: {_some(storage, orphans)}",
            "nothing to do: a compaction that is running has just written them, or one that died left them, and the "
            "next process that writes removes them",
        )
    if foreign:
        yield warning(
            f"{len(foreign)} files are not of this store: {_some(storage, foreign)}",
            "move them elsewhere, or leave them",
        )
    if not (missing or other):
        yield ok(f"{len(sizes)} segments, {shown_bytes(sum(sizes.values()))}, all there: {storage.location}")


def _rights(place: Path, needed: bool) -> Iterator[Finding]:
    if not place.is_dir():
        if needed:
            yield problem(f"there is no folder {place}", "put the segments back from a backup")
    elif not os.access(place, os.R_OK | os.X_OK):
        yield problem(f"this user may not read {place}", "give this user the right to read and write it")
    elif not os.access(place, os.W_OK):
        yield warning(f"this user may not write {place}: nothing is compacted", "give this user the right to write it")


def _some(storage: SegmentStorage, paths: list[str]) -> str:
    shown = ", ".join(storage.display(path) for path in paths[:_NAMED])
    return shown if len(paths) <= _NAMED else f"{shown}, ..."
