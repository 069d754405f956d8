"""Long logs: segments beside plain Parquet files, replay, publishing into a log of many batches, and compaction.

``JAMMI_BENCH_ROWS`` and ``JAMMI_BENCH_BATCHES`` say how large the logs are (millions take a while to make).
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datafusion import SessionContext

from jammi_sql import Connection, Engine
from jammi_sql.topics import TopicDefinition
from jammi_sql.topics.appending import Append

from .measure import Report, interleaved, median_ratio, percentile, seconds
from .rows import SCHEMA, mixed_batch, new_topic

pytestmark = pytest.mark.bench

ROWS = int(os.environ.get("JAMMI_BENCH_ROWS", "10_000_000"))
BATCHES = int(os.environ.get("JAMMI_BENCH_BATCHES", "300_000"))
SEGMENT = 1 << 20
BATCH = 1024
GROUPS = "SELECT category, count(*), sum(value) FROM {} GROUP BY category ORDER BY category"


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory, report: Report) -> Iterator[tuple[Path, Path, int]]:
    """A store with one topic ``t`` all in segments, and plain zstd files of the same rows, one per segment."""
    folder = tmp_path_factory.mktemp("segments")
    plain = folder / "plain"
    plain.mkdir()
    segments = max(1, ROWS // SEGMENT)
    publishing = compacting = 0.0
    with Engine.open(folder / "store", compaction=False) as engine:
        topic = new_topic(engine, "t")
        services = engine.services
        for number in range(segments):
            first = number * SEGMENT
            batches = [mixed_batch(BATCH, first + start) for start in range(0, SEGMENT, BATCH)]
            registered = services.catalog.resolve(services.store, topic)

            def publish(batches: list[pa.RecordBatch] = batches, registered: Any = registered) -> None:
                with services.store.begin() as transaction:
                    engine.publisher.publish_all(transaction, registered, None, batches)

            publishing += seconds(publish)
            registered = services.catalog.resolve(services.store, topic)

            def compact(registered: Any = registered) -> None:
                services.segments.compactor.compact(registered, lambda: None)

            compacting += seconds(compact)
            pq.write_table(
                pa.Table.from_batches(batches).combine_chunks(), plain / f"{number:05d}.parquet", compression="zstd"
            )
    rows = segments * SEGMENT
    report.add("segments", "rows in the log", f"{rows / 1e6:.0f} M in {segments} segments")
    report.add("segments", "publish, 1,024-row batches, one commit", f"{rows / publishing / 1e6:.1f} M rows/s")
    report.add("segments", "compact", f"{rows / compacting / 1e6:.1f} M rows/s")
    yield folder / "store", plain, rows


def sized(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*.parquet"))


def answers(connection: Connection, text: str, expected: list[tuple[object, ...]]) -> Callable[[], None]:
    def run() -> None:
        assert connection.cursor().execute(text).fetchall() == expected

    return run


def test_queries_beside_plain_parquet(stored: tuple[Path, Path, int], report: Report) -> None:
    store, plain, rows = stored
    share = sized(store / "segments") / sized(plain)
    report.add("segments", "bytes : plain zstd Parquet", f"{share:.2f}", "≤ 1.15", share <= 1.15)
    with Engine.open(store, compaction=False) as engine, duckdb.connect() as duck:
        connection = engine.session()
        connection.execute(f"CREATE EXTERNAL TABLE plain STORED AS PARQUET LOCATION '{plain}/'")
        fusion = SessionContext()
        fusion.register_parquet("plain", str(plain))
        expected = connection.execute(GROUPS.format("plain")).fetchall()
        duck_text = GROUPS.format(f"'{plain}/*.parquet'")
        topic, session_plain, fusion_plain, duck_plain = interleaved(
            answers(connection, GROUPS.format("t"), expected),
            answers(connection, GROUPS.format("plain"), expected),
            lambda: fusion.sql(GROUPS.format("plain")).to_arrow_table(),
            lambda: duck.sql(duck_text).fetchall(),
        )
        low = rows // 2 // SEGMENT * SEGMENT
        one = f"SELECT count(*), sum(value) FROM {{}} WHERE id >= {low} AND id < {low + SEGMENT}"
        everything = "SELECT count(*), sum(value) FROM {}"
        filtered, filtered_plain, full = interleaved(
            answers(connection, one.format("t"), connection.execute(one.format("plain")).fetchall()),
            answers(connection, one.format("plain"), connection.execute(one.format("plain")).fetchall()),
            answers(connection, everything.format("t"), connection.execute(everything.format("plain")).fetchall()),
        )
        count, offset = interleaved(
            answers(connection, "SELECT count(*) FROM t", [(rows,)]),
            answers(connection, f"SELECT count(*) FROM t WHERE _offset = {rows // BATCH // 2}", [(BATCH,)]),
        )
    for name, other, limit in (
        ("DataFusion, plain files", fusion_plain, 1.2),
        ("plain files in the same session", session_plain, 1.2),
        ("DuckDB, plain files", duck_plain, 1.5),
    ):
        ratio = median_ratio(topic, other)
        report.add("segments", f"GROUP BY : {name}", f"{ratio:.2f}", f"≤ {limit}", ratio <= limit)
    report.add("segments", "GROUP BY", f"{median(topic) * 1000:.0f} ms, {rows / median(topic) / 1e6:.0f} M rows/s")
    parts = max(1, rows // SEGMENT)
    report.add(
        "segments",
        f"filter on one segment of {parts} : all of it",
        f"{median_ratio(filtered, full):.3f} ({median(filtered) * 1000:.1f} ms)",
        f"about {1 / parts:.3f}",
    )
    report.add("segments", "the same filter : plain files", f"{median_ratio(filtered, filtered_plain):.2f}")
    report.add("segments", "count(*), one offset", f"{median(count) * 1000:.1f} ms, {median(offset) * 1000:.1f} ms")


_REPLAY = """
import sys, time
from jammi_sql import Engine
with Engine.open(sys.argv[1], compaction=False) as engine:
    topic = engine.topic_repo.lookup_by_name("t")
    rows = wanted = int(sys.argv[2])
    began = time.perf_counter()
    following = 0
    with engine.subscriber.subscribe(topic, from_offset=0) as subscription:
        while wanted > 0:
            delivered = subscription.next(timeout=60)
            assert delivered.offset.value == following
            following += 1
            wanted -= delivered.batch.num_rows
    taken = time.perf_counter() - began
    # Not ru_maxrss, which begins with that of the process which started this one.
    peak = next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))
    print(rows / taken, int(peak) / 1024)
"""


def test_replay_from_segments(stored: tuple[Path, Path, int], report: Report) -> None:
    store, _, rows = stored
    files = sorted((store / "segments").rglob("*.parquet"))

    def decode() -> None:
        for path in files:
            for _ in pq.ParquetFile(path).iter_batches(1 << 17, columns=SCHEMA.names):
                pass

    rates, most, limits = [], 0.0, []
    for _ in range(3):
        done = subprocess.run(
            [sys.executable, "-c", _REPLAY, str(store), str(rows)], capture_output=True, text=True, check=True
        )
        rate, peak = map(float, done.stdout.split())
        rates.append(rate)
        most = max(most, peak)
        limits.append(rows / seconds(decode))
    rate, limit = median(rates) / 1e6, median(limits) / 1e6
    report.add("segments", "replay, 1,024-row batches", f"{rate:.0f} M rows/s", "≥ 50 M", rate >= 50)
    report.add("segments", "replay : pyarrow decoding the same files", f"{rate / limit:.2f}")
    report.add("segments", "most memory of a replaying process", f"{most:.0f} MB", "≤ 300 MB", most <= 300)


def fill_batches(engine: Engine, name: str, count: int, compact: bool) -> TopicDefinition:
    """A topic with so many batches of 10 rows, appended a thousand at a time."""
    topic = new_topic(engine, name)
    services = engine.services
    log = services.log
    batch = mixed_batch(10, 0)
    registered = services.catalog.resolve(services.store, topic)
    payload = registered.codec.encode(batch)
    for start in range(0, count, 1000):
        with services.store.begin() as transaction:
            appends = [Append(registered, "", 10, b"", payload)] * min(1000, count - start)
            assert log.append(transaction, appends, engine.clock.now_us()) is not None
        if compact and start % 200_000 == 199_000:
            registered = services.catalog.resolve(services.store, topic)
            services.segments.compactor.compact(registered, lambda: None)
    if compact:
        services.segments.compactor.compact(services.catalog.resolve(services.store, topic), lambda: None)
    return topic


@pytest.mark.parametrize("compact", [True, False], ids=["in segments", "in the store"])
def test_publishing_into_a_long_log(tmp_path: Path, report: Report, compact: bool) -> None:
    where = "in segments" if compact else "in the store"
    with Engine.open(tmp_path / "long", compaction=False) as long, Engine.open(tmp_path / "short") as short:
        full, empty = fill_batches(long, "t", BATCHES, compact), new_topic(short, "t")
        batch = mixed_batch(10, 0)

        def publish(engine: Engine, topic: TopicDefinition) -> Callable[[], None]:
            def run() -> None:
                for _ in range(200):
                    engine.publisher.publish_scoped(topic, None, batch)

            return run

        into_full, into_empty = interleaved(publish(long, full), publish(short, empty), rounds=9)
    ratio = median_ratio(into_empty, into_full)
    report.add(
        "segments",
        f"publish rate, {BATCHES / 1e6:g} M batches {where} : empty log",
        f"{ratio:.2f}",
        "≥ 0.90",
        ratio >= 0.9,
    )


def test_opening_a_store_of_many_topics(tmp_path: Path, report: Report) -> None:
    with Engine.open(tmp_path, compaction=False) as engine:
        for number in range(1000):
            new_topic(engine, f"t{number}")
        fill_batches(engine, "long", BATCHES, compact=False)

    def opened() -> None:
        with Engine.open(tmp_path) as engine:
            assert engine.session().execute("SELECT count(*) FROM t7").fetchone() == (0,)

    taken = [seconds(opened) for _ in range(5)]
    report.add(
        "segments",
        f"open 1,000 topics and {BATCHES / 1e6:g} M batches, query one",
        f"{median(taken) * 1000:.0f} ms",
        "≤ 500 ms",
        median(taken) <= 0.5,
    )


def test_what_a_compaction_costs_the_publisher(tmp_path: Path, report: Report) -> None:
    with Engine.open(tmp_path, compaction=False) as engine:
        services = engine.services
        long, topic = fill_batches(engine, "long", 100_000, compact=False), new_topic(engine, "t")
        batch = mixed_batch(10, 0)

        def publishing(stop: Callable[[], bool]) -> list[float]:
            taken = []
            while not stop():
                began = time.perf_counter()
                engine.publisher.publish_scoped(topic, None, batch)
                taken.append(time.perf_counter() - began)
            return taken

        until = time.perf_counter() + 3
        before = publishing(lambda: time.perf_counter() > until)
        registered = services.catalog.resolve(services.store, long)
        thread = threading.Thread(target=lambda: services.segments.compactor.compact(registered, lambda: None))
        began = time.perf_counter()
        thread.start()
        during = publishing(lambda: not thread.is_alive())
        took = time.perf_counter() - began
    report.add("segments", "compact 100,000 batches of 10 rows meanwhile", f"{100_000 / took:,.0f} batches/s")
    ratio = (len(during) / took) / (len(before) / 3)
    report.add("segments", "publish rate, while compacting : alone", f"{ratio:.2f}")
    report.add(
        "segments",
        "publish p50, p99: alone; while compacting",
        f"{percentile(before, 0.5) * 1000:.1f}, {percentile(before, 0.99) * 1000:.1f} ms; "
        f"{percentile(during, 0.5) * 1000:.1f}, {percentile(during, 0.99) * 1000:.1f} ms",
    )
