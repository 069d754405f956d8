"""Publishers that are killed, interrupted and failing: what was acknowledged is there, once, and offsets have no gaps."""

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
from jammi_sql.brokers import InMemoryBroker
from jammi_sql.errors import ConnectionLost, Error, OperationalError, SerializationFailure
from jammi_sql.ports import NamedQuery
from jammi_sql.topics import Predicate
from jammi_sql.topics.publisher import Publisher
from tests.topic_support import LIMIT, batch_of, definition, ids, numbers, offsets, receive, until

TOPIC = "events.killed"
ROWS = 3
INTEGRITY = NamedQuery("check", "PRAGMA integrity_check", pa.schema([("integrity_check", pa.utf8())]))

# Publishes batches of three equal rows and prints the number and the offset of each that was acknowledged.
CHILD = """
import sys, threading
from jammi_sql import Engine
import pyarrow as pa
folder, first, threads, count = sys.argv[1], *map(int, sys.argv[2:])
engine = Engine.open(folder)
topic = engine.topic_repo.lookup_by_name("events.killed")
def publish(start):
    for number in range(start, start + count):
        rows = [pa.array([number] * 3), pa.array(["X"] * 3), pa.array([0.5] * 3)]
        offset = engine.publisher.publish_scoped(topic, None, pa.record_batch(rows, schema=topic.schema))
        sys.stdout.write(f"{number} {offset.value}\\n")
        sys.stdout.flush()
workers = [threading.Thread(target=publish, args=(first + 1_000_000 * n,)) for n in range(threads)]
for worker in workers: worker.start()
for worker in workers: worker.join()
engine.close()
"""

INSERTING = """
import sys
from jammi_sql import Engine
engine = Engine.open(sys.argv[1])
session = engine.session()
session.execute("INSERT INTO events.killed SELECT value, 'X', 0.0 FROM generate_series(0, 199999)")
"""


def child(folder: Path, *arguments: int, fault: str = "", script: str = CHILD) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", script, str(folder), *map(str, arguments)],
        env={**os.environ, faults.VARIABLE: fault},
        stdout=subprocess.PIPE,
        text=True,
    )


def new_store(folder: Path) -> Path:
    with Engine.open(folder) as engine:
        engine.topic_repo.register_topic(definition(TOPIC))
    return folder


def acknowledged(text: str) -> dict[int, int]:
    """Number to offset, from what a child printed; a last line that was cut off says nothing."""
    lines = [line.split() for line in text.split("\n")[:-1]]
    return {int(number): int(offset) for number, offset in lines}


def check_log(folder: Path, promised: dict[int, int]) -> list[int]:
    """The number of each batch in offset order, after checking all that a log must be."""
    with Engine.open(folder) as engine:
        topic = engine.topic_repo.lookup_by_name(TOPIC)
        assert topic is not None
        replayed = engine.subscriber.replay_only(topic, Predicate.match_all(), 0)
        assert offsets(replayed) == list(range(len(replayed)))
        found = []
        for one in replayed:
            (number,) = set(numbers(one.batch))
            assert one.batch.num_rows == ROWS
            found.append(number)
        assert len(set(found)) == len(found)
        assert {number: found[offset] for number, offset in promised.items()} == {number: number for number in promised}
        following = engine.publisher.publish_scoped(topic, None, batch_of([-1 - len(found)] * ROWS))
        assert following.value == len(found)
        assert engine.services.store.query(INTEGRITY).column(0).to_pylist() == ["ok"]
    return found


KILLED_AT = {
    "store.after_begin": 4,
    "publish.after_insert": 4,
    "store.before_commit": 4,
    "store.after_commit": 5,
    "publish.before_hand_over": 5,
    "publish.after_hand_over": 5,
}


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, tuple[Path, subprocess.Popen[str]]]]:
    """A store for each point, and the process that dies there at its fifth publish; all of them run at once."""
    started = {}
    for name in KILLED_AT:
        folder = new_store(tmp_path_factory.mktemp("killed") / "store")
        started[name] = (folder, child(folder, 0, 1, 20, fault=f"{name}=kill@5"))
    yield started
    for _, process in started.values():
        process.kill()
        process.communicate()


@pytest.mark.parametrize(("name", "kept"), KILLED_AT.items())
def test_after_a_kill_at_each_point_what_was_acknowledged_is_there_and_the_rest_is_whole_or_absent(
    killed: dict[str, tuple[Path, subprocess.Popen[str]]], name: str, kept: int
) -> None:
    folder, process = killed[name]
    output, _ = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    assert acknowledged(output) == {number: number for number in range(4)}
    assert check_log(folder, acknowledged(output)) == list(range(kept))


def test_every_point_that_a_publish_passes_is_killed_at() -> None:
    passed = {name for name in faults.POINTS if not name.startswith(("table.", "compact.", "sweep.", "cache."))} - {
        "store.migrate"
    }
    assert passed == set(KILLED_AT)


def test_an_insert_of_many_batches_that_is_killed_leaves_none_of_them(tmp_path: Path) -> None:
    folder = new_store(tmp_path / "store")
    with child(folder, fault="publish.after_insert=kill@3", script=INSERTING) as process:
        process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    assert check_log(folder, {}) == []


def test_a_group_that_is_killed_before_its_commit_leaves_nothing_of_it(tmp_path: Path) -> None:
    folder = new_store(tmp_path / "store")
    with child(folder, 0, 8, 50, fault="store.before_commit=kill@9") as process:
        output, _ = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    promised = acknowledged(output)
    found = check_log(folder, promised)
    # Eight groups were committed; a kill between a commit and its acknowledgement may leave a few more than promised.
    assert len(promised) <= len(found) <= 8 * 8


@pytest.mark.parametrize("rounds", [2, pytest.param(60, marks=[pytest.mark.soak, pytest.mark.timeout(1800)])])
def test_three_publishing_processes_killed_at_random_lose_and_double_nothing(tmp_path: Path, rounds: int) -> None:
    folder = new_store(tmp_path / "store")
    promised: dict[int, int] = {}
    for round_number in range(rounds):
        processes = [child(folder, (round_number * 3 + number) * 10_000_000, 2, 500_000) for number in range(3)]
        outputs: list[list[str]] = [[] for _ in processes]
        with ThreadPoolExecutor(3) as pool:
            reading = [pool.submit(_collect, *pair) for pair in zip(processes, outputs, strict=True)]
            until(lambda outputs=outputs: min(map(len, outputs)) > 10, "all three publish")
            for process in processes:
                survivors = sum(map(len, outputs)) + 20
                process.kill()
                if process is not processes[-1]:
                    until(
                        lambda outputs=outputs, goal=survivors: sum(map(len, outputs)) > goal,
                        "the survivors go on",
                    )
            for one in reading:
                one.result()
        for process, lines in zip(processes, outputs, strict=True):
            process.communicate(timeout=60)
            assert process.returncode == -signal.SIGKILL
            promised.update(acknowledged("".join(lines)))
        assert len(check_log(folder, promised)) >= len(promised)


def _collect(process: subprocess.Popen[str], lines: list[str]) -> None:
    assert process.stdout is not None
    lines.extend(process.stdout)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """An engine whose topic is registered."""
    with Engine.open(tmp_path / "store", broker=InMemoryBroker()) as engine:
        engine.topic_repo.register_topic(definition(TOPIC))
        yield engine


def publish_together(engine: Engine, count: int) -> list[int | BaseException]:
    """Publishes by so many threads, held back until all of them wait for the same transaction; offset or error of each."""
    topic = engine.topic_repo.lookup_by_name(TOPIC)
    assert topic is not None

    def publish(number: int) -> int | BaseException:
        try:
            return engine.publisher.publish_scoped(topic, None, batch_of([number] * ROWS)).value
        except OperationalError as error:
            return error

    blocker = engine.services.store.begin()
    with ThreadPoolExecutor(count) as pool:
        results = pool.map(publish, range(count))
        until(lambda: len(engine.publisher._waiting) == count - 1, "all wait")
        blocker.rollback()
        return list(results)


def logged(engine: Engine) -> list[int]:
    topic = engine.topic_repo.lookup_by_name(TOPIC)
    assert topic is not None
    return [numbers(one.batch)[0] for one in engine.subscriber.replay_only(topic, Predicate.match_all(), 0)]


def test_publishes_that_wait_share_a_commit_and_get_their_own_offsets(engine: Engine) -> None:
    commits = []
    with faults.armed("store.before_commit", lambda: commits.append(1)):
        results = publish_together(engine, 8)
    assert sorted(str(result) for result in results) == [str(offset) for offset in range(8)]
    assert [logged(engine)[offset] for offset in results if isinstance(offset, int)] == list(range(8))
    assert len(commits) == 2


def test_an_error_while_a_group_is_written_is_answered_by_publishing_each_alone(engine: Engine) -> None:
    with faults.armed("publish.after_insert", "error@2"):
        results = publish_together(engine, 6)
    assert sorted(str(result) for result in results) == [str(offset) for offset in range(6)]
    assert sorted(logged(engine)) == list(range(6))


@pytest.mark.parametrize("point", ["store.before_commit", "store.after_commit"])
def test_a_commit_that_fails_is_not_tried_again_since_it_may_be_on_disk(engine: Engine, point: str) -> None:
    with faults.armed(point, "error@2"):
        results = publish_together(engine, 6)
    failed = [result for result in results if isinstance(result, OperationalError)]
    assert len(failed) == 5
    found = logged(engine)
    assert len(found) == len(set(found)) == (1 if point == "store.before_commit" else 6)
    assert publish_together(engine, 2).count(len(found)) == 1


@pytest.mark.parametrize("point", ["publish.before_hand_over", "publish.after_hand_over"])
def test_an_error_around_the_hand_over_fails_no_publish(
    engine: Engine, point: str, caplog: pytest.LogCaptureFixture
) -> None:
    topic = engine.topic_repo.lookup_by_name(TOPIC)
    assert topic is not None
    subscription = engine.subscriber.subscribe(topic)
    with faults.armed(point, "error"):
        assert sorted(str(result) for result in publish_together(engine, 4)) == ["0", "1", "2", "3"]
    assert "was not handed over" in caplog.text
    assert offsets(receive(subscription, 4)) == [0, 1, 2, 3]


def test_an_error_before_the_commit_of_a_transaction_publishes_nothing(engine: Engine) -> None:
    topic = engine.topic_repo.lookup_by_name(TOPIC)
    assert topic is not None
    subscription = engine.subscriber.subscribe(topic)
    session = engine.session()
    session.execute("BEGIN")
    session.execute(f"INSERT INTO {TOPIC} VALUES (1, 'X', 1.0)")
    with faults.armed("store.before_commit", "error"), pytest.raises(OperationalError):
        session.execute("COMMIT")
    assert logged(engine) == []
    assert engine.publisher.publish_scoped(topic, None, batch_of([2])).value == 0
    assert ids(receive(subscription, 1)) == [2]


def test_a_publisher_interrupted_while_it_waits_neither_leads_nor_stops_the_others(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic = engine.topic_repo.lookup_by_name(TOPIC)
    assert topic is not None
    interrupted = threading.Event()
    waiting = type(_first_waiting(engine.publisher, topic.name))
    wait = waiting.wait

    def interruptible(publish: object) -> None:
        if threading.current_thread().name == "interrupted":
            interrupted.set()
            raise KeyboardInterrupt
        wait(publish)

    monkeypatch.setattr(waiting, "wait", interruptible)
    outcome: list[BaseException] = []

    def publish() -> None:
        try:
            engine.publisher.publish_scoped(topic, None, batch_of([7]))
        except KeyboardInterrupt as error:
            outcome.append(error)

    blocker = engine.services.store.begin()
    with ThreadPoolExecutor(2) as pool:
        leader = pool.submit(engine.publisher.publish_scoped, topic, None, batch_of([1]))
        until(lambda: engine.publisher._leading, "a leader")
        thread = threading.Thread(target=publish, name="interrupted")
        thread.start()
        assert interrupted.wait(LIMIT)
        thread.join()
        follower = pool.submit(engine.publisher.publish_scoped, topic, None, batch_of([2]))
        until(lambda: engine.publisher._waiting, "a follower")
        blocker.rollback()
        assert [leader.result(LIMIT).value, follower.result(LIMIT).value] == [1, 2]
    assert len(outcome) == 1
    assert logged(engine)[1:] == [1, 2]


def _first_waiting(publisher: Publisher, topic: str) -> object:
    """A publish as it waits, by publishing one."""
    seen: list[object] = []
    commit = publisher._commit
    publisher._commit = lambda group: (seen.extend(group), commit(group))[1]
    try:
        publisher.publish_scoped(definition(topic), None, batch_of([0]))
    finally:
        publisher._commit = commit
    return seen[0]


@pytest.mark.parametrize("failure", [SerializationFailure("deadlock detected"), ConnectionLost("it is gone")])
@pytest.mark.parametrize("times", [1, 3, 4])
def test_a_publish_that_others_stood_in_the_way_of_is_tried_again_and_written_once(
    tmp_path: Path, failure: Error, times: int
) -> None:
    failing = iter([failure] * times)

    def fail() -> None:
        for error in failing:
            raise error

    with Engine.open(tmp_path / "store") as engine:
        topic = engine.topic_repo.register_topic(definition())
        with faults.armed("publish.after_insert", fail):
            if times < 4:
                assert engine.publisher.publish_scoped(topic, None, batch_of([1])).value == 0
            else:
                with pytest.raises(type(failure)):
                    engine.publisher.publish_scoped(topic, None, batch_of([1]))
        replayed = engine.subscriber.replay_only(topic, Predicate.match_all(), 0)
        assert ids(replayed) == ([1] if times < 4 else [])


@pytest.mark.parametrize("place", ["store.before_commit", "store.after_commit"])
def test_a_publish_whose_commit_began_is_never_tried_again(tmp_path: Path, place: str) -> None:
    reached: list[int] = []

    def fail() -> None:
        reached.append(1)
        raise SerializationFailure("somebody stood in the way")

    with Engine.open(tmp_path / "store") as engine:
        topic = engine.topic_repo.register_topic(definition())
        with faults.armed(place, fail), pytest.raises(SerializationFailure):
            engine.publisher.publish_scoped(topic, None, batch_of([1]))
        assert reached == [1]
        replayed = engine.subscriber.replay_only(topic, Predicate.match_all(), 0)
        assert len(replayed) == (place == "store.after_commit")
