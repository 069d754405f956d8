"""Statements painted as they are typed, by the dialect's own tokens."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from prompt_toolkit.document import Document
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.lexers import Lexer
from prompt_toolkit.styles import Style

from ..dialect.tokens import Token, single_tokens, tokenize
from ..errors import StatementSyntaxError
from .vocabulary import KEYWORDS

__all__ = ["STYLE", "StatementLexer", "painted"]

STYLE = Style.from_dict(
    {
        "keyword": "bold ansiblue",
        "string": "ansigreen",
        "number": "ansicyan",
        "comment": "ansibrightblack italic",
        "parameter": "ansimagenta",
        "command": "bold ansiyellow",
        "quoted": "",
        "": "",
    }
)

_COMMENT = re.compile(r"--|/\*")


class StatementLexer(Lexer):
    """prompt_toolkit's lexer over ``painted``."""

    def lex_document(self, document: Document) -> Callable[[int], StyleAndTextTuples]:
        """The painted text, line by line."""
        lines: list[StyleAndTextTuples] = [[]]
        for style, text in painted(document.text):
            first, *others = text.split("\n")
            lines[-1].append((style, first))
            lines.extend([(style, other)] for other in others)
        return lambda number: lines[number] if number < len(lines) else []


def painted(text: str) -> Iterator[tuple[str, str]]:
    """The text in pieces, each with its style; together they are the text."""
    if text.lstrip().startswith("\\"):
        command = re.match(r"\s*\\\S*", text)
        end = command.end() if command else 0
        yield "class:command", text[:end]
        yield "", text[end:]
        return
    position = 0
    for token in _tokens(text):
        yield from _gap(text[position : token.start])
        yield _style(token), token.text
        position = token.end
    yield from _gap(text[position:])


def _tokens(text: str) -> list[Token]:
    """The tokens of a text that may not be complete: what is open is one token to the end."""
    try:
        return single_tokens(tokenize(text))
    except StatementSyntaxError as error:
        start = error.position
        if start is None or start >= len(text):
            return []
        before = _tokens(text[:start])
        if text.startswith("/*", start):
            return before
        return [*before, Token("string", start, len(text), text[start:])]


def _gap(text: str) -> Iterator[tuple[str, str]]:
    comment = _COMMENT.search(text)
    if comment is None:
        yield "", text
    else:
        yield "", text[: comment.start()]
        yield "class:comment", text[comment.start() :]


def _style(token: Token) -> str:
    if token.kind in {"string", "number", "parameter"}:
        return f"class:{token.kind}"
    return "class:keyword" if token.keyword in KEYWORDS else ""
