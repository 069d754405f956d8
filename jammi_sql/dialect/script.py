"""A text into its statements."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .tokens import Token

__all__ = ["Piece", "split"]


@dataclass(frozen=True, slots=True)
class Piece:
    """The tokens of one statement (at least one) and its stretch of the input, comments included, ``;`` not."""

    tokens: Sequence[Token]
    start: int
    end: int


def split(tokens: Sequence[Token], length: int) -> Iterator[Piece]:
    """The pieces between semicolons outside brackets, those without a token dropped; ``length`` is the input's."""
    depth = 0
    first = 0
    start = 0
    for index, token in enumerate(tokens):
        if token.kind != "operator":
            continue
        if token.text in {"(", "[", "{"}:
            depth += 1
        elif token.text in {")", "]", "}"}:
            depth = max(depth - 1, 0)
        elif token.text == ";" and not depth:
            if index > first:
                yield Piece(tokens[first:index], start, token.start)
            first, start = index + 1, token.end
    if first < len(tokens):
        yield Piece(tokens[first:], start, length)
