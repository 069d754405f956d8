"""Plans that Substrait says otherwise than they are, as tried with DataFusion 55: they must not be cut."""

from __future__ import annotations

import re

from .said import NotSaid

__all__ = ["check_sayable"]

_NULLS = re.compile(r"(IGNORE|RESPECT) NULLS")
# A name or a text in it may have line ends: it lasts until the next part of the plan.
_WINDOW = re.compile(r"^\s*WindowAggr: (.*?)(?=^\s+[A-Z][A-Za-z ]+:|\Z)", re.MULTILINE | re.DOTALL)
_ZONE = re.compile(r'Timestamp\w*\([^()]*(?:\(|, )"(?!UTC")')
_OFFSET = re.compile(r"RANGE BETWEEN (?!UNBOUNDED PRECEDING AND (CURRENT ROW|UNBOUNDED FOLLOWING))")


def check_sayable(plan: str) -> None:
    """``NotSaid`` for a plan, as DataFusion displays it, that would be another one after it was Substrait."""
    if _NULLS.search(plan):
        raise NotSaid("IGNORE NULLS is lost when a plan is cut")
    if _ZONE.search(plan):
        raise NotSaid("time zones are lost when a plan is cut")
    for window in _WINDOW.findall(plan):
        if " FILTER (" in window or "(DISTINCT " in window or _OFFSET.search(window):
            raise NotSaid("DISTINCT, FILTER and RANGE offsets of a window are lost when a plan is cut")
