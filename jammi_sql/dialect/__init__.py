"""The language: text to tokens to statements. No I/O, no types, no evaluation: expressions stay text."""

from __future__ import annotations

from . import statements
from .composing import compose, filled, placeholders, spliced
from .identifier import format_identifier_path, parse_identifier_path, quote_identifier
from .parsed import Parsed
from .parser import explained, parse

__all__ = [
    "Parsed",
    "compose",
    "explained",
    "filled",
    "format_identifier_path",
    "parse",
    "parse_identifier_path",
    "placeholders",
    "quote_identifier",
    "spliced",
    "statements",
]
