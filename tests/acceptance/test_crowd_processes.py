"""A crowd in one process gets what other processes publish: all of it, once, in order, and nobody gets another's."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pytest

from jammi_sql import Engine
from jammi_sql.tenancy import TenantId
from jammi_sql.topics import Predicate, Subscription, TopicDefinition
from tests.topic_support import LIMIT, TENANT_A, TENANT_B, until

SCHEMA = pa.schema([("id", pa.int64()), ("of", pa.string())])
TENANTS = (None, TENANT_A, TENANT_B)
CONDITIONS = 5
CROWD = 90
LAST = -1

_PUBLISHER = """
import itertools, sys
import pyarrow as pa
from jammi_sql import Engine

folder, first, end, *tenants = sys.argv[1:]
with Engine.open(folder, segment_rows=40) as engine:
    topic = engine.topic_repo.lookup_by_name("t")
    for number in range(int(first), int(end)):
        tenant = tenants[number % len(tenants)] or None
        batch = pa.record_batch([[number], [tenant or ""]], schema=topic.schema)
        engine.publisher.publish_scoped(topic, tenant, batch)
    print("done", flush=True)
"""


@contextmanager
def publishing(folder: Path, first: int, end: int) -> Iterator[subprocess.Popen[str]]:
    """A process that publishes ``[first, end)``, each number for the tenant whose turn it is; killed at the end."""
    tenants = [str(tenant or "") for tenant in TENANTS]
    arguments = [sys.executable, "-c", _PUBLISHER, str(folder), str(first), str(end), *tenants]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


async def collected(subscription: Subscription) -> list[tuple[int, int, str]]:
    """Offset, number and owner of all that comes, up to the last one."""
    found: list[tuple[int, int, str]] = []
    while not found or found[-1][1] != LAST:
        delivered = await asyncio.wait_for(anext(subscription), LIMIT)
        found += [(delivered.offset.value, row["id"], row["of"]) for row in delivered.batch.to_pylist()]
        assert str(delivered.tenant or "") == found[-1][2]
    return found


@pytest.mark.parametrize("compaction", [pytest.param(False, marks=pytest.mark.soak), True])
def test_a_crowd_gets_all_that_processes_publish_also_one_that_is_killed(tmp_path: Path, compaction: bool) -> None:
    with Engine.open(tmp_path, compaction=compaction, segment_rows=40) as engine:
        topic = engine.topic_repo.register_topic(TopicDefinition("t", SCHEMA))
        conditions = [
            Predicate.from_sql(SCHEMA, f"id % {CONDITIONS} = {kind} OR id = {LAST}") for kind in range(CONDITIONS)
        ]

        def subscribed(number: int) -> Subscription:
            start = 0 if number % 2 else None  # some begin in the log
            return engine.subscriber.subscribe_scoped(topic, TENANTS[number % 3], conditions[number % 5], start)

        crowd = [subscribed(number) for number in range(CROWD)]

        def head() -> int:
            services = engine.services
            return services.log.head(services.store, services.catalog.resolve(services.store, topic)).next

        def publish() -> None:
            with publishing(tmp_path, 0, 1_000_000) as killed:
                until(lambda: head() >= 60, "the first process publishes")
                killed.kill()
                killed.wait()
            first = head()
            with publishing(tmp_path, first, first + 150) as process:
                assert process.stdout is not None
                assert process.stdout.read() == "done\n"
            engine.publisher.publish_scoped(topic, None, pa.record_batch([[LAST], [""]], schema=SCHEMA))

        async def run() -> tuple[list[list[tuple[int, int, str]]], list[list[tuple[int, int, str]]]]:
            tasks = [asyncio.ensure_future(collected(one)) for one in crowd]
            publisher = asyncio.ensure_future(asyncio.to_thread(publish))
            while head() < 30 and not publisher.done():
                await asyncio.sleep(0.01)
            late = [asyncio.ensure_future(collected(subscribed(2 * number + 1))) for number in range(15)]
            await publisher
            return await asyncio.gather(*tasks), await asyncio.gather(*late)

        found, late = asyncio.run(run())
        end = head()
        assert end > 200

        def expected(number: int) -> list[tuple[int, int, str]]:
            tenant: TenantId | None = TENANTS[number % 3]
            numbers = [one for one in range(end - 1) if one % CONDITIONS == number % CONDITIONS]
            owned = [(one, one, str(TENANTS[one % 3] or "")) for one in numbers]
            return [one for one in owned if one[2] in ("", str(tenant or ""))] + [(end - 1, LAST, "")]

        for number, got in enumerate(found):
            assert got == expected(number)
        for number, got in enumerate(late):
            assert got == expected(2 * number + 1)
