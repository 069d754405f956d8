"""Replaying: small batches, large ones, and how soon the first one comes."""

from __future__ import annotations

from pathlib import Path
from statistics import median

import pytest

from jammi_sql import Engine
from jammi_sql.topics import TopicDefinition

from .measure import Report, interleaved
from .rows import fill

pytestmark = pytest.mark.bench


def test_replay_of_small_and_large_batches(tmp_path: Path, report: Report) -> None:
    with Engine.open(tmp_path, compaction=False) as engine:
        small = fill(engine, "small", batches=10_000, rows=10)
        large = fill(engine, "large", batches=1_000, rows=1_000)

        def replay(topic: TopicDefinition, batches: int) -> None:
            rows, last = 0, -1
            with engine.subscriber.subscribe(topic, from_offset=0) as subscription:
                for _ in range(batches):
                    delivered = subscription.next(timeout=60)
                    assert delivered.offset.value == last + 1
                    last += 1
                    rows += delivered.batch.num_rows
            assert rows == (100_000 if topic is small else 1_000_000)

        def first() -> None:
            with engine.subscriber.subscribe(small, from_offset=0) as subscription:
                assert subscription.next(timeout=60).offset.value == 0

        small_taken, large_taken, first_taken = interleaved(
            lambda: replay(small, 10_000), lambda: replay(large, 1_000), first
        )
    rate = 10_000 / median(small_taken)
    report.add("replay", "10-row batches", f"{rate:,.0f} batches/s", "≥ 60,000", rate >= 60_000)
    rows = 1e6 / median(large_taken) / 1e6
    report.add("replay", "1,000-row batches", f"{rows:.0f} M rows/s", "≥ 20 M", rows >= 20)
    wait = median(first_taken) * 1000
    report.add("replay", "first batch of 10,000", f"{wait:.1f} ms", "≤ 20 ms", wait <= 20)
