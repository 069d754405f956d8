"""Compaction while others publish, truncate and drop; and the sweeper, which removes files that nobody needs any more."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jammi_sql import Engine, faults
from jammi_sql.errors import TopicNotFound
from jammi_sql.topics.segments.segment import Segment
from tests.segment_support import TOPIC, Clock, compact, files, kept, open_engine, publish, replayed, segments, topic_of
from tests.topic_support import TENANT_A, TENANT_B, batch_of, offsets, receive

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
        if isinstance(clock, Clock):
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
