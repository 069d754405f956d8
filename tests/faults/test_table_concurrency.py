"""Threads and processes that change tables at once: no update is lost, sums hold, and who dies holds nothing."""

from __future__ import annotations

import gc
import json
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from jammi_sql import Engine
from jammi_sql.errors import Error, OperationalError
from tests.targets import StoreTarget

pytestmark = pytest.mark.both_stores

AGAIN = ("40001", "40P01", "55P03")

CHILD = """
import json, sys
from jammi_sql import Engine
from jammi_sql.errors import OperationalError
engine = Engine.open(sys.argv.pop(1), **json.loads(sys.argv.pop(1)), lock_timeout=30)
session = engine.session()
"""

INCREMENTS = """
for number in range(int(sys.argv[1])):
    while True:
        try:
            if number % 2:
                session.execute("UPDATE counter SET n = n + 1 WHERE id = 1")
            else:
                session.execute("BEGIN")
                n = session.execute("SELECT n FROM counter WHERE id = 1").fetchone()[0]
                session.execute(f"UPDATE counter SET n = {n + 1} WHERE id = 1")
                session.execute("COMMIT")
            break
        except OperationalError as error:
            if error.sqlstate not in ("40001", "40P01", "55P03"):
                raise
            if number % 2 == 0:
                session.execute("ROLLBACK")
engine.close()
"""


def child(script: str, store: StoreTarget, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", CHILD + script, store.target, json.dumps(store.options), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=dict(os.environ),
    )


@pytest.fixture
def store(store_target: StoreTarget) -> StoreTarget:
    """A store with a counter, two tables that sum up to 200 together, and a list."""
    with store_target.open() as engine:
        session = engine.session()
        session.execute("CREATE TABLE counter (id BIGINT, n BIGINT, PRIMARY KEY (id))")
        session.execute("INSERT INTO counter VALUES (1, 0), (2, 0)")
        for name in "ab":
            session.execute(f"CREATE TABLE {name} (id BIGINT, x BIGINT, PRIMARY KEY (id))")
            session.execute(f"INSERT INTO {name} SELECT value, 10 FROM generate_series(0, 9)")
        session.execute("CREATE TABLE list (n BIGINT, PRIMARY KEY (n))")
    return store_target


def retried(session: Any, body: Callable[[], None]) -> int:
    """Run a transaction until it goes through; how often it was refused."""
    for times in range(10_000):
        try:
            session.execute("BEGIN")
            body()
            session.execute("COMMIT")
            return times
        except OperationalError as error:
            assert error.sqlstate in AGAIN, error
            session.execute("ROLLBACK")
    raise AssertionError("it never went through")


def together(count: int, work: Callable[[int], Any]) -> list[Any]:
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(work, range(count)))


@pytest.mark.parametrize("times", [8, pytest.param(400, marks=[pytest.mark.soak, pytest.mark.timeout(1800)])])
def test_no_increment_is_lost_between_threads_and_processes(store: StoreTarget, times: int) -> None:
    processes = [child(INCREMENTS, store, str(times)) for _ in range(2)]
    with store.open(lock_timeout=30) as engine:

        def work(number: int) -> None:
            session = engine.session()
            for turn in range(times):
                if turn % 2:
                    session.execute("UPDATE counter SET n = n + 1 WHERE id = 1")
                    continue

                def body() -> None:
                    n = session.execute("SELECT n FROM counter WHERE id = 1").fetchone()[0]
                    session.execute("UPDATE counter SET n = $1 WHERE id = 1", [n + 1])

                retried(session, body)

        together(4, work)
        for process in processes:
            process.communicate(timeout=1000)
            assert process.returncode == 0
        rows = engine.session().execute("SELECT id, n FROM counter ORDER BY id").fetchall()
        assert list(map(tuple, rows)) == [(1, 6 * times), (2, 0)]


def test_a_transaction_that_read_what_another_changed_is_refused_and_its_statement_too(store: StoreTarget) -> None:
    with store.open() as engine, store.open() as another:
        one, two = engine.session(), another.session()
        reads = [
            "SELECT n FROM counter WHERE id = 1",
            "SELECT count(*) FROM counter",
            "SELECT * FROM list WHERE n IN (SELECT n FROM counter)",
            "WITH c AS (SELECT * FROM counter) SELECT max(n) FROM c",
        ]
        writes = [
            "UPDATE counter SET n = 5 WHERE id = 1",
            "INSERT INTO list VALUES (7)",
            "SAVEPOINT p",
            "DELETE FROM a",
        ]
        for read, write in zip(reads, writes, strict=True):
            one.execute("BEGIN")
            one.execute(read).fetchall()
            two.execute("UPDATE counter SET n = n + 1 WHERE id = 2")
            for _ in range(2):
                with pytest.raises(OperationalError) as caught:
                    one.execute(write)
                assert caught.value.sqlstate == "40001"
            two.execute("UPDATE counter SET n = n + 1 WHERE id = 2")  # who is refused holds nothing
            one.execute("ROLLBACK")
        assert one.execute("SELECT n FROM counter WHERE id = 2").fetchone()[0] == 8
        assert one.execute("SELECT count(*) FROM list").fetchone()[0] == 0


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO list SELECT coalesce(max(n), 0) + 1 FROM list",
        "INSERT INTO list SELECT count(*) + 1 FROM list",
        "INSERT INTO list SELECT (SELECT count(*) FROM list) + 1",
        "INSERT INTO list SELECT n FROM (SELECT count(*) + 1 AS n FROM list UNION ALL SELECT -1) WHERE n > 0",
        "MERGE INTO list USING (SELECT count(*) + 1 AS n FROM list) AS s ON list.n = s.n WHEN NOT MATCHED THEN INSERT VALUES (s.n)",
    ],
)
def test_a_statement_that_reads_what_it_writes_does_both_at_one_moment(store: StoreTarget, statement: str) -> None:
    with store.open(lock_timeout=30) as engine, store.open(lock_timeout=30) as another:

        def work(number: int) -> None:
            session = (engine, another)[number % 2].session()
            for _ in range(8):
                session.execute(statement)

        together(4, work)
        rows = engine.session().execute("SELECT n FROM list ORDER BY n").fetchall()
        assert [row[0] for row in rows] == list(range(1, 33))


@pytest.mark.parametrize("seconds", [1.5, pytest.param(60, marks=[pytest.mark.soak, pytest.mark.timeout(300)])])
def test_readers_always_see_both_sides_of_a_transfer(store: StoreTarget, seconds: float) -> None:
    sums = (
        "SELECT (SELECT sum(x) FROM a) + (SELECT sum(x) FROM b)",
        "SELECT sum(x) FROM (SELECT x FROM a UNION ALL SELECT x FROM b)",
        "SELECT sum(a.x) + sum(b.x) FROM a JOIN b ON a.id = b.id",
        "SELECT (SELECT sum(x) FROM a WHERE id >= 0) + (SELECT sum(x) FROM b WHERE id IN (0,1,2,3,4,5,6,7,8,9))",
    )
    stop = time.monotonic() + seconds
    with store.open(lock_timeout=30) as engine, store.open(lock_timeout=30) as another:

        def write(number: int) -> int:
            session, moves = (engine, another)[number % 2].session(), 0
            while time.monotonic() < stop:
                source, target = ("a", "b") if moves % 2 else ("b", "a")

                def body(
                    session: Any = session, source: str = source, target: str = target, moves: int = moves
                ) -> None:
                    session.execute(f"UPDATE {source} SET x = x - 1 WHERE id = {moves % 10}")
                    session.execute(f"UPDATE {target} SET x = x + 1 WHERE id = {(moves + number) % 10}")

                retried(session, body)
                moves += 1
            return moves

        def read(number: int) -> int:
            session, count = (engine, another)[number % 2].session(), 0
            while time.monotonic() < stop:
                assert session.execute(sums[count % len(sums)]).fetchone()[0] == 200, sums[count % len(sums)]
                count += 1
            return count

        done = together(5, lambda number: write(number) if number < 2 else read(number))
        assert min(done) > 0
        assert engine.session().execute(sums[0]).fetchone()[0] == 200


def test_a_slow_reader_sees_one_moment_and_keeps_nobody_waiting(store: StoreTarget) -> None:
    with store.open(lock_timeout=20) as engine:
        writer, reader = engine.session(), engine.session()
        writer.execute("CREATE TABLE large (k BIGINT, v BIGINT)")
        writer.execute("INSERT INTO large SELECT value, 0 FROM generate_series(0, 299999)")
        sessions = [engine.session() for _ in range(12)]
        cursors = [session.execute("SELECT k, v FROM large") for session in sessions]
        results: list[Iterator[Any]] = [iter(cursor.fetch_record_batch()) for cursor in cursors]
        seen = [next(result).num_rows for result in results]
        for number in range(1, 4):
            assert writer.execute(f"UPDATE large SET v = {number} WHERE k < 100000 OR k > 290000").rowcount > 100_000
            assert reader.execute("SELECT max(v) FROM large").fetchone()[0] == number
            assert reader.execute("SELECT count(*) FROM large WHERE v = 0").fetchone()[0] == 300_000 - 109_999
        writer.execute("TRUNCATE TABLE large")
        if store.kind == "sqlite":  # PostgreSQL keeps a table that is read from being dropped
            writer.execute("DROP TABLE large")
        for result, first in zip(results, seen, strict=True):
            batches = list(result)
            assert first + sum(batch.num_rows for batch in batches) == 300_000
            assert all(set(batch.column(1).to_pylist()) == {0} for batch in batches)


def wait_for_lock(engine: Engine) -> None:
    """The lock is free, if not at once then as soon as somebody's end is noticed."""
    session = engine.session()
    deadline = time.monotonic() + 50
    while True:
        try:
            session.execute("UPDATE counter SET n = n WHERE id = 1")
            return
        except Error as error:
            assert error.sqlstate == "55P03"
            assert time.monotonic() < deadline, "the lock is still held"
            gc.collect()


def test_sessions_that_die_in_mid_transaction_hold_nothing(store: StoreTarget) -> None:
    with store.open(lock_timeout=0.2) as engine:

        def leave(how: str) -> None:
            session = engine.session()
            session.execute("BEGIN")
            session.execute("UPDATE counter SET n = 99")
            if how == "result":
                result = session.execute("SELECT * FROM counter")
                del result
            if how == "closed":
                session.close()

        for how in ("forgotten", "closed", "result"):
            leave(how)
            wait_for_lock(engine)
            thread = threading.Thread(target=leave, args=(how,))
            thread.start()
            thread.join()
            wait_for_lock(engine)
        with child(
            "session.execute('BEGIN'); session.execute('UPDATE counter SET n = 99'); print(1, flush=True); sys.stdin.read()",
            store,
        ) as process:
            assert process.stdout is not None
            process.stdout.readline()
            with pytest.raises(OperationalError) as caught:
                engine.session().execute("UPDATE counter SET n = 98")
            assert caught.value.sqlstate == "55P03"
            process.kill()
        wait_for_lock(engine)
        assert engine.session().execute("SELECT max(n) FROM counter").fetchone()[0] == 0


def test_a_table_that_is_dropped_or_altered_while_it_is_used_is_an_error_and_not_a_wrong_row(
    store: StoreTarget,
) -> None:
    stop = threading.Event()
    states: set[str] = set()
    with store.open(lock_timeout=30) as engine, store.open(lock_timeout=30) as another:

        def change() -> None:
            session = another.session()
            for number in range(12):
                session.execute("ALTER TABLE a ADD COLUMN y BIGINT DEFAULT 1")
                session.execute("ALTER TABLE a DROP COLUMN y")
                if number % 3 == 0:
                    session.execute("BEGIN")
                    session.execute("DROP TABLE a")
                    session.execute("CREATE TABLE a (id BIGINT, x BIGINT, PRIMARY KEY (id))")
                    session.execute("INSERT INTO a SELECT value, 10 FROM generate_series(0, 9)")
                    session.execute("COMMIT")
            stop.set()

        def use(number: int) -> None:
            session = engine.session()
            while not stop.is_set():
                for text in (
                    "SELECT * FROM a",
                    "UPDATE a SET x = 10 WHERE id < 5",
                    "INSERT INTO a (id, x) VALUES (3, 10) ON CONFLICT (id) DO UPDATE SET x = excluded.x",
                ):
                    try:
                        cursor = session.execute(text)
                        if cursor.description:
                            rows = cursor.fetchall()
                            assert len(rows) == 10
                            assert {row[1] for row in rows} == {10}
                    except Error as error:
                        states.add(error.sqlstate)

        together(3, lambda number: change() if number == 0 else use(number))
    assert states <= {"42P01", "42703", "40001"}


def test_many_rows_that_are_computed_from_the_table_are_all_inserted(store: StoreTarget) -> None:
    with store.open() as engine, engine.session() as session:
        given = [[number] for number in range(100, 20_100)]
        session.cursor().executemany(
            "INSERT INTO list VALUES (CAST($1 AS BIGINT) + coalesce((SELECT max(n) FROM list), 0))", given
        )
        rows = session.execute("SELECT count(*), min(n), max(n) FROM list").fetchone()
        assert tuple(rows) == (20_000, 100, 20_099)


@pytest.mark.parametrize("seconds", [2.0, pytest.param(60, marks=[pytest.mark.soak, pytest.mark.timeout(300)])])
def test_a_name_is_given_out_once(store: StoreTarget, seconds: float) -> None:
    texts = [
        "CREATE TABLE c (x BIGINT)",
        "DROP TABLE IF EXISTS c",
        "CREATE TOPIC c (x BIGINT)",
        "DROP TOPIC IF EXISTS c",
        "ALTER TABLE c RENAME TO d",
        "ALTER TABLE d RENAME TO c",
        "CREATE INDEX i ON a (x)",
        "CREATE INDEX i ON b (x)",
        "DROP INDEX IF EXISTS i",
        "UPDATE a SET x = 10 WHERE id = 1",
        "INSERT INTO b SELECT id, x FROM a ON CONFLICT DO NOTHING",
        "INSERT INTO c VALUES (1)",
        "SELECT count(*) FROM c",
    ]
    stop = time.monotonic() + seconds
    states: set[str] = set()
    with store.open(lock_timeout=30) as engine, store.open(lock_timeout=30) as another:

        def work(number: int) -> None:
            session, chosen = (engine, another)[number % 2].session(), random.Random(number)
            while time.monotonic() < stop:
                try:
                    session.execute(chosen.choice(texts))
                except Error as error:
                    states.add(error.sqlstate)

        together(4, work)
        services = engine.services
        tables = services.tables.visible(services.store, None)
        names = [table.name for table in tables] + [
            topic.name for topic in services.catalog.visible(services.store, None)
        ]
        assert len(names) == len(set(names))
        assert sum(index.name == "i" for table in tables for index in table.definition.indexes) <= 1
    assert states <= {"42P01", "42P07", "42809", "40001", "40P01"}
