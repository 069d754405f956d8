"""Retention by age and by bytes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from jammi_sql import Engine
from jammi_sql.errors import InvalidParameter, OffsetEvicted
from jammi_sql.topics import TopicDefinition
from jammi_sql.topics.retention import Retention, RetentionKeeper

SCHEMA = pa.schema([pa.field("x", pa.int64())])


class _Clock:
    def __init__(self) -> None:
        self.us = 1_700_000_000_000_000

    def now_us(self) -> int:
        return self.us


@pytest.fixture
def clock() -> _Clock:
    return _Clock()


@pytest.fixture
def engine(tmp_path: Path, clock: _Clock) -> Iterator[Engine]:
    with Engine.open(tmp_path / "store", clock=clock) as opened:
        opened._retention.close()  # nothing is removed but when a test says so
        yield opened


def keeper(engine: Engine, clock: _Clock) -> RetentionKeeper:
    services = engine.services
    made = RetentionKeeper(services.store, services.catalog, services.log, clock, interval=3600)
    made.close()  # only enforce() is wanted, when the test says so
    made._closed.clear()
    return made


def offsets(engine: Engine, topic: TopicDefinition, start: int) -> list[int]:
    return [delivered.offset.value for delivered in engine.subscriber.replay_only(topic, None, start)]


@pytest.mark.parametrize(
    ("text", "microseconds"),
    [
        ("7 days", 7 * 86_400_000_000),
        ("1 hour 30 minutes", 5_400_000_000),
        ("7 DAY", 7 * 86_400_000_000),
        ("250 milliseconds", 250_000),
        ("90", 90_000_000),
        ("0.5 s", 500_000),
        ("Forever", None),
    ],
)
def test_an_interval_is_read(text: str, microseconds: int | None) -> None:
    assert Retention.of({"retention": text}) == Retention(microseconds, None)


@pytest.mark.parametrize(
    "options",
    [
        {"retention": "soon"},
        {"retention": "7 dayz"},
        {"retention": ""},
        {"retention": "0 s"},
        {"retention": "-1 day"},
        {"retention_bytes": "many"},
        {"retention_bytes": "0"},
        {"retention_bytes": "-5"},
    ],
)
def test_what_is_no_retention_is_refused(options: dict[str, str]) -> None:
    with pytest.raises(InvalidParameter) as raised:
        Retention.of(options)
    assert raised.value.hint


def test_old_batches_go_and_the_newest_stays(engine: Engine, clock: _Clock) -> None:
    topic = engine.topic_repo.register_topic(TopicDefinition("t", SCHEMA, broker_metadata={"retention": "10 seconds"}))
    for number in range(5):
        engine.publisher.publish_scoped(topic, None, pa.record_batch([[number]], schema=SCHEMA))
        clock.us += 4_000_000
    keeper(engine, clock).enforce()
    assert offsets(engine, topic, 3) == [3, 4]
    with pytest.raises(OffsetEvicted) as raised:
        offsets(engine, topic, 0)
    assert raised.value.oldest == 3
    clock.us += 3_600_000_000
    keeper(engine, clock).enforce()
    assert offsets(engine, topic, 4) == [4]
    assert engine.publisher.publish_scoped(topic, None, pa.record_batch([[9]], schema=SCHEMA)).value == 5


def test_a_subscription_that_reads_on_is_waited_for_and_a_stuck_one_is_not(
    engine: Engine, clock: _Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic = engine.topic_repo.register_topic(TopicDefinition("t", SCHEMA, broker_metadata={"retention": "10 seconds"}))
    for number in range(100):
        engine.publisher.publish_scoped(topic, None, pa.record_batch([[number]], schema=SCHEMA))
    clock.us += 60_000_000
    services = engine.services
    made = RetentionKeeper(
        services.store, services.catalog, services.log, clock, engine.subscriber.needed, interval=3600
    )
    made.close()
    made._closed.clear()
    with engine.subscriber.subscribe(topic, from_offset=0) as slow, engine.subscriber.subscribe(topic, None, 0) as idle:
        assert slow.next(timeout=50).offset.value == 0  # and some more is read ahead
        made.enforce()
        first = services.log.head(services.store, services.catalog.resolve(services.store, topic)).first
        assert 0 < first < 99
        assert [slow.next(timeout=50).offset.value for _ in range(99)] == list(range(1, 100))
        made.enforce()
        assert services.log.head(services.store, services.catalog.resolve(services.store, topic)).first == 99
        with pytest.raises(OffsetEvicted):
            idle.next(timeout=50)
    with engine.subscriber.subscribe(topic, from_offset=99) as stuck:
        stuck.next(timeout=50)
        for number in range(100):
            engine.publisher.publish_scoped(topic, None, pa.record_batch([[number]], schema=SCHEMA))
        clock.us += 60_000_000
        monkeypatch.setattr("jammi_sql.topics.retention._PATIENCE", -1.0)
        made.enforce()
        assert services.log.head(services.store, services.catalog.resolve(services.store, topic)).first == 199


def test_a_subscription_that_begins_while_a_removal_waits_for_the_write_lock_is_waited_for(
    engine: Engine, clock: _Clock
) -> None:
    topic = engine.topic_repo.register_topic(TopicDefinition("t", SCHEMA, broker_metadata={"retention": "10 seconds"}))
    for number in range(10):
        engine.publisher.publish_scoped(topic, None, pa.record_batch([[number]], schema=SCHEMA))
    clock.us += 60_000_000
    services = engine.services
    needed = iter([None, 3, 3])
    made = RetentionKeeper(services.store, services.catalog, services.log, clock, lambda *_: next(needed), 3600)
    made.close()
    made._closed.clear()
    made.enforce()
    assert services.log.head(services.store, services.catalog.resolve(services.store, topic)).first == 3


def test_batches_past_the_size_go_from_the_oldest_on(engine: Engine, clock: _Clock) -> None:
    batch = pa.record_batch([list(range(1000))], schema=SCHEMA)
    kept = 3 * batch.serialize().size
    topic = engine.topic_repo.register_topic(
        TopicDefinition("t", SCHEMA, broker_metadata={"retention_bytes": str(kept)})
    )
    for _ in range(10):
        engine.publisher.publish_scoped(topic, None, batch)
    keeper(engine, clock).enforce()
    assert offsets(engine, topic, 7) == [7, 8, 9]
    with pytest.raises(OffsetEvicted):
        offsets(engine, topic, 6)


def test_a_topic_without_retention_keeps_everything(engine: Engine, clock: _Clock) -> None:
    topic = engine.topic_repo.register_topic(TopicDefinition("t", SCHEMA))
    engine.publisher.publish_scoped(topic, None, pa.record_batch([[1]], schema=SCHEMA))
    clock.us += 10**15
    keeper(engine, clock).enforce()
    assert offsets(engine, topic, 0) == [0]


def test_segments_go_by_age_with_their_last_batch_and_batches_before(engine: Engine, clock: _Clock) -> None:
    topic = engine.topic_repo.register_topic(TopicDefinition("t", SCHEMA, broker_metadata={"retention": "10 seconds"}))
    session = engine.session()
    for number in range(6):
        engine.publisher.publish_scoped(topic, None, pa.record_batch([[number]], schema=SCHEMA))
        clock.us += 4_000_000
        if number == 4:
            session.execute("CALL jammi.compact('t')")
    keeper(engine, clock).enforce()
    assert offsets(engine, topic, 4) == [4, 5]
    assert session.execute("SELECT first_offset, last_offset, rows FROM jammi.system.segments").fetchall() == [
        (4, 4, 1)
    ]
    clock.us += 3_600_000_000
    keeper(engine, clock).enforce()
    assert offsets(engine, topic, 5) == [5]
    assert session.execute("SELECT * FROM jammi.system.segments").fetchall() == []
    session.execute("CALL jammi.compact('t')")
    keeper(engine, clock).enforce()
    assert session.execute("SELECT x FROM t").fetchall() == [(5,)]


def test_whole_segments_go_first_by_size(tmp_path: Path, clock: _Clock) -> None:
    with Engine.open(tmp_path / "store", clock=clock, segment_rows=2000, compaction=False) as engine:
        topic = engine.topic_repo.register_topic(TopicDefinition("t", SCHEMA))
        session = engine.session()
        for number in range(9):
            rows = list(range(number * 1000, number * 1000 + 1000))
            engine.publisher.publish_scoped(topic, None, pa.record_batch([rows], schema=SCHEMA))
            if number == 7:
                session.execute("CALL jammi.compact('t')")
        sizes = [
            size
            for (size,) in session.execute("SELECT bytes FROM jammi.system.segments ORDER BY first_offset").fetchall()
        ]
        (whole,) = session.execute("SELECT bytes FROM jammi.system.topics").fetchone()
        assert len(sizes) == 4
        hot = whole - sum(sizes)
        for limit, first in (
            (whole, 0),
            (whole - 1, 2),
            (hot + sizes[3] + sizes[2], 4),
            (hot + sizes[3] - 1, 8),
            (1, 8),
        ):
            session.execute(f"ALTER TOPIC t SET (retention_bytes = {limit})")
            keeper(engine, clock).enforce()
            assert session.execute("SELECT first_offset FROM jammi.system.topics").fetchone()[0] == first
            assert offsets(engine, topic, first) == list(range(first, 9))


def test_a_size_that_is_changed_holds_for_what_is_there(engine: Engine, clock: _Clock) -> None:
    topic = engine.topic_repo.register_topic(
        TopicDefinition("t", SCHEMA, broker_metadata={"retention_bytes": "1000000"})
    )
    for _ in range(10):
        engine.publisher.publish_scoped(topic, None, pa.record_batch([list(range(1000))], schema=SCHEMA))
    kept = keeper(engine, clock)
    kept.enforce()
    assert len(offsets(engine, topic, 0)) == 10
    engine.session().execute("ALTER TOPIC t SET (retention_bytes = 1)")
    kept.enforce()
    assert offsets(engine, topic, 9) == [9]
    with pytest.raises(OffsetEvicted):
        offsets(engine, topic, 8)


def test_a_batch_that_is_exactly_as_old_as_it_may_be_stays(engine: Engine, clock: _Clock) -> None:
    topic = engine.topic_repo.register_topic(TopicDefinition("t", SCHEMA, broker_metadata={"retention": "10 seconds"}))
    for seconds in (0, 10):
        clock.us += seconds * 1_000_000
        engine.publisher.publish_scoped(topic, None, pa.record_batch([[1]], schema=SCHEMA))
    made = keeper(engine, clock)
    made.enforce()
    assert offsets(engine, topic, 0) == [0, 1]
    clock.us += 1
    made.enforce()
    assert offsets(engine, topic, 1) == [1]
    with pytest.raises(OffsetEvicted):
        offsets(engine, topic, 0)


def test_what_was_kept_for_a_reader_goes_once_it_read_on_though_nothing_new_came(engine: Engine, clock: _Clock) -> None:
    batch = pa.record_batch([list(range(1000))], schema=SCHEMA)
    options = {"retention_bytes": str(3 * batch.serialize().size)}
    topic = engine.topic_repo.register_topic(TopicDefinition("t", SCHEMA, broker_metadata=options))
    for _ in range(10):
        engine.publisher.publish_scoped(topic, None, batch)
    services = engine.services
    made = keeper(engine, clock)
    for needed, first in ((2, 2), (None, 7)):
        made._needed = lambda topic, within, needed=needed: needed
        made.enforce()
        assert services.log.head(services.store, services.catalog.resolve(services.store, topic)).first == first


@pytest.mark.parametrize(("compacted", "steps"), [(False, [3, 6, 9]), (True, [9])])
def test_batches_go_in_steps_and_whole_segments_at_once(
    engine: Engine, clock: _Clock, monkeypatch: pytest.MonkeyPatch, compacted: bool, steps: list[int]
) -> None:
    monkeypatch.setattr("jammi_sql.topics.retention._STEP", 3)
    topic = engine.topic_repo.register_topic(TopicDefinition("t", SCHEMA, broker_metadata={"retention": "10 seconds"}))
    for _ in range(10):
        engine.publisher.publish_scoped(topic, None, pa.record_batch([[1]], schema=SCHEMA))
    if compacted:
        engine.session().execute("CALL jammi.compact('t')")
    clock.us += 60_000_000
    truncate, found = engine.services.log.truncate, []

    def counted(transaction: Any, topic: Any, before: int, now_us: int) -> int:
        found.append(before)
        return truncate(transaction, topic, before, now_us)

    monkeypatch.setattr(engine.services.log, "truncate", counted)
    keeper(engine, clock).enforce()
    assert found == steps


def test_nothing_is_kept_of_a_topic_that_is_gone(engine: Engine, clock: _Clock) -> None:
    options = {"retention_bytes": "1000000"}
    topic = engine.topic_repo.register_topic(TopicDefinition("t", SCHEMA, broker_metadata=options))
    engine.publisher.publish_scoped(topic, None, pa.record_batch([[1]], schema=SCHEMA))
    made = keeper(engine, clock)
    made.enforce()
    assert len(made._measured) == 1
    engine.session().execute("DROP TOPIC t")
    made.enforce()
    assert made._measured == {}
