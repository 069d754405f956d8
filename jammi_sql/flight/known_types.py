"""The types of parameters that a client was told a moment ago: to find them out anew costs some milliseconds."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Final

import pyarrow as pa

from ..topics.remembered import Remembered

__all__ = ["KnownTypes"]

_FOR: Final = 5.0  # seconds, after which the client sees what others altered
_STATEMENTS: Final = 64
_LONGEST: Final = 4096
_HARMLESS: Final = ("INSERT", "UPDATE", "DELETE", "MERGE", "SELECT", "WITH", "VALUES", "BEGIN", "COMMIT", "ROLLBACK")
"""First words of statements that leave the columns of relations as they are."""


class KnownTypes:
    """Those of one client's statements, by their text. They are what it is told, no more: values have types of their own."""

    def __init__(self) -> None:
        self._held: Remembered[str, tuple[float, Mapping[str, pa.DataType]]] = Remembered(_STATEMENTS)

    def of(self, text: str) -> Mapping[str, pa.DataType] | None:
        """The types of the parameters of a statement, ``None`` where they are to be found out."""
        since, types = self._held.get(text) or (0.0, None)
        return types if time.monotonic() - since <= _FOR else None

    def keep(self, text: str, types: Mapping[str, pa.DataType]) -> None:
        """They were found out, or are known still. One that was not may be, once there is what it refers to."""
        if types and len(text) <= _LONGEST and pa.null() not in types.values() and self.of(text) is None:
            self._held[text] = time.monotonic(), types

    def heed(self, text: str) -> None:
        """The client prepares or runs a statement: after one that may alter a relation nothing is known."""
        if not text.lstrip()[:8].upper().startswith(_HARMLESS) and len(self._held):
            self._held = Remembered(_STATEMENTS)
