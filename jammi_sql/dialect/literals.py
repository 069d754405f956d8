"""The value of a string literal, decoded as DataFusion does."""

from __future__ import annotations

import re

from ..errors import StatementSyntaxError
from .tokens import Token

__all__ = ["decode_string"]

_ESCAPE = re.compile(
    r"''|\\(?:(?P<octal>[0-7]{1,3})|x(?P<hex>[0-9a-fA-F]{1,2})|u(?P<short>.{0,4})|U(?P<long>.{0,8})|(?P<other>.))",
    re.DOTALL,
)
_CONTROL = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_ASCII = 0x7F


def decode_string(token: Token) -> str | None:
    """The text of a ``'...'``, ``E'...'`` or ``$$...$$`` literal; ``None`` for other kinds, such as ``X'...'``.

    Raises ``StatementSyntaxError`` for an escape that is no character.
    """
    text = token.text
    if text[0] == "'":
        return text[1:-1].replace("''", "'")
    if text[0] == "$":
        tag = text.index("$", 1) + 1
        return text[tag:-tag]
    if text[0] in "eE":
        return _ESCAPE.sub(lambda match: _unescape(match, token.start + 2), text[2:-1])
    return None


def _unescape(match: re.Match[str], offset: int) -> str:
    if match[0] == "''":
        return "'"
    if match["other"] is not None:
        return _CONTROL.get(match["other"], match["other"])
    digits, base, last = match["octal"], 8, _ASCII
    if match["hex"] is not None:
        digits, base = match["hex"], 16
    elif digits is None:
        digits, base, last = match["short"] if match["short"] is not None else match["long"], 16, 0x10FFFF
        if not re.fullmatch("[0-9a-fA-F]{4}|[0-9a-fA-F]{8}", digits):
            digits = "0"
    code = int(digits, base)
    if not 0 < code <= last or 0xD800 <= code <= 0xDFFF:
        raise StatementSyntaxError(
            f"the escape {match[0]} is not a character",
            position=offset + match.start(),
            hint="write \\n, \\t, \\\\, \\', \\x41 or \\u0041",
        )
    return chr(code)
