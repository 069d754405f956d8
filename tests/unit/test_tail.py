"""The live end of a topic as one who comes late, or hears old news, sees it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from jammi_sql import Engine
from jammi_sql.brokers import InMemoryBroker
from jammi_sql.topics import Predicate
from jammi_sql.topics.tail import Tail
from jammi_sql.topics.wake import closed_gate
from jammi_sql.topics.watch import HeadWatch
from tests.topic_support import LIMIT, SCHEMA, batch_of, definition, offsets, receive

TOPIC = definition("events.changes")


@pytest.fixture
def engine() -> Iterator[Engine]:
    with Engine.open(broker=InMemoryBroker()) as engine:
        engine.topic_repo.register_topic(TOPIC)
        yield engine


@pytest.mark.parametrize("matching", [False, True])
def test_what_others_looked_at_while_one_comes_is_in_the_log_for_it(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, matching: bool
) -> None:
    condition = Predicate.from_sql(SCHEMA, "kind = 'X'")
    first = engine.subscriber.subscribe(TOPIC, condition)
    add = HeadWatch.add

    def add_late(self: HeadWatch, *arguments: Any) -> None:
        """The newcomer knows where the log ends, and is no reader of the condition's batches yet."""
        add(self, *arguments)
        monkeypatch.setattr(HeadWatch, "add", add)
        for number in range(3):
            engine.publisher.publish_scoped(TOPIC, None, batch_of([number]))
        assert offsets(receive(first, 3)) == [0, 1, 2]

    monkeypatch.setattr(HeadWatch, "add", add_late)
    late = engine.subscriber.subscribe(TOPIC, condition)
    engine.publisher.publish_scoped(TOPIC, None, batch_of([3], "X" if matching else "Y"))
    engine.publisher.publish_scoped(TOPIC, None, batch_of([4]))
    assert offsets(receive(late, 5 if matching else 4)) == ([0, 1, 2, 3, 4] if matching else [0, 1, 2, 4])


def test_old_news_of_the_log_wakes_nobody_and_takes_nothing_back() -> None:
    tail = Tail(capacity=4)
    selection = tail.select(Predicate.match_all(), None)
    tail.notify(5)
    gate = closed_gate()
    tail.await_more(selection, gate)
    for head in (3, 5):
        tail.notify(head)
        assert tail.head == 5
        assert not gate.acquire(blocking=False)
    tail.notify(6)
    assert gate.acquire(timeout=LIMIT)
