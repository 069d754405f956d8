"""Files of the machine on which the engine runs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from datafusion import SessionContext

from .failures import unreadable
from .places import Allowed, Found, is_hidden

__all__ = ["LocalFiles"]


class LocalFiles:
    """Files of the machine on which the engine runs."""

    is_local = True

    def __init__(self, path: str, allowed: Allowed) -> None:
        self.path = path.replace(os.sep, "/")
        self.location = self.path
        self._allowed = allowed

    def look(self, path: str) -> Found | None:
        real = os.path.realpath(path)
        self._allowed(real)
        try:
            return self._found(path, real, os.stat(real), is_folder=os.path.isdir(real))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise unreadable(path, error) from error

    def children(self, folder: str) -> list[Found]:
        return sorted(self._listed(folder, os.path.realpath(folder)))

    def below(self, folder: str) -> list[Found]:
        return sorted(self._walked(folder, set()))

    def _walked(self, folder: str, seen: set[str]) -> Iterator[Found]:
        real = os.path.realpath(folder)
        if real in seen:  # a link that leads back
            return
        seen.add(real)
        for found in self._listed(folder, real):
            if found.is_folder:
                yield from self._walked(found.path, seen)
            else:
                yield found

    def _listed(self, folder: str, real: str) -> Iterator[Found]:
        self._allowed(real)
        try:
            with os.scandir(real) as entries:
                for entry in entries:
                    if is_hidden(entry.name):
                        continue
                    whole = os.path.join(real, entry.name)
                    if entry.is_symlink():
                        whole = os.path.realpath(whole)
                    is_folder = entry.is_dir()
                    if is_folder or entry.is_file():
                        yield self._found(f"{folder}/{entry.name}", whole, entry.stat(), is_folder=is_folder)
        except OSError as error:
            raise unreadable(folder, error) from error

    def _found(self, path: str, real: str, stat: os.stat_result, *, is_folder: bool) -> Found:
        if not is_folder:
            self._allowed(real)
        return Found(path, is_folder, stat.st_size, f"{stat.st_mtime_ns}-{stat.st_ino}", Path(real).as_uri())

    def display(self, path: str) -> str:
        return path

    def reach(self, context: SessionContext) -> None:
        """Nothing to do: DataFusion reads local files by itself."""
