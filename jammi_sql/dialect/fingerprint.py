"""What others may read of a statement: its shape, without a value of its."""

from __future__ import annotations

from typing import Final

import xxhash

from ..errors import Error
from .tokens import tokenize

__all__ = ["fingerprint", "without_values"]

_VALUES: Final = frozenset({"string", "number", "rows"})
_LONGEST: Final = 10_000
"""Characters of a statement that are looked at."""
_UNREADABLE: Final = "..."


def fingerprint(text: str) -> tuple[str, str]:
    """The first word of a statement, and 16 hexadecimal digits that are the same for statements that differ in values alone."""
    try:
        tokens = tokenize(text[:_LONGEST])
    except Error:
        return "", xxhash.xxh64_hexdigest(b"")
    words = [token.keyword or ("?" if token.kind in _VALUES else token.text) for token in tokens]
    return (words[0] if words else ""), xxhash.xxh64_hexdigest(" ".join(words).encode())


def without_values(text: str) -> str:
    """A statement with ``?`` in the place of each literal, and without its comments."""
    try:
        tokens = tokenize(text[:_LONGEST])
    except Error:
        return _UNREADABLE
    parts, end = [], tokens[0].start if tokens else 0
    for token in tokens:
        parts.append(" " if token.start > end else "")
        parts.append("?" if token.kind in _VALUES else token.text)
        end = token.end
    return "".join(parts)
