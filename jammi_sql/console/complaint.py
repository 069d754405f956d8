"""Errors as the console shows them: the message, the place, the hint."""

from __future__ import annotations

from rich.cells import cell_len

from ..errors import Error
from .text import cell

__all__ = ["complaint"]


def complaint(error: Error, statement: str, script: str = "", start: int = 0, name: str = "") -> str:
    """The lines to print for ``error``, which came of ``statement``.

    ``script`` is the text that holds the statement at ``start``, and ``name`` where it was read from, for the line
    number.
    """
    lines = [f"error {error.sqlstate}: {error.message}"]
    if error.position is not None and statement:
        position = min(max(error.position, 0), len(statement))
        before, after = statement[:position].rpartition("\n"), statement[position:].partition("\n")
        lead, line = cell(before[2]), cell(before[2] + after[0])
        number = script.count("\n", 0, start + position) + 1
        label = f"{name or 'line'} {number}: " if name or "\n" in script.strip() else "  "
        lines += [f"{label}{line}", " " * (len(label) + cell_len(lead)) + "^"]
    if error.hint:
        lines.append(f"hint: {error.hint}")
    return "\n".join(lines)
