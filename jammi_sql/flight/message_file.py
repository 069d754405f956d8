"""The messages of a call, as the file that Arrow reads a stream from."""

from __future__ import annotations

import io
from abc import ABC, abstractmethod

__all__ = ["MessageFile"]


class MessageFile(io.RawIOBase, ABC):
    """Reads what is in ``_held``, and asks ``_fill`` for more when that is used up."""

    def __init__(self) -> None:
        super().__init__()
        self._held = memoryview(b"")

    @abstractmethod
    def _fill(self) -> bool:
        """Put the bytes of the next message into ``_held``; ``False`` where there are none any more."""

    def read(self, size: int = -1) -> bytes:
        """The next bytes, as many as asked for unless the stream ends before."""
        found: list[memoryview] = []
        missing = size
        while missing:
            if not self._held and not self._fill():
                break
            taken = self._held[:missing] if size >= 0 else self._held
            self._held = self._held[len(taken) :]
            found.append(taken)
            missing -= len(taken)
        return found[0].tobytes() if len(found) == 1 else b"".join(found)

    def readable(self) -> bool:
        """Always."""
        return True
