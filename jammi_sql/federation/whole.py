"""Plans that Substrait says otherwise than they are, as tried with DataFusion 55: they must not be cut."""

from __future__ import annotations

import re

from .said import NotSaid

__all__ = ["DEEP", "check_sayable", "check_size"]

_NULLS = re.compile(r"(IGNORE|RESPECT) NULLS")
# A name or a text in it may have line ends: it lasts until the next part of the plan.
_WINDOW = re.compile(r"^\s*WindowAggr: (.*?)(?=^\s+[A-Z][A-Za-z ]+:|\Z)", re.MULTILINE | re.DOTALL)
_ZONE = re.compile(r'Timestamp\w*\([^()]*(?:\(|, )"(?!UTC")')
_OFFSET = re.compile(r"RANGE BETWEEN (?!UNBOUNDED PRECEDING AND (CURRENT ROW|UNBOUNDED FOLLOWING))")


_LISTS = ("Projection:", "Aggregate:", "Sort:", "WindowAggr:")
_OPERATOR = re.compile(r" (?:AND|OR|=|!=|<=?|>=?|\+|-|\*|/|%|\|\||LIKE|IS|IN) ")
_MOST_OPERATORS = 300
DEEP = "a part of it is nested too deeply for a plan to be cut"


def check_size(plan: str) -> None:
    """``NotSaid`` for a plan with so long an expression that it takes minutes to make Substrait of it: for a chain, it takes
    DataFusion 55 the third power of its length, half a second for a hundred links and a minute for seven hundred."""
    for line in plan.split("\n"):
        if len(line) > _MOST_OPERATORS:
            parts = line.split(", ") if line.lstrip().startswith(_LISTS) else (line,)
            if any(len(_OPERATOR.findall(part)) > _MOST_OPERATORS for part in parts):
                raise NotSaid("it has so many conditions in one place that the plan is not cut")


def check_sayable(plan: str) -> None:
    """``NotSaid`` for a plan, as DataFusion displays it, that would be another one after it was Substrait."""
    check_size(plan)
    if _NULLS.search(plan):
        raise NotSaid("IGNORE NULLS is lost when a plan is cut")
    if _ZONE.search(plan):
        raise NotSaid("time zones are lost when a plan is cut")
    for window in _WINDOW.findall(plan):
        if " FILTER (" in window or "(DISTINCT " in window or _OFFSET.search(window):
            raise NotSaid("DISTINCT, FILTER and RANGE offsets of a window are lost when a plan is cut")
