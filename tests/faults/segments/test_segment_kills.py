"""Segments whose process is killed at any point of a compaction: the log is whole, and nothing is left over."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pytest

from jammi_sql import Engine, faults
from jammi_sql.errors import DataCorrupted
from jammi_sql.ports import NamedQuery
from jammi_sql.topics import Predicate
from tests.damage_support import TOPIC, contents, find, seal
from tests.topic_support import batch_of, numbers

pytestmark = pytest.mark.timeout(300)  # many of them start processes

INTEGRITY = NamedQuery("check", "PRAGMA integrity_check", pa.schema([("integrity_check", pa.utf8())]))


# Publishes batches that say their number, and prints each that was acknowledged; compacts and sweeps all the while.
WORKER = """
import sys, threading
from jammi_sql import Engine
import pyarrow as pa
folder, first, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
engine = Engine.open(folder, compaction=False, segment_rows=60, segment_grace=0)
topic = engine.topic_repo.lookup_by_name("events.hurt")
session = engine.session()
stopped = threading.Event()
for number in range(first, first + count):
    rows = [pa.array([number] * 3), pa.array(["X"] * 3), pa.array([0.5] * 3)]
    offset = engine.publisher.publish_scoped(topic, None, pa.record_batch(rows, schema=topic.schema))
    sys.stdout.write(f"{number} {offset.value}\\n")
    sys.stdout.flush()
    if number % 7 == 6:
        session.execute("CALL jammi.compact('events.hurt')")
        engine.services.segments.sweeper.round(stopped)
engine.close()
"""


POINTS = {
    "compact.before_file": 2,
    "compact.after_file": 2,
    "compact.before_switch": 2,
    "compact.after_switch": 2,
    "compact.after_removal": 3,
    "sweep.after_delete": 1,
    "store.before_commit": 12,
    "store.after_commit": 12,
}


def worker(folder: Path, first: int, count: int, fault: str = "") -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", WORKER, str(folder), str(first), str(count)],
        env={**os.environ, faults.VARIABLE: fault},
        stdout=subprocess.PIPE,
        text=True,
    )


def check_whole(engine: Engine, acknowledged: dict[int, int]) -> list[int]:
    """The number of each batch in offset order, the same in every way of reading, after checking what a log must be."""
    topic = find(engine)
    assert engine.services.store.query(INTEGRITY).column(0).to_pylist() == ["ok"]
    found = []
    for place, one in enumerate(engine.subscriber.replay_only(topic, Predicate.match_all(), 0)):
        assert one.offset.value == place
        (number,) = set(numbers(one.batch))
        assert one.batch.num_rows == 3
        found.append(number)
    assert len(set(found)) == len(found)
    assert {number: found[offset] for number, offset in acknowledged.items()} == {
        number: number for number in acknowledged
    }
    session = engine.session()
    for pushdown in ("on", "off"):
        session.execute(f"SET jammi.pushdown = {pushdown}")
        assert session.execute(f"SELECT count(*) FROM {TOPIC}").fetchall() == [(3 * len(found),)]
        rows = session.execute(f"SELECT _offset, id FROM {TOPIC} ORDER BY _offset, _row_idx").fetchall()
        assert list(map(tuple, rows)) == [(offset, number) for offset, number in enumerate(found) for _ in range(3)]
    return found


def check_files(engine: Engine, folder: Path) -> None:
    """After the next process looked after it, there is no file but those of segments."""
    engine.services.segments.sweeper.remove_orphans()
    engine.services.segments.sweeper.round(threading.Event())
    paths = engine.services.segments.catalog.known_paths(engine.services.store)
    assert contents(folder) == {folder / "segments" / path for path in paths}


def acknowledged_in(text: str) -> dict[int, int]:
    return {int(number): int(offset) for number, offset in (line.split() for line in text.split("\n")[:-1])}


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, tuple[Path, str, int]]]:
    left: dict[str, tuple[Path, str, int]] = {}
    parent = tmp_path_factory.mktemp("killed")

    def run(point: str) -> None:
        folder = parent / point
        with Engine.open(folder, compaction=False) as engine:
            find(engine)
        process = worker(folder, 0, 60, f"{point}=kill@{POINTS[point]}")
        output, _ = process.communicate(timeout=200)
        left[point] = (folder, output, process.returncode)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(run, POINTS))
    yield left


@pytest.mark.parametrize("point", POINTS)
def test_after_a_kill_at_each_point_the_log_is_whole_and_nothing_is_left_over(
    killed: dict[str, tuple[Path, str, int]], point: str
) -> None:
    folder, output, code = killed[point]
    assert code == -signal.SIGKILL
    acknowledged = acknowledged_in(output)
    with Engine.open(folder, compaction=False, segment_rows=60, segment_grace=0) as engine:
        found = check_whole(engine, acknowledged)
        assert len(acknowledged) <= len(found) <= len(acknowledged) + 1
        seal(engine)
        assert check_whole(engine, acknowledged) == found
        check_files(engine, folder)
        assert engine.publisher.publish_scoped(find(engine), None, batch_of([-1] * 3)).value == len(found)


def test_every_point_of_a_compaction_is_killed_at() -> None:
    assert {name for name in faults.POINTS if name.startswith(("compact.", "sweep."))} <= set(POINTS)


@pytest.mark.parametrize("kills", [2, pytest.param(200, marks=[pytest.mark.soak, pytest.mark.timeout(3000)])])
def test_a_subscriber_that_runs_through_all_the_kills_sees_each_batch_once(tmp_path: Path, kills: int) -> None:
    """Readers and another writer go on while processes die at one point after another."""
    folder = tmp_path / "store"
    points = sorted(POINTS, key=lambda point: (not point.startswith(("compact", "sweep")), point))
    acknowledged: dict[int, int] = {}
    with Engine.open(folder, compaction=False, segment_grace=0) as engine:
        topic = find(engine)
        live = engine.subscriber.subscribe(topic, None, 0)
        seen: list[tuple[int, int]] = []
        stop, failures = threading.Event(), []

        def read_on() -> None:
            try:
                while not stop.is_set():
                    try:
                        one = live.next(timeout=0.2)
                    except TimeoutError:
                        continue
                    assert one.batch.num_rows == 3
                    seen.append((one.offset.value, numbers(one.batch)[0]))
            except BaseException as error:
                failures.append(error)

        def query() -> None:
            try:
                session, number = engine.session(), 0
                while not stop.is_set():
                    session.execute(f"SET jammi.pushdown = {'off' if number % 2 else 'on'}")
                    number += 1
                    try:
                        rows, last = session.execute(
                            f"SELECT count(*), coalesce(max(_offset), -1) FROM {TOPIC}"
                        ).fetchone()
                    except DataCorrupted as error:
                        # The workers leave no time to who reads a file that they drop: it must be one of those.
                        known = engine.services.segments.catalog.known_paths(engine.services.store)
                        assert "is missing" in str(error) and not any(path in str(error) for path in known)
                        continue
                    assert rows == 3 * (last + 1)
                    engine.publisher.publish_scoped(topic, None, batch_of([-number] * 3))
                    stop.wait(0.01)
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=read_on), threading.Thread(target=query)]
        for thread in threads:
            thread.start()
        try:
            for kill in range(kills):
                point = points[kill % len(points)]
                nth = POINTS[point] if kill < len(points) else 1 + kill // len(points) % POINTS[point]
                process = worker(folder, kill * 1000, 200, f"{point}=kill@{nth}")
                output, _ = process.communicate(timeout=200)
                assert process.returncode == -signal.SIGKILL, point
                acknowledged.update(acknowledged_in(output))
                assert failures == []
        finally:
            stop.set()
            for thread in threads:
                thread.join(60)
        assert failures == []
        head = engine.services.log.head(
            engine.services.store, engine.services.catalog.resolve(engine.services.store, topic)
        )
        while len(seen) < head.next:
            one = live.next(timeout=20)
            seen.append((one.offset.value, numbers(one.batch)[0]))
        found = check_whole(engine, acknowledged)
        assert seen == list(enumerate(found))
        seal(engine)
        assert check_whole(engine, acknowledged) == found
        check_files(engine, folder)
