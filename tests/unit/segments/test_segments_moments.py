"""What is asked of a log in several questions is right whatever moves between two of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from jammi_sql import Engine
from jammi_sql.arrow.ranges import MINIMUM_ROWS
from jammi_sql.errors import OffsetEvicted
from jammi_sql.ports import NamedQuery
from jammi_sql.topics import Predicate, TopicDefinition
from jammi_sql.topics.catalog import CatalogTopic
from jammi_sql.topics.retention import RetentionKeeper

SCHEMA = pa.schema([("x", pa.int64())])
QUESTIONS = 6


class _Clock:
    def __init__(self) -> None:
        self.us = 1_700_000_000_000_000

    def now_us(self) -> int:
        self.us += 1_000_000
        return self.us


class _Interrupted:
    """A store of which something happens after one of the questions that it answers."""

    def __init__(self, store: Any, place: int, happen: Callable[[], object]) -> None:
        self._store = store
        self._left = place
        self._happen = happen

    def query(self, query: NamedQuery, *parameters: Any) -> pa.Table:
        found: pa.Table = self._store.query(query, *parameters)
        self._left -= 1
        if not self._left:
            self._happen()
        return found

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


@pytest.fixture
def clock() -> _Clock:
    return _Clock()


@pytest.fixture
def engine(tmp_path: Path, clock: _Clock) -> Iterator[Engine]:
    with Engine.open(tmp_path / "store", compaction=False, clock=clock) as opened:
        yield opened


def publish(engine: Engine, topic: TopicDefinition, numbers: range, rows: int = 1) -> None:
    for number in numbers:
        engine.publisher.publish_scoped(topic, None, pa.record_batch([[number] * rows], schema=SCHEMA))


def kept(engine: Engine, topic: TopicDefinition) -> CatalogTopic:
    return engine.services.catalog.resolve(engine.services.store, topic)


def compact(engine: Engine) -> None:
    engine.session().execute("CALL jammi.compact('t')")


@pytest.mark.parametrize("place", range(1, QUESTIONS))
@pytest.mark.parametrize("in_segments", [0, 10])
def test_the_offset_of_a_time_is_that_of_the_whole_log(
    engine: Engine, clock: _Clock, in_segments: int, place: int
) -> None:
    topic = engine.topic_repo.register_topic(TopicDefinition("t", SCHEMA))
    began = clock.us
    publish(engine, topic, range(in_segments))
    if in_segments:
        compact(engine)
    publish(engine, topic, range(20))  # so many that the segment is joined to them
    log = engine.services.log
    for moment in (began, began + 1):
        engine.services.segments.files._lists._values.clear()
        reader = _Interrupted(engine.services.store, place, lambda: compact(engine))
        assert log.offset_since(reader, kept(engine, topic), moment) == 0


@pytest.mark.parametrize("place", range(1, QUESTIONS))
def test_retention_removes_nothing_that_a_compaction_moves_meanwhile(engine: Engine, clock: _Clock, place: int) -> None:
    topic = engine.topic_repo.register_topic(TopicDefinition("t", SCHEMA, broker_metadata={"retention": "7 days"}))
    publish(engine, topic, range(20))
    services = engine.services
    store: Any = _Interrupted(services.store, place, lambda: compact(engine))
    keeper = RetentionKeeper(store, services.catalog, services.log, clock, interval=3600)
    keeper.close()
    keeper._closed.clear()
    keeper.enforce()
    assert kept(engine, topic).first_offset == 0
    assert engine.session().execute("SELECT count(*) FROM t").fetchall() == [(20,)]


def test_what_was_moved_is_read_although_all_that_is_left_is_ruled_out(engine: Engine) -> None:
    topic = engine.topic_repo.register_topic(TopicDefinition("t", SCHEMA))
    rows = MINIMUM_ROWS  # with ranges
    publish(engine, topic, range(4), rows)
    before = kept(engine, topic)
    compact(engine)
    publish(engine, topic, range(4, 8), rows)
    services = engine.services

    def read() -> list[int]:
        services.log._hot._values.clear()  # as in a process that knows of no compaction
        node = Predicate.from_sql(SCHEMA, "x < 3").pruning_node
        return [one.offset for one in services.log.read(services.store, before, None, 0, 8, node=node).entries]

    assert read() == [0, 1, 2, 3]
    engine.session().execute("TRUNCATE TOPIC t BEFORE 5")
    with pytest.raises(OffsetEvicted):
        read()
