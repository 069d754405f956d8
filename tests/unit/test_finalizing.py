"""Closing from ``__del__`` never waits for a lock that its own thread holds."""

from __future__ import annotations

import signal
import threading

import pyarrow as pa
import pytest

from jammi_sql.finalizing import finalize, ready
from jammi_sql.results import BatchResult, IterableSource


class Locked(IterableSource):
    """A source whose closing needs a lock, as a store's does."""

    def __init__(self, lock: threading.Lock, closed: threading.Event) -> None:
        super().__init__(pa.schema([("x", pa.int64())]), ())
        self.lock, self.closed = lock, closed

    def close(self) -> None:
        with self.lock:
            self.closed.set()


def test_a_result_that_is_collected_under_the_lock_that_its_closing_needs_is_closed_later() -> None:
    lock, closed = threading.Lock(), threading.Event()
    result = BatchResult(Locked(lock, closed))
    with lock:
        del result  # would wait for ever if this thread closed it
        assert not closed.is_set()
    assert closed.wait(30)


def test_a_result_that_is_dropped_is_closed_at_once() -> None:
    closed = threading.Event()
    result = BatchResult(Locked(threading.Lock(), closed))
    del result
    assert closed.is_set()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_what_closing_raises_is_reported_and_the_next_one_still_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    ready()
    reported: list[object] = []
    monkeypatch.setattr(threading, "excepthook", lambda arguments: reported.append(arguments.exc_value))
    error = ValueError("broken")

    def fail() -> None:
        raise error

    finalize(fail)
    called = threading.Event()
    finalize(called.set)
    assert called.is_set()
    assert reported == [error]


def test_ctrl_c_while_a_dropped_result_is_closed_is_raised_after_it() -> None:
    main = threading.main_thread().ident
    assert main is not None

    class Interrupted(IterableSource):
        def close(self) -> None:
            signal.pthread_kill(main, signal.SIGINT)

    result = BatchResult(Interrupted(pa.schema([("x", pa.int64())]), ()))
    with pytest.raises(KeyboardInterrupt):
        del result
        threading.Event().wait(30)
