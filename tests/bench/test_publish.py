"""Publishing: beside the raw insert, with many threads, and in large batches."""

from __future__ import annotations

import threading
from pathlib import Path
from statistics import median

import pytest

from jammi_sql import Engine

from .measure import Report, interleaved, median_ratio
from .rows import RawInserts, batch_of, new_topic

pytestmark = pytest.mark.bench

ROUNDS = 9
COUNT = 300
THREADS = 16
LARGE = 100_000


def test_small_batches_beside_a_raw_insert_and_from_many_threads(tmp_path: Path, report: Report) -> None:
    batch = batch_of(10)
    payload = batch.serialize().to_pybytes()
    raw = RawInserts(tmp_path)
    with Engine.open(tmp_path / "store") as engine:
        topic = new_topic(engine, "small")

        def raw_loop() -> None:
            for _ in range(COUNT):
                raw.insert(payload)

        def publish(count: int) -> None:
            for _ in range(count):
                engine.publisher.publish_scoped(topic, None, batch)

        def threads() -> None:
            workers = [threading.Thread(target=publish, args=(COUNT // 4,)) for _ in range(THREADS)]
            for worker in workers:
                worker.start()
            for worker in workers:
                worker.join()

        raw_taken, one_taken, many_taken = interleaved(raw_loop, lambda: publish(COUNT), threads, rounds=ROUNDS)
        together = COUNT // 4 * THREADS
        (count,) = engine.session().execute("SELECT count(*) FROM small").fetchone()
        assert count == (ROUNDS + 1) * (COUNT + together) * 10
    raw.close()
    ratio = median_ratio(raw_taken, one_taken)
    gain = median_ratio(one_taken, many_taken) * together / COUNT
    report.add("publish", "10 rows, raw ADBC insert and commit", f"{COUNT / median(raw_taken):,.0f}/s")
    report.add("publish", "10 rows, one thread", f"{COUNT / median(one_taken):,.0f}/s")
    report.add("publish", "one thread : raw", f"{ratio:.2f}", "≥ 0.6", ratio >= 0.6)
    report.add("publish", f"10 rows, {THREADS} threads", f"{together / median(many_taken):,.0f}/s")
    report.add("publish", f"{THREADS} threads : one", f"{gain:.1f}", "≥ 3", gain >= 3)


def test_large_batches(tmp_path: Path, report: Report) -> None:
    batch = batch_of(LARGE)
    with Engine.open(tmp_path, compaction=False) as engine:
        topic = new_topic(engine, "large")
        (taken,) = interleaved(lambda: engine.publisher.publish_scoped(topic, None, batch), rounds=9)
        (count,) = engine.session().execute("SELECT count(*) FROM large").fetchone()
        assert count == 10 * LARGE
    rate = LARGE / median(taken) / 1e6
    report.add("publish", "100,000 rows", f"{rate:.1f} M rows/s", "≥ 3 M", rate >= 3)
