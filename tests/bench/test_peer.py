"""The same work in jammi-ai, in an environment of its own under ``.bench/``, where it can be installed."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median

import pyarrow as pa
import pytest

from jammi_sql import Engine

from .measure import Report, seconds
from .rows import batch_of, new_topic

pytestmark = pytest.mark.bench

ROUNDS = 5


class Peer:
    """The peer's process."""

    def __init__(self, python: Path) -> None:
        self._process = subprocess.Popen(
            [python, Path(__file__).with_name("peer.py")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def ask(self, *task: object) -> tuple[float, int]:
        """The seconds and rows of a task."""
        assert self._process.stdin is not None and self._process.stdout is not None
        print(*task, sep="\t", file=self._process.stdin, flush=True)
        duration, rows = self._process.stdout.readline().split()
        return float(duration), int(rows)

    def close(self) -> None:
        """End it."""
        self._process.communicate(timeout=60)


@pytest.fixture(scope="module")
def peer(jammi_ai: Path) -> Iterator[Peer]:
    peer = Peer(jammi_ai)
    yield peer
    peer.close()


def test_the_same_work_in_the_peer(tmp_path: Path, peer: Peer, report: Report) -> None:
    small, large = batch_of(10), batch_of(1000)
    with Engine.open(tmp_path) as engine:
        topics = {name: new_topic(engine, name) for name in ("small", "large")}
        connection = engine.session()
        for name in topics:
            peer.ask("create", name)

        def publish(name: str, batch: pa.RecordBatch, count: int) -> int:
            for _ in range(count):
                engine.publisher.publish_scoped(topics[name], None, batch)
            return count * batch.num_rows

        def replay(name: str) -> int:
            return sum(found.batch.num_rows for found in engine.subscriber.replay_only(topics[name], from_offset=0))

        def group(name: str) -> int:
            text = f"SELECT category, count(*), sum(value) FROM {name} GROUP BY category"
            return connection.cursor().execute(text).fetch_arrow_table().num_rows

        def live(count: int) -> int:
            rows = 0
            with engine.subscriber.subscribe(topics["small"]) as subscription, ThreadPoolExecutor(1) as pool:
                for _ in range(count):
                    waiting = pool.submit(subscription.next, 60)
                    time.sleep(0.005)
                    publish("small", small, 1)
                    rows += waiting.result().batch.num_rows
            return rows

        compare(
            report, "publish 100 of 10 rows", lambda: publish("small", small, 100), peer, "publish", "small", 100, 10
        )
        compare(report, "replay 10-row batches", lambda: replay("small"), peer, "replay", "small")
        compare(report, "publish and receive 50 of 10 rows", lambda: live(50), peer, "live", "small", 50, pause=0.25)
        compare(
            report, "publish 20 of 1,000 rows", lambda: publish("large", large, 20), peer, "publish", "large", 20, 1000
        )
        compare(report, "replay 1,000-row batches", lambda: replay("large"), peer, "replay", "large")
        peer.ask("reopen")
        compare(report, "GROUP BY, 1,000-row batches", lambda: group("large"), peer, "group", "large")


def compare(report: Report, name: str, ours: Callable[[], int], peer: Peer, *task: object, pause: float = 0) -> None:
    """Both in turn; the rows must be as many. ``pause`` seconds of both are no work."""
    own: list[float] = []
    theirs: list[float] = []
    rows: list[int] = []
    for _ in range(ROUNDS):
        own.append(seconds(lambda: rows.append(ours())) - pause)
        duration, count = peer.ask(*task)
        assert count == rows[-1]
        theirs.append(duration - pause)
    text = f"{median(own) * 1000:.1f} ms, jammi-ai {median(theirs) * 1000:.1f} ms"
    gain = median(their / mine for mine, their in zip(own, theirs, strict=True))
    report.add("jammi-ai 0.54", name, f"{text} ({gain:.1f} times)")
