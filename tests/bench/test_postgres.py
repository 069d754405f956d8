"""A store on PostgreSQL: beside raw ADBC on the same server, and how soon other processes see a commit."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from statistics import median

import adbc_driver_manager
import adbc_driver_postgresql
import pyarrow as pa
import pytest

from jammi_sql import Engine
from jammi_sql.topics import Subscription
from jammi_sql.topics.result_columns import buffers
from tests.servers.postgres import PostgresServer

from .measure import Report, interleaved, median_ratio, percentile
from .rows import batch_of, fill, new_topic

pytestmark = pytest.mark.bench

ROUNDS = 7
COUNT = 200
THREADS = 16
_SCHEMAS = count(1)


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """One that brings commits to the disk, as it does by default."""
    server = PostgresServer(
        Path(tempfile.mkdtemp(prefix="jammi-bench-")), settings={"fsync": "on", "shared_buffers": "256MB"}
    )
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture
def url(server: PostgresServer) -> str:
    """A new store."""
    return f"{server.url()}?schema=bench_{next(_SCHEMAS)}"


class Raw:
    """What a store is measured against: a table of blobs, and nothing but the driver."""

    def __init__(self, url: str) -> None:
        self._database = adbc_driver_postgresql.connect(url.partition("?")[0])
        self._connection = adbc_driver_manager.AdbcConnection(self._database)
        for text in ("DROP TABLE IF EXISTS blobs", "CREATE TABLE blobs (number BIGSERIAL PRIMARY KEY, payload BYTEA)"):
            with adbc_driver_manager.AdbcStatement(self._connection) as statement:
                statement.set_sql_query(text)
                statement.execute_update()
        self._connection.set_autocommit(False)
        self._insert = adbc_driver_manager.AdbcStatement(self._connection)
        self._insert.set_sql_query("INSERT INTO blobs (payload) VALUES ($1)")
        self._insert.prepare()

    def insert(self, payload: bytes) -> None:
        """One committed row."""
        self._insert.bind(pa.record_batch([pa.array([payload])], names=["payload"]))
        self._insert.execute_update()
        self._connection.commit()

    def fill(self, payload: bytes, rows: int) -> None:
        """So many rows."""
        with adbc_driver_manager.AdbcStatement(self._connection) as statement:
            statement.set_sql_query("INSERT INTO blobs (payload) SELECT $1 FROM generate_series(1, $2)")
            statement.prepare()
            statement.bind(pa.record_batch([pa.array([payload]), pa.array([rows])], names=["payload", "rows"]))
            statement.execute_update()
        self._connection.commit()

    def read(self) -> int:
        """All payloads, in order; how many."""
        with adbc_driver_manager.AdbcStatement(self._connection) as statement:
            statement.set_sql_query("SELECT payload FROM blobs ORDER BY number")
            handle, _ = statement.execute_query()
            with pa.RecordBatchReader.from_stream(handle) as reader:
                return sum(batch.num_rows for batch in reader)

    def read_and_decode(self, schema: pa.Schema) -> int:
        """The same, each payload made a batch."""
        with adbc_driver_manager.AdbcStatement(self._connection) as statement:
            statement.set_sql_query("SELECT payload FROM blobs ORDER BY number")
            handle, _ = statement.execute_query()
            count = 0
            with pa.RecordBatchReader.from_stream(handle) as reader:
                for batch in reader:
                    for payload in buffers(pa.chunked_array(batch.columns[:1])):
                        count += pa.ipc.read_record_batch(payload, schema).num_rows > 0
        return count

    def count(self) -> int:
        """How many rows are committed."""
        with adbc_driver_manager.AdbcStatement(self._connection) as statement:
            statement.set_sql_query("SELECT count(*) FROM blobs")
            handle, _ = statement.execute_query()
            with pa.RecordBatchReader.from_stream(handle) as reader:
                count: int = reader.read_all().column(0)[0].as_py()
        self._connection.commit()
        return count

    def close(self) -> None:
        """Release it."""
        self._insert.close()
        self._connection.close()
        self._database.close()


def _in_threads(threads: int, work: Callable[[], None]) -> None:
    workers = [threading.Thread(target=work) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


def test_publishing_beside_raw_inserts(url: str, report: Report) -> None:
    batch = batch_of(10)
    payload = batch.serialize().to_pybytes()
    raw = Raw(url)
    with Engine.open(url) as engine:
        topic = new_topic(engine, "small")

        def raw_loop() -> None:
            for _ in range(COUNT):
                raw.insert(payload)

        def publish(number: int) -> None:
            for _ in range(number):
                engine.publisher.publish_scoped(topic, None, batch)

        raw_taken, one_taken, many_taken = interleaved(
            raw_loop,
            lambda: publish(COUNT),
            lambda: _in_threads(THREADS, lambda: publish(COUNT // 4)),
            rounds=ROUNDS,
        )
        together = COUNT // 4 * THREADS
        growth = []
        for threads in (1, 2, 4, 8):
            begun = time.perf_counter()
            _in_threads(threads, lambda: publish(COUNT))
            growth.append(f"{threads}: {threads * COUNT / (time.perf_counter() - begun):,.0f}/s")
        (rows,) = engine.session().execute("SELECT count(*) FROM small").fetchone()
        assert rows == ((ROUNDS + 1) * (COUNT + together) + 15 * COUNT) * 10
    raw.close()
    ratio = median_ratio(raw_taken, one_taken)
    gain = median_ratio(one_taken, many_taken) * together / COUNT
    report.add("postgres", "10 rows, raw ADBC insert and commit", f"{COUNT / median(raw_taken):,.0f}/s")
    report.add("postgres", "10 rows, one thread", f"{COUNT / median(one_taken):,.0f}/s")
    report.add("postgres", "one thread : raw", f"{ratio:.2f}", "≥ 0.7", ratio >= 0.7)
    report.add("postgres", f"10 rows, {THREADS} threads", f"{together / median(many_taken):,.0f}/s")
    report.add("postgres", f"{THREADS} threads : one", f"{gain:.1f}", "≥ 4", gain >= 4)
    report.add("postgres", "publishers in one process", ", ".join(growth))


_PUBLISHERS = """
import sys
from jammi_sql import Engine
from jammi_sql.topics import Subscription
from tests.bench.rows import batch_of
with Engine.open(sys.argv[1]) as engine:
    topic = engine.topic_repo.lookup_by_name(sys.argv[2])
    batch = batch_of(10)
    engine.publisher.publish_scoped(topic, None, batch)
    print("ready", flush=True)
    sys.stdin.readline()
    for _ in range(int(sys.argv[3])):
        engine.publisher.publish_scoped(topic, None, batch)
    print("done", flush=True)
"""


def test_publishing_from_several_processes(url: str, report: Report) -> None:
    rates = []
    with Engine.open(url) as engine:
        for processes in (1, 2, 4, 8):
            for name in ("one topic", "topic each"):
                topics = [f"t{processes}_{number}_{name[0]}" for number in range(processes)]
                if name == "one topic":
                    topics = topics[:1] * processes
                for topic in set(topics):
                    new_topic(engine, topic)
                running = [
                    subprocess.Popen(
                        [sys.executable, "-c", _PUBLISHERS, url, topic, str(COUNT)],
                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                    )
                    for topic in topics
                ]  # fmt: skip
                for process in running:
                    assert process.stdout is not None and process.stdout.readline() == "ready\n"
                begun = time.perf_counter()
                for process in running:
                    assert process.stdin is not None
                    process.stdin.write("go\n")
                    process.stdin.flush()
                for process in running:
                    assert process.stdout is not None and process.stdout.readline() == "done\n"
                rates.append(f"{processes} x {name}: {processes * COUNT / (time.perf_counter() - begun):,.0f}/s")
                for process in running:
                    assert process.stdin is not None
                    assert process.stdout is not None
                    process.stdin.close()
                    process.stdout.close()
                    assert process.wait(60) == 0
    report.add("postgres", "publishers in processes", ", ".join(rates))


def test_replay_beside_a_raw_read(url: str, report: Report) -> None:
    batches, size = 20_000, 10
    raw = Raw(url)
    with Engine.open(url) as engine:
        topic = fill(engine, "small", batches=batches, rows=size)
        raw.fill(batch_of(size).serialize().to_pybytes(), batches)

        def replay() -> None:
            with engine.subscriber.subscribe(topic, from_offset=0) as subscription:
                for number in range(batches):
                    assert subscription.next(timeout=60).offset.value == number

        def read() -> None:
            assert raw.read() == batches

        def decode() -> None:
            assert raw.read_and_decode(batch_of(size).schema) == batches

        raw_taken, decoded, taken = interleaved(read, decode, replay)
    raw.close()
    ratio = median_ratio(raw_taken, taken)
    limit = median_ratio(raw_taken, decoded)
    report.add("postgres", "replay, 10-row batches", f"{batches / median(taken):,.0f} batches/s")
    report.add("postgres", "replay : raw ADBC read of the blobs", f"{ratio:.2f}", "≥ 0.7", ratio >= 0.7)
    report.add("postgres", "raw read and pyarrow decoding each : raw read, which is the limit", f"{limit:.2f}")
    report.add("postgres", "replay : raw read and decoding", f"{median_ratio(decoded, taken):.2f}")


_PACED = """
import random, sys, time
from jammi_sql import Engine
from jammi_sql.topics import Subscription
from tests.bench.rows import batch_of
with Engine.open(sys.argv[1]) as engine:
    topic = engine.topic_repo.lookup_by_name("t")
    sys.stdin.readline()
    for _ in range(int(sys.argv[2])):
        engine.publisher.publish_scoped(topic, None, batch_of(10))
        print(time.monotonic(), flush=True)
        time.sleep(random.uniform(0, 0.04))
"""


@pytest.mark.parametrize("listening", [True, False], ids=["listening", "looking"])
def test_arrival_in_another_process(url: str, report: Report, monkeypatch: pytest.MonkeyPatch, listening: bool) -> None:
    if not listening:
        monkeypatch.setattr("jammi_sql.stores.postgres_listener.importlib.util.find_spec", lambda name: None)
    many = 200
    with Engine.open(url) as engine:
        topic = new_topic(engine, "t")
        with engine.subscriber.subscribe(topic) as subscription:
            with pytest.raises(TimeoutError):
                subscription.next(timeout=3)  # until it listens
            idle_from, idle_cpu = time.monotonic(), time.process_time()
            with pytest.raises(TimeoutError):
                subscription.next(timeout=10)
            idle = (time.process_time() - idle_cpu) / (time.monotonic() - idle_from) * 60
            publisher = subprocess.Popen(
                [sys.executable, "-c", _PACED, url, str(many)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
            assert publisher.stdin is not None
            assert publisher.stdout is not None
            publisher.stdin.write("go\n")
            publisher.stdin.flush()
            arrived = []
            for number in range(many):
                assert subscription.next(timeout=60).offset.value == number
                arrived.append(time.monotonic())
            sent = [float(line) for line in publisher.stdout]
            publisher.stdin.close()
            publisher.stdout.close()
            assert publisher.wait(60) == 0
    delays = [(there - here) * 1000 for here, there in zip(sent, arrived, strict=True)]
    name = "listening" if listening else "looking every 20 ms"
    p99 = percentile(delays, 0.99)
    report.add("postgres", f"another process, {name}: p50", f"{percentile(delays, 0.5):.1f} ms")
    report.add("postgres", f"another process, {name}: p99", f"{p99:.1f} ms", "< 60 ms", p99 < 60)
    report.add("postgres", f"idle subscription, {name}", f"{idle:.2f} CPU s a minute")


def test_a_transaction_beside_raw_adbc(url: str, report: Report) -> None:
    raw = Raw(url)
    payload = batch_of(1).serialize().to_pybytes()
    with Engine.open(url) as engine, engine.session() as session:
        session.execute("CREATE TABLE stock (id BIGINT PRIMARY KEY, n BIGINT)")
        session.execute("INSERT INTO stock SELECT value, 0 FROM generate_series(1, 1000)")
        new_topic(engine, "sold")

        def both() -> None:
            for number in range(100):
                session.execute("BEGIN")
                session.execute("UPDATE stock SET n = n + 1 WHERE id = ?", (number + 1,))
                session.execute("INSERT INTO sold VALUES (?, 'category 1', 0.5)", (number,))
                session.execute("COMMIT")

        def plainly() -> None:
            for _ in range(100):
                raw.insert(payload)

        taken, raw_taken = interleaved(both, plainly)
    raw.close()
    report.add("postgres", "BEGIN, UPDATE, INSERT INTO topic, COMMIT", f"{median(taken) * 10:.2f} ms")
    report.add("postgres", "that : raw insert and commit", f"{median_ratio(taken, raw_taken):.1f}")


_QUEUE_WRITER = """
import random, sys, time
import adbc_driver_postgresql.dbapi
connection = adbc_driver_postgresql.dbapi.connect(sys.argv[1])
cursor = connection.cursor()
sys.stdin.readline()
for _ in range(int(sys.argv[2])):
    cursor.execute("INSERT INTO blobs (payload) VALUES ($1)", (b"x" * 800,))
    connection.commit()
    print(time.monotonic(), flush=True)
    time.sleep(random.uniform(0, 0.04))
cursor.close()
connection.close()
"""


def test_arrival_by_polling_a_queue_table(url: str, report: Report) -> None:
    """As queues in PostgreSQL do it whose readers ask every 100 ms, which is pgmq's default."""
    many = 100
    raw = Raw(url)
    server = url.partition("?")[0]
    writer = subprocess.Popen(
        [sys.executable, "-c", _QUEUE_WRITER, server, str(many)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert writer.stdin is not None
    assert writer.stdout is not None
    writer.stdin.write("go\n")
    writer.stdin.flush()
    arrived: list[float] = []
    while len(arrived) < many:
        found = raw.count()
        arrived += [time.monotonic()] * (found - len(arrived))
        time.sleep(0.1)
    sent = [float(line) for line in writer.stdout]
    writer.stdin.close()
    writer.stdout.close()
    assert writer.wait(60) == 0
    raw.close()
    delays = [(there - here) * 1000 for here, there in zip(sent, arrived, strict=True)]
    report.add(
        "postgres",
        "a queue table polled every 100 ms: p50, p99",
        f"{percentile(delays, 0.5):.0f}, {percentile(delays, 0.99):.0f} ms",
    )


def test_publishing_to_more_and_more_subscribers(url: str, report: Report) -> None:
    rates = []
    many = 200
    with Engine.open(url) as engine:
        for subscribers in (1, 8, 64):
            topic = new_topic(engine, f"to_{subscribers}")
            subscriptions = [engine.subscriber.subscribe(topic) for _ in range(subscribers)]

            def read(subscription: Subscription) -> None:
                for number in range(many):
                    assert subscription.next(timeout=60).offset.value == number

            readers = [threading.Thread(target=read, args=(each,)) for each in subscriptions]
            for reader in readers:
                reader.start()
            begun = time.perf_counter()
            for _ in range(many):
                engine.publisher.publish_scoped(topic, None, batch_of(10))
            for reader in readers:
                reader.join()
            taken = time.perf_counter() - begun
            rates.append(
                f"{subscribers}: {many / taken:,.0f} publishes/s, {many * subscribers / taken:,.0f} deliveries/s"
            )
            for subscription in subscriptions:
                subscription.close()
    report.add("postgres", "subscribers in one process", "; ".join(rates))
