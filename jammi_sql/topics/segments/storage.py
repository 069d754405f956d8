"""Where segment files are: the store's folder, or a bucket of an object store."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

import pyarrow as pa
import pyarrow.fs as pafs

from ...errors import DiskFull, FeatureNotSupported, InvalidParameter, StoreIOError

__all__ = ["SegmentStorage", "StoredFile"]

_UNFINISHED = ".unfinished"
_SCHEMES = ("s3", "gs", "az", "abfs", "abfss", "file")


class StoredFile(NamedTuple):
    """A file below the root: its path there and its bytes."""

    path: str
    size: int


class SegmentStorage:
    """Files by path below one root, through pyarrow's file systems. Paths have ``/`` between their parts.

    A file is there as a whole or not at all, and is never changed. Errors are ``StoreIOError`` (58030) and ``DiskFull``
    (53100), which name the file; a missing one is ``FileNotFoundError``.
    """

    exists = True
    """Whether there is a place at all."""
    what = "segment"
    """What the files are, for messages."""

    def __init__(
        self, file_system: pafs.FileSystem, root: str, url: str, options: dict[str, str], location: str
    ) -> None:
        self._file_system = file_system
        self._root = root.rstrip("/")
        self.location = location
        """What leads here from everywhere: a URL, or the whole path of a folder."""
        self.url = url
        """The root as DataFusion names it."""
        self.options = options
        """How an object store is reached: region, endpoint, scheme. Never credentials."""
        self.local = isinstance(file_system, pafs.LocalFileSystem)

    @classmethod
    def nowhere(cls) -> SegmentStorage:
        """For a store without a folder, until somebody says where its segments are to be."""
        storage = cls(pafs.LocalFileSystem(), "", "", {}, "")
        storage.exists = False
        return storage

    @classmethod
    def folder(cls, folder: Path) -> SegmentStorage:
        """In a folder of this machine, which is made with the first file."""
        path = os.path.abspath(folder)
        return cls(pafs.LocalFileSystem(), path, Path(path).as_uri(), {}, path)

    @classmethod
    def at(cls, location: str) -> SegmentStorage:
        """At a folder or a URL (``s3://bucket/prefix?region=...&endpoint_override=...&scheme=http``, ``gs://``, ``az://``).

        Credentials come from the environment, as each object store's own tools take them; a URL that has some is
        ``InvalidParameter``.
        """
        parts = urlsplit(location)
        if not parts.scheme:
            return cls.folder(Path(location))
        if parts.scheme not in _SCHEMES:
            raise FeatureNotSupported(
                f"segments cannot be kept at {parts.scheme}://", hint=f"give a folder, or one of {', '.join(_SCHEMES)}"
            )
        if "@" in parts.netloc and parts.scheme not in ("abfs", "abfss"):
            raise InvalidParameter(
                "a location of segments holds no credentials", hint="set them in the environment, as AWS_ACCESS_KEY_ID"
            )
        if parts.scheme == "file":
            return cls.folder(Path(parts.path))
        scheme = "abfs" if parts.scheme == "az" else parts.scheme
        try:
            file_system, root = pafs.FileSystem.from_uri(location.replace(f"{parts.scheme}://", f"{scheme}://", 1))
        except (pa.ArrowException, OSError, ValueError) as error:
            raise InvalidParameter(f"segments cannot be kept at {location}: {error}") from error
        options = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        return cls(file_system, root, f"{parts.scheme}://{parts.netloc}{parts.path}".rstrip("/"), options, location)

    def beside(self, name: str, what: str) -> SegmentStorage:
        """For other files: of a folder the one ``name`` next to it, of a bucket the prefix with ``-name`` at its end."""
        storage = SegmentStorage.nowhere()
        if self.exists and self.local:
            storage = SegmentStorage.folder(Path(self._root).with_name(name))
        elif self.exists:
            root, url = f"{self._root}-{name}", f"{self.url}-{name}"
            storage = SegmentStorage(self._file_system, root, url, self.options, url)
        storage.what = what
        return storage

    def file_url(self, path: str) -> str:
        """The file as DataFusion names it."""
        return f"{self.url}/{path}"

    def display(self, path: str) -> str:
        """The file as messages and views name it."""
        return f"{self._root}/{path}" if self.local else self.file_url(path)

    # --- reading ---

    def open(self, path: str) -> pa.NativeFile:
        """The file for reading at any place; the caller closes it."""
        with self._errors(path):
            if self.local:
                # Not mapped into memory: who cuts a mapped file ends the process that reads it.
                return pa.OSFile(self._full(path), "rb")
            return self._file_system.open_input_file(self._full(path))

    def size(self, path: str) -> int | None:
        """Its bytes, ``None`` where there is no such file."""
        with self._errors(path):
            if self.local:
                try:
                    return os.stat(self._full(path)).st_size
                except (FileNotFoundError, NotADirectoryError):
                    return None
            found = self._file_system.get_file_info(self._full(path))
            return found.size if found.type == pafs.FileType.File else None

    def files(self) -> Iterator[StoredFile]:
        """Every file that is there, those that somebody is writing, and hidden ones, left out."""
        selector = pafs.FileSelector(self._root, allow_not_found=True, recursive=True)
        with self._errors(""):
            for found in self._file_system.get_file_info(selector):
                hidden = found.base_name.startswith(".") or found.base_name.endswith(_UNFINISHED)
                if found.type == pafs.FileType.File and not hidden:
                    yield StoredFile(posixpath.relpath(found.path.replace(os.sep, "/"), self._root), found.size)

    # --- writing ---

    def create(self, path: str, write: Callable[[Any], None]) -> int:
        """Let ``write`` fill a new file, which is there, and durable, when this returns; its bytes. It is not if it raises."""
        full = self._full(path)
        with self._errors(path):
            if not self.local:
                try:
                    with self._file_system.open_output_stream(full) as sink:
                        write(sink)
                except BaseException:
                    # To close a stream is to make a file of what is in it.
                    with suppress(OSError):
                        self._file_system.delete_file(full)
                    raise
                return int(self._file_system.get_file_info(full).size)
            folder = os.path.dirname(full)
            unfinished = full + _UNFINISHED
            try:
                with _begun(unfinished) as sink:
                    write(sink)
                _sync(unfinished)
                os.rename(unfinished, full)
            except BaseException:
                with suppress(OSError):
                    os.unlink(unfinished)
                raise
            _sync(folder)
            return os.stat(full).st_size

    def delete(self, path: str) -> None:
        """Remove it, and the folder that it was alone in; nothing where it is gone."""
        full = self._full(path)
        with self._errors(path):
            if not self.local:
                if self._file_system.get_file_info(full).type == pafs.FileType.File:
                    self._file_system.delete_file(full)
                return
            with suppress(FileNotFoundError):
                os.unlink(full)
            with suppress(OSError):
                os.rmdir(os.path.dirname(full))

    def delete_unfinished(self, folders: Iterable[str]) -> None:
        """Remove what a process that died was writing into ``folders``. Only for who keeps all others from writing."""
        if not self.local:
            return  # an upload that was not finished is no file
        with self._errors(""):
            for folder in folders:
                with suppress(FileNotFoundError):
                    for name in os.listdir(self._full(folder)):
                        if name.endswith(_UNFINISHED):
                            os.unlink(os.path.join(self._full(folder), name))

    def _full(self, path: str) -> str:
        if not self.exists:
            raise StoreIOError(
                "the store's segments are at a place which it did not have when this process connected",
                hint="connect again",
            )
        return f"{self._root}/{path}"

    @contextmanager
    def _errors(self, path: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            raise
        except OSError as error:
            what = self.display(path) if path else self.display("").rstrip("/")
            if error.errno in _FULL:
                raise DiskFull(
                    f"no space for the {self.what} {what}", hint="free some space: the log goes on without it"
                ) from error
            raise StoreIOError(
                f"the {self.what} {what} cannot be read or written: {error}",
                hint="see that its folder, or the object store, can be reached and used",
            ) from error


_FULL = (28, 122)  # ENOSPC, EDQUOT


def _begun(path: str) -> pa.NativeFile:
    """A new file, open for writing. Its folder is made, and durable."""
    folder = os.path.dirname(path)
    while True:
        above = folder
        missing = []
        while not os.path.isdir(above):
            missing.append(above := os.path.dirname(above))
        os.makedirs(folder, exist_ok=True)
        for parent in missing:
            _sync(parent)
        with suppress(FileNotFoundError):  # a sweeper, which saw it empty, was faster
            return pa.OSFile(path, "wb")


def _sync(path: str) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
