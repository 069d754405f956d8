"""Results: end, cancel, close and time limits."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref

import pyarrow as pa
import pytest

from jammi_sql.errors import ConnectionClosed, DataCorrupted, InterfaceError, QueryCanceled
from jammi_sql.results import BatchResult, CommandResult

from .fake_session import QueueSource


@pytest.fixture
def source() -> QueueSource:
    return QueueSource(pa.schema([pa.field("x", pa.int64())]))


def _next_in_thread(result: BatchResult, source: QueueSource) -> tuple[threading.Thread, list[object]]:
    outcome: list[object] = []

    def pull() -> None:
        try:
            outcome.append(result.next_batch())
        except Exception as error:
            outcome.append(error)

    thread = threading.Thread(target=pull)
    thread.start()
    assert source.waiting.wait(50)
    return thread, outcome


def test_batches_come_in_order_then_the_end_stays_the_end(source: QueueSource) -> None:
    source.put(1)
    source.put(2)
    source.queue.put(None)
    result = BatchResult(source)
    batches = [result.next_batch(), result.next_batch()]
    assert [batch.to_pydict() for batch in batches if batch is not None] == [{"x": [1]}, {"x": [2]}]
    assert result.next_batch() is None
    assert result.next_batch() is None
    assert source.closed


def test_a_time_limit_that_passes_loses_nothing(source: QueueSource) -> None:
    result = BatchResult(source)
    with pytest.raises(TimeoutError):
        result.next_batch(timeout=0)
    source.put(1)
    batch = result.next_batch(timeout=0)
    assert batch is not None
    assert batch.num_rows == 1


def test_cancel_from_another_thread_ends_a_waiting_read_with_57014(source: QueueSource) -> None:
    result = BatchResult(source, bounded=False)
    thread, outcome = _next_in_thread(result, source)
    result.cancel()
    thread.join(50)
    assert isinstance(outcome[0], QueryCanceled)
    assert outcome[0].sqlstate == "57014"
    assert source.closed


def test_a_cancelled_result_never_looks_complete(source: QueueSource) -> None:
    source.put(1)
    result = BatchResult(source)
    result.cancel()
    for _ in range(2):
        with pytest.raises(QueryCanceled):
            result.next_batch()


def test_what_a_cancelled_source_raises_is_shown_as_the_cancel(source: QueueSource) -> None:
    result = BatchResult(source)
    result._source.cancel = lambda: source.queue.put(OSError("torn"))  # type: ignore[method-assign]
    thread, outcome = _next_in_thread(result, source)
    result.cancel()
    thread.join(50)
    assert isinstance(outcome[0], QueryCanceled)


def test_cancelling_what_is_over_changes_nothing(source: QueueSource) -> None:
    source.queue.put(None)
    result = BatchResult(source)
    assert result.next_batch() is None
    result.cancel()
    assert result.next_batch() is None
    assert not source.cancelled


def test_an_error_is_raised_again_and_not_followed_by_an_end(source: QueueSource) -> None:
    source.queue.put(DataCorrupted("batch 3 of topic t is damaged"))
    result = BatchResult(source)
    for _ in range(2):
        with pytest.raises(DataCorrupted, match="batch 3"):
            result.next_batch()
    assert source.closed


def test_close_from_another_thread_ends_a_waiting_read_before_the_source_is_closed(source: QueueSource) -> None:
    result = BatchResult(source)
    thread, outcome = _next_in_thread(result, source)
    result.close()
    thread.join(50)
    assert isinstance(outcome[0], ConnectionClosed)
    assert source.closed


def test_two_threads_cannot_read_one_result_at_once(source: QueueSource) -> None:
    result = BatchResult(source)
    thread, _ = _next_in_thread(result, source)
    with pytest.raises(InterfaceError, match="another thread"):
        result.next_batch()
    source.put(1)
    thread.join(50)


def test_the_reader_pulls_only_what_is_asked_for(source: QueueSource) -> None:
    source.put(1)
    reader = BatchResult(source, bounded=False).reader()
    assert source.pulls == 0
    assert reader.read_next_batch().num_rows == 1
    assert source.pulls == 1


def test_letting_go_of_the_reader_closes_the_source(source: QueueSource) -> None:
    source.put(1)
    reader = BatchResult(source, bounded=False).reader()
    reader.read_next_batch()
    del reader
    gc.collect()
    assert source.closed


def test_letting_go_of_a_result_closes_the_source(source: QueueSource) -> None:
    result = BatchResult(source)
    gone = weakref.ref(result)
    del result
    gc.collect()
    assert gone() is None
    assert source.closed


def test_an_async_read_that_is_given_up_can_be_taken_up_again(source: QueueSource) -> None:
    async def read() -> pa.RecordBatch | None:
        result = BatchResult(source, bounded=False)
        task = asyncio.create_task(result.anext_batch())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        source.put(7)
        return await result.anext_batch()

    batch = asyncio.run(read())
    assert batch is not None
    assert batch.to_pydict() == {"x": [7]}


def test_a_table_at_hand_is_a_result_of_known_length() -> None:
    result = BatchResult.of(pa.table({"x": [1, 2, 3]}))
    assert (result.rowcount, result.bounded) == (3, True)
    assert result.reader().read_all().to_pydict() == {"x": [1, 2, 3]}


def test_a_command_has_a_count_and_no_rows() -> None:
    result = CommandResult(5)
    assert (result.rowcount, result.schema, result.bounded) == (5, None, True)
    with pytest.raises(TypeError, match="no rows"):
        result.reader()
