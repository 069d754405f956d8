"""The pieces that statements are made of: names, and the user's SQL that stays text."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Fragment", "Name"]


@dataclass(frozen=True, slots=True)
class Name:
    """An identifier path such as ``jammi.events.changes``; parts are folded or unquoted already."""

    parts: tuple[str, ...]
    position: int


@dataclass(frozen=True, slots=True)
class Fragment:
    """A stretch of the user's SQL, handed to DataFusion as it stands but for parameters.

    ``text`` has every parameter as ``$1`` or ``$name`` and every ``subscribe(...)`` as the name of its
    relation. ``origins`` are pairs (index in ``text``, index in the whole input) at which a run of
    unchanged characters begins, so that an error's place in ``text`` can be shown in the input.
    """

    text: str
    origins: tuple[tuple[int, int], ...]

    def origin(self, index: int) -> int:
        """The index in the user's input of the character at ``index`` of ``text``."""
        start, source = self.origins[0]
        for candidate_start, candidate_source in self.origins:
            if candidate_start > index:
                break
            start, source = candidate_start, candidate_source
        return source + (index - start)
