"""Patterns of paths: ``*``, ``?`` and ``[...]`` within a part, ``**`` for any number of folders."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

__all__ = ["is_glob", "matcher", "split_glob"]

_SIGNS: Final = re.compile(r"[*?[]")


def is_glob(path: str) -> bool:
    """Whether it has signs of a pattern."""
    return _SIGNS.search(path) is not None


def split_glob(path: str) -> tuple[str, tuple[str, ...]]:
    """The folder that has no such signs, and the parts behind it."""
    parts = path.split("/")
    first = next(place for place, part in enumerate(parts) if is_glob(part))
    return "/".join(parts[:first]) or "/", tuple(parts[first:])


def matcher(pattern: Sequence[str]) -> re.Pattern[str]:
    """Matches the paths, below the folder, that the parts mean."""
    *folders, last = pattern
    text = "".join("(?:[^/]+/)*" if part == "**" else "".join(_signs(part)) + "/" for part in folders)
    return re.compile(text + ("(?:[^/]+/)*[^/]+" if last == "**" else "".join(_signs(last))))


def _signs(part: str) -> Iterator[str]:
    place = 0
    while place < len(part):
        sign = part[place]
        place += 1
        if sign == "*":
            yield "[^/]*"
        elif sign == "?":
            yield "[^/]"
        elif sign == "[" and (end := part.find("]", place + 1)) > 0:
            negated = part[place] in "!^"
            inside = part[place + negated : end].replace("\\", r"\\").replace("[", r"\[").replace("^", r"\^")
            yield f"[{'^/' if negated else ''}{inside}]"
            place = end + 1
        else:
            yield re.escape(sign)
