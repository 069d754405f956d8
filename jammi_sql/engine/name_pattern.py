"""Patterns of names as metadata calls have them: ``%`` and ``_`` as in LIKE."""

from __future__ import annotations

import re
from collections.abc import Callable

__all__ = ["name_pattern"]


def name_pattern(pattern: str | None) -> Callable[[str], bool]:
    """Whether a name matches; ``None`` matches all. A name that is the pattern itself matches too, whatever signs it has."""
    if pattern is None:
        return lambda name: True
    text = "".join({"%": ".*", "_": "."}.get(part, re.escape(part)) for part in pattern)
    expression = re.compile(text, re.DOTALL)
    return lambda name: name == pattern or expression.fullmatch(name) is not None
