"""Names and literals in texts for a source: the one place where they are written."""

from __future__ import annotations

from ..errors import InvalidParameter

__all__ = ["quoted", "refusal", "text_literal"]


def quoted(name: str, quote: str = '"') -> str:
    """``name`` as a quoted identifier, whatever it contains. ``InvalidParameter`` for a NUL, which no dialect can write."""
    if "\0" in name:
        raise InvalidParameter("a name has a NUL character in it")
    return f"{quote}{name.replace(quote, quote * 2)}{quote}"


def text_literal(text: str) -> str:
    """``text`` as a literal of standard SQL; the session takes a backslash for itself."""
    if "\0" in text:
        raise InvalidParameter("a text has a NUL character in it")
    return "'" + text.replace("'", "''") + "'"


def refusal(column: str, what: str) -> str:
    """A literal that is cast to what it cannot be, so that the source's error has it: ``errors.refused`` finds it there.

    Without braces and quotation marks, since it stands in an expression whose ``{}`` is the column.
    """
    plain = "".join(" " if character in "{}'\"\\\0\n\r" else character for character in f"{column} {what}")
    return f"'jammi: column {plain} '"
