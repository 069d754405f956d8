"""Results laid out for a screen: columns that fit, types in the header, numbers to the right, NULL to be seen."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa
from rich.cells import cell_len, set_cell_size

from ..dbapi.types import NUMBER
from ..dbapi.values import rows
from ..plan.columns import sql_type
from .text import cell

__all__ = ["Layout", "Row", "rows_of"]

Row = tuple[str | None, ...]
"""The cells of a row as a terminal may have them; ``None`` is NULL."""

_NULL = "NULL"
_BETWEEN = " | "
_CUT = "…"
_NARROWEST = 6  # cells below which a cut column says nothing: rows are then shown as records
_TYPE = 16  # cells that a type may take where neither name nor values need them
_DIM, _PLAIN = "\x1b[2m", "\x1b[0m"


def rows_of(batch: pa.RecordBatch) -> list[Row]:
    """The rows of a batch as cells."""
    return [tuple(None if value is None else cell(value) for value in row) for row in rows(batch)]


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the columns of a result stand; made of its first rows, and kept for those that follow.

    ``colour``: types and NULL are dimmed. ``records``: a row does not fit, so each of its columns has a line.
    """

    names: tuple[str, ...]
    types: tuple[str, ...]
    right: tuple[bool, ...]
    widths: tuple[int, ...]
    records: bool
    colour: bool

    @classmethod
    def of(cls, schema: pa.Schema, first: Sequence[Row], width: int | None, *, colour: bool = False) -> Layout:
        """The layout for ``width`` cells; ``None`` is as wide as it takes."""
        names = tuple(cell(name) for name in schema.names)
        types = tuple(cell(sql_type(field.type).lower().removeprefix('"').removesuffix('"')) for field in schema)
        right = tuple(field.type == NUMBER for field in schema)
        wanted = [
            max(cell_len(name), min(cell_len(kind), _TYPE), *(cell_len(row[index] or _NULL) for row in first), 1)
            for index, (name, kind) in enumerate(zip(names, types, strict=True))
        ]
        widths = wanted if width is None else _fitted(wanted, width - len(_BETWEEN) * (len(wanted) - 1))
        if widths is None:
            label = max(map(cell_len, names))
            assert width is not None
            label = min(label, width // 2)
            return cls(names, types, right, (label, max(width - label - len(_BETWEEN), 1)), True, colour)
        return cls(names, types, right, tuple(widths), False, colour)

    def header(self) -> list[str]:
        """The lines above the rows."""
        if self.records:
            return []
        return [
            self._line(self.names),
            self._line(self.types, dim=True),
            "-+-".join("-" * width for width in self.widths),
        ]

    def lines(self, many: Iterable[Row], number: int = 1) -> Iterator[str]:
        """The lines of rows; ``number`` is that of the first one, for records."""
        for index, row in enumerate(many, number):
            if not self.records:
                yield self._line(row)
                continue
            (label, value) = self.widths
            yield self._dimmed(f"-- row {index} --")
            for name, text in zip(self.names, row, strict=True):
                yield _padded(name, label, right=False) + _BETWEEN + self._cut_cell(text, value).rstrip()

    def _line(self, texts: Sequence[str | None], *, dim: bool = False) -> str:
        parts = []
        for text, width, right in zip(texts, self.widths, self.right, strict=True):
            padded = _padded(_NULL if text is None else text, width, right=right)
            parts.append(self._dimmed(padded) if dim or text is None else padded)
        line = _BETWEEN.join(parts)
        return line if self.colour else line.rstrip()

    def _cut_cell(self, text: str | None, width: int) -> str:
        return self._dimmed(_NULL) if text is None else _cut(text, width)

    def _dimmed(self, text: str) -> str:
        return f"{_DIM}{text}{_PLAIN}" if self.colour else text


def _fitted(wanted: Sequence[int], width: int) -> list[int] | None:
    """The widths, the widest ones cut so that all of them fit; ``None`` where that leaves too little of them."""
    if sum(wanted) <= width:
        return list(wanted)
    lowest, highest = 0, max(wanted)  # the greatest width at which all fit lies between, the first included
    while highest - lowest > 1:
        middle = (lowest + highest) // 2
        if sum(min(each, middle) for each in wanted) <= width:
            lowest = middle
        else:
            highest = middle
    if lowest < _NARROWEST:
        return None
    spare = width - sum(min(each, lowest) for each in wanted)
    fitted = []
    for each in wanted:
        more = 1 if each > lowest and spare > 0 else 0
        spare -= more
        fitted.append(min(each, lowest + more))
    return fitted


def _padded(text: str, width: int, *, right: bool) -> str:
    text = _cut(text, width)
    space = " " * (width - cell_len(text))
    return space + text if right else text + space


def _cut(text: str, width: int) -> str:
    return text if cell_len(text) <= width else set_cell_size(text, width - 1) + _CUT
