"""The lists ``(key = value, ...)`` of WITH and SET, and ``(key value, ...)`` of COPY."""

from __future__ import annotations

from ..errors import StatementSyntaxError
from .cursor import Cursor
from .identifier import fold, unquote_identifier

__all__ = ["read_keys", "read_options", "read_word_options"]

_VALUE = "a string, a number, true, false, a word or INTERVAL '...' as the value"

_UNITS = ("YEAR", "MONTH", "WEEK", "DAY", "HOUR", "MINUTE", "SECOND")


def read_options(cursor: Cursor) -> dict[str, str]:
    """The parenthesised pairs, as text to text: numbers as written, words folded, intervals as the text inside.

    Raises ``StatementSyntaxError`` for an empty list and for a key that comes twice.
    """
    return _pairs(cursor, needs_equals=True)


def read_word_options(cursor: Cursor, *, bare: bool = False) -> dict[str, str]:
    """The parenthesised list ``(key value, ...)``, with or without ``=`` between; with ``bare`` a key alone is true. The rest as
    for ``read_options``."""
    return _pairs(cursor, needs_equals=False, bare=bare)


def _pairs(cursor: Cursor, *, needs_equals: bool, bare: bool = False) -> dict[str, str]:
    options: dict[str, str] = {}
    cursor.expect_symbol("(")
    while True:
        position = cursor.position
        key = _key(cursor)
        if key in options:
            raise StatementSyntaxError(f"the option {key} is there twice", position=position, hint="write it once")
        if needs_equals:
            cursor.expect_symbol("=")
        else:
            cursor.accept_symbol("=")
        options[key] = "true" if bare and cursor.symbol() in {",", ")"} else _value(cursor)
        if not cursor.accept_symbol(","):
            break
    cursor.expect_symbol(")")
    return options


def read_keys(cursor: Cursor) -> tuple[str, ...]:
    """The parenthesised keys, each once."""
    cursor.expect_symbol("(")
    keys = [_key(cursor)]
    while cursor.accept_symbol(","):
        keys.append(_key(cursor))
    cursor.expect_symbol(")")
    return tuple(dict.fromkeys(keys))


def _key(cursor: Cursor) -> str:
    token = cursor.peek()
    if token is not None and token.kind == "string":
        return cursor.string("an option's name")
    return ".".join(cursor.name("an option's name").parts)


def _value(cursor: Cursor) -> str:
    if cursor.accept("INTERVAL"):
        text = cursor.string("the interval's text as '...'")
        unit = cursor.accept_any(*_UNITS)
        return f"{text} {unit.lower()}" if unit else text
    sign = cursor.symbol() if cursor.symbol() in {"-", "+"} else ""
    if sign:
        cursor.index += 1
    token = cursor.peek()
    if token is not None and token.kind == "string" and not sign:
        return cursor.string(_VALUE)
    if token is not None and token.kind == "number":
        cursor.index += 1
        return f"-{token.text}" if sign == "-" else token.text
    if token is None or sign or token.kind not in {"word", "quoted"}:
        raise cursor.error(_VALUE)
    cursor.index += 1
    return fold(token.text) if token.kind == "word" else unquote_identifier(token.text)
