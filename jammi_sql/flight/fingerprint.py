"""What a log may say of a statement: its shape, without a value of its."""

from __future__ import annotations

from typing import Final

import xxhash

from ..dialect.tokens import tokenize
from ..errors import Error

__all__ = ["fingerprint"]

_VALUES: Final = frozenset({"string", "number", "rows"})
_LONGEST: Final = 10_000
"""Characters of a statement that are looked at."""


def fingerprint(text: str) -> tuple[str, str]:
    """The first word of a statement, and 16 hexadecimal digits that are the same for statements that differ in values alone."""
    try:
        tokens = tokenize(text[:_LONGEST])
    except Error:
        return "", xxhash.xxh64_hexdigest(b"")
    words = [token.keyword or ("?" if token.kind in _VALUES else token.text) for token in tokens]
    return (words[0] if words else ""), xxhash.xxh64_hexdigest(" ".join(words).encode())
