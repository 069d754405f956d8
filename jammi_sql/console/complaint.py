"""Errors as the console shows them: the message, the place, the hint."""

from __future__ import annotations

from rich.cells import cell_len, set_cell_size

from ..errors import Error
from .escapes import harmless
from .narration import folded, room
from .text import cell

__all__ = ["complaint"]

_CUT = "…"


def complaint(error: Error, statement: str, script: str = "", start: int = 0, name: str = "") -> str:
    """The lines to print for ``error``, which came of ``statement``.

    ``script`` is the text that holds the statement at ``start``, and ``name`` where it was read from, for the line
    number. On a terminal they fit: words are not broken, and of a long line that part is shown in which the place is.
    """
    width = room()
    lines = [folded(harmless(f"error {error.sqlstate}: {error.message}"), width)]
    if error.position is not None and statement:
        position = min(max(error.position, 0), len(statement))
        before, after = statement[:position].rpartition("\n"), statement[position:].partition("\n")
        lead, rest = cell(before[2]), cell(before[2] + after[0])[len(cell(before[2])) :]
        number = script.count("\n", 0, start + position) + 1
        label = f"{name or 'line'} {number}: " if name or "\n" in script.strip() else "  "
        if width is not None:
            lead, rest = _around(lead, rest, max(width - 1 - cell_len(label), 16))
        lines += [f"{label}{lead}{rest}", " " * (cell_len(label) + cell_len(lead)) + "^"]
    if error.hint:
        lines.append(folded(harmless(f"hint: {error.hint}"), width))
    return "\n".join(lines)


def _around(lead: str, rest: str, width: int) -> tuple[str, str]:
    """What is before a place and what is from there on, cut to ``width`` cells in all, a third of them for the latter."""
    if cell_len(lead) + cell_len(rest) <= width:
        return lead, rest
    before = width - min(cell_len(rest), width // 3)
    if cell_len(lead) > before:
        lead = _CUT + set_cell_size(lead[::-1], before - 1)[::-1]
    left = width - cell_len(lead)
    return lead, rest if cell_len(rest) <= left else set_cell_size(rest, left - 1) + _CUT
