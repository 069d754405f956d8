"""A topic, its batches and conditions on them for the tests of subscriptions."""

from __future__ import annotations

from jammi_sql import Engine
from jammi_sql.topics import Predicate, Subscription
from jammi_sql.topics.selection import Selection
from tests.topic_support import SCHEMA, batch_of, definition

__all__ = ["CONDITIONS", "TOPIC", "collected", "condition", "publish", "selections_of"]

TOPIC = definition("events.changes")
CONDITIONS = 20


def publish(engine: Engine, first: int, end: int) -> None:
    for number in range(first, end):
        engine.publisher.publish_scoped(TOPIC, None, batch_of([number]))


def condition(number: int) -> Predicate:
    return Predicate.from_sql(SCHEMA, f"id % {CONDITIONS} = {number % CONDITIONS}")


def selections_of(subscriptions: list[Subscription]) -> set[Selection]:
    return {one._live._place.selection for one in subscriptions}  # type: ignore[union-attr]


async def collected(subscription: Subscription, count: int) -> list[int]:
    return [(await anext(subscription)).offset.value for _ in range(count)]
