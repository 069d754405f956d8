"""What kind of plan a query has, for one that reads a live subscription."""

from __future__ import annotations

import re
from collections.abc import Set
from dataclasses import dataclass

from datafusion import LogicalPlan

from ..errors import UnboundedResult

__all__ = ["Shape", "scans_of", "shape_of"]

HINT = "give until => 'latest' to read what is there now as a bounded relation"
_PASSING = frozenset({"Projection", "Filter", "SubqueryAlias", "Unnest"})
_NAMES = {
    "Aggregate": "an aggregate",
    "Sort": "ORDER BY",
    "Distinct": "DISTINCT",
    "Window": "a window function",
    "WindowExpr": "a window function",
    "Union": "a set operation",
    "Limit": "LIMIT inside a sub-query",
    "RecursiveQuery": "a recursive query",
}


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """A plan that can be run batch by batch.

    ``plan`` is the query without its outermost LIMIT, which is ``skip`` and ``fetch`` (``None``: all). ``joined`` says
    that other relations take part.
    """

    plan: LogicalPlan
    skip: int
    fetch: int | None
    joined: bool


def scans_of(plan: LogicalPlan, relations: Set[str]) -> int:
    """How often the plan scans one of ``relations``, sub-queries within expressions not counted."""
    variant = plan.to_variant()
    if type(variant).__name__ == "TableScan":
        return int(variant.table_name() in relations)
    return sum(scans_of(child, relations) for child in plan.inputs())


def shape_of(plan: LogicalPlan, relation: str, position: int | None) -> Shape:
    """How to run ``plan`` over ``relation`` batch by batch.

    Raises ``UnboundedResult`` (0A000) where an operator would have to see the end, or where the relation is read within
    an expression or more than once.
    """
    skip, fetch, body = 0, None, plan
    variant = plan.to_variant()
    if type(variant).__name__ == "Limit":
        skip = _literal(variant.skip(), position) or 0
        fetch = _literal(variant.fetch(), position)
        body = plan.inputs()[0]
    # Also within expressions, which scans_of does not see. `__subscribe_1` is not `__subscribe_10`.
    mentions = len(re.findall(rf"TableScan: {re.escape(relation)}(?![\w$])", plan.display_indent()))
    if scans_of(plan, {relation}) != 1 or mentions != 1:
        raise UnboundedResult(
            "an unbounded subscribe can be read once, in FROM and not in a sub-query of an expression",
            position=position,
            hint=HINT,
        )
    joined = _check(body, relation, position)
    return Shape(body, skip, fetch, joined)


def _check(plan: LogicalPlan, relation: str, position: int | None) -> bool:
    """Whether there is a join between the root and the scan; raises for what cannot be streamed."""
    kind = type(plan.to_variant()).__name__
    if kind == "TableScan":
        return False
    inputs = plan.inputs()
    branch = next(child for child in inputs if scans_of(child, {relation}))
    if kind == "Join":
        _check_join(plan, inputs, relation, position)
        _check(branch, relation, position)
        return True
    if kind in ("CrossJoin",):
        _check(branch, relation, position)
        return True
    if kind not in _PASSING:
        raise UnboundedResult(
            f"{_NAMES.get(kind, kind)} over an unbounded subscribe would never end", position=position, hint=HINT
        )
    # A correlated sub-query in a filter reads other relations: as of each batch, like a join.
    return _check(branch, relation, position) or "Subquery:" in plan.display_indent()


def _check_join(plan: LogicalPlan, inputs: list[LogicalPlan], relation: str, position: int | None) -> None:
    how = str(plan.to_variant().join_type()).upper()
    on_left = bool(scans_of(inputs[0], {relation}))
    loses_left = how.startswith(("RIGHT", "FULL"))
    loses_right = how.startswith(("LEFT", "FULL"))
    if (on_left and loses_left) or (not on_left and loses_right):
        raise UnboundedResult(
            f"a {how} join must see all of the unbounded subscribe before it can say what has no match",
            position=position,
            hint="put subscribe on the side that is kept, or give until => 'latest'",
        )


def _literal(expression: object, position: int | None) -> int | None:
    if expression is None:
        return None
    text = str(expression)
    inner = text.removeprefix("Expr(").removesuffix(")")
    digits = inner.removeprefix("Int64(").removesuffix(")") if inner.startswith("Int64(") else None
    if digits is None or not digits.lstrip("-").isdigit():
        if inner.startswith("Int64(NULL"):
            return None
        raise UnboundedResult("LIMIT over an unbounded subscribe must be a number", position=position, hint=HINT)
    return int(digits)
