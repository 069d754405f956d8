"""The texts that sessions are given, as statements."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import pyarrow as pa

from ..dialect import Parsed, parse
from ..dialect.defaults import DefaultArguments
from ..errors import InvalidParameter, StatementSyntaxError
from ..topics.remembered import Remembered
from .known import REMEMBERED_TEXT

__all__ = ["Texts", "check_parameters", "the_one"]

_STATEMENTS: Final = 512


class Texts:
    """Parses texts; the statements of the last short ones are kept, for all sessions of an engine."""

    def __init__(self, defaults: Mapping[str, DefaultArguments]) -> None:
        """``defaults``: what is written into calls that leave arguments out, by function."""
        self._defaults = defaults
        self._parsed: Remembered[str, list[Parsed]] = Remembered(_STATEMENTS)

    def parsed(self, text: str) -> list[Parsed]:
        """The statements of ``text``; ``StatementSyntaxError`` (42601)."""
        short = type(text) is str and len(text) <= REMEMBERED_TEXT
        known = self._parsed.get(text) if short else None
        if known is None:
            known = parse(text, self._defaults)
            if short:
                self._parsed[text] = known
        return known


def the_one(parsed: list[Parsed]) -> Parsed:
    """The only statement of a text; ``StatementSyntaxError`` (42601) where there is none, or another one."""
    if not parsed:
        raise StatementSyntaxError("there is no statement", position=0, hint="write one, such as SELECT 1")
    if len(parsed) > 1:
        raise StatementSyntaxError(
            "one statement at a time",
            position=parsed[1].position + len(parsed[1].text) - len(parsed[1].text.lstrip()),
            hint="executescript runs many",
        )
    return parsed[0]


def check_parameters(parsed: Parsed, values: Mapping[str, pa.Scalar]) -> None:
    """``InvalidParameter`` (07001) where a parameter of the statement has no value."""
    missing = [key for key in parsed.parameters if key not in values]
    if missing:
        raise InvalidParameter(
            f"parameter {missing[0]} has no value: the statement takes {len(parsed.parameters)}, {len(values)} came",
            sqlstate="07001",
            position=parsed.position,
            hint="give one value for each parameter",
        )
