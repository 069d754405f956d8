"""What a program gives to COPY ... FROM stdin."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from ..errors import DataError, InvalidParameter, StoreIOError

__all__ = ["StandardInput"]

_CHUNK = 1 << 20


class StandardInput:
    """A stream, of bytes or text, that is read once, into a temporary file: a statement may be tried again, and some formats
    are read from their end."""

    def __init__(self, stream: Any, waiting: Callable[[Callable[[], Any]], Any] = lambda call: call()) -> None:
        """``waiting`` gives what a call gives, which waits, maybe for a person."""
        if not callable(getattr(stream, "read", None)):
            raise InvalidParameter(
                f"stdin is a {type(stream).__name__}, not a file", hint="give an open file, or io.BytesIO(...)"
            )
        self._stream = stream
        self._waiting = waiting
        self._path: str | None = None

    @property
    def place(self) -> str | None:
        """The file with what was read, ``None`` where nothing was."""
        return self._path

    def path(self, ending: str) -> str:
        """The file with what was read, whose name has that ending."""
        if self._path is None:
            self._path = self._spooled(ending)
        return self._path

    def _spooled(self, ending: str) -> str:
        try:
            handle, path = tempfile.mkstemp(prefix="jammi-", suffix=ending)
        except OSError as error:
            raise StoreIOError(
                f"no temporary file for standard input: {error.strerror}", hint="set TMPDIR to a folder with room"
            ) from error
        try:
            with os.fdopen(handle, "wb") as file:
                while chunk := self._read():
                    file.write(chunk)
        except BaseException:
            with suppress(FileNotFoundError):
                os.unlink(path)
            raise
        return path

    def _read(self) -> bytes:
        try:
            chunk = self._waiting(lambda: self._stream.read(_CHUNK))
        except Exception as error:
            raise DataError(f"stdin cannot be read: {error}", hint="the cause says what it raised") from error
        if isinstance(chunk, str):
            return chunk.encode()
        if isinstance(chunk, bytes) or chunk is None:
            return chunk or b""
        raise InvalidParameter(f"stdin gives {type(chunk).__name__}, not bytes or text", hint="open the file with 'rb'")

    def close(self) -> None:
        """Remove the file. May be called twice."""
        path, self._path = self._path, None
        if path is not None:
            with suppress(FileNotFoundError):
                os.unlink(path)
