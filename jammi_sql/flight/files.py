"""Which files clients may reach: globs on the command line."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable

from ..errors import PermissionDenied

__all__ = ["AllowedFiles"]


class AllowedFiles:
    """Raises ``PermissionDenied`` (42501) for a path or location that no glob covers.

    ``*`` and ``?`` stand for what has no slash in it, ``**`` for anything. Folders on the way to what a glob covers may be
    listed. What is asked about has its symbolic links resolved, and so have the globs, up to their first star.
    """

    def __init__(self, globs: Iterable[str]) -> None:
        resolved = [_resolved(glob) for glob in globs]
        self._files = [re.compile(_expression(glob)) for glob in resolved]
        self._folders = [re.compile(_expression(above)) for glob in resolved for above in _above(glob)]

    def __call__(self, path: str) -> None:
        place = path.rstrip("/") or "/"
        if any(folder.fullmatch(place) for folder in self._folders) and os.path.isdir(place):
            return
        self.covered(place)

    def covered(self, path: str) -> None:
        """As a call, and for folders on the way too."""
        if any(glob.fullmatch(path) for glob in self._files):
            return
        raise PermissionDenied(
            "files of the server are not open to clients, or not this one",
            hint="the server's --allow-files says which are",
        )


def _resolved(glob: str) -> str:
    if "://" in glob:
        return glob
    absolute = os.path.abspath(glob)
    star = re.search(r"[*?]", absolute)
    if star is None:
        return os.path.realpath(absolute)
    folder = absolute[: star.start()].rpartition("/")[0]
    return os.path.realpath(folder or "/").rstrip("/") + absolute[len(folder) :]


def _above(glob: str) -> list[str]:
    """The folders in which a path that the glob covers is found."""
    if "://" in glob:
        return []
    parts = glob.split("/")
    return ["/".join(parts[:count]) for count in range(2, len(parts))]


def _expression(glob: str) -> str:
    parts = re.findall(r"\*\*|.", glob, re.DOTALL)
    return "".join({"**": ".*", "*": "[^/]*", "?": "[^/]"}.get(part, re.escape(part)) for part in parts)
