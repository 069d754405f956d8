"""The lock that lets one compaction run at a time."""

from __future__ import annotations

import errno
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from jammi_sql.errors import LockNotAvailable, QueryCanceled, StoreIOError
from jammi_sql.stores import SqliteStore
from jammi_sql.topics.segments.lock import CompactionLock


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    with SqliteStore.open(tmp_path / "store") as store:
        yield store


def test_one_holder_at_a_time_also_of_several_locks_on_a_store(store: SqliteStore) -> None:
    one, other = CompactionLock(store), CompactionLock(store)
    with one.tried() as held:
        assert held
        with other.tried() as too, one.tried() as again:
            assert not too
            assert not again
    with other.tried() as held:
        assert held


def test_a_wait_ends_at_its_limit_and_with_its_check(store: SqliteStore) -> None:
    def cancelled() -> None:
        raise QueryCanceled("enough")

    with CompactionLock(store).tried():
        with pytest.raises(QueryCanceled), CompactionLock(store).held(cancelled):
            raise AssertionError("it is held by somebody else")
        waiting = CompactionLock(store, timeout=0.0)
        with pytest.raises(LockNotAvailable) as raised, waiting.held(lambda: None):
            raise AssertionError("it is held by somebody else")
        assert raised.value.sqlstate == "55P03"


def test_a_file_system_without_locks_is_named(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(file: object, operation: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", refused)
    with pytest.raises(StoreIOError, match="No locks available"), CompactionLock(store).tried():
        raise AssertionError("it cannot be held")


# The file that nobody closed any more is closed with a warning: that it is closed is what counts here.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")
@pytest.mark.parametrize(("function", "file"), [("tried", "lock.py"), ("claim_file", "file_claim.py")])
def test_an_interrupt_at_any_line_leaves_the_lock_free(store: SqliteStore, function: str, file: str) -> None:
    lines: set[int] = set()
    hit: list[int] = []

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        if frame.f_code.co_name != function or not frame.f_code.co_filename.endswith(file):
            return None
        if event == "line" and frame.f_lineno not in lines and not hit:
            hit.append(frame.f_lineno)
            raise KeyboardInterrupt
        return trace

    while True:
        hit.clear()
        sys.settrace(trace)
        try:
            with CompactionLock(store).tried():
                pass
        except KeyboardInterrupt:
            pass
        finally:
            sys.settrace(None)
        if not hit:
            break
        lines.update(hit)
        with CompactionLock(store).tried() as free:
            assert free
    assert len(lines) >= 3
