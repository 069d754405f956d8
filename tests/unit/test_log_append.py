"""Appending to a log that others append to as well, which each supposes to end where it left it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from jammi_sql import Engine
from jammi_sql.adbc.queries import load_queries
from jammi_sql.topics.appending import Append
from jammi_sql.topics.catalog import CatalogTopic
from jammi_sql.topics.log import Log
from jammi_sql.topics.segments.catalog import SegmentCatalog
from jammi_sql.topics.segments.reader import SegmentReader
from jammi_sql.topics.segments.storage import SegmentStorage
from tests.topic_support import batch_of, definition


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with Engine.open(tmp_path) as opened:
        yield opened


@pytest.fixture
def topic(engine: Engine) -> CatalogTopic:
    return engine.services.catalog.resolve(engine.services.store, engine.topic_repo.register_topic(definition()))


@pytest.fixture
def logs(tmp_path: Path) -> tuple[Log, Log]:
    """As of two processes."""
    segments = SegmentCatalog(load_queries("segments", "sqlite"))
    files = SegmentReader(segments, SegmentStorage.folder(tmp_path / "segments"))
    queries = load_queries("topics", "sqlite")
    return Log(queries, segments, files), Log(queries, segments, files)


def append(engine: Engine, log: Log, topic: CatalogTopic, count: int, now_us: int) -> list[tuple[int, int]] | None:
    """Offsets and times of ``count`` batches that are committed together, ``None`` where they are not."""
    one = Append(topic, "", 1, b"", topic.codec.encode(batch_of([1])))
    with engine.services.store.begin() as transaction:
        places = log.append(transaction, [one] * count, now_us)
        if places is None:
            transaction.rollback()
        return places


def stored(engine: Engine, topic: CatalogTopic) -> int:
    return engine.services.log.head(engine.services.store, topic).next


def test_a_group_continues_its_own(engine: Engine, topic: CatalogTopic, logs: tuple[Log, Log]) -> None:
    assert append(engine, logs[0], topic, 2, 10) == [(0, 10), (1, 10)]
    assert append(engine, logs[0], topic, 2, 5) == [(2, 10), (3, 10)]  # time does not fall
    assert append(engine, logs[0], topic, 1, 20) == [(4, 20)]


@pytest.mark.parametrize("others", [1, 2, 3, 4])
def test_somebody_else_appended_meanwhile(
    engine: Engine, topic: CatalogTopic, logs: tuple[Log, Log], others: int
) -> None:
    append(engine, logs[0], topic, 3, 10)
    append(engine, logs[1], topic, others, 11)
    end = 3 + others
    assert append(engine, logs[0], topic, 3, 12) == [(end, 12), (end + 1, 12), (end + 2, 12)]
    assert stored(engine, topic) == end + 3


@pytest.mark.parametrize("others", [1, 2, 3, 4])
def test_somebody_else_appended_within_the_same_microsecond(
    engine: Engine, topic: CatalogTopic, logs: tuple[Log, Log], others: int
) -> None:
    """Then the second batch of a group may fit where the first one does not."""
    append(engine, logs[0], topic, 3, 10)
    append(engine, logs[1], topic, others, 10)
    end = 3 + others
    places = append(engine, logs[0], topic, 3, 10)
    assert places in (None, [(end, 10), (end + 1, 10), (end + 2, 10)])
    assert stored(engine, topic) == end + (3 if places else 0)
    # To each its own answer: alone it asks, whatever it supposed.
    end = stored(engine, topic)
    assert append(engine, logs[0], topic, 1, 10) == [(end, 10)]


def test_what_was_rolled_back_is_not_supposed(engine: Engine, topic: CatalogTopic, logs: tuple[Log, Log]) -> None:
    append(engine, logs[0], topic, 2, 10)
    one = Append(topic, "", 1, b"", topic.codec.encode(batch_of([1])))
    transaction = engine.services.store.begin()
    logs[0].append(transaction, [one, one], 11)
    transaction.rollback()
    assert append(engine, logs[0], topic, 2, 12) == [(2, 12), (3, 12)]


def test_a_topic_whose_batches_were_removed_goes_on(engine: Engine, topic: CatalogTopic, logs: tuple[Log, Log]) -> None:
    append(engine, logs[0], topic, 3, 10)
    with engine.services.store.begin() as transaction:
        engine.services.log.truncate(transaction, topic, 3, 0)
    assert append(engine, logs[0], topic, 2, 5) == [(3, 10), (4, 10)]
    assert append(engine, logs[1], topic, 2, 5) == [(5, 10), (6, 10)]
    assert len(engine.services.log.read(engine.services.store, topic, None, 3, 7).entries) == 4
