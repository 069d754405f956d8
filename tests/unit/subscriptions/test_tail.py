"""The live end of a topic as one who comes late, or hears old news, sees it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from jammi_sql import Engine
from jammi_sql.brokers import InMemoryBroker
from jammi_sql.topics import DeliveredBatch, Offset, Predicate
from jammi_sql.topics.tail import Tail
from jammi_sql.topics.wake import closed_gate
from jammi_sql.topics.watch import HeadWatch
from tests.subscription_support import TOPIC
from tests.topic_support import LIMIT, SCHEMA, batch_of, ids, offsets, receive


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


@pytest.mark.parametrize("handed_over", [True, False])
@pytest.mark.parametrize("readers", [1, 20])
def test_what_a_copy_of_the_store_speaks_of_is_not_passed_over_in_this_log(handed_over: bool, readers: int) -> None:
    class Deaf(InMemoryBroker):
        heal_interval = 3600.0

    with Engine.open(broker=Deaf()) as engine:
        engine.topic_repo.register_topic(TOPIC)
        engine.publisher.publish_scoped(TOPIC, None, batch_of([0]))
        subscriptions = [engine.subscriber.subscribe(TOPIC, from_offset=0) for _ in range(readers)]
        assert [offsets(receive(one, 1)) for one in subscriptions] == [[0]] * readers
        live = subscriptions[0]._live
        assert live is not None
        if handed_over:
            moment = datetime(2026, 1, 1, tzinfo=UTC)
            live.tail.append(DeliveredBatch(Offset(7, moment), moment, batch_of([99]), None), own=False)
        else:
            live.tail.notify(8)
        for one in subscriptions:
            with pytest.raises(TimeoutError):
                one.next(timeout=0)
            assert one.position == 1

        async def read() -> list[list[int]]:
            got: list[list[int]] = [[] for _ in subscriptions]
            for number in (1, 2, 3):
                waiting = [asyncio.ensure_future(anext(one)) for one in subscriptions]
                while sum(len(selection.waiting) for selection in live.tail._waiting) < readers:
                    await asyncio.sleep(0.001)
                await asyncio.to_thread(engine.publisher.publish_scoped, TOPIC, None, batch_of([number]))
                for one, delivered in zip(got, await asyncio.gather(*waiting), strict=True):
                    one.append(delivered.offset.value)
            return got

        assert asyncio.run(asyncio.wait_for(read(), LIMIT)) == [[1, 2, 3]] * readers


def test_who_takes_what_another_reader_found_takes_what_came_after_it_too() -> None:
    with Engine.open(broker=InMemoryBroker()) as engine:
        engine.topic_repo.register_topic(TOPIC)
        first, second = (engine.subscriber.subscribe(TOPIC) for _ in range(2))
        engine.publisher.publish_scoped(TOPIC, None, batch_of([0]))
        assert offsets(receive(first, 1)) == [0]
        engine.publisher.publish_scoped(TOPIC, None, batch_of([1]))
        assert [entry.offset for entry in second.take(LIMIT)] == [0, 1]


def test_a_crowd_gets_what_matches_of_several_batches_that_are_looked_at_together() -> None:
    with Engine.open(broker=InMemoryBroker()) as engine:
        engine.topic_repo.register_topic(TOPIC)
        condition = Predicate.from_sql(SCHEMA, "kind = 'X'")
        subscriptions = [engine.subscriber.subscribe(TOPIC, condition) for _ in range(20)]
        for number, kind in enumerate("YXYYX"):
            engine.publisher.publish_scoped(TOPIC, None, batch_of([number], kind))
        for one in subscriptions:
            found = receive(one, 2)
            assert (offsets(found), ids(found)) == ([1, 4], [1, 4])


def test_whose_wait_was_cancelled_is_waited_for_no_more() -> None:
    with Engine.open(broker=InMemoryBroker()) as engine:
        engine.topic_repo.register_topic(TOPIC)
        reader = engine.subscriber.subscribe(TOPIC)
        assert reader._live is not None
        tail = reader._live.tail

        async def cancel() -> None:
            waiting = asyncio.ensure_future(anext(reader))
            while not tail._waiting:
                await asyncio.sleep(0.001)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)

        asyncio.run(asyncio.wait_for(cancel(), LIMIT))
        assert not tail._waiting
