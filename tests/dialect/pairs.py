"""Short ways to say what a text becomes."""

from __future__ import annotations

from jammi_sql.dialect import Parsed, parse
from jammi_sql.dialect.statements import Fragment, Query, Statement

__all__ = ["one", "only", "plain", "query"]


def only(text: str) -> Parsed:
    """The single statement of ``text`` with its parameters."""
    (parsed,) = parse(text)
    return parsed


def one(text: str) -> Statement:
    """The single statement of ``text``."""
    return only(text).statement


def query(text: str) -> Query:
    """The single statement of ``text``, which DataFusion is to plan."""
    statement = one(text)
    assert isinstance(statement, Query)
    return statement


def plain(text: str, position: int) -> Fragment:
    """A stretch of the input in which nothing was replaced."""
    return Fragment(text, ((0, position),))
