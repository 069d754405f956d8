"""A log that is compacted at any moment against a plain Python list: every way of reading gives what the list says."""

from __future__ import annotations

import math
import shutil
import tempfile
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from jammi_sql import Engine
from jammi_sql.errors import OffsetEvicted
from jammi_sql.tenancy import TenantId
from jammi_sql.topics import Predicate, Subscription, TopicDefinition
from tests.topic_support import LIMIT, TENANT_A, TENANT_B

THOROUGH = settings.get_current_profile_name() == "thorough"

Row = Mapping[str, Any]
SCHEMA = pa.schema([pa.field("id", pa.int64(), nullable=False), ("kind", pa.utf8()), ("value", pa.float64())])
TENANTS = st.sampled_from([None, None, TENANT_A, TENANT_B])


def _above(limit: float) -> Callable[[Row], bool]:
    """SQL's order: NaN is above all numbers."""
    return lambda row: row["value"] is not None and (math.isnan(row["value"]) or row["value"] > limit)


CONDITIONS: dict[str, Callable[[Row], bool]] = {
    "value > 2": _above(2),
    "NOT (value > 1)": lambda row: row["value"] is not None and not _above(1)(row),
    "value IS NULL": lambda row: row["value"] is None,
    "kind = 'X'": lambda row: row["kind"] == "X",
    "kind IN ('X', 'Z') AND id < 40": lambda row: row["kind"] in ("X", "Z") and row["id"] < 40,
    "id % 2 = 0": lambda row: row["id"] % 2 == 0,
    "id > 60": lambda row: row["id"] > 60,
}


@dataclass(frozen=True)
class Written:
    """One batch as the list has it."""

    tenant: TenantId | None
    rows: list[Row]


class LogsAgainstLists(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.mkdtemp(prefix="jammi-segments-")
        self.engine: Engine | None = None
        self.log: list[Written] = []
        self.first = 0
        self.count = 0
        self.columns = SCHEMA.names
        self.live: list[tuple[TenantId | None, list[int], Subscription, list[str]]] = []

    @initialize(rows=st.sampled_from([4, 50, 1 << 20]), size=st.sampled_from([5_000, 128 << 20]))
    def begin(self, rows: int, size: int) -> None:
        self.options = {"segment_rows": rows, "segment_bytes": size, "segment_grace": 0, "compaction": False}
        self.reopen()
        self.engine_.topic_repo.register_topic(TopicDefinition("t", SCHEMA))

    @property
    def engine_(self) -> Engine:
        assert self.engine is not None
        return self.engine

    @property
    def topic(self) -> TopicDefinition:
        found = self.engine_.topic_repo.lookup_by_name("t")
        assert found is not None
        return found

    # --- writing ---

    @rule(tenant=TENANTS, count=st.sampled_from([1, 1, 2, 3, 40, 300]), times=st.integers(1, 4))
    def publish(self, tenant: TenantId | None, count: int, times: int) -> None:
        for _ in range(times):
            rows: list[Row] = []
            for _ in range(count):
                number = self.count
                self.count += 1
                rows.append(
                    {
                        "id": number,
                        "kind": [None, "X", "Y", "Z" * 50][number % 4],
                        "value": [None, float(number % 4), math.nan, -0.0][number % 5 % 4],
                        "extra": None if "extra" not in self.columns else [number],
                    }
                )
            topic = self.topic
            batch = pa.RecordBatch.from_pylist(
                [{name: row[name] for name in self.columns} for row in rows], schema=topic.schema
            )
            assert self.engine_.publisher.publish_scoped(topic, tenant, batch).value == len(self.log)
            self.log.append(Written(tenant, rows))

    @rule()
    def compact(self) -> None:
        self.engine_.session().execute("CALL jammi.compact('t')")

    @rule()
    def seal_in_the_background(self) -> None:
        self.engine_.services.segments.compactor.round(threading.Event())

    @rule()
    def sweep(self) -> None:
        self.engine_.services.segments.sweeper.round(threading.Event())

    @rule(back=st.integers(-1, 8))
    def truncate(self, back: int) -> None:
        before = max(0, len(self.log) - back)
        self.engine_.session().execute(f"TRUNCATE TOPIC t BEFORE {before}")
        self.first = max(self.first, min(before, len(self.log)))

    @rule()
    def add_a_column(self) -> None:
        self.engine_.session().execute("ALTER TOPIC t ADD COLUMN IF NOT EXISTS extra BIGINT[]")
        self.columns = [*SCHEMA.names, "extra"]

    @rule()
    def reopen(self) -> None:
        if self.engine is not None:
            self.engine.close()
        self.live = []
        self.engine = Engine.open(self.folder, **self.options)

    # --- reading ---

    def expected(self, tenant: TenantId | None, start: int, condition: str = "") -> list[tuple[int, int, Row]]:
        holds = CONDITIONS.get(condition, lambda row: True)
        return [
            (offset, place, row)
            for offset, written in enumerate(self.log)
            if offset >= max(start, self.first) and written.tenant in (None, tenant)
            for place, row in enumerate(written.rows)
            if holds(row)
        ]

    @rule(tenant=TENANTS, back=st.integers(0, 6), condition=st.sampled_from(["", *CONDITIONS]))
    def replay(self, tenant: TenantId | None, back: int, condition: str) -> None:
        start = max(0, len(self.log) - back)
        predicate = Predicate.from_sql(SCHEMA, condition) if condition else Predicate.match_all()
        if start < self.first:
            with pytest.raises(OffsetEvicted) as caught:
                self.engine_.subscriber.replay_only_scoped(self.topic, tenant, predicate, start)
            assert caught.value.oldest == self.first
            return
        found = self.engine_.subscriber.replay_only_scoped(self.topic, tenant, predicate, start)
        for one in found:
            assert one.tenant == self.log[one.offset.value].tenant
        flat = [(one.offset.value, row) for one in found for row in one.batch.to_pylist()]
        wanted = [
            (offset, {name: row[name] for name in self.columns})
            for offset, _, row in self.expected(tenant, start, condition)
        ]
        assert repr(flat) == repr(wanted)  # a NaN equals none

    @rule(tenant=TENANTS, condition=st.sampled_from(["", *CONDITIONS]), pushdown=st.sampled_from(["on", "off"]))
    def query(self, tenant: TenantId | None, condition: str, pushdown: str) -> None:
        wanted = self.expected(tenant, 0, condition)
        where = f" WHERE {condition}" if condition else ""
        with self.engine_.session(tenant) as session:
            session.execute(f"SET jammi.pushdown = {pushdown}")
            names = ", ".join(self.columns)
            rows = session.execute(f"SELECT _offset, _row_idx, {names} FROM t{where} ORDER BY 1, 2").fetchall()
            assert repr(list(map(tuple, rows))) == repr(
                [(offset, place, *(row[name] for name in self.columns)) for offset, place, row in wanted]
            )
            assert session.execute(f"SELECT count(*) FROM t{where}").fetchall() == [(len(wanted),)]
            session.execute("CREATE VIEW v AS SELECT _offset, _tenant_id FROM t")
            counted = session.execute(
                "SELECT _offset, count(*), count(_tenant_id) FROM v GROUP BY 1 ORDER BY 1"
            ).fetchall()
            assert list(map(tuple, counted)) == [
                (offset, len(one.rows), len(one.rows) * (one.tenant is not None))
                for offset, one in enumerate(self.log)
                if offset >= self.first and one.tenant in (None, tenant)
            ]
            (known,) = session.execute("SELECT first_offset, next_offset, rows FROM jammi.system.topics").fetchall()
            assert tuple(known) == (self.first, len(self.log), len(self.expected(tenant, 0)))

    @rule(tenant=TENANTS, low=st.integers(0, 30), high=st.integers(0, 30))
    def query_a_stretch(self, tenant: TenantId | None, low: int, high: int) -> None:
        with self.engine_.session(tenant) as session:
            rows = session.execute(
                f"SELECT id FROM t WHERE _offset >= {low} AND _offset < {high} ORDER BY id"
            ).fetchall()
        assert [row[0] for row in rows] == [row["id"] for offset, _, row in self.expected(tenant, low) if offset < high]

    @rule(tenant=TENANTS)
    @precondition(lambda self: len(self.live) < 4)
    def subscribe(self, tenant: TenantId | None) -> None:
        subscription = self.engine_.subscriber.subscribe_scoped(self.topic, tenant, Predicate.match_all(), self.first)
        self.live.append((tenant, [self.first], subscription, self.columns))

    @rule(which=st.integers(0, 3), most=st.sampled_from([1, 3, 100]))
    @precondition(lambda self: self.live)
    def read_on(self, which: int, most: int) -> None:
        tenant, position, subscription, columns = self.live[which % len(self.live)]
        for _ in range(most):
            due = [offset for offset in range(position[0], len(self.log)) if self.log[offset].tenant in (None, tenant)]
            if not due:
                return
            try:
                one = subscription.next(timeout=LIMIT)
            except OffsetEvicted as error:
                assert position[0] < self.first == error.oldest
                subscription.close()
                del self.live[which % len(self.live)]
                return
            assert one.offset.value == due[0]
            wanted = [{name: row[name] for name in columns} for row in self.log[due[0]].rows]
            assert repr(one.batch.to_pylist()) == repr(wanted)
            position[0] = due[0] + 1

    def teardown(self) -> None:
        try:
            if self.engine is not None:
                while self.live:
                    before = len(self.live)
                    self.read_on(0, 1000)
                    if len(self.live) == before:
                        self.live.pop(0)[2].close()
                self.compact()
                for tenant in (None, TENANT_A):
                    self.query(tenant, "", "on")
                    self.replay(tenant, len(self.log), "")
                self.sweep()
                self.query(TENANT_B, "value > 2", "on")
                self.engine.close()
        finally:
            shutil.rmtree(self.folder)


TestLogsAgainstLists = LogsAgainstLists.TestCase
TestLogsAgainstLists.settings = settings(max_examples=300 if THOROUGH else 12, stateful_step_count=25)
