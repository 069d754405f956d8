"""Column definitions of topics."""

from __future__ import annotations

from ..errors import FeatureNotSupported
from .cursor import Cursor
from .names import column_twice
from .statements import ColumnDefinition

__all__ = ["END_OF_TYPE", "IGNORED", "begins_constraint", "read_column", "read_columns", "type_span"]

# DataFusion reads some of them behind a type and forgets them.
IGNORED = frozenset({"ALIAS", "AUTOINCREMENT", "AUTO_INCREMENT", "EPHEMERAL", "IDENTITY", "MATERIALIZED"})
_CONSTRAINTS = IGNORED | {
    "AS", "CHECK", "COLLATE", "CONSTRAINT", "DEFAULT", "GENERATED", "PRIMARY", "REFERENCES", "UNIQUE",
}  # fmt: skip
END_OF_TYPE = _CONSTRAINTS | {"COMMENT", "NOT", "NULL"}
_TABLE_CONSTRAINTS = (("PRIMARY", "KEY"), ("FOREIGN", "KEY"), ("UNIQUE", "("), ("CHECK", "("))
_OPENING = {"(": ")", "[": "]", "<": ">"}


def read_columns(cursor: Cursor) -> tuple[ColumnDefinition, ...]:
    """The parenthesised definitions, at least one.

    Raises ``ProgrammingError`` (42701) for a name that comes twice and ``FeatureNotSupported`` for
    constraints other than NOT NULL.
    """
    columns: list[ColumnDefinition] = []
    names: set[str] = set()
    cursor.expect_symbol("(")
    while True:
        if begins_constraint(cursor):
            raise _unsupported_constraint(cursor)
        column = read_column(cursor)
        if column.name in names:
            raise column_twice(column.name, column.position)
        names.add(column.name)
        columns.append(column)
        if not cursor.accept_symbol(","):
            break
    if cursor.symbol() != ")":
        raise cursor.error("NOT NULL, COMMENT 'text', a comma or )")
    cursor.expect_symbol(")")
    return tuple(columns)


def read_column(cursor: Cursor) -> ColumnDefinition:
    """``name type [NOT NULL | NULL] [COMMENT 'text']``, the last two in any order, each at most once."""
    position = cursor.position
    name = cursor.identifier("a column's name")
    start, end = type_span(cursor)
    nullable: bool | None = None
    comment: str | None = None
    while word := cursor.keyword():
        if word == "COMMENT" and comment is None:
            cursor.index += 1
            comment = cursor.string("the comment as '...'")
        elif nullable is None and cursor.accept("NOT", "NULL"):
            nullable = False
        elif nullable is None and cursor.accept("NULL"):
            nullable = True
        elif word in _CONSTRAINTS:
            raise _unsupported_constraint(cursor)
        else:
            break
    type_text = cursor.rewriting.fragment(start, end)
    return ColumnDefinition(name, type_text, nullable is not False, comment, position)


def type_span(cursor: Cursor) -> tuple[int, int]:
    """Step over the type, brackets and all, and return its bounds in the input."""
    if cursor.keyword() in END_OF_TYPE or cursor.peek() is None:
        raise cursor.error("a type")
    start = end = cursor.position
    closing: list[str] = []
    while (token := cursor.peek()) is not None:
        if token.kind == "operator":
            if token.text in _OPENING:
                closing.append(_OPENING[token.text])
            elif closing and token.text == closing[-1]:
                closing.pop()
            elif token.text in {")", "]", ">"} or (token.text == "," and not closing):
                break
        elif not closing and (token.kind == "rows" or token.keyword in END_OF_TYPE):
            break
        end = token.end
        cursor.index += 1
    if end == start:
        raise cursor.error("a type")
    if closing:
        raise cursor.error(closing[-1])
    return start, end


def begins_constraint(cursor: Cursor) -> bool:
    """Whether a constraint of a table comes next, and not a column of such a name."""
    if cursor.at("CONSTRAINT"):
        return cursor.keyword(2) in {word for word, _ in _TABLE_CONSTRAINTS}
    return any(
        cursor.at(word) and following in {cursor.keyword(1), cursor.symbol(1)} for word, following in _TABLE_CONSTRAINTS
    )


def _unsupported_constraint(cursor: Cursor) -> FeatureNotSupported:
    return FeatureNotSupported(
        f"a topic's column takes no {cursor.keyword()}",
        position=cursor.position,
        hint="a topic is a log: its columns take NOT NULL and COMMENT 'text', the values come with each publish",
    )
