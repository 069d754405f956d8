"""What doctor finds in the folder of a store, which it leaves as it was."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

import jammi_sql
from jammi_sql.doctor import sizes
from jammi_sql.doctor.sqlite import log, place
from jammi_sql.doctor.sqlite import schema as schema_check
from jammi_sql.stores.file_events import NoFileEvents
from jammi_sql.stores.migrations import Migration, load_migrations
from tests.doctor.conftest import found
from tests.topic_support import until


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store with some batches in a segment and some outside."""
    folder = tmp_path / "store"
    with jammi_sql.connect(folder) as conn:
        conn.execute("CREATE TOPIC t (a INT)")
        conn.execute("INSERT INTO t VALUES (1), (2)")
        conn.execute("CALL jammi.compact('t')").fetchall()
        conn.execute("INSERT INTO t VALUES (3)")
    return folder


def segment_of(store: Path) -> Path:
    (file,) = (store / "segments").rglob("*.parquet")
    return file


def state(folder: Path) -> dict[str, tuple[int, str]]:
    """Every file, when it was written and what is in it; the index of a log is a table of locks."""
    return {
        str(path.relative_to(folder)): (path.stat().st_mtime_ns, hashlib.sha256(path.read_bytes()).hexdigest())
        if path.is_file() and path.suffix != ".db-shm"
        else (0, "")
        for path in sorted(folder.rglob("*"))
    }


def test_a_store_in_order_has_nothing_to_complain_of_and_stays_as_it_is(store: Path) -> None:
    before = state(store)
    report = found(store)
    assert report.bad == []
    assert {
        "versions",
        "connection",
        "privileges",
        "free space",
        "log",
        "events",
        "schema",
        "clock",
        "segments",
    } <= set(report.checks)
    assert state(store) == before


def test_a_store_in_use_is_looked_at_as_it_is(store: Path) -> None:
    with jammi_sql.connect(store, compaction=False) as conn:
        conn.execute("INSERT INTO t VALUES (4)")
        assert (store / "jammi.db-wal").stat().st_size > 0
        before = state(store)
        assert found(store).bad == []
        assert state(store) == before
        conn.execute("INSERT INTO t VALUES (5)")
        assert conn.execute("SELECT count(*) FROM t").fetchone() == (5,)


def test_a_store_whose_process_was_killed_keeps_its_log(store: Path) -> None:
    text = "import sys, time, jammi_sql\nc = jammi_sql.connect(sys.argv[1])\nc.execute('INSERT INTO t VALUES (9)')\nprint('done', flush=True)\ntime.sleep(600)"
    process = subprocess.Popen([sys.executable, "-c", text, str(store)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"done\n"
    process.send_signal(signal.SIGKILL)
    process.communicate()
    before = state(store)
    assert any(name.endswith("-wal") for name in before)
    assert found(store).bad == []
    assert state(store) == before
    with jammi_sql.connect(store) as conn:
        assert conn.execute("SELECT count(*) FROM t").fetchone() == (4,)


def test_a_log_without_its_index_is_not_recovered_here(store: Path) -> None:
    with jammi_sql.connect(store, compaction=False) as conn:
        conn.execute("INSERT INTO t VALUES (4)")
        copy = store.with_name("copy")
        copy.mkdir()
        for name in ("jammi.db", "jammi.db-wal"):
            (copy / name).write_bytes((store / name).read_bytes())
    before = state(copy)
    report = found(copy)
    assert report.level("connection") == "problem"
    assert "recovers" in report.text("connection")
    assert state(copy) == before


@pytest.mark.parametrize("kind", ["nothing", "empty", "file", "another program's"])
def test_what_is_no_store_is_told_and_nothing_is_made(tmp_path: Path, kind: str) -> None:
    target = tmp_path / "target"
    if kind != "nothing":
        target.mkdir()
    if kind == "file":
        (target / "jammi.db").write_text("no database at all, but long enough to be looked at" * 100)
        os.utime(target / "jammi.db", (1, 1))
    elif kind == "another program's":
        text = "import sys, sqlite3; c = sqlite3.connect(sys.argv[1]); c.execute('CREATE TABLE t (a)'); c.commit()"
        subprocess.run([sys.executable, "-c", text, str(target / "jammi.db")], check=True)
        os.utime(target / "jammi.db", (1, 1))
    before = state(tmp_path)
    report = found(target)
    assert report.level("connection") == "problem"
    assert report.checks == ["versions", "connection"]
    assert state(tmp_path) == before


def test_migrations_that_are_pending_are_named_and_not_made(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = (*load_migrations("sqlite"), Migration(9000, "more", "CREATE TABLE more (a INT)"))
    monkeypatch.setattr(schema_check, "load_migrations", lambda kind: known)
    before = state(store)
    report = found(store)
    assert report.level("schema") == "warning"
    assert "9000_more" in report.text("schema")
    assert "segments" not in report.checks  # whose queries are those of the newest schema
    assert state(store) == before


def test_a_store_of_a_newer_version_is_a_problem(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = load_migrations("sqlite")[:-1]
    monkeypatch.setattr(schema_check, "load_migrations", lambda kind: known)
    assert found(store).level("schema") == "problem"


def test_a_segment_that_is_missing_is_a_problem_that_names_its_file(store: Path) -> None:
    file = segment_of(store)
    file.unlink()
    report = found(store)
    assert report.level("segments") == "problem"
    assert str(file) in report.text("segments")


def test_a_segment_that_was_cut_is_a_problem(store: Path) -> None:
    file = segment_of(store)
    file.write_bytes(file.read_bytes()[:-1])
    report = found(store)
    assert report.level("segments") == "problem"
    assert "another size" in report.text("segments")


def test_files_of_no_segment_are_told_apart_from_foreign_ones(store: Path) -> None:
    file = segment_of(store)
    orphan = file.with_name("00000000000000000007-0123456789abcdef.parquet")
    orphan.write_bytes(b"left")
    (store / "segments" / "notes").mkdir()
    (store / "segments" / "notes" / "mine.txt").write_text("not yours")
    report = found(store)
    assert [finding.level.value for finding in report.of("segments")] == ["warning", "warning", "ok"]
    assert str(orphan) in report.of("segments")[0].message
    assert "mine.txt" in report.of("segments")[1].message


def test_a_folder_of_segments_elsewhere_is_looked_at_too(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    with jammi_sql.connect(tmp_path / "store", segments=str(elsewhere)) as conn:
        conn.execute("CREATE TOPIC t (a INT)")
        conn.execute("INSERT INTO t VALUES (1)")
        conn.execute("CALL jammi.compact('t')").fetchall()
    report = found(tmp_path / "store")
    assert report.bad == []
    assert f"free for segments ({elsewhere})" in report.text("segments")
    elsewhere.rename(tmp_path / "gone")
    assert "there is no folder" in found(tmp_path / "store").text("segments")
    assert not elsewhere.exists()


def test_a_batch_from_the_future_is_a_warning(tmp_path: Path) -> None:
    class Tomorrow:
        def now_us(self) -> int:
            return int((time.time() + 86_400) * 1e6)

    with jammi_sql.Engine.open(tmp_path / "store", clock=Tomorrow()) as engine:
        session = engine.session()
        session.execute("CREATE TOPIC t (a INT)")
        session.execute("INSERT INTO t VALUES (1)")
    report = found(tmp_path / "store")
    assert report.level("clock") == "warning"
    assert "NTP" in report.text("clock")


def test_a_large_log_is_a_warning(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "_LARGE", 0)
    with jammi_sql.connect(store, compaction=False) as conn:
        conn.execute("INSERT INTO t VALUES (4)")
        assert found(store).level("log") == "warning"


def test_without_events_of_the_file_system_it_says_which_limits_to_raise(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log, "file_events", lambda path: NoFileEvents())
    monkeypatch.setattr(sys, "platform", "linux")
    assert "max_user_watches" in found(store).text("events")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everything")
def test_a_folder_that_may_not_be_written_is_a_warning(store: Path) -> None:
    store.chmod(0o555)
    try:
        assert found(store).level("privileges") == "warning"
    finally:
        store.chmod(0o755)


def test_what_may_not_be_written_is_named(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(place.os, "access", lambda path, mode, **_: mode != os.W_OK)
    report = found(store)
    assert report.level("privileges") == "warning"
    assert str(store) in report.text("privileges")


@pytest.mark.parametrize(("kind", "level"), [("nfs4", "problem"), ("ext4", "ok")])
def test_a_network_file_system_is_a_problem(
    store: Path, monkeypatch: pytest.MonkeyPatch, kind: str, level: str
) -> None:
    monkeypatch.setattr(place, "file_system_of", lambda folder: kind)
    assert found(store).level("file system") == level


def test_the_file_system_is_that_of_the_nearest_mount(tmp_path: Path) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(f"a / ext4 rw 0 0\nb {tmp_path} nfs rw 0 0\nc {tmp_path}/with\\040space xfs rw 0 0\n")
    inside = tmp_path / "with space" / "store"
    inside.mkdir(parents=True)
    assert place.file_system_of(inside, mounts) == "xfs"
    assert place.file_system_of(tmp_path / "other", mounts) == "nfs"
    assert place.file_system_of(Path("/"), mounts) == "ext4"
    assert place.file_system_of(inside, tmp_path / "none") == ""


@pytest.mark.parametrize(("free", "level"), [(1 << 20, "problem"), (100 << 20, "warning"), (50 << 30, "ok")])
def test_little_space_is_told_before_it_is_none(
    store: Path, monkeypatch: pytest.MonkeyPatch, free: int, level: str
) -> None:
    monkeypatch.setattr(sizes.shutil, "disk_usage", lambda folder: SimpleNamespace(total=100 << 30, free=free))
    assert found(store).level("free space") == level


def test_a_store_that_somebody_writes_all_the_time_is_looked_at(store: Path) -> None:
    text = "import sys, jammi_sql\nc = jammi_sql.connect(sys.argv[1])\nprint('begun', flush=True)\nwhile True: c.execute('INSERT INTO t VALUES (1)')"
    process = subprocess.Popen([sys.executable, "-c", text, str(store)], stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        process.stdout.readline()
        until((store / "jammi.db-wal").exists, "it writes")
        for _ in range(5):
            assert found(store).bad == []
    finally:
        process.kill()
        process.communicate()
