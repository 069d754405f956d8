"""Identifiers and paths of them: folding, quoting, reading."""

from __future__ import annotations

import re
import string
import unicodedata

from ..errors import StatementSyntaxError
from .keywords import RESERVED
from .tokens import WORD

__all__ = [
    "fold",
    "format_identifier_path",
    "parse_identifier_path",
    "quote_identifier",
    "unquote_identifier",
    "valid_unquoted",
]

_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)
_PART = re.compile(rf"""\s*+(?:(?P<quoted>"[^"]*+(?:""[^"]*+)*+"|`[^`]*+(?:``[^`]*+)*+`)|(?P<word>{WORD}))\s*+""")
_PLAIN = re.compile(r"[a-z_][a-z0-9_]*")


def fold(word: str) -> str:
    """An unquoted identifier as DataFusion sees it: ASCII letters in lower case, all others as they are."""
    return word.translate(_LOWER)


def unquote_identifier(text: str) -> str:
    """The name inside ``"..."`` or backticks, doubled quotes undone."""
    quote = text[0]
    return text[1:-1].replace(quote * 2, quote)


def valid_unquoted(word: str) -> bool:
    """Whether DataFusion reads the whole word as one unquoted identifier: letters and their marks, no other signs."""
    if word.isascii():
        return word.strip("@#") != ""
    return all(c.isascii() or c.isalpha() or unicodedata.category(c) in {"Mn", "Mc", "Nl"} for c in word)


def quote_identifier(text: str) -> str:
    """``text`` as a quoted identifier, whatever it contains."""
    return '"' + text.replace('"', '""') + '"'


def format_identifier_path(parts: tuple[str, ...] | list[str]) -> str:
    """The parts with dots between them, quoted where unquoted they would be read as something else."""
    return ".".join(
        part if _PLAIN.fullmatch(part) and part.upper() not in RESERVED else quote_identifier(part) for part in parts
    )


def parse_identifier_path(text: str) -> tuple[str, ...]:
    """``events.changes`` or ``"Odd.Name"`` to its parts: unquoted ones folded, quoted ones as they are.

    Raises ``StatementSyntaxError`` without a position, for the text need not stand in a statement.
    """
    parts: list[str] = []
    index = 0
    while True:
        match = _PART.match(text, index)
        if match is None:
            raise _not_a_path(text)
        word, quoted = match["word"], match["quoted"]
        part = fold(word) if word is not None else unquote_identifier(quoted)
        if not part or (word is not None and not valid_unquoted(word)):
            raise _not_a_path(text)
        parts.append(part)
        index = match.end()
        if index == len(text):
            return tuple(parts)
        if text[index] != ".":
            raise _not_a_path(text)
        index += 1


def _not_a_path(text: str) -> StatementSyntaxError:
    return StatementSyntaxError(
        f"not a name: {text!r}", hint=f"write name, schema.name, or quote it: {quote_identifier(text or 'name')}"
    )
