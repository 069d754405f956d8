"""Topics against a plain Python list: what each subscriber gets is what the list says, once each and in order."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from jammi_sql import Engine
from jammi_sql.brokers import InMemoryBroker, PollingBroker
from jammi_sql.errors import OffsetEvicted, PublishTenantMismatch, TopicNotFound
from jammi_sql.tenancy import TenantId
from jammi_sql.topics import Predicate, Subscription, TopicDefinition
from tests.topic_support import LIMIT, SCHEMA, TENANT_A, TENANT_B, definition

THOROUGH = settings.get_current_profile_name() == "thorough"

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Written:
    """One batch as the list has it."""

    tenant: TenantId | None
    rows: list[Row]


@dataclass
class Topic:
    """A topic as a list: an offset is an index."""

    definition: TopicDefinition
    columns: list[str]
    batches: list[Written] = field(default_factory=list)
    first: int = 0


@dataclass
class Reader:
    """A subscriber, and what it is to get."""

    engine: int
    topic: str
    tenant: TenantId | None
    condition: str
    columns: list[str]
    subscription: Subscription
    position: int
    started: int


CONDITIONS: dict[str, Callable[[Row], bool]] = {
    "": lambda row: True,
    "kind = 'X'": lambda row: row["kind"] == "X",
    "value > 2": lambda row: row["value"] is not None and row["value"] > 2,
    "value IS NULL": lambda row: row["value"] is None,
    "NOT (value > 1)": lambda row: row["value"] is not None and not row["value"] > 1,
    "kind IN ('X', 'Z') AND id < 40": lambda row: row["kind"] in "XZ" and row["id"] < 40,
    # Not pushed down: DataFusion evaluates these.
    "id % 2 = 0": lambda row: row["id"] % 2 == 0,
    "upper(kind) LIKE '%Y' OR value IS NULL": lambda row: row["kind"] == "Y" or row["value"] is None,
}

TOPICS = ("shared", "events.more", "pinned")
TENANTS = st.sampled_from([None, None, TENANT_A, TENANT_B])
NAMES = st.sampled_from(TOPICS)
ENGINES = st.integers(0, 1)
ROW_COUNTS = st.sampled_from([1, 2, 3, 300])  # the log keeps column ranges of large batches alone


class TopicsAgainstLists(RuleBasedStateMachine):
    """Two engines on one store, as two processes would be, with brokers that fail and queues that overflow."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.mkdtemp(prefix="jammi-stateful-")
        self.engines: list[Engine] = []
        self.topics: dict[str, Topic] = {}
        self.readers: list[Reader] = []
        self.count = 0

    @initialize(capacity=st.sampled_from([1, 2, 5, 1024]))
    def begin(self, capacity: int) -> None:
        self.capacity = capacity
        self.engines = [self.open_engine(), self.open_engine()]
        for name in TOPICS:
            made = self.engines[0].topic_repo.register_topic(definition(name, TENANT_A if name == "pinned" else None))
            self.topics[name] = Topic(made, SCHEMA.names)
            for number, condition in enumerate(("", "id % 2 = 0")):
                self.subscribe_at(number, name, TENANT_A, condition, 0)

    def open_engine(self) -> Engine:
        # The polling kind finds the commits of the other engine within 10 ms.
        return Engine.open(self.folder, broker=PollingBroker(self.capacity))

    def rows(self, count: int) -> list[Row]:
        made = []
        for _ in range(count):
            number = self.count
            self.count += 1
            made.append(
                {
                    "id": number,
                    "kind": "XYZ"[number % 3],
                    "value": None if number % 5 == 0 else float(number % 4),
                    "extra": None if number % 2 else number * 10,
                }
            )
        return made

    def batch(self, rows: list[Row], schema: pa.Schema) -> pa.RecordBatch:
        return pa.RecordBatch.from_pylist([{name: row[name] for name in schema.names} for row in rows], schema=schema)

    @staticmethod
    def stored(rows: list[Row], written_with: list[str]) -> list[Row]:
        """What the log then has: a column that the batch did not have is NULL."""
        return [{**row, **{name: None for name in ("extra",) if name not in written_with}} for row in rows]

    def owner(self, name: str, tenant: TenantId | None) -> TenantId | None:
        return TENANT_A if name == "pinned" else tenant

    # --- writing ---

    @rule(engine=ENGINES, name=NAMES, tenant=TENANTS, count=ROW_COUNTS, times=st.integers(1, 4))
    def publish(self, engine: int, name: str, tenant: TenantId | None, count: int, times: int) -> None:
        for _ in range(times):
            self.publish_one(engine, name, tenant, count)

    def publish_one(self, engine: int, name: str, tenant: TenantId | None = None, count: int = 2) -> None:
        topic = self.topics[name]
        tenant = self.owner(name, tenant)
        rows = self.rows(count)
        offset = self.engines[engine].publisher.publish_scoped(
            topic.definition, tenant, self.batch(rows, topic.definition.schema)
        )
        assert offset.value == len(topic.batches)
        topic.batches.append(Written(tenant, self.stored(rows, topic.definition.schema.names)))

    @rule(engine=ENGINES, tenant=TENANTS, threads=st.integers(2, 8))
    def publish_from_threads(self, engine: int, tenant: TenantId | None, threads: int) -> None:
        publisher = self.engines[engine].publisher
        names = ["shared" if number % 3 else "events.more" for number in range(threads)]
        made = [self.rows(2) for _ in names]

        def publish(number: int) -> int:
            topic = self.topics[names[number]].definition
            return publisher.publish_scoped(topic, tenant, self.batch(made[number], topic.schema)).value

        with ThreadPoolExecutor(threads) as pool:
            offsets = list(pool.map(publish, range(threads)))
        for name in set(names):
            topic = self.topics[name]
            mine = sorted((offsets[number], number) for number in range(threads) if names[number] == name)
            assert [offset for offset, _ in mine] == list(range(len(topic.batches), len(topic.batches) + len(mine)))
            for _, number in mine:
                topic.batches.append(Written(tenant, self.stored(made[number], topic.definition.schema.names)))

    @rule(engine=ENGINES, tenant=st.sampled_from([None, TENANT_B]))
    def publish_to_the_topic_of_another(self, engine: int, tenant: TenantId | None) -> None:
        topic = self.topics["pinned"].definition
        with pytest.raises(PublishTenantMismatch):
            self.engines[engine].publisher.publish_scoped(topic, tenant, self.batch(self.rows(1), topic.schema))

    @rule(
        engine=ENGINES,
        tenant=st.sampled_from([None, TENANT_A]),
        counts=st.lists(st.integers(1, 3), min_size=1, max_size=4),
        undo=st.sampled_from(["COMMIT", "ROLLBACK", "ROLLBACK TO half; COMMIT"]),
    )
    def transaction(self, engine: int, tenant: TenantId | None, counts: list[int], undo: str) -> None:
        pending: list[tuple[str, Written]] = []
        with self.engines[engine].session(tenant) as connection:
            connection.execute("BEGIN")
            half = 0
            for place, count in enumerate(counts):
                if place == len(counts) // 2:
                    connection.execute("SAVEPOINT half")
                    half = len(pending)
                name = "shared" if place % 2 else "events.more"
                rows = self.rows(count)
                values = ", ".join(
                    f"({row['id']}, '{row['kind']}', {'NULL' if row['value'] is None else row['value']})"
                    for row in rows
                )
                connection.execute(f"INSERT INTO {name} (id, kind, value) VALUES {values}")
                pending.append((name, Written(tenant, self.stored(rows, SCHEMA.names))))
            for statement in undo.split("; "):
                connection.execute(statement)
        kept = {"COMMIT": len(pending), "ROLLBACK": 0}.get(undo, half)
        for name, written in pending[:kept]:
            self.topics[name].batches.append(written)

    @rule(engine=ENGINES, name=NAMES, definition_is_old=st.booleans())
    def add_a_column(self, engine: int, name: str, definition_is_old: bool) -> None:
        topic = self.topics[name]
        tenant = self.owner(name, None)
        with self.engines[engine].session(tenant) as connection:
            connection.execute(f"ALTER TOPIC {name} ADD COLUMN IF NOT EXISTS extra BIGINT")
        topic.columns = [*SCHEMA.names, "extra"]
        found = self.engines[1 - engine].topic_repo.lookup_by_name(name, tenant)
        assert found is not None
        assert found.schema.names == topic.columns
        if not definition_is_old:
            topic.definition = found

    @rule(engine=ENGINES, name=NAMES, back=st.integers(-2, 6))
    def truncate(self, engine: int, name: str, back: int) -> None:
        topic = self.topics[name]
        before = max(0, len(topic.batches) - back)
        with self.engines[engine].session(self.owner(name, None)) as connection:
            connection.execute(f"TRUNCATE TOPIC {name} BEFORE {before}")
        topic.first = max(topic.first, min(before, len(topic.batches)))

    # --- disturbing ---

    @rule(engine=ENGINES)
    def let_the_broker_fail(self, engine: int) -> None:
        broker = self.engines[engine].broker
        assert isinstance(broker, InMemoryBroker)
        broker.trigger_failure_for_next_publish("armed")

    @rule(engine=ENGINES)
    def restart(self, engine: int) -> None:
        self.engines[engine].close()
        self.engines[engine] = self.open_engine()
        for reader in [reader for reader in self.readers if reader.engine == engine]:
            with pytest.raises(StopIteration):
                reader.subscription.next(timeout=LIMIT)
            self.readers.remove(reader)
            if reader.position >= self.topics[reader.topic].first:
                self.subscribe_at(engine, reader.topic, reader.tenant, reader.condition, reader.position)

    # --- reading ---

    @rule(
        engine=ENGINES,
        name=NAMES,
        tenant=TENANTS,
        condition=st.sampled_from(sorted(CONDITIONS)),
        back=st.none() | st.integers(0, 8),
    )
    @precondition(lambda self: len(self.readers) < 12)
    def subscribe(self, engine: int, name: str, tenant: TenantId | None, condition: str, back: int | None) -> None:
        topic = self.topics[name]
        if tenant is not None and topic.definition.tenant not in (None, tenant):
            with pytest.raises(TopicNotFound):
                self.engines[engine].subscriber.subscribe_scoped(topic.definition, tenant, Predicate.match_all(), None)
            return
        start = None if back is None else max(0, len(topic.batches) - back)
        if start is not None and start < topic.first:
            with pytest.raises(OffsetEvicted) as caught:
                self.engines[engine].subscriber.subscribe(topic.definition, Predicate.match_all(), start)
            assert caught.value.oldest == topic.first
            return
        self.subscribe_at(engine, name, tenant, condition, start)

    def subscribe_at(self, engine: int, name: str, tenant: TenantId | None, condition: str, start: int | None) -> None:
        topic = self.topics[name]
        predicate = Predicate.from_sql(SCHEMA, condition) if condition else Predicate.match_all()
        subscription = self.engines[engine].subscriber.subscribe_scoped(topic.definition, tenant, predicate, start)
        position = len(topic.batches) if start is None else start
        self.readers.append(Reader(engine, name, tenant, condition, topic.columns, subscription, position, position))

    def due(self, reader: Reader) -> int | None:
        """The offset that comes next for ``reader``."""
        batches = self.topics[reader.topic].batches
        for offset in range(reader.position, len(batches)):
            if self.expected(reader, offset):
                return offset
        return None

    def expected(self, reader: Reader, offset: int) -> list[Row]:
        written = self.topics[reader.topic].batches[offset]
        if written.tenant not in (None, reader.tenant):
            return []
        wanted = [row for row in written.rows if CONDITIONS[reader.condition](row)]
        return [{name: row[name] for name in reader.columns} for row in wanted]

    def read_one(self, reader: Reader) -> bool:
        """Take one delivery; false when it ended because the log was truncated under it."""
        offset = self.due(reader)
        assert offset is not None
        try:
            delivered = reader.subscription.next(timeout=LIMIT)
        except OffsetEvicted as error:
            first = self.topics[reader.topic].first
            assert reader.position < first
            assert error.oldest == first
            return False
        assert delivered.offset.value == offset
        assert delivered.batch.to_pylist() == self.expected(reader, offset)
        assert delivered.tenant == self.topics[reader.topic].batches[offset].tenant
        reader.position = offset + 1
        return True

    def read_all(self, reader: Reader) -> None:
        while self.due(reader) is not None:
            if not self.read_one(reader):
                reader.subscription.close()
                self.readers.remove(reader)
                return

    @rule(which=st.integers(0, 11), count=st.integers(1, 3))
    @precondition(lambda self: self.readers)
    def read_some(self, which: int, count: int) -> None:
        reader = self.readers[which % len(self.readers)]
        for _ in range(count):
            if self.due(reader) is None:
                return
            if not self.read_one(reader):
                reader.subscription.close()
                self.readers.remove(reader)
                return

    @rule(which=st.integers(0, 11))
    @precondition(lambda self: self.readers)
    def read_to_the_end(self, which: int) -> None:
        self.read_all(self.readers[which % len(self.readers)])

    @rule(which=st.integers(0, 11))
    @precondition(lambda self: self.readers)
    def unsubscribe(self, which: int) -> None:
        self.readers.pop(which % len(self.readers)).subscription.close()

    @rule(engine=ENGINES, name=NAMES, tenant=TENANTS)
    def replay(self, engine: int, name: str, tenant: TenantId | None) -> None:
        topic = self.topics[name]
        if tenant is not None and topic.definition.tenant not in (None, tenant):
            with pytest.raises(TopicNotFound):
                self.engines[engine].subscriber.replay_only_scoped(
                    topic.definition, tenant, Predicate.match_all(), topic.first
                )
            return
        replayed = self.engines[engine].subscriber.replay_only_scoped(
            topic.definition, tenant, Predicate.match_all(), topic.first
        )
        visible = [
            (offset, [{name: row[name] for name in topic.columns} for row in written.rows])
            for offset, written in enumerate(topic.batches)
            if offset >= topic.first and written.tenant in (None, tenant)
        ]
        assert [(one.offset.value, one.batch.to_pylist()) for one in replayed] == visible
        times = [one.produced_at for one in replayed]
        assert times == sorted(times)

    @rule(engine=ENGINES, name=NAMES, condition=st.sampled_from(sorted(filter(None, CONDITIONS))))
    def query(self, engine: int, name: str, condition: str) -> None:
        topic = self.topics[name]
        with self.engines[engine].session(TENANT_A) as connection:
            found = connection.execute(
                f"SELECT _offset, id FROM {name} WHERE {condition} ORDER BY 1, _row_idx"
            ).fetchall()
        assert [tuple(row) for row in found] == [
            (offset, row["id"])
            for offset, written in enumerate(topic.batches)
            if offset >= topic.first and written.tenant in (None, TENANT_A)
            for row in written.rows
            if CONDITIONS[condition](row)
        ]

    @invariant()
    def nobody_runs_ahead(self) -> None:
        for reader in self.readers:
            assert reader.subscription.last_delivered < len(self.topics[reader.topic].batches)

    def teardown(self) -> None:
        try:
            # Twice: what was skipped after a read of the log shows when more is published.
            for engine in range(2):
                for reader in list(self.readers):
                    self.read_all(reader)
                for name in TOPICS:
                    self.publish_one(engine, name)
            for reader in list(self.readers):
                self.read_all(reader)
            for reader in self.readers:
                # Somebody else's batches may have been truncated before this reader passed them over.
                evicted = reader.position < self.topics[reader.topic].first
                with pytest.raises((TimeoutError, OffsetEvicted) if evicted else TimeoutError):
                    reader.subscription.next(timeout=0)
        finally:
            for engine in self.engines:
                engine.close()
            shutil.rmtree(self.folder)


TestTopicsAgainstLists = TopicsAgainstLists.TestCase
TestTopicsAgainstLists.settings = settings(max_examples=500 if THOROUGH else 12, stateful_step_count=40)
