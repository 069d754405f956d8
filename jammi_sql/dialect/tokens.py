"""Text to tokens, with the lexical rules of DataFusion (sqlparser's GenericDialect).

Whitespace and comments are skipped; everything else is a token, so that what lies between two tokens
is never anything but whitespace and comments.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Literal, NamedTuple

from ..errors import StatementSyntaxError
from .keywords import BEFORE_OPERAND

__all__ = ["WORD", "WORD_CHARACTER", "Kind", "Token", "ends_operand", "single_tokens", "tokenize"]

Kind = Literal["word", "quoted", "string", "number", "parameter", "rows", "operator"]
"""``rows`` is a run ``, (literal, ...), (literal, ...)`` of a VALUES list, taken as one token for speed.
``parameter`` is ``?``, ``$1``, ``$name`` or a ``:name`` that may still turn out to be a slice or a field
(``parameters.settle_colons`` decides)."""


class Token(NamedTuple):
    """A token and its place: ``text`` is the input from ``start`` up to ``end``."""

    kind: Kind
    start: int
    end: int
    text: str

    @property
    def keyword(self) -> str:
        """The unquoted word in upper case, for comparison with keywords; empty for other tokens."""
        return self.text.upper() if self.kind == "word" else ""


# Rust's whitespace; Python's \s has four control characters more.
_WIDE_SPACE = r"\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
_SPACE = rf"[\t-\r {_WIDE_SPACE}]"
# Everything outside ASCII but whitespace is a letter. DataFusion takes letters only; ``identifier`` checks names that are
# ours. By what they are not: to compile a set that spans all of Unicode takes Python 10 ms each time that it occurs.
_NO_WORD = rf"\[-\^`{{-\x7f{_WIDE_SPACE}"
WORD_CHARACTER = rf"[^\x00-\"%-/:-?{_NO_WORD}]"  # letters, digits, _ $ @ #
WORD = rf"[^\x00-\"$-?{_NO_WORD}]{WORD_CHARACTER}*+"  # begins with a letter, _ @ or #
_TAG = rf"[^\x00-/:-@{_NO_WORD}]*+"
_NUMBER = r"(?:[0-9]++(?:\.[0-9]*+)?|\.[0-9]++)(?:[eE][+-]?[0-9]++)?"
_TEXT = r"'[^']*+(?:''[^']*+)*+'"
_SCALAR = rf"(?:(?:(?i:DATE|TIME|TIMESTAMP|INTERVAL){_SPACE}*+)?{_TEXT}|[+-]?{_NUMBER}|(?i:NULL|TRUE|FALSE))"
_SCALARS = rf"{_SPACE}*+{_SCALAR}(?:{_SPACE}*+,{_SPACE}*+{_SCALAR})*+{_SPACE}*+"
_VALUE = rf"(?:{_SCALAR}|\[{_SCALARS}\])"
_ROW = rf"\({_SPACE}*+{_VALUE}(?:{_SPACE}*+,{_SPACE}*+{_VALUE})*+{_SPACE}*+\)"

# Possessive throughout: no alternative is ever retried over the same stretch, so the time is linear.
_ROWS = rf"(?P<rows>(?:,{_SPACE}*+{_ROW}(?:{_SPACE}*+(?=,))?)++) |"
_SINGLE = rf"""
      (?P<refused>[rR]'''|[nN]?[qQ]'|[@#]++(?!{WORD_CHARACTER}|{_SPACE}|\Z|[>?]))
    | (?P<string>[eExX]'[^'\\]*+(?:(?:\\(?s:.)|'')[^'\\]*+)*+'|(?:[bBnNrR]|[uU]&)?+{_TEXT})
    | (?P<quoted>"[^"]*+(?:""[^"]*+)*+"|`[^`]*+(?:``[^`]*+)*+`)
    | (?P<broken>[eExX]?'|"|`)
    | (?P<comment>--[^\n]*+)
    | (?P<block>/\*)
    | (?P<number>0x[0-9a-fA-F]*+|{_NUMBER})
    | (?P<dollar>\${_TAG}\$)
    | (?P<symbol>=>|<=>|::|//|\|\|?/|@>|@\?|\#>)
    | (?P<parameter>\?[0-9]*+|\${_TAG}|:(?![eEbBnNrRxXqQ]'|[uU]&'|[nN][qQ]'|[@#]){WORD})
    | (?P<word>{WORD})
    | (?P<end>\Z)
    | (?P<operator>(?s:.))
"""
_TOKEN = re.compile(f"{_SPACE}*+(?:{_ROWS}{_SINGLE})", re.VERBOSE)
_KINDS: Mapping[str, Kind] = {
    "rows": "rows",
    "string": "string",
    "quoted": "quoted",
    "number": "number",
    "symbol": "operator",
    "parameter": "parameter",
    "word": "word",
    "operator": "operator",
}
_COMMENT_EDGE = re.compile(r"/\*|\*/")
_UNTERMINATED = {
    "'": ("string", "close it with ' and double every quote inside"),
    '"': ("quoted identifier", 'close it with " and double every quote inside'),
    "`": ("quoted identifier", "close it with ` and double every quote inside"),
}


def tokenize(text: str) -> list[Token]:
    """All tokens of ``text`` in order.

    Raises ``StatementSyntaxError`` with the position where a string, a quoted identifier or a comment begins
    that does not end, and for literals that DataFusion reads but does not support.
    """
    tokens: list[Token] = []
    append = tokens.append
    position = 0
    while True:
        for match in _TOKEN.finditer(text, position):
            group = match.lastgroup or ""
            start, end = match.span(group)
            kind = _KINDS.get(group)
            if kind is not None:
                append(Token(kind, start, end, text[start:end]))
            elif group == "block":
                position = _end_of_comment(text, start)
                break
            elif group == "dollar":
                position = _end_of_dollar_string(text, start, end)
                append(Token("string", start, position, text[start:position]))
                break
            elif group == "end":
                return tokens
            elif group == "broken":
                what, hint = _UNTERMINATED[text[end - 1]]
                raise StatementSyntaxError(f"the {what} does not end", position=start, hint=hint)
            elif group == "refused":
                raise StatementSyntaxError(
                    f"no expression begins with {text[start:end]}", position=start, hint="write text as '...'"
                )


def single_tokens(tokens: Sequence[Token]) -> list[Token]:
    """The same tokens, those of kind ``rows`` taken apart: their commas are no separators of rows but of values."""
    single: list[Token] = []
    for token in tokens:
        if token.kind != "rows":
            single.append(token)
            continue
        for match in _token_of_rows().finditer(token.text):
            kind = _KINDS.get(match.lastgroup or "")
            if kind is not None:
                start, end = match.span(match.lastgroup or "")
                single.append(Token(kind, token.start + start, token.start + end, token.text[start:end]))
    return single


@cache
def _token_of_rows() -> re.Pattern[str]:
    """A token inside of ``rows``, which most texts have none of."""
    return re.compile(f"{_SPACE}*+(?:{_SINGLE})", re.VERBOSE)


def ends_operand(token: Token | None) -> bool:
    """Whether an operand is complete after ``token``, so that what follows is an operator, an alias or a clause."""
    if token is None:
        return False
    if token.kind == "operator":
        return token.text in {")", "]", "}"}
    return token.keyword not in BEFORE_OPERAND


def _end_of_comment(text: str, start: int) -> int:
    """The index after the comment that begins at ``start``; comments nest."""
    depth = 1
    for edge in _COMMENT_EDGE.finditer(text, start + 2):
        depth += 1 if edge[0] == "/*" else -1
        if not depth:
            return edge.end()
    raise StatementSyntaxError("the comment does not end", position=start, hint="close it with */; comments nest")


def _end_of_dollar_string(text: str, start: int, body: int) -> int:
    """The index after the string whose opening ``$tag$`` is ``text[start:body]``."""
    tag = text[start:body]
    close = text.find(tag, body)
    if close < 0:
        raise StatementSyntaxError(f"the string does not end with {tag}", position=start, hint=f"close it with {tag}")
    return close + len(tag)
