"""The folder and the file: whether they are there, and what may be done with them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from ...errors import Error
from ...stores.sqlite_file import FILE_NAME
from ..finding import Finding, ok, problem, warning
from .subject import Folder

__all__ = ["file_system", "presence", "privileges"]

_REMOTE: Final = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "glusterfs", "lustre", "fuse.sshfs"}
)


def presence(folder: Folder) -> Iterator[Finding]:
    """Whether there is a store that can be read."""
    if not folder.path.is_dir():
        yield problem(f"there is no folder {folder.path}", "give the folder of a store; connect makes one")
    elif not folder.file.exists():
        yield problem(
            f"there is no store in {folder.path}: it has no {FILE_NAME}",
            "give the folder of a store; connect makes one",
        )
    elif not folder.file.stat().st_size:
        yield problem(f"{folder.file} is empty: whoever was making the store has not finished", "connect to it once")
    elif not os.access(folder.file, os.R_OK):
        yield problem(f"{folder.file} may not be read by this user", "give this user the right to read and write it")
    else:
        try:
            with folder.store() as store:
                store.changes()
        except Error as error:
            yield problem(error.message, error.hint or "restore the store from a backup")
        else:
            yield ok(f"{folder.path} has a store that can be read")


def privileges(folder: Folder) -> Iterator[Finding]:
    """Whether this user may write all of it."""
    beside = [path for path in (folder.log, folder.path / f"{FILE_NAME}-shm") if path.exists()]
    closed = [path for path in (folder.path, folder.file, *beside) if not os.access(path, os.W_OK)]
    if closed:
        yield warning(
            f"this user may not write {', '.join(map(str, closed))}",
            "connect with read_only=True, or give this user the right to write the folder and its files",
        )
    else:
        yield ok("this user may read and write it")


def file_system(folder: Folder) -> Iterator[Finding]:
    """Whether the file system is one on which locks and shared memory work."""
    kind = file_system_of(folder.path)
    if kind in _REMOTE:
        yield problem(
            f"the folder is on {kind}, where locks and the write-ahead log of SQLite do not work between machines",
            "keep the store on a local disk, or use PostgreSQL where machines share it",
        )
    elif kind:
        yield ok(f"the folder is on {kind}")


def file_system_of(folder: Path, mounts: Path = Path("/proc/self/mounts")) -> str:
    """The kind of the file system that ``folder`` is on, '' where that cannot be told."""
    try:
        lines = mounts.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    place = folder.resolve()
    best, kind = -1, ""
    for line in lines:
        fields = line.split(" ")
        if len(fields) < 3:
            continue
        mounted = Path(fields[1].replace("\\040", " "))
        if place.is_relative_to(mounted) and len(mounted.parts) >= best:
            best, kind = len(mounted.parts), fields[2]
    return kind
