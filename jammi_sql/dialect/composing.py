"""New statements out of fragments of the user's text, with the way back to the places in it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from .statements import Fragment
from .tokens import tokenize

__all__ = ["compose", "filled", "part", "placeholders", "spliced"]


def compose(*pieces: str | Fragment) -> Fragment:
    """The pieces one after the other. What is not the user's has the place of what came before it."""
    text: list[str] = []
    origins: list[tuple[int, int]] = []
    length = 0
    for piece in pieces:
        if isinstance(piece, Fragment):
            origins += [(length + start, source) for start, source in piece.origins]
        text.append(piece.text if isinstance(piece, Fragment) else piece)
        length += len(text[-1])
    return Fragment("".join(text), tuple(origins) or ((0, 0),))


def spliced(fragment: Fragment, edits: Iterable[tuple[int, int, str]]) -> Fragment:
    """``fragment`` with stretches (start, end) of its text replaced; they do not overlap."""
    pieces: list[str | Fragment] = []
    done = 0
    for start, end, text in sorted(edits):
        pieces += [part(fragment, done, start), text]
        done = end
    return compose(*pieces, part(fragment, done, len(fragment.text))) if pieces else fragment


def filled(fragment: Fragment, markers: Mapping[str, Fragment]) -> Fragment:
    """``fragment`` with what belongs there in place of each marker that it has, once at most."""
    for marker, text in markers.items():
        start = fragment.text.find(marker)
        if start >= 0:
            end = start + len(marker)
            fragment = compose(part(fragment, 0, start), text, part(fragment, end, len(fragment.text)))
    return fragment


def part(fragment: Fragment, start: int, end: int) -> Fragment:
    """A stretch of a fragment."""
    inside = [(place - start, source) for place, source in fragment.origins if start < place < end]
    return Fragment(fragment.text[start:end], ((0, fragment.origin(start)), *inside))


def placeholders(text: str) -> list[tuple[int, int, str]]:
    """The placeholders ``$key`` in a fragment's text: start, end and key."""
    if "$" not in text:
        return []
    return [(token.start, token.end, token.text[1:]) for token in tokenize(text) if token.kind == "parameter"]
