"""Events of the file system: what is heard, and what is held."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from jammi_sql.stores.file_events import FileEvents, NoFileEvents, file_events
from tests.topic_support import LIMIT, until

linux = pytest.mark.skipif(sys.platform != "linux", reason="inotify is Linux's")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "some-wal"


@pytest.fixture
def events(path: Path) -> Iterator[FileEvents]:
    events = file_events(path)
    yield events
    events.close()


def handles() -> int:
    return len(os.listdir("/proc/self/fd"))


@linux
def test_writes_of_another_process_are_heard_also_to_a_file_that_was_made_anew(path: Path, events: FileEvents) -> None:
    assert events.audible
    for _ in range(2):
        subprocess.run([sys.executable, "-c", f"open({str(path)!r}, 'wb').write(b'x')"], check=True)
        assert events.wait(LIMIT)
        path.unlink()
        assert not events.wait(0)


@linux
def test_a_file_made_shorter_counts_as_written_and_other_files_do_not(path: Path, events: FileEvents) -> None:
    path.write_bytes(b"x")
    assert events.wait(LIMIT)
    path.with_name("another").write_bytes(b"x")
    assert not events.wait(0)
    os.truncate(path, 0)
    assert events.wait(LIMIT)


@linux
def test_what_was_written_while_it_did_not_listen_is_heard_later_and_once(path: Path, events: FileEvents) -> None:
    for _ in range(100):
        path.write_bytes(b"x")
    assert not events.wait(0, listening=False)
    assert events.wait(0)
    assert not events.wait(0)


@linux
def test_more_events_than_the_system_keeps_count_as_a_write(path: Path, events: FileEvents) -> None:
    kept = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    if kept > 100_000:
        pytest.skip("the system keeps very many")
    with open(path.with_name("a"), "wb", 0) as first, open(path.with_name("b"), "wb", 0) as second:
        for _ in range(kept // 2 + 2):
            first.write(b"x")
            second.write(b"x")
    # The file itself was not written: only that some events were lost is heard.
    assert events.wait(LIMIT)


@linux
def test_in_a_folder_that_is_removed_nothing_is_heard_any_more(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    events = file_events(folder / "wal")
    folder.rmdir()
    assert not events.wait(LIMIT)
    assert not events.audible
    assert not events.wait(0)
    events.wake()
    assert not events.wait(LIMIT)
    events.close()


@pytest.mark.parametrize("silent", [False, True])
def test_waking_ends_a_wait_or_the_next_one_and_once(path: Path, silent: bool) -> None:
    events = NoFileEvents() if silent else file_events(path)
    events.wake()
    events.wake()
    assert not events.wait(2 * LIMIT)
    for listening in (True, False):
        sleeping = threading.Thread(target=events.wait, args=(2 * LIMIT,), kwargs={"listening": listening})
        sleeping.start()
        events.wake()
        sleeping.join(LIMIT)
        assert not sleeping.is_alive()
    events.close()


@linux
def test_closing_frees_all_handles_and_may_be_repeated(path: Path) -> None:
    file_events(path).close()
    before = handles()
    events = file_events(path)
    assert handles() == before + 2
    events.close()
    events.close()
    assert handles() == before


@linux
@pytest.mark.parametrize("refused", ["inotify_init1", "inotify_add_watch", "eventfd", "libc"])
def test_where_no_watch_can_be_had_there_are_no_events_and_nothing_is_left_open(
    path: Path, refused: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    inotify_simple = pytest.importorskip("inotify_simple")

    def refuse(*_: object, **__: object) -> object:
        if refused == "libc":
            raise RuntimeError("can not find library c")
        raise OSError(errno.ENOSPC if refused == "inotify_add_watch" else errno.EMFILE, "no more of them")

    file_events(path).close()
    before = handles()
    if refused == "inotify_add_watch":
        monkeypatch.setattr(inotify_simple.INotify, "add_watch", refuse)
    elif refused == "eventfd":
        monkeypatch.setattr(os, "eventfd", refuse)
    else:
        monkeypatch.setattr(inotify_simple, "INotify", refuse)
    events = file_events(path)
    assert not events.audible
    assert handles() == before


def test_without_a_folder_there_are_no_events(tmp_path: Path) -> None:
    assert not file_events(tmp_path / "nowhere" / "wal").audible


def test_on_another_system_there_are_no_events(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert isinstance(file_events(path), NoFileEvents)


@linux
def test_a_write_is_heard_by_a_thread_that_sleeps(path: Path, events: FileEvents) -> None:
    heard: list[bool] = []
    sleeping = threading.Thread(target=lambda: heard.append(events.wait(2 * LIMIT)))
    sleeping.start()
    path.write_bytes(b"x")
    until(lambda: heard, "it wakes")
    sleeping.join()
    assert heard == [True]
