"""The folder and the file of a SQLite store: found, made, and recognised before they are touched.

Only SQLite itself opens the file, also to look at its first bytes: POSIX locks belong to the process, and closing any
other handle to the file would drop those of a store that is open in this process.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final
from urllib.parse import quote

import adbc_driver_sqlite

from ..adbc.queries import load_queries
from ..errors import DataCorrupted, ReadOnlyStore, StoreIOError, StoreVersionError
from .sqlite_connection import SqliteConnection

__all__ = ["APPLICATION_ID", "FILE_NAME", "FileState", "StoreFile", "find_store_file", "untouched_store_file"]

APPLICATION_ID: Final = 0x4A414D49  # "JAMI", in the header of the file
FILE_NAME: Final = "jammi.db"
_PERMISSIONS: Final = "make the folder and its files writable, or open an existing store with read_only=True"
_FOLDER: Final = "give a folder that is new, empty or a store; this one was left as it is"


_SETTLING: Final = 1.0
"""Seconds within which a file that was just written may still be in the making."""


@dataclass(frozen=True, slots=True)
class FileState:
    """What changes when somebody writes to the file:

    Its identity, size and time, and whether there is a write-ahead log.
    """

    inode: int
    size: int
    modified_ns: int
    has_log: bool


@dataclass(frozen=True, slots=True)
class StoreFile:
    """Where a store's file is, and how it may be opened.

    ``frozen`` is the state of a file that is read without any lock, because neither it nor its folder may be written
    (SQLite needs the folder for its lock file); ``None`` for all others.
    """

    path: Path
    uri: str
    frozen: FileState | None

    def state(self) -> FileState:
        """The file as it is now."""
        status = os.stat(self.path)
        return FileState(status.st_ino, status.st_size, status.st_mtime_ns, _log(self.path).exists())


def find_store_file(folder: Path, *, read_only: bool) -> StoreFile:
    """The store's file in ``folder``, which is made unless ``read_only``; the file itself need not be there yet.

    Raises ``StoreVersionError`` for what is there and is no store, ``ReadOnlyStore`` and ``StoreIOError`` for what
    cannot be opened or made. Nothing that exists is changed.
    """
    path = folder / FILE_NAME
    try:
        present = _present(folder, path)
        if not present and read_only:
            raise StoreIOError(f"there is no store in {folder}", hint="open it without read_only to make one")
        if not present:
            folder.mkdir(parents=True, exist_ok=True)
        elif path.stat().st_size:  # empty: another process is making it, or died while it did
            _recognise(path)
        folder_writable = _writable(folder)
        writable = folder_writable and (not present or _writable(path))
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise ReadOnlyStore(
                f"the store's folder {folder} cannot be made or used: {error.strerror}", hint=_PERMISSIONS
            ) from error
        raise StoreIOError(f"the store's folder {folder} cannot be made or used: {error.strerror}") from error
    if writable:
        return StoreFile(path, str(path), None)
    if not read_only:
        raise ReadOnlyStore(f"the store's folder {folder} or a file in it is not writable", hint=_PERMISSIONS)
    if folder_writable or _log(path).exists():
        return StoreFile(path, _uri(path, "mode=ro"), None)
    frozen = StoreFile(path, _uri(path, "mode=ro&immutable=1"), None)
    return replace(frozen, frozen=frozen.state())


def untouched_store_file(folder: Path) -> StoreFile:
    """The store's file in ``folder``, to be looked at so that no file is made, changed or removed by it.

    Raises as ``find_store_file`` for a reader. A log whose index is gone, which the next to open the store rebuilds, is
    ``StoreIOError``: SQLite would rebuild it here too.
    """
    path = find_store_file(folder, read_only=True).path
    log = _log(path)
    if log.exists() and log.stat().st_size:
        if not path.with_name(f"{path.name}-shm").exists():
            raise StoreIOError(
                f"the write-ahead log of {folder} was left without its index", hint="open the store once: it recovers"
            )
        return StoreFile(path, _uri(path, "mode=ro"), None)
    frozen = StoreFile(path, _uri(path, "mode=ro&immutable=1"), None)
    return replace(frozen, frozen=frozen.state())


def _present(folder: Path, path: Path) -> bool:
    """Whether the file is there.

    Raises ``StoreVersionError`` where something else is in the place of folder or file.
    """
    for place, is_kind, kind in ((folder, stat.S_ISDIR, "folder"), (path, stat.S_ISREG, "file")):
        try:
            mode = os.stat(place).st_mode
        except FileNotFoundError:
            return False
        except NotADirectoryError as error:
            raise StoreVersionError(f"{folder} lies inside a file, so it is not a Jammi store", hint=_FOLDER) from error
        if not is_kind(mode):
            raise StoreVersionError(f"{place} is not a {kind}, so it is not a Jammi store", hint=_FOLDER)
    return True


def _recognise(path: Path) -> None:
    """Raise ``StoreVersionError`` for a file that is not a store's.

    ``immutable``: reads the header and nothing else, takes no lock, makes no file. The mark is in the header from the
    first commit on, before the file gets a write-ahead log.
    """
    deadline = time.monotonic() + _SETTLING
    while True:
        try:
            mark = _mark(path)
            break
        except (StoreVersionError, DataCorrupted) as error:
            # Without a lock one may read what another process is just writing, in the first moments of a store.
            if time.time() - path.stat().st_mtime > _SETTLING or time.monotonic() > deadline:
                if isinstance(error, DataCorrupted):
                    raise
                raise StoreVersionError(
                    f"{path} is not a Jammi store: it is no SQLite database", hint=_FOLDER
                ) from error
            time.sleep(0.01)
    if mark != APPLICATION_ID:
        raise StoreVersionError(f"{path} is not a Jammi store: it is another program's database", hint=_FOLDER)


def _mark(path: Path) -> int:
    database = adbc_driver_sqlite.connect(_uri(path, "mode=ro&immutable=1"))
    with closing(database), closing(SqliteConnection(database, ())) as connection:
        mark: int = connection.query(load_queries("store", "sqlite")["application_id"]).column(0)[0].as_py()
        return mark


def _writable(path: Path) -> bool:
    return os.access(path, os.W_OK, effective_ids=os.access in os.supports_effective_ids)


def _log(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")


def _uri(path: Path, options: str) -> str:
    return f"file:{quote(str(path))}?{options}"
