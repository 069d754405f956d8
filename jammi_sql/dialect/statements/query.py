"""Queries: what DataFusion plans by itself, with the calls in it that it does not know, and EXPLAIN of the rest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .fragment import Fragment

if TYPE_CHECKING:
    from .statement import Statement

__all__ = ["AsofComparison", "AsofJoin", "Explain", "Query", "RemoteCall", "SubscribeCall"]


@dataclass(frozen=True, slots=True)
class SubscribeCall:
    """One ``subscribe(...)`` in a query, replaced there by the relation ``relation``.

    ``topic`` and the values of ``options`` (keys ``from``, ``until``, ``idle_timeout``) are expressions.
    ``position`` is the index of the word ``subscribe`` in the input.
    """

    relation: str
    topic: Fragment
    options: Mapping[str, Fragment]
    position: int


@dataclass(frozen=True, slots=True)
class RemoteCall:
    """One ``remote_query('source', 'text')`` in a query, replaced there by the relation ``relation``; both are expressions."""

    relation: str
    source: Fragment
    text: Fragment
    position: int


@dataclass(frozen=True, slots=True)
class AsofComparison:
    """``first operator second`` in the condition of an as-of join, as written: which side is whose is not known yet.

    ``operator`` is ``=``, or ``>=``, ``>``, ``<=`` or ``<`` for the times. ``position`` is where ``first`` begins,
    ``sign`` where the operator does.
    """

    first: Fragment
    operator: str
    second: Fragment
    position: int
    sign: int


@dataclass(frozen=True, slots=True)
class AsofJoin:
    """``left ASOF [LEFT] JOIN right ON comparisons``.

    In the query's text an ordinary join is in its place: with the relation ``relation`` for ``right``, under the name
    ``alias``, on the condition ``"{relation}_on"``, which the engine fills in. ``left`` and ``right`` are the two sides as
    table references, and ``context`` is ``WITH ...`` with what they may name, or empty. ``subscribe`` is the place of the
    ``subscribe`` that the left side begins with, and its alias.
    """

    relation: str
    keeps_left: bool
    context: Fragment
    left: Fragment
    right: Fragment
    alias: str | None
    comparisons: tuple[AsofComparison, ...]
    subscribe: tuple[int, str] | None
    position: int


@dataclass(frozen=True, slots=True)
class Query:
    """Everything that DataFusion plans by itself: SELECT, EXPLAIN, DDL of its own, SET, SHOW, COPY ... TO.

    ``keyword`` is the first word in upper case. ``words`` are all identifiers in the text, folded: the
    names that the statement may refer to.
    """

    keyword: str
    body: Fragment
    subscribes: tuple[SubscribeCall, ...]
    words: frozenset[str]
    remotes: tuple[RemoteCall, ...] = ()
    asofs: tuple[AsofJoin, ...] = ()
    """Each after those that it reads."""


@dataclass(frozen=True, slots=True)
class Explain:
    """``EXPLAIN [ANALYZE] [VERBOSE] [FORMAT f]`` of a statement of the dialect or of a query with ``subscribe``.

    ``prefix`` is the user's text from EXPLAIN up to the statement.
    """

    prefix: str
    analyze: bool
    statement: Statement
