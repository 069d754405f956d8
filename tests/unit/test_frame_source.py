"""Pulling the batches of a query, whatever interrupts it."""

from __future__ import annotations

import asyncio
import concurrent.futures
import linecache
import sys
import threading
import weakref
from pathlib import Path
from types import FrameType
from typing import Any

import pyarrow as pa
import pytest
from datafusion import SessionContext

from jammi_sql import shutdown
from jammi_sql.engine import frame_source, pull
from jammi_sql.engine.frame_source import FrameSource
from jammi_sql.engine.progress import measured
from tests.topic_support import LIMIT, until

SCHEMA = pa.schema([("x", pa.int64())])
FILES = {Path(frame_source.__file__), Path(pull.__file__)}
FUNCTIONS = {
    "_pull", "send", "wait", "take", "_take", "next_batch", "__init__", "create_future", "add_done_callback",
}  # fmt: skip


def source(batches: int) -> FrameSource:
    context = SessionContext()
    parts = [[pa.record_batch([[number]], schema=SCHEMA)] for number in range(batches)]
    table = context.create_dataframe([[part[0] for part in parts]], name="t")
    return FrameSource(table, SCHEMA, lambda error: error)


def test_an_interrupt_at_any_line_loses_no_batch_and_counts_no_call() -> None:
    lines: set[tuple[str, int]] = set()
    hit: list[tuple[str, int]] = []

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        code = frame.f_code
        if Path(code.co_filename) not in FILES or code.co_name not in FUNCTIONS:
            return None
        place = (code.co_name, frame.f_lineno)
        if linecache.getline(code.co_filename, frame.f_lineno).strip() == "return batch":
            return trace  # it is its caller's from here on
        if event == "line" and place not in lines and not hit:
            hit.append(place)
            raise KeyboardInterrupt
        return trace

    calls = shutdown.open_calls()
    while True:
        hit.clear()
        pulled = source(3)
        sys.settrace(trace)
        try:
            got = [pulled.next_batch(LIMIT)]
        except KeyboardInterrupt:
            got = []
        finally:
            sys.settrace(None)
        asyncio.run(_nothing())  # no other loop is in force
        while not got or got[-1] is not None:
            got.append(pulled.next_batch(LIMIT))
        assert [batch.column(0).to_pylist() for batch in got if batch is not None] == [[0], [1], [2]], hit
        pulled.close()
        until(lambda: shutdown.open_calls() == calls, "the calls are over")
        if not hit:
            break
        lines.update(hit)
    assert len({name for name, _ in lines}) == len(FUNCTIONS)


async def _nothing() -> None:
    pass


def test_who_waits_for_a_query_that_is_cancelled_is_told() -> None:
    calls = shutdown.open_calls()
    context = SessionContext()
    endless = context.sql("SELECT count(*) AS x FROM range(100000000) AS a CROSS JOIN range(100000000) AS b")
    pulled = FrameSource(endless, SCHEMA, lambda error: error)
    raised: list[BaseException] = []

    def wait() -> None:
        try:
            pulled.next_batch(None)
        except BaseException as error:
            raised.append(error)

    waiting = threading.Thread(target=wait)
    waiting.start()
    until(lambda: shutdown.open_calls() > calls, "it runs")
    pulled.cancel()
    waiting.join(LIMIT)
    assert not waiting.is_alive()
    assert raised
    until(lambda: shutdown.open_calls() == calls, "the call is over")
    pulled.close()


def test_a_pull_that_is_cancelled_while_it_begins_is_ended_once() -> None:
    told: list[bool] = []

    class Beginning:
        """What a stream of DataFusion's does when it is pulled."""

        @property
        def rbs(self) -> Beginning:
            return self

        def __anext__(self) -> None:
            future = asyncio.get_running_loop().create_future()
            cancelling = threading.Thread(target=future.cancel)
            cancelling.start()
            cancelling.join()
            future.add_done_callback(lambda future: told.append(future.cancelled()))

    pulled = pull.Pull(Beginning())
    pulled.send()
    assert pulled.wait(LIMIT)
    pulled.cancel()
    assert told == [True]
    with pytest.raises(concurrent.futures.CancelledError):
        pulled.take()


def test_a_pull_that_is_over_holds_no_stream_of_which_more_would_be_made_ahead() -> None:
    class Stream:
        @property
        def rbs(self) -> Stream:
            return self

        def __anext__(self) -> None:
            asyncio.get_running_loop().create_future().add_done_callback(lambda future: None)

    stream = Stream()
    held = weakref.ref(stream)
    pulled = pull.Pull(stream)
    pulled.send()
    pulled.cancel()
    del stream
    assert held() is None


def test_a_query_that_was_cancelled_is_pulled_no_more() -> None:
    endless = SessionContext().sql("SELECT count(*) AS x FROM range(100000000) AS a CROSS JOIN range(100000000) AS b")
    pulled = FrameSource(endless, SCHEMA, lambda error: error)
    pulled.cancel()
    with pytest.raises(concurrent.futures.CancelledError):
        pulled.next_batch(LIMIT)
    pulled.close()


def test_a_batch_is_not_lost_when_who_awaits_it_is_cancelled() -> None:
    pulled = source(3)

    async def follow() -> list[Any]:
        got: list[Any] = []
        while not got or got[-1] is not None:
            given_up = asyncio.ensure_future(pulled.anext_batch())
            await asyncio.sleep(0)  # it waits
            given_up.cancel()
            with pytest.raises(asyncio.CancelledError):
                await given_up
            got.append(await pulled.anext_batch())
        return [batch.column(0).to_pylist() for batch in got if batch is not None]

    assert asyncio.run(follow()) == [[0], [1], [2]]
    pulled.close()


def test_an_event_loop_that_waits_is_told_of_a_cancel_by_another_thread() -> None:
    calls = shutdown.open_calls()
    endless = SessionContext().sql("SELECT count(*) AS x FROM range(100000000) AS a CROSS JOIN range(100000000) AS b")
    pulled = FrameSource(endless, SCHEMA, lambda error: error)

    async def follow() -> None:
        waiting = asyncio.ensure_future(pulled.anext_batch())
        await asyncio.sleep(0)
        threading.Thread(target=pulled.cancel).start()
        with pytest.raises(concurrent.futures.CancelledError):
            await asyncio.wait_for(waiting, LIMIT)

    asyncio.run(follow())
    assert shutdown.open_calls() == calls
    pulled.close()


def test_an_event_loop_that_is_closed_is_told_nothing() -> None:
    endless = SessionContext().sql("SELECT count(*) AS x FROM range(100000000) AS a CROSS JOIN range(100000000) AS b")
    pulled = FrameSource(endless, SCHEMA, lambda error: error)

    async def leave() -> None:
        waiting = asyncio.ensure_future(pulled.anext_batch())
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    asyncio.run(leave())
    pulled.cancel()
    pulled.close()


def test_a_query_that_cannot_be_ended_yet_keeps_no_other_one_waiting() -> None:
    context = SessionContext()
    sides = "generate_series(1, 10000) AS a, generate_series(1, 100000) AS b"
    endless = context.sql(f"SELECT sum(a.value * b.value % 7) FROM {sides}")
    joining = FrameSource(endless, endless.schema(), lambda error: error)
    with pytest.raises(TimeoutError):
        joining.next_batch(0)
    plan = endless.execution_plan()
    until(lambda: measured(plan).most > 1_000_000, "the join began")
    joining.close()

    other = context.sql("SELECT count(*) AS n FROM generate_series(1, 1000)")
    assert _all(FrameSource(other, other.schema(), lambda error: error)) == [1_000]

    batch = 10_000 * 8_192  # the rows that a part of the join makes of one batch, before it looks up
    assert measured(plan).most < batch


def _all(source: FrameSource) -> list[Any]:
    try:
        values: list[Any] = []
        while (batch := source.next_batch(LIMIT)) is not None:
            values += batch.column(0).to_pylist()
        return values
    finally:
        source.close()
