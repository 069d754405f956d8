"""A crowd gets what other processes publish by one read of the log."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from jammi_sql import Engine
from jammi_sql.topics import Predicate, Subscription, TopicDefinition
from jammi_sql.topics.feeder import CrowdFeeder
from jammi_sql.topics.log import Log
from jammi_sql.topics.tail import Tail
from tests.topic_support import LIMIT, TENANT_A, TENANT_B

SCHEMA = pa.schema([("id", pa.int64())])
CROWD = 60
CONDITIONS = 6


@pytest.fixture
def engines(tmp_path: Path) -> Iterator[tuple[Engine, Engine]]:
    """Two on one folder, as in two processes: one publishes, one has the crowd."""
    with Engine.open(tmp_path) as publishing, Engine.open(tmp_path) as reading:
        yield publishing, reading


def topic_of(engine: Engine) -> TopicDefinition:
    return engine.topic_repo.register_topic(TopicDefinition("t", SCHEMA))


def batch_of(number: int) -> pa.RecordBatch:
    return pa.record_batch([[number]], schema=SCHEMA)


async def collected(subscription: Subscription, count: int) -> list[tuple[int, int]]:
    found = []
    for _ in range(count):
        delivered = await asyncio.wait_for(anext(subscription), LIMIT)
        found.append((delivered.offset.value, delivered.batch.column(0)[0].as_py()))
    return found


def test_each_of_a_crowd_gets_its_batches_once_and_in_order_while_the_log_is_read_for_all(
    engines: tuple[Engine, Engine], monkeypatch: pytest.MonkeyPatch
) -> None:
    publishing, reading = engines
    topic = topic_of(publishing)
    for number in range(6):
        publishing.publisher.publish_scoped(topic, None, batch_of(number))
    conditions = [Predicate.from_sql(SCHEMA, f"id % {CONDITIONS} = {number}") for number in range(CONDITIONS)]
    crowd = [reading.subscriber.subscribe(topic, conditions[number % CONDITIONS]) for number in range(CROWD)]
    readers: list[str] = []
    read = Log.read

    def counted(self: Log, *arguments: Any, **options: Any) -> Any:
        readers.append(threading.current_thread().name)
        return read(self, *arguments, **options)

    async def run() -> list[list[tuple[int, int]]]:
        tasks = [asyncio.ensure_future(collected(one, 10)) for one in crowd]
        await asyncio.sleep(0)
        while reading.services.watch._commits is None:  # only from then on it hears of commits
            await asyncio.sleep(0.01)
        monkeypatch.setattr(Log, "read", counted)
        for number in range(6, 66):
            await asyncio.to_thread(publishing.publisher.publish_scoped, topic, None, batch_of(number))
        return await asyncio.gather(*tasks)

    for number, found in enumerate(asyncio.run(run())):
        kind = number % CONDITIONS
        assert found == [(value, value) for value in range(6, 66) if value % CONDITIONS == kind]
    # None of them looks for itself: they are told of what they want, and of nothing else.
    assert set(readers) == {"jammi-head-watch"}
    assert len(readers) <= 60


def test_tenants_in_a_crowd_see_their_own(engines: tuple[Engine, Engine]) -> None:
    publishing, reading = engines
    topic = topic_of(publishing)
    publishing.publisher.publish_scoped(topic, None, batch_of(0))
    crowds = {
        tenant: [reading.subscriber.subscribe_scoped(topic, tenant) for _ in range(10)]
        for tenant in (TENANT_A, TENANT_B, None)
    }

    async def run(tenant: Any, count: int) -> list[list[tuple[int, int]]]:
        return await asyncio.gather(*(collected(one, count) for one in crowds[tenant]))

    for number, tenant in ((1, TENANT_A), (2, TENANT_B), (3, None), (4, TENANT_A)):
        publishing.publisher.publish_scoped(topic, tenant, batch_of(number))
    assert asyncio.run(run(TENANT_A, 3)) == [[(1, 1), (3, 3), (4, 4)]] * 10
    assert asyncio.run(run(TENANT_B, 2)) == [[(2, 2), (3, 3)]] * 10
    assert asyncio.run(run(None, 1)) == [[(3, 3)]] * 10


def test_a_column_that_is_added_meanwhile_is_there_for_who_knows_of_it(engines: tuple[Engine, Engine]) -> None:
    publishing, reading = engines
    topic = topic_of(publishing)
    publishing.publisher.publish_scoped(topic, None, batch_of(0))
    early = [reading.subscriber.subscribe(topic) for _ in range(10)]
    publishing.publisher.publish_scoped(topic, None, batch_of(1))
    assert [one.next(timeout=LIMIT).batch.num_columns for one in early] == [1] * 10
    publishing.session().execute("ALTER TOPIC t ADD COLUMN name VARCHAR")
    altered = reading.topic_repo.lookup_by_name("t")
    assert altered is not None
    late = [reading.subscriber.subscribe(altered) for _ in range(10)]
    publishing.session().execute("INSERT INTO t VALUES (2, 'two')")
    assert [one.next(timeout=LIMIT).batch.to_pylist() for one in early] == [[{"id": 2}]] * 10
    assert [one.next(timeout=LIMIT).batch.to_pylist() for one in late] == [[{"id": 2, "name": "two"}]] * 10


def test_a_tail_is_fed_with_all_that_it_lacks_of_every_tenant_and_with_nothing_when_it_is_new(tmp_path: Path) -> None:
    with Engine.open(tmp_path) as engine:
        topic = topic_of(engine)
        tenants = [None, TENANT_A, TENANT_B]
        sizes = [1, 500_000, 500_000, 500_000, 500_000, 1]  # more than what is read at once
        for number, size in enumerate(sizes):
            batch = pa.record_batch([[number] * size], schema=SCHEMA)
            engine.publisher.publish_scoped(topic, tenants[number % 3], batch)
        services = engine.services
        feeder = CrowdFeeder(services.store, services.catalog, services.log)
        number = services.catalog.resolve(services.store, topic).number

        def fed(head: int) -> list[tuple[int, Any, int]]:
            tail = Tail(capacity=16)
            tail.head = head
            begin = tail.chain.end
            feeder.feed(number, tail, len(sizes))
            assert tail.head == len(sizes)
            items, _ = tail.chain.read(begin) or ([], None)
            return [(one.offset.value, one.tenant, one.batch.num_rows) for one, _, _ in items]

        assert fed(2) == [(one, tenants[one % 3], sizes[one]) for one in range(2, len(sizes))]
        assert fed(0) == []
