"""How a log in PostgreSQL is read: a statement for each piece, which is as large as it may be."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from jammi_sql import Engine
from jammi_sql.stores.postgres_connection import PostgresConnection
from jammi_sql.tenancy import TenantId
from jammi_sql.topics.catalog import CatalogTopic
from jammi_sql.topics.entries import Chunk
from jammi_sql.topics.log import EVERYBODY
from tests.servers.postgres import PostgresServer
from tests.topic_support import batch_of, definition, numbers

TENANT = "7f1e6c7e-3a53-4c55-8d1a-0a2f3c1d9b11"
OTHER = "1b671a64-40d5-491e-99b0-da01ff1f3341"
ROWS = [1, 1, 40, 1, 1, 1, 90, 1]


@pytest.fixture
def engine(postgres: PostgresServer) -> Iterator[Engine]:
    with Engine.open(f"{postgres.url()}?schema=reading") as opened:
        yield opened


@pytest.fixture
def topic(engine: Engine) -> Iterator[CatalogTopic]:
    """Batches of several sizes."""
    made = definition()
    engine.topic_repo.register_topic(made)
    for rows in ROWS:
        engine.publisher.publish_scoped(made, None, batch_of(list(range(rows))))
    yield engine.services.catalog.resolve(engine.services.store, made)
    engine.session().execute("DROP TOPIC events.changes")


def chunks(engine: Engine, topic: CatalogTopic, tenant: Any, **limits: int) -> list[Chunk]:
    found, start = [], 0
    while start < topic.next_offset:
        found.append(engine.services.log.read(engine.services.store, topic, tenant, start, topic.next_offset, **limits))
        assert found[-1].end > start
        start = found[-1].end
    return found


def offsets(found: list[Chunk]) -> list[list[int]]:
    return [[entry.offset for entry in chunk.entries] for chunk in found]


def sizes(topic: CatalogTopic) -> list[int]:
    return [topic.codec.encode(batch_of(list(range(rows)))).size for rows in ROWS]


def test_a_piece_has_as_many_batches_as_fit_into_its_bytes_and_one_at_least(
    engine: Engine, topic: CatalogTopic
) -> None:
    size = sizes(topic)
    assert offsets(chunks(engine, topic, EVERYBODY)) == [list(range(8))]
    assert offsets(chunks(engine, topic, EVERYBODY, byte_limit=1)) == [[number] for number in range(8)]
    assert offsets(chunks(engine, topic, EVERYBODY, byte_limit=size[0] * 2)) == [[0, 1], [2], [3, 4], [5], [6], [7]]
    assert offsets(chunks(engine, topic, EVERYBODY, byte_limit=size[0] * 2 - 1)) == [[number] for number in range(8)]
    assert offsets(chunks(engine, topic, EVERYBODY, byte_limit=sum(size[:3])))[0] == [0, 1, 2]
    assert offsets(chunks(engine, topic, EVERYBODY, byte_limit=sum(size[:3]) - 1))[0] == [0, 1]


def test_a_piece_has_as_many_batches_as_are_asked_for(engine: Engine, topic: CatalogTopic) -> None:
    assert offsets(chunks(engine, topic, EVERYBODY, limit=3)) == [[0, 1, 2], [3, 4, 5], [6, 7]]
    found = chunks(engine, topic, EVERYBODY, limit=3)
    assert [len(numbers(entry.batch)) for chunk in found for entry in chunk.entries] == ROWS


def test_what_others_published_is_passed_over(engine: Engine, topic: CatalogTopic) -> None:
    engine.publisher.publish_scoped(topic.definition, TENANT, batch_of([1]))
    engine.publisher.publish_scoped(topic.definition, OTHER, batch_of([1]))
    engine.publisher.publish_scoped(topic.definition, TENANT, batch_of([1]))
    engine.publisher.publish_scoped(topic.definition, OTHER, batch_of([1]))
    now = engine.services.catalog.resolve(engine.services.store, topic.definition)
    cases: list[dict[str, int]] = [{}, {"limit": 2}, {"byte_limit": 1}]
    for limits in cases:
        found = chunks(engine, now, TenantId(TENANT), **limits)
        assert [offset for chunk in offsets(found) for offset in chunk] == [*range(8), 8, 10]
        assert found[-1].end == 12


def test_a_piece_is_one_statement(engine: Engine, topic: CatalogTopic, monkeypatch: pytest.MonkeyPatch) -> None:
    run: list[str] = []
    query = PostgresConnection.query

    def counted(self: PostgresConnection, named: Any, *given: Any) -> Any:
        if named.name not in ("topics_with_retention", "notify", "commit_mark"):  # of the background
            run.append(named.name)
        return query(self, named, *given)

    monkeypatch.setattr(PostgresConnection, "query", counted)
    chunks(engine, topic, EVERYBODY, limit=4)
    assert run == ["batches_within"] * 2
