"""Compaction: everything moves into segments and nothing changes, whoever reads."""

from __future__ import annotations

import os
import random
import re
import threading
from pathlib import Path
from typing import Any

import pytest

from jammi_sql import Engine, faults
from jammi_sql.errors import Error, OffsetEvicted
from jammi_sql.tenancy import TenantId
from tests.segment_support import (
    TOPIC,
    VIEWERS,
    compact,
    everything,
    fill,
    kept,
    open_engine,
    publish,
    replayed,
    segments,
)
from tests.topic_support import TENANT_A, TENANT_B


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


@pytest.mark.parametrize("before", [3, pytest.param(14, marks=pytest.mark.soak)])
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


def test_the_background_seals_as_soon_as_there_are_so_many_bytes(tmp_path: Path) -> None:
    with open_engine(tmp_path / "measured") as engine:
        publish(engine, 3, 10)
        _, size = engine.services.segments.catalog.hot_size(engine.services.store, kept(engine).number, 0, 3)
    with open_engine(tmp_path / "store", segment_bytes=size) as engine:
        compactor, stopped = engine.services.segments.compactor, threading.Event()
        publish(engine, 2, 10)
        compactor.round(stopped)
        assert segments(engine) == []
        publish(engine, 1, 10)
        compactor.round(stopped)
        assert [one[:2] for one in segments(engine)] == [(0, 2)]


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
