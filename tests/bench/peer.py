"""The peer's side of the comparison; runs in the peer's own environment, one task per line of standard input.

Answers each with the seconds that it took and a number of rows.
"""

from __future__ import annotations

import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

import jammi  # type: ignore[import-not-found] # only where this script runs
import pyarrow as pa

SCHEMA = pa.schema([("id", pa.int64()), ("category", pa.string()), ("value", pa.float64())])


def table_of(rows: int) -> pa.Table:
    """As ``rows.batch_of``."""
    ids = list(range(rows))
    columns = [ids, [f"category {number % 16}" for number in ids], [number * 0.5 for number in ids]]
    return pa.table(columns, schema=SCHEMA)


class Peer:
    """The tasks. Each returns the rows that it gave or wrote."""

    def __init__(self) -> None:
        self._target = f"file://{tempfile.mkdtemp()}"
        self._database = jammi.connect(self._target)
        self._relations: dict[str, str] = {}

    def create(self, topic: str) -> int:
        """A topic. In SQL it is a table named after its id."""
        number = self._database.register_topic(topic, schema=SCHEMA).replace("-", "")
        self._relations[topic] = f'mutable.public."__topic_{number}"'
        return 0

    def publish(self, topic: str, count: str, rows: str) -> int:
        """So many batches of so many rows."""
        batch = table_of(int(rows))
        for _ in range(int(count)):
            self._database.publish_topic(topic, batch=batch)
        return int(count) * int(rows)

    def replay(self, topic: str) -> int:
        """Everything from offset 0."""
        return int(self._database.subscribe_collect(topic, from_offset=0).num_rows)

    def live(self, topic: str, count: str) -> int:
        """Publish and wait for it in another thread, so many times; a collect of one batch each."""
        batch = table_of(10)
        rows = 0
        with ThreadPoolExecutor(1) as pool:
            for _ in range(int(count)):
                waiting = pool.submit(self._database.subscribe_collect, topic, replay_only=False, max_batches=1)
                time.sleep(0.005)  # nothing tells when it has subscribed; taken off again by the caller
                self._database.publish_topic(topic, batch=batch)
                rows += waiting.result().num_rows
        return rows

    def reopen(self) -> int:
        """SQL sees only topics that were there when the database was opened."""
        self._database.close()
        self._database = jammi.connect(self._target)
        return 0

    def group(self, topic: str) -> int:
        """The group-by of the other benchmarks."""
        text = "SELECT category, count(*), sum(value) FROM {} GROUP BY category"
        return int(self._database.sql(text.format(self._relations[topic])).num_rows)


def main() -> None:
    """Serve until standard input ends: a task and its arguments with tabs between them."""
    peer = Peer()
    for line in sys.stdin:
        task, *arguments = line.rstrip("\n").split("\t")
        begun = time.perf_counter()
        rows = getattr(peer, task)(*arguments)
        print(time.perf_counter() - begun, rows, flush=True)


if __name__ == "__main__":
    main()
