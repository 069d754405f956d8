"""What is looked at: the folder of a store."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ...stores import SqliteStore
from ...stores.sqlite_file import FILE_NAME

__all__ = ["Folder"]


@dataclass(frozen=True, slots=True)
class Folder:
    """The folder, and who looks."""

    path: Path

    @property
    def file(self) -> Path:
        """The database."""
        return self.path / FILE_NAME

    @property
    def log(self) -> Path:
        """Its write-ahead log, which need not be there."""
        return self.path / f"{FILE_NAME}-wal"

    @contextmanager
    def store(self) -> Iterator[SqliteStore]:
        """The store, for one look; raises as ``SqliteStore.inspect``."""
        store = SqliteStore.inspect(self.path)
        try:
            yield store
        finally:
            store.close()
