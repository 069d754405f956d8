"""Reads the examples out of a Markdown page.

``sql``, ``python`` and ``console`` blocks are run. A ``text`` block right after one is what it must give: the table of
the last SQL statement, what Python printed, or, where it begins with ``ERROR``, the error's SQLSTATE and a part of its
text. ``...`` stands for any cell or line. A block with ``skip`` after its language is not run; the
line above it says why: ``<!-- skip: needs a terminal -->``.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

__all__ = ["RUN", "SHOWN", "Block", "MalformedPage", "cells_of_text", "cells_of_values", "matches", "read_blocks"]

RUN = frozenset({"console", "python", "sql"})
SHOWN = frozenset({"csv", "ini", "json", "jsonl", "mermaid", "text", "toml", "yaml"})

_FENCE = re.compile(r"^(?P<indent> *)(?P<ticks>```+)(?P<info>[^`]*)$")
_REASON = re.compile(r"^\s*<!-- skip: \S.* -->$")
_BORDER = re.compile(r"^[\s|+:─━═│┃║┌┐└┘├┤┬┴┼┏┓┗┛┣┫┳┻╋┡┩╇╭╮╰╯╞╪╡=-]*$")
_SEPARATOR = re.compile(r"[|│┃]")
_ROW_COUNT = re.compile(r"^\(?\d+ rows?\b.*$")
ANYTHING = "..."


class MalformedPage(Exception):
    """A page that cannot be checked; says which line."""


@dataclass(frozen=True, slots=True)
class Block:
    """A block to run. ``line`` is where its text begins in the page, counted from 1."""

    language: str
    text: str
    line: int
    expected: str | None
    skipped: bool


@dataclass(slots=True)
class _Fence:
    language: str
    words: list[str]
    text: str
    first: int  # line numbers from 0: of the opening fence and of the closing one
    last: int


def read_blocks(page: str) -> list[Block]:
    """The blocks that are run or skipped, in order. Raises ``MalformedPage``."""
    lines = page.splitlines()
    fences = _fences(lines)
    blocks: list[Block] = []
    for index, fence in enumerate(fences):
        if fence.language not in RUN:
            continue
        unknown = [word for word in fence.words if word != "skip"]
        if unknown:
            raise MalformedPage(f"line {fence.first + 1}: ```{fence.language} knows no {unknown[0]}")
        skipped = "skip" in fence.words
        if skipped and not (fence.first and _REASON.match(lines[fence.first - 1])):
            raise MalformedPage(f"line {fence.first + 1}: say why on the line above: <!-- skip: reason -->")
        expected = None
        if index + 1 < len(fences) and fences[index + 1].language == "text":
            following = fences[index + 1]
            if not any(line.strip() for line in lines[fence.last + 1 : following.first]):
                expected = following.text
        blocks.append(Block(fence.language, fence.text, fence.first + 2, expected, skipped))
    return blocks


def _fences(lines: Sequence[str]) -> list[_Fence]:
    found: list[_Fence] = []
    opening: re.Match[str] | None = None
    first = 0
    for number, line in enumerate(lines):
        fence = _FENCE.match(line)
        if opening is None:
            if fence is not None:
                opening, first = fence, number
            continue
        if fence is None or fence["info"].strip() or len(fence["ticks"]) < len(opening["ticks"]):
            continue
        language, *words = opening["info"].split() or [""]
        if language not in RUN | SHOWN:
            # `bash`, `SQL` or nothing at all would slip past the tests
            allowed = ", ".join(sorted(RUN | SHOWN))
            raise MalformedPage(
                f"line {first + 1}: a block is one of {allowed}, not {language or 'without a language'}"
            )
        body = "\n".join(lines[first + 1 : number])
        found.append(_Fence(language, words, textwrap.dedent(body), first, number))
        opening = None
    if opening is not None:
        raise MalformedPage(f"line {first + 1}: the block does not end")
    return found


def cells_of_text(table: str) -> list[list[str]]:
    """The rows of a drawn table, its header first; borders and a closing row count left out.

    Where nothing but a row count is drawn, that is what the statement gave.
    """
    rows = [line.strip() for line in table.splitlines()]
    drawn = [row for row in rows if row and not _BORDER.match(row)]
    if len(drawn) > 1:
        drawn = [row for row in drawn if not _ROW_COUNT.match(row)]
    return [[" ".join(cell.split()) for cell in _SEPARATOR.split(row.strip("|│┃"))] for row in drawn]


def cells_of_values(names: Sequence[str], rows: Iterable[Sequence[Any]]) -> list[list[str]]:
    """A result in the same form."""
    return [[" ".join(name.split()) for name in names], *([_shown(value) for value in row] for row in rows)]


def _shown(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime):
        return value.isoformat(sep=" ")
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, list | dict):
        return orjson.dumps(value, default=str).decode()
    return " ".join(str(value).split())


def matches(expected: Sequence[Sequence[str]], found: Sequence[Sequence[str]]) -> bool:
    """Whether two tables or lists of lines are equal, ``...`` standing for any cell."""
    return len(expected) == len(found) and all(
        len(left) == len(right) and all(a in (ANYTHING, b) for a, b in zip(left, right, strict=True))
        for left, right in zip(expected, found, strict=True)
    )
