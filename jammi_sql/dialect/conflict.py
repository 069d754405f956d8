"""ON CONFLICT, what an INSERT does where a key is taken."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import FeatureNotSupported
from .assignments import read_assignments
from .brackets import closing
from .clauses import is_complete, read_condition
from .cursor import Cursor
from .names import read_names
from .statements import Name, OnConflict
from .tokens import Token

__all__ = ["begins_conflict", "read_conflict"]

_GRAMMAR = "ON CONFLICT [(columns)] DO NOTHING | DO UPDATE SET column = value, ... [WHERE ...]"


def begins_conflict(tokens: Sequence[Token], index: int, *, has_joins: bool) -> bool:
    """Whether the word ON at ``index``, which stands outside brackets, begins the clause.

    Where the source ``has_joins``, it may as well be followed by a column or a function called conflict.
    """
    words = [token.keyword for token in tokens[index + 1 : index + 3]]
    if words == ["DUPLICATE", "KEY"]:  # what MySQL writes, for the error that says so
        return is_complete(tokens, index)
    if words[:1] != ["CONFLICT"] or not is_complete(tokens, index):
        return False
    if not has_joins or len(words) == 1 or words[1] in {"DO", "ON"}:
        return True
    if tokens[index + 2].text != "(":
        return False
    close = closing(tokens, index + 2, len(tokens))
    after = tokens[close + 1].keyword if close + 1 < len(tokens) else "DO"
    return after == "DO" or (after == "WHERE" and any(_is_action(tokens, place) for place in range(close, len(tokens))))


def read_conflict(cursor: Cursor, target: Name, alias: str | None) -> OnConflict:
    """``ON CONFLICT [(columns)] DO NOTHING | DO UPDATE SET ... [WHERE ...]``."""
    grammar, cursor.grammar = cursor.grammar, _GRAMMAR
    position = cursor.position
    cursor.expect("ON", "CONFLICT")
    if cursor.at("ON"):
        raise _unsupported("ON CONFLICT ON CONSTRAINT", cursor.position)
    columns = _columns(cursor) if cursor.symbol() == "(" else None
    if cursor.at("WHERE") and columns is not None:
        raise _unsupported("a condition on the key of ON CONFLICT", cursor.position)
    if not cursor.accept("DO"):
        raise cursor.error("DO NOTHING or DO UPDATE" if columns is not None else "(, DO NOTHING or DO UPDATE")
    if cursor.accept("NOTHING"):
        cursor.grammar = grammar
        return OnConflict(columns, "nothing", (), None, position)
    if not cursor.accept("UPDATE"):
        raise cursor.error("NOTHING or UPDATE")
    cursor.expect("SET")
    assignments = read_assignments(cursor, target, alias)
    condition = read_condition(cursor, "WHERE")
    cursor.grammar = grammar
    return OnConflict(columns, "update", assignments, condition, position)


def _columns(cursor: Cursor) -> tuple[str, ...]:
    first = cursor.peek(1)
    if cursor.symbol(1) == "(" or (first is not None and cursor.symbol(2) == "("):
        raise _unsupported("an expression as the key of ON CONFLICT", cursor.tokens[cursor.index + 1].start)
    return read_names(cursor)[0]


def _is_action(tokens: Sequence[Token], index: int) -> bool:
    words = [token.keyword for token in tokens[index : index + 2]]
    return words in (["DO", "NOTHING"], ["DO", "UPDATE"])


def _unsupported(what: str, position: int) -> FeatureNotSupported:
    return FeatureNotSupported(f"{what} is not supported", position=position, hint=f"write {_GRAMMAR}")
