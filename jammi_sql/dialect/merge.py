"""MERGE."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from ..errors import StatementSyntaxError
from .assignments import read_assignments, read_values
from .brackets import skip_brackets
from .clauses import read_alias, read_condition, read_expression, read_returning
from .cursor import Cursor
from .names import read_names
from .query import read_change
from .statements import Fragment, Merge, MergeClause, Name, Statement

__all__ = ["read_merge"]

_GRAMMAR = (
    "MERGE INTO name [[AS] alias] USING relation [[AS] alias] ON condition, then clauses such as "
    "WHEN MATCHED [AND condition] THEN UPDATE SET column = value, ... | DELETE | DO NOTHING, "
    "WHEN NOT MATCHED [AND condition] THEN INSERT [(columns)] VALUES (...) | DO NOTHING, "
    "WHEN NOT MATCHED BY SOURCE [AND condition] THEN UPDATE SET ... | DELETE | DO NOTHING, then [RETURNING columns]"
)
_ADDED_ALIAS = "subscribe"
_ACTIONS: Mapping[str, str] = {
    "matched": "UPDATE SET, DELETE or DO NOTHING",
    "not matched": "INSERT or DO NOTHING",
    "not matched by source": "UPDATE SET, DELETE or DO NOTHING",
}


def read_merge(cursor: Cursor) -> Statement:
    """``MERGE [INTO] name [[AS] t] USING source [[AS] s] ON condition WHEN ... THEN ... [RETURNING ...]``."""
    cursor.grammar = _GRAMMAR
    body = read_change(cursor)
    cursor.expect("MERGE")
    cursor.accept("INTO")
    target = cursor.name("the target's name")
    target_alias = read_alias(cursor)
    cursor.expect("USING")
    source = _source(cursor)
    alias = read_alias(cursor)
    columns = read_names(cursor)[0] if alias is not None and cursor.symbol() == "(" else None
    if alias is None and source.text.endswith(f" AS {_ADDED_ALIAS}"):
        alias = _ADDED_ALIAS
        text = source.text.removesuffix(f" AS {_ADDED_ALIAS}")
        source = Fragment(text, tuple(each for each in source.origins if each[0] <= len(text)))
    cursor.expect("ON")
    on = read_expression(cursor, "a condition")
    clauses: list[MergeClause] = []
    settled: set[str] = set()  # the kinds that had a clause without a condition
    while cursor.at("WHEN") or not clauses:
        clause = _clause(cursor, target, target_alias)
        if clause.kind in settled:
            raise StatementSyntaxError(
                f"WHEN {clause.kind.upper()} comes after one without a condition, and never has its turn",
                position=clause.position,
                hint="put the clause without a condition last",
            )
        clauses.append(clause)
        if clause.condition is None:
            settled.add(clause.kind)
    returning = read_returning(cursor, "WHEN, ")
    return Merge(target, target_alias, source, alias, columns, on, tuple(clauses), returning, body)


def _source(cursor: Cursor) -> Fragment:
    """A name, a function with its arguments, or a parenthesis."""
    first = cursor.index
    if cursor.symbol() != "(":
        cursor.name("a relation")
    if cursor.symbol() == "(":
        skip_brackets(cursor)
    return cursor.rewriting.fragment(cursor.tokens[first].start, cursor.tokens[cursor.index - 1].end)


def _clause(cursor: Cursor, target: Name, alias: str | None) -> MergeClause:
    position = cursor.position
    cursor.expect("WHEN")
    kind = _kind(cursor)
    condition = read_condition(cursor, "AND")
    cursor.expect("THEN")
    if kind == "not matched" and cursor.accept("INSERT"):
        columns, values = _insert(cursor)
        return MergeClause(kind, condition, "insert", (), columns, values, position)
    if kind != "not matched" and cursor.accept("UPDATE"):
        cursor.expect("SET")
        assignments = read_assignments(cursor, target, alias)
        return MergeClause(kind, condition, "update", assignments, None, (), position)
    if kind != "not matched" and cursor.accept("DELETE"):
        return MergeClause(kind, condition, "delete", (), None, (), position)
    if cursor.accept("DO"):
        cursor.expect("NOTHING")
        return MergeClause(kind, condition, "nothing", (), None, (), position)
    raise cursor.error(_ACTIONS[kind])


def _kind(cursor: Cursor) -> Literal["matched", "not matched", "not matched by source"]:
    if cursor.accept("MATCHED"):
        return "matched"
    if not cursor.accept("NOT"):
        raise cursor.error("MATCHED or NOT MATCHED")
    cursor.expect("MATCHED")
    if not cursor.accept("BY"):
        return "not matched"
    if cursor.accept("TARGET"):
        return "not matched"
    if not cursor.accept("SOURCE"):
        raise cursor.error("SOURCE or TARGET")
    return "not matched by source"


def _insert(cursor: Cursor) -> tuple[tuple[str, ...] | None, tuple[Fragment | None, ...]]:
    """``[(columns)] VALUES (values)`` or ``DEFAULT VALUES``."""
    if cursor.accept("DEFAULT", "VALUES"):
        return None, ()
    columns = read_names(cursor)[0] if cursor.symbol() == "(" else None
    cursor.expect("VALUES")
    position = cursor.position
    values = read_values(cursor)
    if columns is not None and len(columns) != len(values):
        raise StatementSyntaxError(
            f"{len(columns)} columns, but {len(values)} values",
            position=position,
            hint="write one value for each column",
        )
    return columns, values
