"""What the parser returns for one statement of the input."""

from __future__ import annotations

from dataclasses import dataclass

from .statements import Statement

__all__ = ["Parsed"]


@dataclass(frozen=True, slots=True)
class Parsed:
    """A statement with the keys of its parameters.

    ``parameters``: ``'1', '2', ...`` for ``?`` and ``$1`` (the distinct numbers used, rising), the names for ``:name``.
    ``text`` is the statement as written, comments included, without its ``;``; ``position`` is where it
    begins in the input.
    """

    statement: Statement
    parameters: tuple[str, ...]
    text: str
    position: int
