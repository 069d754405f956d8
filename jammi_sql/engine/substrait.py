"""DataFusion's plans as Substrait in JSON, and back."""

from __future__ import annotations

import re

import orjson
from datafusion import DataFrame, SessionContext
from datafusion.plan import LogicalPlan
from datafusion.substrait import Consumer, Plan, Producer

from ..federation.chains import flatten_chains
from ..federation.null_aware import mark_null_aware
from ..federation.one_sided import without_one_sided
from ..federation.said import NotSaid
from ..federation.substrait_types import Json
from ..federation.whole import DEEP, check_sayable

__all__ = ["plan_of", "substrait_of"]

_LOST = re.compile(r'"fp(32|64)":\s*null')


def substrait_of(plan: LogicalPlan, context: SessionContext) -> Json:
    """An optimised plan, with its null-aware joins marked; ``NotSaid`` for one that Substrait has no words for, or others."""
    check_sayable(plan.display_indent())
    try:
        text = Producer.to_substrait_plan(plan, context).to_json()
    except Exception as error:  # DataFusion's own, which has no class
        raise NotSaid("the plan has something that Substrait cannot say") from error
    if _LOST.search(text):
        raise NotSaid("the plan has NaN or infinity, which JSON has not")
    try:
        json: Json = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise NotSaid(DEEP) from error
    flatten_chains(json)
    mark_null_aware(plan, json)
    return json


def plan_of(json: Json, context: SessionContext) -> DataFrame:
    """The query that a plan in Substrait is; ``NotSaid`` where DataFusion does not understand it."""
    try:
        text = orjson.dumps(without_one_sided(json)).decode()
    except (orjson.JSONEncodeError, RecursionError) as error:
        raise NotSaid(DEEP) from error
    try:
        plan = Consumer.from_substrait_plan(context, Plan.from_json(text))
    except Exception as error:  # as above
        raise NotSaid("the plan has something that DataFusion does not read from Substrait") from error
    return context.create_dataframe_from_logical_plan(plan)
