"""Rows that a server sends, pulled as they are asked for."""

from __future__ import annotations

import asyncio
import atexit
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, Final
from weakref import WeakSet

import pyarrow as pa

from ..errors import Error, InterfaceError
from ..flight.framing import encapsulated, unframed
from ..flight.message_file import MessageFile
from .stream_call import StreamCall

__all__ = ["Stream"]

_AHEAD: Final = 2  # batches that wait here; more wait with the server
_LEAVING: Final = 2.0  # seconds that a thread has to notice the end of the process
_pumped: WeakSet[Stream] = WeakSet()
_pumped_lock = threading.Lock()


class Stream:
    """The ``BatchSource`` over a DoGet.

    gRPC's streams can be waited for without a limit only. So a thread pulls, from the first time that a batch is asked for.
    """

    def __init__(self, schema: pa.Schema, call: StreamCall, error_of: Callable[[Any], Error]) -> None:
        """``call`` has begun; ``error_of`` makes an error of this package of one of gRPC's."""
        self._schema = schema
        self._call = call
        self._error_of = error_of
        self._changed = threading.Condition()
        self._batches: deque[pa.RecordBatch] = deque()
        self._failure: Exception | None = None
        self._over = False
        self._stopped = False
        self._thread: threading.Thread | None = None
        self._waiters: list[tuple[asyncio.AbstractEventLoop, asyncio.Future[None]]] = []

    @property
    def schema(self) -> pa.Schema:
        """The schema of every batch."""
        return self._schema

    def next_batch(self, timeout: float | None) -> pa.RecordBatch | None:
        """The next batch; ``TimeoutError`` when none came in time."""
        with self._changed:
            self._begin()
            if not self._changed.wait_for(self._is_ready, timeout):
                raise TimeoutError
            return self._taken()

    async def anext_batch(self) -> pa.RecordBatch | None:
        """As ``next_batch``, without blocking the event loop."""
        loop = asyncio.get_running_loop()
        while True:
            with self._changed:
                self._begin()
                if self._is_ready():
                    return self._taken()
                waiter = loop, loop.create_future()
                self._waiters.append(waiter)
            try:
                await waiter[1]
            finally:
                with self._changed:
                    if waiter in self._waiters:
                        self._waiters.remove(waiter)

    def cancel(self) -> None:
        """End it, here and at the server."""
        with self._changed:
            self._stopped = True
            self._tell()
        self._call.cancel()

    def close(self) -> None:
        """End it."""
        self.cancel()
        self._batches.clear()

    # --- inside ---

    def _begin(self) -> None:
        if self._thread is None and not self._stopped:
            self._thread = threading.Thread(target=self._pump, name="jammi-wire-stream", daemon=True)
            self._thread.start()
            with _pumped_lock:
                _pumped.add(self)

    def _is_ready(self) -> bool:
        return bool(self._batches) or self._over or self._stopped

    def _taken(self) -> pa.RecordBatch | None:
        if self._stopped:
            return None
        if self._batches:
            batch = self._batches.popleft()
            self._changed.notify_all()
            return batch
        if self._failure is not None:
            raise self._failure
        return None

    def _pump(self) -> None:
        messages = _Messages(self._call.messages)
        failure: Exception | None = None
        try:
            with pa.ipc.open_stream(pa.PythonFile(messages, mode="r")) as reader:
                for batch in reader:
                    if not self._keep(batch):
                        return
        except Exception as error:
            failed = messages.failure or error
            failure = self._error_of(failed) if hasattr(failed, "code") else _unreadable(failed)
        with self._changed:
            self._failure = failure
            self._over = True
            self._tell()

    def _keep(self, batch: pa.RecordBatch) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: len(self._batches) < _AHEAD or self._stopped)
            self._batches.append(batch)
            self._tell()
            return not self._stopped

    def _tell(self) -> None:
        self._changed.notify_all()
        waiters, self._waiters = self._waiters, []
        for loop, waiter in waiters:
            try:
                loop.call_soon_threadsafe(_settle, waiter)
            except RuntimeError:  # that event loop is over, and nobody waits in it
                continue


@atexit.register
def _end() -> None:
    """End the threads before the interpreter goes down: one that comes back from Arrow's code then aborts the process."""
    with _pumped_lock:
        streams = list(_pumped)
    for stream in streams:
        stream.cancel()
    for stream in streams:
        if stream._thread is not None:
            stream._thread.join(_LEAVING)


def _settle(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)


def _unreadable(error: Exception) -> Error:
    failure = InterfaceError(f"the server sent what is no Arrow data: {error}", sqlstate="08P01")
    failure.__cause__ = error
    return failure


class _Messages(MessageFile):
    """The messages of a call as the file of an IPC stream."""

    def __init__(self, call: Any) -> None:
        super().__init__()
        self._call = call
        self.failure: Exception | None = None

    def _fill(self) -> bool:
        try:
            message = next(self._call, None)
        except Exception as error:
            self.failure = error  # pyarrow passes it on as one of its own
            raise
        if message is None:
            return False
        header, body = unframed(message)
        self._held = memoryview(encapsulated(header, body))
        return True
