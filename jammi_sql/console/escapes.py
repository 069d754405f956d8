"""Characters that a terminal would obey, shown instead of sent."""

from __future__ import annotations

import re

__all__ = ["escaped", "harmless"]

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
