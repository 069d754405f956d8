"""The watch over the log: who is told what, and when it asks the store."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from jammi_sql import Engine
from jammi_sql.errors import StoreIOError
from jammi_sql.stores import SqliteStore
from jammi_sql.topics import BrokerSubscription, Predicate, TopicDefinition
from jammi_sql.topics.log import Log
from jammi_sql.topics.watch import HeadWatch
from tests.topic_support import LIMIT, batch_of, definition, until

NEVER = 3600.0


class FailingStore(SqliteStore):
    """Counts the questions whether anybody committed, and fails as often as it is told to."""

    questions = 0
    failures = 0

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
    return subscription.take(LIMIT, known)[1]


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
    subscription._notice = 0
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
