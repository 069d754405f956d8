"""Engines whose logs are compacted when a test says so, and what is in them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jammi_sql import Engine
from jammi_sql.errors import Error
from jammi_sql.tenancy import TenantId
from jammi_sql.topics import Predicate, TopicDefinition
from jammi_sql.topics.catalog import CatalogTopic
from tests.topic_support import TENANT_A, TENANT_B, batch_of, definition, offsets, receive

TOPIC = "events.changes"


class Clock:
    """Goes on by a millisecond each time that it is asked."""

    def __init__(self) -> None:
        self.us = 1_700_000_000_000_000

    def now_us(self) -> int:
        self.us += 1000
        return self.us


def open_engine(folder: Path, **options: Any) -> Engine:
    return Engine.open(folder, compaction=False, **options)


def topic_of(engine: Engine, name: str = TOPIC) -> TopicDefinition:
    found = engine.topic_repo.lookup_by_name(name)
    return found or engine.topic_repo.register_topic(definition(name))


def kept(engine: Engine, name: str = "changes") -> CatalogTopic:
    """The topic as the catalogue has it now."""
    found = engine.services.catalog.lookup(engine.services.store, None, "events", name)
    assert found is not None
    return found


def publish(engine: Engine, count: int, rows: int = 2, tenant: TenantId | None = None, kind: str = "X") -> None:
    topic = topic_of(engine)
    for _ in range(count):
        number = kept(engine).next_offset * 10
        engine.publisher.publish_scoped(topic, tenant, batch_of(range(number, number + rows), kind))


def compact(engine: Engine, name: str = TOPIC) -> list[Any]:
    return engine.session().execute("CALL jammi.compact(?)", [name]).fetchall()


def segments(engine: Engine, tenant: TenantId | None = None) -> list[tuple[int, int, int]]:
    found = engine.session(tenant).execute(
        "SELECT first_offset, last_offset, rows FROM jammi.system.segments ORDER BY topic, first_offset"
    )
    return [tuple(row) for row in found.fetchall()]


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*.parquet"))


def replayed(engine: Engine, tenant: TenantId | None, start: int = 0, condition: str = "") -> list[Any]:
    topic = topic_of(engine)
    predicate = Predicate.from_sql(topic.schema, condition) if condition else Predicate.match_all()
    found = engine.subscriber.replay_only_scoped(topic, tenant, predicate, start)
    return [(one.offset.value, one.produced_at, one.tenant, one.batch.to_pylist()) for one in found]


STATEMENTS = [
    f"SELECT * FROM {TOPIC} ORDER BY _offset, _row_idx",
    f"SELECT count(*) FROM {TOPIC}",
    f"SELECT count(*), sum(id), min(_offset), max(_offset), max(_row_idx) FROM {TOPIC}",
    f"SELECT _offset, _row_idx, _produced_at, _tenant_id FROM {TOPIC} WHERE _offset BETWEEN 3 AND 9 ORDER BY 1, 2",
    f"SELECT id FROM {TOPIC} WHERE _tenant_id IS NULL ORDER BY id",
    f"SELECT id FROM {TOPIC} WHERE _tenant_id IS NOT NULL AND kind = 'A' ORDER BY id",
    f"SELECT _tenant_id, kind, count(*) FROM {TOPIC} GROUP BY 1, 2 ORDER BY 1, 2",
    f"SELECT id FROM {TOPIC} WHERE value > 45 AND id % 2 = 0 ORDER BY id",
    f"SELECT id FROM {TOPIC} WHERE _produced_at > (SELECT min(_produced_at) FROM {TOPIC}) ORDER BY id",
    f"SELECT id, _offset FROM subscribe('{TOPIC}', until => 'latest')",
    f"SELECT id FROM subscribe('{TOPIC}', from => 4, until => 8) WHERE id > 40",
    *(
        f"SELECT id FROM subscribe('{TOPIC}', from => TIMESTAMP '2023-11-14 22:13:20.{millis:03d}', until => 'latest')"
        for millis in (0, 3, 7, 11, 15, 40)
    ),
    "SELECT name, first_offset, next_offset, rows FROM jammi.system.topics ORDER BY 1",
    "SELECT id FROM seen ORDER BY id",
]


def everything(engine: Engine, tenant: TenantId | None, first: int = 0) -> dict[str, Any]:
    """All that a session sees, in every way."""
    found: dict[str, Any] = {}
    for pushdown in ("on", "off"):
        session = engine.session(tenant)
        session.execute(f"SET jammi.pushdown = {pushdown}")
        session.execute(f"CREATE VIEW seen AS SELECT id, _offset FROM {TOPIC} WHERE kind <> 'Y'")
        for statement in STATEMENTS:
            try:
                found[f"{pushdown} {statement}"] = [tuple(row) for row in session.execute(statement).fetchall()]
            except Error as error:
                found[f"{pushdown} {statement}"] = (type(error), str(error))
    found["replay"] = replayed(engine, tenant, first)
    for condition in ("value > 30", "kind = 'A'", "id % 2 = 0"):
        found[condition] = replayed(engine, tenant, first, condition)
    subscription = engine.subscriber.subscribe_scoped(topic_of(engine), tenant, Predicate.match_all(), first)
    found["live"] = offsets(receive(subscription, len(found["replay"])))
    subscription.close()
    return found


def fill(engine: Engine) -> None:
    for rows, tenant, kind in [
        (1, None, "X"),
        (3, TENANT_A, "A"),
        (2, TENANT_B, "B"),
        (300, None, "Y"),
        (1, TENANT_A, "A"),
    ] * 3:
        publish(engine, 1, rows, tenant, kind)


VIEWERS = [None, TENANT_A, TENANT_B]
