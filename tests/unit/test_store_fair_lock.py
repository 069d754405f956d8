"""The lock between the writing threads of a process."""

from __future__ import annotations

import threading

import pytest

from jammi_sql.stores.fair_lock import FairLock


def test_a_free_lock_is_taken_at_once_and_a_held_one_is_not() -> None:
    lock = FairLock()
    assert [lock.acquire(0), lock.acquire(0), lock.acquire(0.01)] == [True, False, False]
    assert lock.owner == threading.get_ident()
    lock.release()
    assert lock.owner != threading.get_ident()
    assert lock.acquire(0)


def test_a_waiter_that_gave_up_is_not_handed_the_lock() -> None:
    lock = FairLock()
    lock.acquire(0)
    assert not lock.acquire(0.001)
    lock.release()
    assert lock.acquire(0)


def test_the_lock_goes_to_the_longest_waiting_thread_and_not_to_who_is_quick() -> None:
    lock = FairLock()
    lock.acquire(0)
    order: list[str] = []

    def wait(name: str) -> None:
        assert lock.acquire(60)
        order.append(name)
        lock.release()

    threads = [threading.Thread(target=wait, args=(name,)) for name in ("first", "second")]
    for count, thread in enumerate(threads, 1):
        thread.start()
        while len(lock._waiting) < count:
            pass
    lock.release()
    assert lock.acquire(60)
    order.append("came back")
    lock.release()
    for thread in threads:
        thread.join()
    assert order == ["first", "second", "came back"]


class _InterruptedLock:
    """A gate whose wait ends in a KeyboardInterrupt just after the lock was handed over."""

    def __init__(self, lock: FairLock) -> None:
        self._lock = lock
        self._waits = 0

    def acquire(self, timeout: float = -1) -> bool:
        self._waits += 1
        if self._waits == 2:
            self._lock.release()
            raise KeyboardInterrupt
        return True

    def release(self) -> None:
        pass


def test_a_thread_interrupted_while_it_is_handed_the_lock_gives_it_on(monkeypatch: pytest.MonkeyPatch) -> None:
    lock = FairLock()
    lock.acquire(0)
    monkeypatch.setattr(threading, "Lock", lambda: _InterruptedLock(lock))
    with pytest.raises(KeyboardInterrupt):
        lock.acquire(60)
    assert lock.acquire(0)
