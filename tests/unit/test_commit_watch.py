"""When a store is asked whether somebody committed. Clock, store and file system are made up, and looks are counted."""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jammi_sql.errors import StoreIOError
from jammi_sql.stores.commit_watch import CommitWatch, Trust

INTERVAL = 0.01
SETTLED = 10.0
"""A moment at which a watch that was made at 0 has done looking around."""


class World:
    """A clock, a store and its file's events. What is to happen when is told beforehand, and happens while one waits."""

    def __init__(self) -> None:
        self.now = 0.0
        self.looks: list[float] = []
        self.trust = Trust()
        self.audible = True
        self.closed = False
        self.failures = 0
        self.asked: Callable[[], None] = lambda: None
        self._version = 0
        self._pending = False
        self._woken = False
        self._plan: list[tuple[float, int, Callable[[], None]]] = []
        self._planned = 0

    def at(self, moment: float, *actions: Callable[[], None]) -> None:
        for action in actions:
            self._planned += 1
            heappush(self._plan, (moment, self._planned, action))

    def write(self) -> None:
        self._pending = True

    def commit(self) -> None:
        self._version += 1

    def fall_silent(self) -> None:
        self.audible = False

    # --- what a watch sees ---

    def clock(self) -> float:
        return self.now

    def changes(self) -> int:
        self.looks.append(self.now)
        self.asked()
        if self.failures:
            self.failures -= 1
            raise StoreIOError("the disk is gone")
        return self._version

    def wait(self, timeout: float, *, listening: bool = True) -> bool:
        end = self.now + max(0.0, timeout)
        while not self._woken:
            if listening and self.audible and self._pending:
                self._pending = False
                return True
            if not self._plan or self._plan[0][0] > end:
                self.now = end
                return False
            moment, _, action = heappop(self._plan)
            self.now = max(self.now, moment)
            action()
        self._woken = False
        return False

    def wake(self) -> None:
        self._woken = True

    def close(self) -> None:
        self.closed = True

    # --- what a test asks ---

    def watch(self) -> CommitWatch:
        return CommitWatch(self.changes, self, INTERVAL, trust=self.trust, clock=self.clock)

    def found(self, watch: CommitWatch, until: float) -> list[float]:
        """When ``watch`` told of commits."""
        moments = []
        while self.now < until:
            if watch.wait(until - self.now):
                moments.append(self.now)
        return moments

    def looks_between(self, begin: float, end: float) -> int:
        return sum(begin <= moment < end for moment in self.looks)


@pytest.fixture
def world() -> World:
    return World()


def test_while_nobody_writes_it_looks_once_a_second(world: World) -> None:
    assert world.found(world.watch(), 100) == []
    assert world.looks_between(SETTLED, 100) <= 91


def test_a_write_is_looked_at_at_once(world: World) -> None:
    world.at(SETTLED + 0.3, world.commit, world.write)
    assert world.found(world.watch(), 20) == [SETTLED + 0.3]


@pytest.mark.parametrize("sync", [0.0005, 0.003, 0.02, 0.2, 0.9])
def test_a_commit_is_found_soon_after_its_sync_with_few_looks(world: World, sync: float) -> None:
    world.at(SETTLED, world.write)
    world.at(SETTLED + sync, world.commit)
    (moment,) = world.found(world.watch(), 20)
    assert moment - SETTLED - sync <= max(0.001, min(INTERVAL, sync / 2))
    assert world.looks_between(SETTLED, moment) <= 16 + sync / INTERVAL
    # All that was written is explained, so the looks end.
    assert world.looks_between(moment, 20) <= 11
    assert world.trust.misses == 0


def test_a_storm_of_writes_costs_a_look_per_interval(world: World) -> None:
    for number in range(10_000):
        world.at(SETTLED + number / 1000, world.write, world.commit)
    told = world.found(world.watch(), SETTLED + 10)
    assert 500 < len(told) <= world.looks_between(SETTLED, SETTLED + 10) <= 10 / INTERVAL + 20
    assert max(after - before for before, after in pairwise(told)) <= INTERVAL + 0.001


def test_writes_without_a_commit_are_followed_for_a_second(world: World) -> None:
    world.at(SETTLED, world.write)
    assert world.found(world.watch(), 100) == []
    assert world.looks_between(SETTLED, SETTLED + 1.1) > 50
    assert world.looks_between(SETTLED + 1.1, 100) <= 90


def test_commits_without_an_event_are_found_within_a_second_and_after_the_third_it_polls(world: World) -> None:
    moments = [12.3456, 14.5, 16.999, 19.0071, 21.0009]
    for moment in moments:
        world.at(moment, world.commit)
    delays = [told - moment for told, moment in zip(world.found(world.watch(), 25), moments, strict=True)]
    assert max(delays[:3]) <= 1
    assert max(delays[3:]) <= INTERVAL + 0.001
    assert world.trust.lost


def test_what_was_missed_is_remembered_by_the_next_watch(world: World) -> None:
    world.trust.misses = 3
    world.at(SETTLED, world.commit)
    (moment,) = world.found(world.watch(), 20)
    assert moment - SETTLED <= INTERVAL + 0.001


def test_commits_without_an_event_are_counted_though_others_have_one(world: World) -> None:
    for second in range(10, 40, 3):
        world.at(second + 0.1, world.write, world.commit)  # this process: heard
        world.at(second + 1.5, world.commit)  # another one on a shared folder: not heard
    world.found(world.watch(), 45)
    assert world.trust.lost


def test_a_sync_of_many_seconds_now_and_then_is_no_reason_to_poll(world: World) -> None:
    for second in (10, 30):
        world.at(second, world.write)
        world.at(second + 7.5, world.commit)
    told = world.found(world.watch(), 60)
    assert [moment - second - 7.5 <= 1 for moment, second in zip(told, (10, 30), strict=True)] == [True, True]
    assert not world.trust.lost


def test_a_write_heard_together_with_the_commit_before_is_followed(world: World) -> None:
    world.at(SETTLED, world.write, world.commit, world.write)
    world.at(SETTLED + 0.5, world.commit)
    told = world.found(world.watch(), 50)
    assert told[0] == SETTLED
    assert told[1] - SETTLED - 0.5 <= INTERVAL + 0.001
    assert world.trust.misses == 0


def test_a_commit_in_the_midst_of_a_look_is_no_lost_event(world: World) -> None:
    def commit() -> None:
        if world.now > SETTLED:
            world.asked = lambda: None
            world.write()
            world.commit()

    world.asked = commit
    assert len(world.found(world.watch(), 20)) == 1
    assert world.trust.misses == 0


def test_a_commit_whose_write_was_before_the_watch_is_no_lost_event(world: World) -> None:
    world.at(0.5, world.commit)
    (moment,) = world.found(world.watch(), 20)
    assert moment - 0.5 <= INTERVAL + 0.001
    assert world.trust.misses == 0


def test_without_events_it_asks_every_interval(world: World) -> None:
    world.audible = False
    world.at(5.005, world.commit)
    (moment,) = world.found(world.watch(), 10)
    assert moment - 5.005 <= INTERVAL + 0.001
    assert world.looks_between(1, 9) >= 7 / INTERVAL


def test_when_the_folder_is_gone_it_polls(world: World) -> None:
    world.at(SETTLED, world.fall_silent)
    world.at(SETTLED + 5, world.commit)
    (moment,) = world.found(world.watch(), 20)
    assert moment - SETTLED - 5 <= INTERVAL + 0.001


def test_a_failing_question_is_raised_and_what_it_hid_is_told_later_without_haste(world: World) -> None:
    watch = world.watch()
    world.found(watch, SETTLED)
    world.failures = 3
    world.at(SETTLED + 0.1, world.write, world.commit)
    before = len(world.looks)
    for _ in range(3):
        with pytest.raises(StoreIOError):
            world.found(watch, 20)
    assert len(world.found(watch, 20)) == 1
    assert min(after - before for before, after in pairwise(world.looks[before : before + 4])) >= INTERVAL - 0.001


def test_waking_ends_the_wait_or_the_next_one(world: World) -> None:
    watch = world.watch()
    world.found(watch, SETTLED)
    world.at(SETTLED + 0.25, watch.wake)
    assert watch.wait(100) is False
    assert world.now == SETTLED + 0.25
    watch.wake()
    assert watch.wait(100) is False
    assert world.now == SETTLED + 0.25


def test_a_watch_that_cannot_be_made_lets_the_events_go(world: World) -> None:
    world.failures = 1
    with pytest.raises(StoreIOError):
        world.watch()
    assert world.closed


@given(
    st.lists(
        st.tuples(
            st.floats(0, 0.3),  # seconds since the commit before
            st.sampled_from([0, 0.0001, 0.002, 0.015, 0.3, 0.9]),  # seconds of its sync
            st.integers(1, 4),  # events of its write
        ),
        max_size=20,
    )
)
def test_whatever_is_committed_when_is_told_within_the_interval_and_never_taken_for_a_lost_event(
    commits: list[tuple[float, float, int]],
) -> None:
    world = World()
    seen: list[float] = []
    moment = 3.0
    for pause, sync, events in commits:
        moment += pause
        for number in range(events):
            world.at(moment + number * 0.0001, world.write)
        moment += sync + 0.001
        world.at(moment, world.commit)
        seen.append(moment)
    told = world.found(world.watch(), moment + 10)
    for moment in seen:
        assert any(0 <= when - moment <= INTERVAL + 0.001 for when in told)
    assert world.trust.misses == 0
    assert len(world.looks) <= (world.now + 3) / INTERVAL + 20 * len(seen)
