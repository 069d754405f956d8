"""The watch over the log: who is told what, and when it asks the store."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from jammi_sql import Engine
from jammi_sql.errors import StoreIOError
from jammi_sql.stores import SqliteStore
from jammi_sql.stores.commit_watch import CommitWatch
from jammi_sql.stores.file_events import NoFileEvents, file_events
from jammi_sql.topics import BrokerSubscription, Predicate, TopicDefinition
from jammi_sql.topics.log import Log
from jammi_sql.topics.watch import HeadWatch
from tests.topic_support import LIMIT, batch_of, definition, until

NEVER = 3600.0


class FailingStore(SqliteStore):
    """Counts the questions whether anybody committed, and fails as often as it is told to.

    Nothing tells it of commits but questions, unless it ``hears``: then nothing but events does.
    """

    questions = 0
    failures = 0
    hears = False

    def watch(self, interval: float) -> CommitWatch:
        """As a store's."""
        if not self.hears:
            return CommitWatch(self.changes, NoFileEvents(), interval)
        events = file_events(Path(f"{self.location}/jammi.db-wal"))
        return CommitWatch(self.changes, events, interval, heartbeat=NEVER)

    def changes(self) -> int:
        """As a store's."""
        self.questions += 1
        if self.failures:
            self.failures -= 1
            raise StoreIOError("the disk is gone")
        return super().changes()


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with Engine.open(tmp_path / "store", broker="memory") as engine:
        yield engine


@pytest.fixture
def store(engine: Engine) -> Iterator[FailingStore]:
    with FailingStore.open(engine.services.store.location) as store:
        yield store


@pytest.fixture
def topic(engine: Engine) -> TopicDefinition:
    return engine.topic_repo.register_topic(definition())


def watched(engine: Engine, topic: TopicDefinition) -> tuple[int, BrokerSubscription]:
    """The topic's number, and a subscription of no broker."""
    number = engine.services.catalog.resolve(engine.services.store, topic).number
    return number, BrokerSubscription(topic.id, Predicate.match_all(), None, capacity=1)


def watch_over(engine: Engine, store: FailingStore, interval: float) -> HeadWatch:
    return HeadWatch(store, engine.services.log, interval)


def head_of(subscription: BrokerSubscription, known: int) -> int:
    subscription.wait(LIMIT, known)
    return subscription.head


def test_a_subscription_is_told_of_each_commit_of_somebody_else(
    engine: Engine, store: FailingStore, topic: TopicDefinition
) -> None:
    watch = watch_over(engine, store, 0.001)
    number, subscription = watched(engine, topic)
    watch.add(number, subscription)
    for count in range(1, 4):
        engine.publisher.publish_scoped(topic, None, batch_of([count]))
        assert head_of(subscription, count - 1) == count
    watch.close()


def test_adding_and_nudging_look_at_once_without_waiting_for_the_interval(
    engine: Engine, store: FailingStore, topic: TopicDefinition
) -> None:
    watch = watch_over(engine, store, NEVER)
    number, subscription = watched(engine, topic)
    engine.publisher.publish_scoped(topic, None, batch_of([0]))
    watch.add(number, subscription)
    assert head_of(subscription, 0) == 1
    engine.publisher.publish_scoped(topic, None, batch_of([1]))
    watch.nudge()
    assert head_of(subscription, 1) == 2
    watch.close()


def test_without_subscriptions_there_is_no_thread_and_afterwards_it_sleeps(
    engine: Engine, store: FailingStore, topic: TopicDefinition
) -> None:
    watch = watch_over(engine, store, 0.001)
    watch.nudge()
    assert watch._thread is None
    number, subscription = watched(engine, topic)
    watch.add(number, subscription)
    until(lambda: store.questions > 3, "it asks")
    subscription.close()
    until(lambda: not watch._watched, "it forgets the closed one")
    before = store.questions
    engine.publisher.publish_scoped(topic, None, batch_of([1]))
    threading.Event().wait(0.02)
    assert store.questions <= before + 1
    watch.close()


def test_the_heads_are_read_only_when_somebody_committed(
    engine: Engine, store: FailingStore, topic: TopicDefinition, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[object] = []
    heads = Log.heads
    monkeypatch.setattr(Log, "heads", lambda log, *arguments: (reads.append(1), heads(log, *arguments))[1])
    watch = watch_over(engine, store, 0.001)
    number, subscription = watched(engine, topic)
    watch.add(number, subscription)
    until(lambda: store.questions > 20, "it asks often")
    assert len(reads) <= 2
    watch.close()


def test_a_failing_store_is_logged_once_and_asked_again(
    engine: Engine, store: FailingStore, topic: TopicDefinition, caplog: pytest.LogCaptureFixture
) -> None:
    store.failures = 5
    watch = watch_over(engine, store, 0.001)
    number, subscription = watched(engine, topic)
    engine.publisher.publish_scoped(topic, None, batch_of([0]))
    watch.add(number, subscription)
    assert head_of(subscription, 0) == 1
    watch.close()
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "the disk is gone" in caplog.text


def test_what_could_not_be_told_because_a_read_failed_is_told_later(
    engine: Engine, store: FailingStore, topic: TopicDefinition, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures = [StoreIOError("the disk is gone")]
    heads = Log.heads

    def failing(log: Log, *arguments: object) -> object:
        if failures and threading.current_thread().name == "jammi-head-watch":
            raise failures.pop()
        return heads(log, *arguments)

    watch = watch_over(engine, store, 0.001)
    number, subscription = watched(engine, topic)
    watch.add(number, subscription)
    until(lambda: store.questions > 3, "it asks")
    engine.publisher.publish_scoped(topic, None, batch_of([0]))
    assert head_of(subscription, 0) == 1
    # The last hand-over was lost: it is nudged, without a commit after it, and just then the store fails.
    subscription.tail.head = 0
    monkeypatch.setattr(Log, "heads", failing)
    watch.nudge()
    assert head_of(subscription, 0) == 1
    assert failures == []
    watch.close()


def test_a_closed_watch_has_no_thread_and_may_be_closed_again(
    engine: Engine, store: FailingStore, topic: TopicDefinition
) -> None:
    watch = watch_over(engine, store, NEVER)
    number, subscription = watched(engine, topic)
    watch.add(number, subscription)
    thread = watch._thread
    assert thread is not None
    watch.close()
    watch.close()
    assert not thread.is_alive()
    watch.add(number, subscription)
    assert watch._thread is thread


# --- events ---

linux = pytest.mark.skipif(sys.platform != "linux", reason="inotify is Linux's")

PUBLISHER = """
import sys
from jammi_sql import Engine
from tests.topic_support import batch_of
with Engine.open(sys.argv[1], broker="memory") as engine:
    topic = engine.topic_repo.list_topics()[0]
    print("open", flush=True)
    for line in sys.stdin:
        engine.publisher.publish_scoped(topic, None, batch_of([int(line)]))
"""


@linux
def test_events_alone_tell_of_the_commits_of_another_process(
    engine: Engine, store: FailingStore, topic: TopicDefinition
) -> None:
    store.hears = True
    watch = watch_over(engine, store, 0.01)
    number, subscription = watched(engine, topic)
    watch.add(number, subscription)
    command = [sys.executable, "-c", PUBLISHER, store.location]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as publisher:
        assert publisher.stdin is not None and publisher.stdout is not None
        assert publisher.stdout.readline() == "open\n"  # to open the store writes beside it
        for count in range(1, 4):
            until(lambda: asleep(watch), "it has done looking around")
            questions = store.questions
            threading.Event().wait(0.05)
            assert store.questions == questions
            publisher.stdin.write(f"{count}\n")
            publisher.stdin.flush()
            assert head_of(subscription, count - 1) == count
        publisher.stdin.close()
    watch.close()


def asleep(watch: HeadWatch) -> bool:
    commits = watch._commits
    return isinstance(commits, CommitWatch) and commits._due - commits._clock() > NEVER / 2


@linux
def test_the_store_hears_events_and_lets_go_of_them_with_the_last_subscription_and_when_closed(engine: Engine) -> None:
    topic = engine.topic_repo.register_topic(definition("another"))
    watch = engine.services.watch
    for _ in range(2):
        subscription = engine.subscriber.subscribe(topic)
        until(lambda: watch._commits is not None, "it watches")
        assert inotify_handles() == 1
        subscription.close()
        until(lambda: inotify_handles() == 0, "it lets go")
    subscription = engine.subscriber.subscribe(topic)
    until(lambda: inotify_handles() == 1, "it watches again")
    engine.close()
    assert inotify_handles() == 0
    assert "jammi-head-watch" not in [thread.name for thread in threading.enumerate()]


def inotify_handles() -> int:
    folder = Path("/proc/self/fd")
    return sum("inotify" in os.readlink(folder / name) for name in os.listdir(folder) if (folder / name).is_symlink())


@linux
def test_engines_of_one_process_hear_each_for_itself(engine: Engine, topic: TopicDefinition) -> None:
    with Engine.open(engine.services.store.location) as second, Engine.open(engine.services.store.location) as third:
        readers = [each.subscriber.subscribe(topic) for each in (second, third)]
        until(lambda: inotify_handles() == 2, "both watch")
        engine.publisher.publish_scoped(topic, None, batch_of([1]))
        assert [reader.next(timeout=LIMIT).offset.value for reader in readers] == [0, 0]


@linux
def test_a_store_whose_events_were_missed_is_polled_by_the_next_watch_as_well(store: FailingStore) -> None:
    store._events_trust.misses = 3
    watch = SqliteStore.watch(store, 0.01)
    assert isinstance(watch._events, NoFileEvents)
    watch.close()


@linux
def test_a_store_behind_a_link_is_heard_where_it_really_is(
    engine: Engine, topic: TopicDefinition, tmp_path: Path
) -> None:
    linked = tmp_path / "linked"
    linked.mkdir()
    (linked / "jammi.db").symlink_to(Path(engine.services.store.location) / "jammi.db")
    with SqliteStore.open(linked, read_only=True) as store:
        watch = store.watch(0.01)
        watch.wait(0)
        engine.publisher.publish_scoped(topic, None, batch_of([1]))
        assert watch._events.wait(LIMIT)
        watch.close()
