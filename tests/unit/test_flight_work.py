"""Statements in threads, whose event loop does not wait for them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest

from jammi_sql.engine.session import Session
from jammi_sql.errors import QueryCanceled, UndefinedTable
from jammi_sql.flight.work import Seat, Work
from tests.topic_support import LIMIT


class Interrupted:
    """A session that only hears that its statement is to end."""

    def __init__(self) -> None:
        self.heard = threading.Event()

    def interrupt(self) -> None:
        self.heard.set()


class Closing:
    """A result."""

    def __init__(self) -> None:
        self.closed = threading.Event()

    def close(self) -> None:
        self.closed.set()


def seat_of(session: Any) -> Seat:
    return Seat(cast(Session, session))


def running(test: Callable[[Work], Awaitable[None]], threads: int = 2) -> None:
    async def run() -> None:
        work = Work(threads)
        try:
            await asyncio.wait_for(test(work), LIMIT)
        finally:
            await work.end()
        assert work.running == 0

    asyncio.run(run())


def _fail() -> None:
    raise UndefinedTable("there is none")


def test_what_a_call_returns_or_raises_is_its_callers() -> None:
    async def test(work: Work) -> None:
        seat = seat_of(Interrupted())
        assert await work.run(seat, lambda: threading.current_thread().name.startswith("jammi-flight"))
        with pytest.raises(UndefinedTable):
            await work.run(seat, _fail)
        assert not seat.turn.locked()

    running(test)


def test_calls_of_a_seat_take_turns_in_order() -> None:
    async def test(work: Work) -> None:
        seat, gate, order = seat_of(Interrupted()), threading.Event(), []

        def call(number: int) -> None:
            assert gate.wait(LIMIT)
            order.append(number)

        calls = [asyncio.ensure_future(work.run(seat, lambda number=number: call(number))) for number in range(4)]  # type: ignore[misc]
        await asyncio.sleep(0)
        gate.set()
        await asyncio.gather(*calls)
        assert order == [0, 1, 2, 3]

    running(test)


def test_who_waits_for_a_turn_and_gives_up_is_never_run() -> None:
    async def test(work: Work) -> None:
        seat, gate, ran = seat_of(Interrupted()), threading.Event(), []
        first = asyncio.ensure_future(work.run(seat, lambda: gate.wait(LIMIT)))
        second = asyncio.ensure_future(work.run(seat, lambda: ran.append(1)))
        await asyncio.sleep(0)
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        gate.set()
        assert await first
        await work.run(seat, lambda: None)
        assert not ran

    running(test)


def test_a_statement_that_nobody_waits_for_is_interrupted_and_its_result_closed() -> None:
    async def test(work: Work) -> None:
        session, result, begun = Interrupted(), Closing(), asyncio.Event()
        loop = asyncio.get_running_loop()

        def call() -> Closing:
            loop.call_soon_threadsafe(begun.set)
            assert session.heard.wait(LIMIT)
            return result

        waiting = asyncio.ensure_future(work.run(seat_of(session), call))
        await begun.wait()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        while not result.closed.is_set():
            await asyncio.sleep(0.001)

    running(test)


def test_a_result_that_comes_with_the_cancel_is_closed() -> None:
    async def test(work: Work) -> None:
        result, seat = Closing(), seat_of(Interrupted())
        waiting = asyncio.ensure_future(work.run(seat, lambda: result))
        await asyncio.sleep(0)
        while work.running:
            await asyncio.sleep(0)
            if not work.running:
                waiting.cancel()  # the result is there, and its caller has not run since
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert result.closed.is_set()

    running(test)


def test_the_end_ends_what_runs_and_what_waits_for_its_turn() -> None:
    async def run() -> None:
        work, session = Work(1), Interrupted()
        seat = seat_of(session)
        first = asyncio.ensure_future(work.run(seat, lambda: session.heard.wait(LIMIT)))
        second = asyncio.ensure_future(work.run(seat, lambda: True))
        await asyncio.sleep(0)
        await asyncio.wait_for(work.end(), LIMIT)
        assert await first
        with pytest.raises(QueryCanceled):
            await second

    asyncio.run(run())
