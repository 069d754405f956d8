"""PREPARE, EXECUTE and DEALLOCATE, which are DataFusion's: where it keeps what is prepared."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datafusion import LogicalPlan, SessionContext

from ..dialect.statements import Fragment
from .planning import Planning

if TYPE_CHECKING:
    from .session import Session

__all__ = ["KEPT_TWICE", "execution_context", "keep_twice"]

KEPT_TWICE = frozenset({"PREPARE", "DEALLOCATE"})
_SUB_QUERY = "Subquery"


def keep_twice(session: Session, planning: Planning, fragment: Fragment) -> None:
    """Have a statement that was prepared (or forgotten) in the context of queries prepared in that one too which keeps joins
    as they are: DataFusion optimises while it prepares, so that later it is too late to choose between the two."""
    session.queries.frame(planning, fragment, {}, session.worlds.in_given_order(session.world.context))


def execution_context(session: Session, fragment: Fragment) -> SessionContext:
    """Where EXECUTE is planned: where joins are kept as they are, if one of the statement's is about NULLs as well."""
    keeping = session.worlds.in_given_order(session.world.context)
    try:
        plan = keeping.sql(fragment.text).logical_plan()
    except Exception:  # what is wrong with it is said where it is planned
        return session.world.context
    # The plans of sub-queries cannot be looked into.
    if _SUB_QUERY in plan.display_indent() or _has_null_safe_join(plan):
        return keeping
    return session.world.context


def _has_null_safe_join(plan: LogicalPlan) -> bool:
    variant = plan.to_variant()
    if type(variant).__name__ == "Join" and variant.null_equals_null():
        return True
    return any(_has_null_safe_join(below) for below in plan.inputs())
