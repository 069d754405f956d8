"""Deletes files that were dropped and that a crash left."""

from __future__ import annotations

import threading
from collections.abc import Collection, Sequence
from typing import Protocol

from ...ports import Clock, Reader, Store, Transaction
from .lock import CompactionLock
from .pins import SegmentPins
from .storage import SegmentStorage

__all__ = ["FileSweeper"]


class _Dropped(Protocol):
    @property
    def path(self) -> str: ...

    @property
    def dropped_us(self) -> int: ...


class _Files(Protocol):
    """What a catalogue knows of files."""

    def dropped(self, reader: Reader) -> Sequence[_Dropped]:
        """Those that were dropped, the earliest first."""
        ...

    def forget_dropped(self, transaction: Transaction, path: str) -> None:
        """One of them is deleted."""
        ...

    def folders(self, reader: Reader) -> Collection[str]:
        """The folders that are this store's."""
        ...

    def known_paths(self, reader: Reader) -> Collection[str]:
        """All files, dropped ones too."""
        ...


class FileSweeper:
    """Deletes files that were dropped, and, once, what a crash left.

    A dropped file stays for ``grace`` seconds, for statements of other processes that read it, and until those of this
    process have ended. A subclass says what becomes of a file that the catalogue does not know.
    """

    def __init__(
        self,
        store: Store,
        files: _Files,
        storage: SegmentStorage,
        lock: CompactionLock,
        pins: SegmentPins,
        clock: Clock,
        grace: float,
    ) -> None:
        self._store = store
        self._files = files
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
        for file in self._files.dropped(self._store):
            if stopped.is_set() or file.dropped_us > limit:
                return
            if self._pins.holds(file.path):
                continue
            self._storage.delete(file.path)
            self._deleted()
            with self._store.begin() as transaction:
                self._files.forget_dropped(transaction, file.path)

    def remove_orphans(self) -> None:
        """Delete files that somebody who died left. Does nothing while somebody writes one: it is no orphan.

        Another store may have its files in the same place.
        """
        with self._lock.tried() as held:
            if not held:
                return
            own = self._files.folders(self._store)
            self._storage.delete_unfinished(own)
            there = [file.path for file in self._storage.files()]
            known = self._files.known_paths(self._store)
            for path in there:
                if path not in known:
                    self._unknown(path, own)
            self._looked = True

    def _deleted(self) -> None:
        """A dropped file is gone, and the catalogue does not know yet."""

    def _unknown(self, path: str, own: Collection[str]) -> None:
        """A file that the catalogue does not know; ``own`` are the folders of this store."""
        raise NotImplementedError
