"""Reads the tokens of one statement from left to right."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import StatementSyntaxError
from .identifier import fold, unquote_identifier, valid_unquoted
from .literals import decode_string
from .rewriting import Rewriting
from .statements import Fragment, Name
from .tokens import Token

__all__ = ["Cursor"]

_LONGEST_QUOTE = 40


class Cursor:
    """The tokens of a statement, the place among them, and errors that say what was expected there.

    ``start`` and ``end`` bound the statement in the input. ``grammar`` is what a hint shows; each
    statement's reader sets its own.
    """

    __slots__ = ("end", "grammar", "index", "rewriting", "start", "tokens")

    def __init__(self, tokens: Sequence[Token], start: int, end: int, rewriting: Rewriting) -> None:
        self.tokens = tokens
        self.start = start
        self.end = end
        self.rewriting = rewriting
        self.index = 0
        self.grammar: str | None = None

    def peek(self, ahead: int = 0) -> Token | None:
        """The token ``ahead`` places on, ``None`` past the end."""
        place = self.index + ahead
        return self.tokens[place] if 0 <= place < len(self.tokens) else None

    def keyword(self, ahead: int = 0) -> str:
        """The word ``ahead`` places on in upper case, empty when there is none."""
        token = self.peek(ahead)
        return token.keyword if token is not None else ""

    def symbol(self, ahead: int = 0) -> str:
        """The operator ``ahead`` places on, empty when there is none."""
        token = self.peek(ahead)
        return token.text if token is not None and token.kind == "operator" else ""

    @property
    def position(self) -> int:
        """The index in the input of the next token, or of the statement's end."""
        token = self.peek()
        return token.start if token is not None else self.end

    def at(self, *words: str) -> bool:
        """Whether these keywords come next."""
        return all(self.keyword(ahead) == word for ahead, word in enumerate(words))

    def accept(self, *words: str) -> bool:
        """Step over these keywords if they come next, all of them or none."""
        if not self.at(*words):
            return False
        self.index += len(words)
        return True

    def accept_any(self, *words: str) -> str:
        """Step over one of these keywords and return it; empty if none comes next."""
        word = self.keyword()
        if word not in words:
            return ""
        self.index += 1
        return word

    def expect(self, *words: str) -> None:
        """Step over these keywords, or raise."""
        for word in words:
            if not self.accept(word):
                raise self.error(word)

    def accept_symbol(self, symbol: str) -> bool:
        """Step over the operator if it comes next."""
        if self.symbol() != symbol:
            return False
        self.index += 1
        return True

    def expect_symbol(self, symbol: str) -> None:
        """Step over the operator, or raise."""
        if not self.accept_symbol(symbol):
            raise self.error(symbol)

    def identifier(self, what: str) -> str:
        """One identifier, folded or unquoted."""
        token = self.peek()
        if token is None or token.kind not in {"word", "quoted"}:
            raise self.error(what)
        if token.kind == "word":
            if not valid_unquoted(token.text):
                raise self.error(f'{what}, which has to be quoted "like this" when it has other signs than letters')
            text = fold(token.text)
        else:
            text = unquote_identifier(token.text)
            if not text:
                raise self.error(f"{what} that is not empty")
        self.index += 1
        return text

    def name(self, what: str) -> Name:
        """An identifier path."""
        position = self.position
        parts = [self.identifier(what)]
        while self.accept_symbol("."):
            parts.append(self.identifier(what))
        return Name(tuple(parts), position)

    def string(self, what: str) -> str:
        """The decoded text of one string literal."""
        token = self.peek()
        text = decode_string(token) if token is not None and token.kind == "string" else None
        if text is None:
            raise self.error(what)
        self.index += 1
        return text

    def rest(self, what: str) -> Fragment:
        """Everything up to the end, which is at least one token."""
        if self.peek() is None:
            raise self.error(what)
        start = self.position
        depth = 0
        # The text is put in parentheses to be evaluated: one too many in it would end them.
        while (token := self.peek()) is not None:
            if token.kind == "operator" and token.text in "([{)]}":
                depth += 1 if token.text in "([{" else -1
                if depth < 0:
                    raise self.error("the end of the statement")
            self.index += 1
        return self.rewriting.fragment(start, self.tokens[-1].end)

    def finish(self) -> None:
        """Raise unless the statement ends here."""
        if self.peek() is not None:
            raise self.error("the end of the statement")

    def error(self, expected: str, token: Token | None = None) -> StatementSyntaxError:
        """The error that says what was expected at this place, or at ``token``, and what is there."""
        token = token or self.peek()
        found = "the end of the statement" if token is None else token.text
        if len(found) > _LONGEST_QUOTE:
            found = f"{found[:_LONGEST_QUOTE]}..."
        return StatementSyntaxError(
            f"expected {expected}, found {found}",
            position=self.end if token is None else token.start,
            hint=f"write {self.grammar}" if self.grammar else None,
        )
