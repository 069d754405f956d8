"""Compaction: everything moves into segments and nothing changes, whoever reads, whatever happens beside it."""

from __future__ import annotations

import logging
import os
import random
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from jammi_sql import Engine, faults
from jammi_sql.errors import Error, InvalidParameter, OffsetEvicted, ReadOnlyStore, TopicNotFound
from jammi_sql.tenancy import TenantId
from jammi_sql.topics import Predicate, TopicDefinition
from jammi_sql.topics.catalog import CatalogTopic
from jammi_sql.topics.segments.compactor import SegmentSize
from jammi_sql.topics.segments.segment import Segment
from tests.topic_support import TENANT_A, TENANT_B, batch_of, definition, offsets, receive

TOPIC = "events.changes"


class _Clock:
    def __init__(self) -> None:
        self.us = 1_700_000_000_000_000

    def now_us(self) -> int:
        self.us += 1000
        return self.us


@pytest.fixture
def clock() -> _Clock:
    return _Clock()


@pytest.fixture
def engine(tmp_path: Path, clock: _Clock) -> Iterator[Engine]:
    with open_engine(tmp_path / "store", clock=clock) as opened:
        yield opened


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


def test_everything_moves_and_nothing_changes(engine: Engine) -> None:
    fill(engine)
    older = engine.session(TENANT_A)
    older.execute(f"CREATE VIEW older AS SELECT id FROM {TOPIC} WHERE value > 20")
    before = {tenant: everything(engine, tenant) for tenant in VIEWERS}
    seen = older.execute("SELECT * FROM older ORDER BY id").fetchall()
    assert compact(engine) == [(TOPIC, 1, 921)]
    assert {tenant: everything(engine, tenant) for tenant in VIEWERS} == before
    assert older.execute("SELECT * FROM older ORDER BY id").fetchall() == seen
    left = engine.services.segments.catalog.hot_size(engine.services.store, kept(engine).number, 0, 100)
    assert left == (0, 0)
    assert compact(engine) == [(TOPIC, 0, 0)]


def test_a_part_in_segments_and_a_part_in_the_store_is_one_log(engine: Engine) -> None:
    fill(engine)
    before = {tenant: everything(engine, tenant) for tenant in VIEWERS[1:2]}
    services = engine.services
    topic = kept(engine)
    for end in (4, 11):
        services.segments.compactor._seal(topic, topic.hot_offset, end)
        topic = kept(engine)
        for tenant in VIEWERS[1:2]:
            found = everything(engine, tenant)
            assert [key for key in found if found[key] != before[tenant][key]] == []


@pytest.mark.parametrize("before", [3, 14])
def test_what_is_truncated_within_a_segment_is_gone_for_everybody(engine: Engine, tmp_path: Path, before: int) -> None:
    fill(engine)
    with open_engine(tmp_path / "other") as plain:
        fill(plain)
        plain.session().execute(f"TRUNCATE TOPIC {TOPIC} BEFORE {before}")
        expected = {tenant: everything(plain, tenant, before) for tenant in VIEWERS}
    compact(engine)
    engine.session().execute(f"TRUNCATE TOPIC {TOPIC} BEFORE {before}")
    found = {tenant: everything(engine, tenant, before) for tenant in VIEWERS}
    assert _without_times(found) == _without_times(expected)
    with pytest.raises(OffsetEvicted):
        replayed(engine, None, before - 1)
    assert segments(engine, TENANT_A)[0][0] == before
    publish(engine, 1)
    compact(engine)
    assert [one[0] for one in replayed(engine, None, before)][-1] == 15
    engine.session().execute(f"TRUNCATE TOPIC {TOPIC} BEFORE 16")
    assert segments(engine) == []
    publish(engine, 1)
    assert [one[0] for one in replayed(engine, None, 16)] == [16]


def test_a_scan_of_datafusion_begins_and_ends_within_files(engine: Engine) -> None:
    publish(engine, 6)
    compact(engine)
    session = engine.session()
    session.execute(f"TRUNCATE TOPIC {TOPIC} BEFORE 2")
    plan = str(session.execute(f"EXPLAIN SELECT * FROM {TOPIC}").fetchall())
    assert "file_type=parquet" in plan
    found = session.execute(f"SELECT DISTINCT _offset FROM {TOPIC} ORDER BY 1").fetchall()
    assert [row[0] for row in found] == [2, 3, 4, 5]
    assert session.execute(f"SELECT count(*) FROM {TOPIC}").fetchall() == [(8,)]


def _without_times(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            key: _without_times(part)
            for key, part in value.items()
            if not re.search("_produced_at >|TIMESTAMP", str(key))
        }
    if isinstance(value, (list, tuple)):
        return [_without_times(part) for part in value if not hasattr(part, "tzinfo")]
    return value


def test_an_older_file_lacks_the_columns_that_came_later(engine: Engine) -> None:
    session = engine.session()
    session.execute("CREATE TOPIC t (a INT NOT NULL)")
    session.execute("INSERT INTO t VALUES (1)")
    compact(engine, "t")
    session.execute("ALTER TOPIC t ADD COLUMN b VARCHAR")

    def check(expected: list[tuple[int, str | None]]) -> None:
        for pushdown in ("on", "off"):
            session.execute(f"SET jammi.pushdown = {pushdown}")
            for source in ("t", "subscribe('t', until => 'latest')"):
                found = session.execute(f"SELECT a, b FROM {source} ORDER BY a").fetchall()
                assert list(map(tuple, found)) == expected
                null = session.execute(f"SELECT a FROM {source} WHERE b IS NULL ORDER BY a").fetchall()
                assert [a for (a,) in null] == [a for a, b in expected if b is None]
                some = session.execute(f"SELECT a FROM {source} WHERE b >= 'x' ORDER BY a").fetchall()
                assert [a for (a,) in some] == [a for a, b in expected if b is not None]

    check([(1, None)])
    session.execute("INSERT INTO t VALUES (2, 'x'), (3, NULL)")
    check([(1, None), (2, "x"), (3, None)])
    compact(engine, "t")
    check([(1, None), (2, "x"), (3, None)])


def test_a_column_added_while_another_topic_is_compacted_is_kept(engine: Engine) -> None:
    session, other = engine.session(), engine.session()
    for name in ("a", "b"):
        session.execute(f"CREATE TOPIC {name} (x INT)")
        session.execute(f"INSERT INTO {name} VALUES (1)")

    def alter() -> None:
        other.execute("ALTER TOPIC b ADD COLUMN IF NOT EXISTS y INT")
        other.execute("INSERT INTO b VALUES (2, 2)")

    with faults.armed("compact.before_file", alter):
        session.execute("CALL jammi.compact()")
    found = session.execute("SELECT x, y FROM b ORDER BY _offset").fetchall()
    assert list(map(tuple, found)) == [(1, None), (2, 2), (2, 2)]


def test_small_files_that_are_large_in_memory_are_joined_as_far_as_they_fit(tmp_path: Path) -> None:
    with open_engine(tmp_path / "store", segment_bytes=100_000) as engine:
        session = engine.session()
        session.execute("CREATE TOPIC a (n INT, x VARCHAR)")
        for number in range(12):
            session.execute(f"INSERT INTO a SELECT {number}, repeat('x', 1000) FROM range(40)")
            if number % 4 == 3:
                compact(engine, "a")
            found = session.execute("SELECT _offset, n, count(*) FROM a GROUP BY 1, 2 ORDER BY 1").fetchall()
            assert list(map(tuple, found)) == [(one, one, 40) for one in range(number + 1)]
        (rows,) = session.execute("SELECT max(rows) FROM jammi.system.segments").fetchone()
        assert rows == 120  # sealed by bytes: 1,000 bytes a row, 40 rows a batch


def test_a_gap_in_the_log_stops_a_compaction_and_renumbers_nothing(engine: Engine) -> None:
    publish(engine, 4)
    services = engine.services
    with services.store.begin() as transaction:
        transaction.script("DELETE FROM batch WHERE offset = 1")
    with pytest.raises(Error, match="missing"):
        compact(engine)
    assert segments(engine) == []


@pytest.mark.parametrize("count", [1, 5])
def test_joining_keeps_the_number_of_files_logarithmic(engine: Engine, count: int) -> None:
    rewritten = 0
    for _ in range(32):
        publish(engine, 1, count)
        ((_, made, moved),) = compact(engine)
        assert made == 1
        rewritten += moved
    assert len(segments(engine)) <= 6
    assert rewritten <= 32 * count * 6
    ends = [(first, last) for first, last, _ in segments(engine)]
    assert [first for first, _ in ends] == [0, *(last + 1 for _, last in ends[:-1])]
    assert [one[0] for one in replayed(engine, None)] == list(range(32))


def test_stretches_are_sealed_by_rows_and_a_giant_batch_is_one_segment(tmp_path: Path) -> None:
    with open_engine(tmp_path / "store", segment_rows=100) as engine:
        publish(engine, 1, 20_000)
        publish(engine, 250, 1)
        assert compact(engine) == [(TOPIC, 4, 20_250)]
        assert segments(engine) == [(0, 0, 20_000), (1, 100, 100), (101, 200, 100), (201, 250, 50)]
        assert len(replayed(engine, None)[0][3]) == 20_000
        assert [one[0] for one in replayed(engine, None, 1)] == list(range(1, 251))


def test_the_background_seals_what_is_large_enough_and_no_more(tmp_path: Path) -> None:
    with open_engine(tmp_path / "store", segment_rows=100) as engine:
        compactor, stopped = engine.services.segments.compactor, threading.Event()
        publish(engine, 9, 10)
        compactor.round(stopped)
        assert segments(engine) == []
        publish(engine, 16, 10)
        compactor.round(stopped)
        assert segments(engine) == [(0, 9, 100), (10, 19, 100)]
        publish(engine, 4, 10)
        compactor.round(stopped)
        assert len(segments(engine)) == 2
        publish(engine, 1, 10)
        compactor.round(stopped)
        assert segments(engine)[-1] == (20, 29, 100)
        assert [one[0] for one in replayed(engine, None)] == list(range(30))


def test_interleaved_readers_each_get_their_own_rows(tmp_path: Path) -> None:
    """Files that are kept open are found by place: never another reader's place, columns or tenant."""
    with open_engine(tmp_path / "store") as engine:
        for number in range(120):
            publish(engine, 1, 1 + number % 3, [None, TENANT_A, TENANT_B][number % 3], "XAB"[number % 3])
        compact(engine)
        services = engine.services
        topic = kept(engine)
        chance = random.Random(5)
        readers: list[list[Any]] = [
            [tenant, columns, chance.randrange(120), []]
            for tenant in VIEWERS
            for columns in (None, ["id"], ["id", "kind"], ["value"])
            for _ in range(3)
        ]
        starts = [reader[2] for reader in readers]

        def step(reader: list[Any]) -> None:
            tenant, columns, start, found = reader
            chunk = services.log.read(services.store, topic, tenant, start, 120, limit=1 + start % 7, columns=columns)
            found += [(entry.offset, entry.tenant, entry.batch.to_pylist()) for entry in chunk.entries]
            reader[2] = chunk.end

        while open_ones := [reader for reader in readers if reader[2] < 120]:
            step(chance.choice(open_ones))
        for (tenant, columns, _, found), start in zip(readers, starts, strict=True):
            expected = [
                (
                    offset,
                    "" if owner is None else str(owner),
                    [{name: row[name] for name in columns or row} for row in rows],
                )
                for offset, _, owner, rows in replayed(engine, tenant, start)
            ]
            assert found == expected
        threads = [threading.Thread(target=_read_through, args=(engine, topic, tenant)) for tenant in VIEWERS * 2]
        failures: list[Any] = []
        threading.excepthook, hook = failures.append, threading.excepthook
        try:
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(60)
        finally:
            threading.excepthook = hook
        assert failures == []


def test_a_replay_opens_a_file_once(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(engine, 30)
    compact(engine)
    services, topic = engine.services, kept(engine)
    opened: list[str] = []
    storage, real = services.segments.storage, services.segments.storage.open
    monkeypatch.setattr(storage, "open", lambda path: opened.append(path) or real(path))
    start = 0
    while start < 30:
        start = services.log.read(services.store, topic, None, start, 30, limit=4).end
    assert len(opened) == 2  # once for its footer's checksum


def _read_through(engine: Engine, topic: Any, tenant: TenantId | None) -> None:
    start, chance = 0, random.Random(3)
    services = engine.services
    while start < 120:
        chunk = services.log.read(services.store, topic, tenant, start, 120, limit=chance.randint(1, 5))
        for entry in chunk.entries:
            assert entry.batch.column("id")[0].as_py() == entry.offset * 10
            assert entry.tenant in ("", "" if tenant is None else str(tenant))
        start = chunk.end


# --- tenants ---


def test_nothing_of_another_tenant_is_seen_through_a_mixed_segment(engine: Engine) -> None:
    session = engine.session()
    session.execute("CREATE TOPIC t (x INT, s VARCHAR)")
    for number in range(10):
        engine.session(TENANT_A).execute(f"INSERT INTO t VALUES ({number}, '{number}')")
        engine.session(TENANT_B).execute("INSERT INTO t VALUES (5000, 'secret')")
    compact(engine, "t")
    a = engine.session(TENANT_A)
    # An expression that fails for another's row would tell of it, and quote it.
    for statement, count in {
        "SELECT count(*) FROM t WHERE CAST(s AS INT) >= 0": 10,
        "SELECT count(*) FROM t WHERE 1 / (x - 5000) <= 0": 10,
        "SELECT sum(CAST(s AS INT)) FROM t": 45,
        "SELECT count(*) FROM (SELECT _tenant_id, CAST(s AS INT) AS n FROM t) WHERE n > -1": 10,
        "SELECT count(*) FROM t": 10,
        "SELECT count(*) FROM (SELECT _offset FROM t WHERE _offset > 5)": 7,
        "SELECT max(x) FROM t": 9,
        "SELECT rows FROM jammi.system.segments": 10,
        "SELECT rows FROM jammi.system.topics": 10,
    }.items():
        for pushdown in ("on", "off"):
            a.execute(f"SET jammi.pushdown = {pushdown}")
            assert a.execute(statement).fetchall() == [(count,)]
    a.execute("SET jammi.pushdown = on")
    for kind in ("", "VERBOSE ", "ANALYZE "):
        plan = str(a.execute(f"EXPLAIN {kind}SELECT * FROM t WHERE x >= 0").fetchall())
        for secret in ("secret", "5000", str(TENANT_B), "output_rows=20"):
            assert secret not in plan
    assert engine.session(TENANT_B).execute("SELECT DISTINCT x, s FROM t").fetchall() == [(5000, "secret")]
    assert session.execute("SELECT count(*) FROM t").fetchall() == [(0,)]


def test_bytes_of_a_mixed_segment_are_shared_out(engine: Engine) -> None:
    for tenant, rows in ((None, 10), (TENANT_A, 30), (TENANT_B, 60)):
        publish(engine, 1, rows, tenant)
    compact(engine)
    size = os.path.getsize(next(Path(engine.services.store.folder).rglob("*.parquet")))
    shares = []
    for tenant in VIEWERS:
        for view in ("segments", "topics"):
            (row,) = engine.session(tenant).execute(f"SELECT rows, bytes FROM jammi.system.{view}").fetchall()
            shares.append((row[0], row[1]))
    assert shares == [(rows, size * rows // 100) for rows in (10, 10, 40, 40, 70, 70)]


# --- what happens meanwhile ---


@pytest.mark.parametrize("point", ["compact.before_file", "compact.after_file", "compact.before_switch"])
def test_publishing_goes_on_while_a_stretch_is_sealed(engine: Engine, point: str) -> None:
    publish(engine, 3)
    topic = topic_of(engine)
    done: list[int] = []

    def more() -> None:
        thread = threading.Thread(
            target=lambda: done.append(engine.publisher.publish_scoped(topic, None, batch_of([1])).value)
        )
        thread.start()
        if point != "compact.before_switch":  # there the store is locked: it waits
            thread.join(20)

    with faults.armed(point, more):
        assert compact(engine) == [(TOPIC, 1, 6)]
    engine.session().execute(f"SELECT count(*) FROM {TOPIC}").fetchall()
    while not done:
        threading.Event().wait(0.001)
    assert done == [3]
    assert [one[0] for one in replayed(engine, None)] == [0, 1, 2, 3]
    assert segments(engine) == [(0, 2, 6)]


@pytest.mark.parametrize(
    "point", ["compact.before_file", "compact.after_file", "compact.after_switch", "compact.after_removal"]
)
@pytest.mark.parametrize("before", [1, 2, 3, 5])
def test_truncating_meanwhile_loses_nothing_that_is_kept(
    engine: Engine, tmp_path: Path, point: str, before: int
) -> None:
    publish(engine, 2)
    compact(engine)
    publish(engine, 2)
    other = engine.session()
    with faults.armed(point, lambda: other.execute(f"TRUNCATE TOPIC {TOPIC} BEFORE {before}")):
        compact(engine)
    publish(engine, 1)
    first = min(before, 4)
    assert [one[0] for one in replayed(engine, None, first)] == list(range(first, 5))
    compact(engine)
    assert [one[0] for one in replayed(engine, None, first)] == list(range(first, 5))
    found = [row for row in segments(engine) if row[1] >= first]
    assert sum(rows for _, _, rows in found) == 2 * (5 - first)


def test_a_log_that_was_truncated_past_a_stretch_gets_no_segment_of_it(engine: Engine, tmp_path: Path) -> None:
    publish(engine, 2)
    other, topic = engine.session(), topic_of(engine)

    def past() -> None:
        for number in (20, 30):
            engine.publisher.publish_scoped(topic, None, batch_of([number]))
        other.execute(f"TRUNCATE TOPIC {TOPIC} BEFORE 3")

    with faults.armed("compact.after_file", past):
        compact(engine)
    assert segments(engine) == []
    assert files(tmp_path) == []
    assert [one[0] for one in replayed(engine, None, 3)] == [3]


def test_a_log_that_is_truncated_while_a_stretch_is_read_is_looked_at_again(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(engine, 4)
    compactor, other = engine.services.segments.compactor, engine.session()
    gathered = compactor._gathered

    def truncated(*arguments: Any) -> Any:
        other.execute(f"TRUNCATE TOPIC {TOPIC} BEFORE 2")
        return gathered(*arguments)

    monkeypatch.setattr(compactor, "_gathered", truncated)
    assert compact(engine) == [(TOPIC, 1, 4)]
    assert segments(engine) == [(2, 3, 4)]


def test_counts_come_in_pieces_from_segments_and_the_store(engine: Engine) -> None:
    publish(engine, 5)
    compact(engine)
    publish(engine, 5)
    services, topic = engine.services, kept(engine)
    start, found = 0, []
    while start < 10:
        counts, start = services.log.counts(services.store, topic, None, start, 10, 2)
        assert len(counts) <= 2
        found += [count[0] for count in counts]
    assert found == list(range(10))


@pytest.mark.parametrize("point", ["compact.before_file", "compact.after_file", "compact.after_switch"])
@pytest.mark.parametrize("anew", [False, True])
def test_dropping_meanwhile_leaves_no_file_and_no_row_to_another_topic(
    engine: Engine, tmp_path: Path, point: str, anew: bool
) -> None:
    session, other = engine.session(), engine.session()
    session.execute("CREATE TOPIC t (x INT)")
    session.execute("INSERT INTO t VALUES (1)")

    def drop() -> None:
        other.execute("DROP TOPIC IF EXISTS t")
        if anew:
            other.execute("CREATE TOPIC t (y VARCHAR)")
            other.execute("INSERT INTO t VALUES ('new')")

    with faults.armed(point, drop), pytest.raises(TopicNotFound):
        compact(engine, "t")
    if anew:
        assert session.execute("SELECT y FROM t").fetchall() == [("new",)]
        compact(engine, "t")
        assert session.execute("SELECT y FROM t").fetchall() == [("new",)]
    else:
        session.execute("CREATE TOPIC t (y VARCHAR)")
        assert session.execute("SELECT y FROM t").fetchall() == []
    sweep(engine, later=True)
    assert len(files(tmp_path)) == anew


def test_a_topic_that_is_dropped_is_no_reason_to_leave_the_others(engine: Engine) -> None:
    session, other = engine.session(), engine.session()
    for name in ("a", "b", "c"):
        session.execute(f"CREATE TOPIC {name} (x INT)")
        session.execute(f"INSERT INTO {name} VALUES (1)")
    with faults.armed("compact.before_file", lambda: other.execute("DROP TOPIC IF EXISTS b")):
        done = session.execute("CALL jammi.compact()").fetchall()
    assert list(map(tuple, done)) == [("a", 1, 1), ("c", 1, 1)]


# --- the sweeper ---


def sweep(engine: Engine, *, later: bool = False) -> None:
    sweeper = engine.services.segments.sweeper
    if later:
        clock = engine.clock
        if isinstance(clock, _Clock):
            clock.us += 700_000_000
    sweeper.round(threading.Event())


def joined(engine: Engine) -> None:
    """A log in one file, and one that was joined with others and is dropped."""
    publish(engine, 1)
    compact(engine)
    publish(engine, 1)
    compact(engine)


def test_a_dropped_file_stays_for_the_grace_and_then_goes(engine: Engine, tmp_path: Path) -> None:
    joined(engine)
    assert len(files(tmp_path)) == 2
    sweep(engine)
    assert len(files(tmp_path)) == 2
    sweep(engine, later=True)
    assert len(files(tmp_path)) == 1
    assert [one[0] for one in replayed(engine, None)] == [0, 1]
    engine.session().execute(f"DROP TOPIC {TOPIC}")
    sweep(engine, later=True)
    assert files(tmp_path) == []
    assert not any(path.is_dir() for path in (tmp_path / "store" / "segments").iterdir())
    assert engine.services.segments.catalog.dropped(engine.services.store) == []


@pytest.mark.parametrize("statement", [f"SELECT * FROM {TOPIC}", f"SELECT id FROM {TOPIC} WHERE id % 7 < 100"])
@pytest.mark.parametrize("pushdown", ["on", "off"])
def test_an_open_result_keeps_the_files_that_it_reads(
    engine: Engine, tmp_path: Path, statement: str, pushdown: str
) -> None:
    publish(engine, 3, 20_000)
    compact(engine)
    publish(engine, 4, 20_000)
    session = engine.session()
    session.execute(f"SET jammi.pushdown = {pushdown}")
    cursor = session.execute(statement)
    reader = cursor.fetch_record_batch()
    rows = reader.read_next_batch().num_rows
    compact(engine)
    sweep(engine, later=True)
    assert len(files(tmp_path)) == 2
    rows += sum(batch.num_rows for batch in reader)
    assert rows == 140_000
    cursor.close()
    del reader
    sweep(engine, later=True)
    assert len(files(tmp_path)) == 1


def test_a_reader_that_finds_its_file_swept_reads_the_one_that_has_the_rows_now(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(engine, 2)
    compact(engine)
    live = engine.subscriber.subscribe(topic_of(engine), None, 0)
    reader = engine.services.segments.files
    check = reader.check

    def swept(segment: Segment, topic: str) -> None:
        """The first look at a file comes when another process joined it with others and removed it."""
        monkeypatch.setattr(reader, "check", check)
        publish(engine, 2)
        compact(engine)
        sweep(engine, later=True)
        check(segment, topic)

    monkeypatch.setattr(reader, "check", swept)
    assert offsets(receive(live, 4)) == [0, 1, 2, 3]
    assert len(segments(engine)) == 1


def test_a_transaction_reads_on_after_the_files_were_joined(engine: Engine) -> None:
    publish(engine, 2)
    compact(engine)
    session = engine.session()
    session.execute("BEGIN")
    assert session.execute(f"SELECT count(*) FROM {TOPIC}").fetchall() == [(4,)]
    session.execute("ROLLBACK")
    publish(engine, 3)
    compact(engine)
    sweep(engine, later=True)
    assert session.execute(f"SELECT count(*) FROM {TOPIC}").fetchall() == [(10,)]


def test_what_a_crash_left_goes_and_what_is_foreign_is_named(
    engine: Engine, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    joined(engine)
    folder = tmp_path / "store" / "segments" / str(topic_of(engine).id)
    left = folder / "00000000000000000009-0123456789abcdef.parquet"
    unfinished = folder / "00000000000000000009-0123456789abcdee.parquet.unfinished"
    foreign = folder / "notes.parquet"
    for path in (left, unfinished, foreign):
        path.write_bytes(b"x")
    with caplog.at_level(logging.INFO, "jammi_sql.topics"):
        sweep(engine)
    assert not left.exists()
    assert not unfinished.exists()
    assert foreign.exists()
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 1 and str(foreign) in warnings[0]
    assert len(files(tmp_path)) == 3
    assert [one[0] for one in replayed(engine, None)] == [0, 1]


def test_two_stores_with_one_place_leave_each_other_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    place = str(tmp_path / "place")
    with open_engine(tmp_path / "one", segments=place) as one, open_engine(tmp_path / "two", segments=place) as two:
        publish(one, 2)
        compact(one)
        publish(two, 3)
        unfinished = tmp_path / "place" / str(topic_of(one).id) / "x.parquet.unfinished"
        unfinished.write_bytes(b"")
        with faults.armed("compact.after_file", one.services.segments.sweeper.remove_orphans):
            compact(two)
        two.services.segments.sweeper.remove_orphans()
        assert not unfinished.exists()  # removed by one, whose it is
        unfinished.write_bytes(b"")
        two.services.segments.sweeper.remove_orphans()
        assert unfinished.exists()
        assert len(files(tmp_path / "place")) == 2
        assert [one_[0] for one_ in replayed(one, None)] == [0, 1]
        assert [two_[0] for two_ in replayed(two, None)] == [0, 1, 2]


def test_a_folder_that_is_removed_when_a_file_begins_is_made_again(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(engine, 1)
    make, times = os.makedirs, []

    def removed(path: str, **options: Any) -> None:
        make(path, **options)
        times.append(path)
        if len(times) == 1:
            os.rmdir(path)

    monkeypatch.setattr(os, "makedirs", removed)
    assert compact(engine) == [(TOPIC, 1, 2)]
    assert len(times) == 2


def test_the_times_of_others_are_not_told_by_a_mixed_segment(engine: Engine) -> None:
    for tenant in (TENANT_B, TENANT_A, None, TENANT_A, TENANT_B):
        publish(engine, 1, 2, tenant)
    compact(engine)
    for tenant, places in ((TENANT_A, (1, 3)), (TENANT_B, (0, 4)), (None, (2, 2))):
        all_times = {one[0]: one[1] for one in replayed(engine, tenant)}
        (row,) = (
            engine.session(tenant).execute("SELECT produced_from, produced_until FROM jammi.system.segments").fetchall()
        )
        assert tuple(row) == (all_times[places[0]], all_times[places[1]])
    engine.session().execute("CREATE TOPIC others (x INT)")
    engine.session(TENANT_B).execute("INSERT INTO others VALUES (1)")
    compact(engine, "others")
    assert len(segments(engine, TENANT_A)) == 1
    assert len(segments(engine, TENANT_B)) == 2


def test_the_file_of_a_running_compaction_is_no_orphan(engine: Engine, tmp_path: Path) -> None:
    publish(engine, 2)
    with open_engine(tmp_path / "store") as second:
        with faults.armed("compact.after_file", second.services.segments.sweeper.remove_orphans):
            compact(engine)
        assert [one[0] for one in replayed(second, None)] == [0, 1]
        assert len(files(tmp_path)) == 1


def test_a_file_is_durable_before_it_has_its_name_and_known_after(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[str] = []
    handles: dict[int, str] = {}

    def spy(name: str, real: Callable[..., Any]) -> None:
        def call(*arguments: Any, **named: Any) -> Any:
            result = real(*arguments, **named)
            if name == "open":
                handles[result] = str(arguments[0])
            elif name == "fsync" and "segments" in handles.get(arguments[0], ""):
                events.append(f"fsync {Path(handles[arguments[0]]).suffix or 'folder'}")
            elif name == "rename" and "segments" in str(arguments[0]):
                events.append("rename")
            return result

        monkeypatch.setattr(os, name, call)

    for name in ("open", "fsync", "rename"):
        spy(name, getattr(os, name))
    publish(engine, 1)
    with faults.armed("compact.after_file", lambda: events.append("written")):
        compact(engine)
    assert events[:5] == ["fsync folder", "fsync .unfinished", "rename", "fsync folder", "written"]


# --- options ---


def test_the_first_location_stays(tmp_path: Path) -> None:
    place = tmp_path / "elsewhere"
    with open_engine(tmp_path / "store", segments=str(place)) as engine:
        publish(engine, 1)
        compact(engine)
    assert len(files(place)) == 1
    for given in (None, str(place)):
        with open_engine(tmp_path / "store", segments=given) as engine:
            assert [one[0] for one in replayed(engine, None)] == [0]
    with pytest.raises(InvalidParameter, match="elsewhere") as raised:
        open_engine(tmp_path / "store", segments=str(tmp_path / "third"))
    assert raised.value.sqlstate == "22023" and raised.value.hint
    with open_engine(tmp_path / "store"):
        pass


def test_a_relative_location_is_the_same_from_everywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with open_engine(tmp_path / "store", segments="place") as engine:
        publish(engine, 1)
        compact(engine)
    (tmp_path / "deeper").mkdir()
    monkeypatch.chdir(tmp_path / "deeper")
    for given in (None, "../place", str(tmp_path / "place")):
        with open_engine(tmp_path / "store", segments=given) as engine:
            assert [one[0] for one in replayed(engine, None)] == [0]


def test_a_store_with_segments_in_its_folder_takes_no_other_location(tmp_path: Path) -> None:
    with open_engine(tmp_path / "store") as engine:
        publish(engine, 1)
        compact(engine)
    with pytest.raises(InvalidParameter, match="in its folder"):
        open_engine(tmp_path / "store", segments=str(tmp_path / "third"))


@pytest.mark.parametrize("location", ["s3://key:secret@bucket/x", "s3://key@bucket/x"])
def test_credentials_in_a_location_are_refused_and_not_repeated(tmp_path: Path, location: str) -> None:
    with pytest.raises(InvalidParameter, match="credentials") as raised:
        open_engine(tmp_path / "store", segments=location)
    assert "secret" not in str(raised.value)
    with open_engine(tmp_path / "store") as engine:
        publish(engine, 1)


def test_a_location_of_an_unknown_kind_is_refused_and_not_kept(tmp_path: Path) -> None:
    with pytest.raises(Error) as raised:
        open_engine(tmp_path / "store", segments="ftp://host/x")
    assert raised.value.sqlstate == "0A000" and raised.value.hint
    with open_engine(tmp_path / "store") as engine:
        publish(engine, 1)
        compact(engine)


@pytest.mark.parametrize("options", [{"segment_rows": 0}, {"segment_bytes": 0}, {"segment_rows": -1}])
def test_a_size_that_is_none_is_refused(tmp_path: Path, options: dict[str, int]) -> None:
    with pytest.raises(InvalidParameter):
        open_engine(tmp_path / "store", **options)
    with pytest.raises(InvalidParameter):
        SegmentSize(0)


def test_a_read_only_engine_reads_segments_and_makes_none(engine: Engine, tmp_path: Path) -> None:
    fill(engine)
    compact(engine)
    publish(engine, 1)
    before = {tenant: everything(engine, tenant) for tenant in VIEWERS[1:2]}
    engine.close()
    with Engine.open(tmp_path / "store", read_only=True) as reading:
        assert reading.services.segments.keeper is None
        assert {tenant: everything(reading, tenant) for tenant in VIEWERS[1:2]} == before
        with pytest.raises(ReadOnlyStore) as raised:
            compact(reading)
        assert raised.value.sqlstate == "25006" and raised.value.hint


def test_a_backup_has_the_segments_and_is_a_store(engine: Engine, tmp_path: Path) -> None:
    fill(engine)
    compact(engine)
    publish(engine, 1)
    compact(engine)
    before = {tenant: everything(engine, tenant) for tenant in VIEWERS[1:2]}
    engine.session().backup(tmp_path / "copy")
    assert len(files(tmp_path / "copy")) == len(segments(engine))  # what was dropped is left behind
    with open_engine(tmp_path / "copy") as copy:
        assert {tenant: everything(copy, tenant) for tenant in VIEWERS[1:2]} == before
        publish(copy, 1)
        compact(copy)
    assert {tenant: everything(engine, tenant) for tenant in VIEWERS[1:2]} == before


def test_a_backup_of_segments_elsewhere_has_them_in_its_folder(tmp_path: Path) -> None:
    with open_engine(tmp_path / "store", segments=str(tmp_path / "elsewhere")) as engine:
        fill(engine)
        compact(engine)
        before = everything(engine, TENANT_A)
        engine.session().backup(tmp_path / "copy")
    for path in (tmp_path / "elsewhere").rglob("*.parquet"):
        path.unlink()
    with open_engine(tmp_path / "copy") as copy:
        assert everything(copy, TENANT_A) == before


def test_a_backup_that_lacks_a_segment_says_so(engine: Engine, tmp_path: Path) -> None:
    publish(engine, 1)
    compact(engine)
    for path in (tmp_path / "store").rglob("*.parquet"):
        path.unlink()
    with pytest.raises(Error, match="missing") as raised:
        engine.session().backup(tmp_path / "copy")
    assert raised.value.sqlstate == "58030" and raised.value.hint


def test_a_compaction_with_nothing_to_do_makes_nothing(engine: Engine, tmp_path: Path) -> None:
    topic_of(engine)
    assert compact(engine) == [(TOPIC, 0, 0)]
    assert files(tmp_path) == []
