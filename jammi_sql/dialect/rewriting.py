"""The user's text with a few spans replaced, and the way back from the new text to the old."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from .statements import Fragment

__all__ = ["Edit", "Rendered", "Rewriting", "places"]


@dataclass(frozen=True, slots=True)
class Edit:
    """``before + text + after`` instead of the input from ``start`` up to ``end``; ``key`` for a parameter.

    ``before`` and ``after`` are blanks that keep a placeholder apart from the word next to it.
    """

    start: int
    end: int
    text: str
    key: str | None = None
    before: str = ""
    after: str = ""


@dataclass(frozen=True, slots=True)
class Rendered:
    """A fragment and the places of the placeholders in it: start, end, key."""

    fragment: Fragment
    placeholders: tuple[tuple[int, int, str], ...]


class Rewriting:
    """One statement's text and the edits of its parameters, in the order of the text."""

    __slots__ = ("_edits", "_starts", "source")

    def __init__(self, source: str, edits: Sequence[Edit]) -> None:
        self.source = source
        self._edits = edits
        self._starts = [edit.start for edit in edits]

    def fragment(self, start: int, end: int) -> Fragment:
        """The input from ``start`` up to ``end`` with its parameters as placeholders."""
        return self.render(start, end).fragment

    def with_edits(self, edits: Sequence[Edit]) -> Rewriting:
        """This one with ``edits`` made too in every fragment."""
        return Rewriting(self.source, sorted([*edits, *self._edits], key=lambda edit: (edit.start, edit.end)))

    def render(self, start: int, end: int, replacements: Sequence[Edit] = ()) -> Rendered:
        """The same with ``replacements`` made too; a parameter inside a replaced span goes with it."""
        last = bisect_left(self._starts, end)
        while last < len(self._edits) and self._edits[last].end == end:
            last += 1  # what is put in right after the fragment's last character belongs to it
        edits = self._edits[bisect_left(self._starts, start) : last]
        if replacements:
            edits = sorted([*replacements, *edits], key=lambda edit: (edit.start, edit.end))
        if not edits:
            return Rendered(Fragment(self.source[start:end], ((0, start),)), ())
        pieces: list[str] = []
        origins: list[tuple[int, int]] = []
        placeholders: list[tuple[int, int, str]] = []
        length = 0
        position = start
        for edit in edits:
            if edit.start < position:
                continue
            if edit.start > position or not origins:
                origins.append((length, position))
                pieces.append(self.source[position : edit.start])
                length += edit.start - position
            origins.append((length, edit.start))
            if edit.key is not None:
                begin = length + len(edit.before)
                placeholders.append((begin, begin + len(edit.text), edit.key))
            written = edit.before + edit.text + edit.after
            pieces.append(written)
            length += len(written)
            position = edit.end
        origins.append((length, position))
        pieces.append(self.source[position:end])
        return Rendered(Fragment("".join(pieces), tuple(origins)), tuple(placeholders))


def places(fragment: Fragment, positions: Sequence[int]) -> list[int]:
    """The indices in the fragment's text of characters of the input, none of which was replaced."""
    sources = [source for _, source in fragment.origins]
    found: list[int] = []
    for position in positions:
        start, source = fragment.origins[bisect_right(sources, position) - 1]
        found.append(start + position - source)
    return found
