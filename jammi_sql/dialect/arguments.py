"""The arguments of a call, as tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import StatementSyntaxError
from .tokens import Token

__all__ = ["CallTokens"]

_OPENING = frozenset({"(", "[", "{"})
_CLOSING = frozenset({")", "]", "}"})
_HINTS = {
    "subscribe": (
        "write subscribe('topic', from => offset | 'earliest' | 'latest' | TIMESTAMP '...', until => offset | 'latest' | "
        "TIMESTAMP '...', idle_timeout => INTERVAL '...'), each option at most once and in any order"
    ),
    "remote_query": "write remote_query('name of the source', 'a query in its own dialect')",
}


@dataclass(frozen=True, slots=True)
class CallTokens:
    """A call in the text: the function's word, the index of the closing parenthesis, the tokens of each argument."""

    word: Token
    close: int
    arguments: tuple[Sequence[Token], ...]

    @classmethod
    def read(cls, tokens: Sequence[Token], index: int) -> CallTokens:
        """The call whose word is at ``index``, with a parenthesis behind it. No argument is empty."""
        call = cls(tokens[index], 0, ())
        opening = index + 1
        depth = 0
        first = opening + 1
        arguments: list[Sequence[Token]] = []
        for place in range(opening, len(tokens)):
            token = tokens[place]
            if token.kind == "rows" and depth == 1:
                raise call.error(f"{call.function} takes no rows", token)
            if token.kind != "operator":
                continue
            if token.text in _OPENING:
                depth += 1
            elif token.text in _CLOSING:
                depth -= 1
            if (token.text == "," and depth == 1) or not depth:
                if place > first:
                    arguments.append(tokens[first:place])
                elif arguments or token.text == ",":
                    raise call.error(f"an argument of {call.function} is missing", token)
                first = place + 1
            if not depth:
                return cls(call.word, place, tuple(arguments))
        raise call.error(f"the parenthesis of {call.function} is not closed", tokens[opening])

    @property
    def function(self) -> str:
        """Its name, in lower case."""
        return self.word.text.lower()

    def error(self, message: str, token: Token) -> StatementSyntaxError:
        """The error at ``token``, with the function's grammar."""
        return StatementSyntaxError(message, position=token.start, hint=_HINTS[self.function])
