"""A query run with pushdown and without, and whether the two agree."""

from __future__ import annotations

import math
from typing import Any

from jammi_sql import Connection, Error

__all__ = ["explained", "pushed_and_not", "same_rows"]


def pushed_and_not(connection: Connection, text: str) -> list[tuple[Any, ...]]:
    """The rows of a query, which are the same computed there and here. An error here is one that is wanted."""
    connection.execute("SET jammi.pushdown = off")
    try:
        expected = connection.execute(text).fetchall()
    finally:
        connection.execute("RESET jammi.pushdown")
    found = connection.execute(text).fetchall()
    assert same_rows(found, expected), f"{text}\npushed: {_some(found)}\nhere:   {_some(expected)}"
    return found


def same_rows(left: list[tuple[Any, ...]], right: list[tuple[Any, ...]]) -> bool:
    """Whether both have the same rows, in any order; doubles may differ in the last digits that a sum leaves open."""
    if len(left) != len(right):
        return False
    ordered = zip(sorted(left, key=_key), sorted(right, key=_key), strict=True)
    return all(_same(one, other) for row, its in ordered for one, other in zip(row, its, strict=True))


def _key(row: tuple[Any, ...]) -> tuple[str, ...]:
    return tuple(f"{value:.6e}" if isinstance(value, float) else repr(value) for value in row)


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return (math.isnan(one) and math.isnan(other)) or one == other or math.isclose(one, other, rel_tol=1e-12)
    return bool(type(one) is type(other) and one == other)


def _some(rows: list[tuple[Any, ...]]) -> str:
    return f"{len(rows)}: {sorted(rows, key=_key)[:6]}"


def explained(connection: Connection, text: str) -> dict[str, str]:
    """The rows of EXPLAIN, by their kind; of several of one kind, one text."""
    found: dict[str, str] = {}
    for kind, plan in connection.execute(f"EXPLAIN {text}").fetchall():
        found[kind] = f"{found[kind]}\n{plan}" if kind in found else plan
    return found


def code_of(connection: Connection, text: str) -> str:
    """The SQLSTATE of a statement that fails, '' for one that does not."""
    try:
        connection.execute(text).fetchall()
    except Error as error:
        return error.sqlstate
    return ""
