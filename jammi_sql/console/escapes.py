"""Characters that a terminal would obey, shown instead of sent."""

from __future__ import annotations

import codecs
import io
import re
from typing import Any, BinaryIO

__all__ = ["Harmless", "escaped", "harmless"]

# C0, DEL and C1; the separators that some terminals take for line ends; what turns the direction of text around.
_OBEYED = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_OBEYED_IN_LINES = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def escaped(text: str) -> str:
    """A text as one line that does nothing to a terminal."""
    return _OBEYED.sub(_written, text)


def harmless(text: str) -> str:
    """A text that does nothing to a terminal; its lines and tabs stay."""
    return _OBEYED_IN_LINES.sub(_written, text)


def _written(found: re.Match[str]) -> str:
    return _SHORT.get(found[0], f"\\u{ord(found[0]):04x}")


class Harmless(io.RawIOBase):
    """A file in UTF-8 that is a terminal: what is written to it is made ``harmless``."""

    def __init__(self, out: BinaryIO) -> None:
        super().__init__()
        self._out = out
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")  # a write may end within a character

    def writable(self) -> bool:
        """Always."""
        return True

    def write(self, data: Any) -> int:
        """Write bytes, all of them."""
        self._out.write(harmless(self._decoder.decode(bytes(data))).encode())
        return len(data)

    def flush(self) -> None:
        """Let the terminal have it."""
        if not self.closed:
            self._out.flush()
