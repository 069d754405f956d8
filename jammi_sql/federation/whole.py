"""Plans that Substrait says otherwise than they are, as tried with DataFusion 55: they must not be cut."""

from __future__ import annotations

import re

from .said import NotSaid

__all__ = ["check_sayable"]

_NULLS = re.compile(r"(IGNORE|RESPECT) NULLS")
_WINDOW = re.compile(r"^\s*WindowAggr: (.*)$", re.MULTILINE)
_OFFSET = re.compile(r"RANGE BETWEEN (?!UNBOUNDED PRECEDING AND (CURRENT ROW|UNBOUNDED FOLLOWING))")


def check_sayable(plan: str) -> None:
    """``NotSaid`` for a plan, as DataFusion displays it, that would be another one after it was Substrait."""
    if _NULLS.search(plan):
        raise NotSaid("IGNORE NULLS is lost when a plan is cut")
    for window in _WINDOW.findall(plan):
        if " FILTER (" in window or _OFFSET.search(window):
            raise NotSaid("FILTER and RANGE offsets of a window are lost when a plan is cut")
