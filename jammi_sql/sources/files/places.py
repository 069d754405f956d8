"""Where attached files are. Python lists them, DataFusion reads them."""

from __future__ import annotations

import posixpath
from collections.abc import Callable
from typing import NamedTuple, Protocol

from datafusion import SessionContext

__all__ = ["Allowed", "Found", "Place", "is_hidden"]

Allowed = Callable[[str], None]
"""Raises where a path of this machine (its symbolic links resolved), or the location of a remote one, may not be read."""


class Found(NamedTuple):
    """A file or a folder."""

    path: str
    """Of the place's root, with ``/`` between its parts; as messages name it, once ``Place.display`` has seen it."""
    is_folder: bool
    size: int
    state: str
    """Another one once the file was changed."""
    address: str
    """As DataFusion names it."""

    @property
    def name(self) -> str:
        """The last part of the path."""
        return posixpath.basename(self.path)


class Place(Protocol):
    """Lists files. Errors are those of ``failures``; hidden files (``.x`` and ``_x``) are left out below a folder."""

    location: str
    """What was attached, without credentials."""
    path: str
    """Of what was attached."""
    is_local: bool

    def look(self, path: str) -> Found | None:
        """The file or folder at ``path``; ``None`` where there is none."""
        ...

    def children(self, folder: str) -> list[Found]:
        """What is in a folder, by name."""
        ...

    def below(self, folder: str) -> list[Found]:
        """All files in a folder and the folders in it, by path."""
        ...

    def display(self, path: str) -> str:
        """A path as messages name it."""
        ...

    def reach(self, context: SessionContext) -> None:
        """Let DataFusion read the addresses of the files."""
        ...


def is_hidden(name: str) -> bool:
    """Whether the file or folder is somebody's own: ``_temporary``, ``.part.crc``."""
    return name.startswith(".") or (name.startswith("_") and "=" not in name)
