"""The batches that a client sends, read in a thread while they arrive."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final, Self

import pyarrow as pa

from ..errors import InvalidParameter, QueryCanceled
from .framing import encapsulated
from .message_file import MessageFile
from .protocol.headers import RAW

__all__ = ["RAW", "Upload"]

_END: Final = b"\xff\xff\xff\xff\x00\x00\x00\x00"
_AHEAD: Final = 1 << 16
_SMALL: Final = 1 << 12


class Upload(MessageFile):
    """A stream of ``FlightData``; its first message, which says what it is for, has come.

    ``reader`` gives the batches to a thread other than the event loop's. Each message is asked for when it is needed, so a
    client that sends faster than rows are written has to wait.
    """

    def __init__(self, messages: AsyncIterator[Any], first: Any, answer: Callable[[], Awaitable[None]]) -> None:
        """``answer`` fails where the client is gone."""
        super().__init__()
        self.first = first
        self._answer = answer
        self._messages = messages.__aiter__()
        self._loop = asyncio.get_running_loop()
        self._raw = first.app_metadata == RAW
        self._held = memoryview(encapsulated(first.data_header, first.data_body) if first.data_header else b"")
        self._ahead: deque[memoryview] = deque()  # what came after that, and was not asked for yet
        self._over = False
        self._stopped = False

    @classmethod
    async def begin(cls, messages: AsyncIterator[Any], answer: Callable[[], Awaitable[None]]) -> Self:
        """The upload of a call; ``InvalidParameter`` where not even a first message came.

        ``answer`` sends the client the first of what it is told, and fails where it is gone.
        """
        first = await anext(messages.__aiter__(), None)
        if first is None:
            raise InvalidParameter(
                "the call brought no message",
                hint="to ingest no rows, send one empty batch: drivers send nothing for none",
            )
        upload = cls(messages, first, answer)
        if not first.data_header and not upload._raw:  # the descriptor alone: rows may follow
            upload._held = await upload._next() or upload._held
        return upload

    async def gather(self) -> None:
        """Read ahead, to the end of a short upload: each message that a thread asks for costs it two switches of threads, more
        than one row of parameters takes else. Nobody's turn in a session is held up meanwhile by a client that is slow."""
        size = len(self._held)
        while self._held and not self._over and size < _AHEAD:
            piece = await self._next()
            if piece is None:
                self._over = True
                piece = memoryview(_END)
            self._ahead.append(piece)
            size += len(piece)

    @property
    def is_whole(self) -> bool:
        """Whether all of it came already."""
        return self._over

    @property
    def is_small(self) -> bool:
        """Whether all of it came already, and is so little that reading it takes less than handing it to a thread."""
        return self._over and len(self._held) + sum(map(len, self._ahead)) <= _SMALL

    @property
    def has_rows(self) -> bool:
        """Whether batches follow, or at least a schema of some columns: a call without parameters may bring one of none."""
        return bool(self._held)

    def reader(self) -> pa.RecordBatchReader:
        """The batches, for a thread other than the event loop's unless ``is_small``; ``InvalidParameter`` for what is no Arrow
        data."""
        source = pa.BufferReader(self.read()) if self._over else pa.PythonFile(self, mode="r")
        try:
            reader: pa.RecordBatchReader = pa.ipc.open_stream(source)
        except (pa.ArrowInvalid, OSError) as error:
            raise InvalidParameter("the rows are no stream of Arrow data") from error
        return reader

    def stop(self) -> None:
        """Make the thread that reads give up: the client is gone, and what it sent is not all."""
        self._stopped = True

    # --- as a file of the thread's ---

    def _fill(self) -> bool:
        if self._ahead:
            self._held = self._ahead.popleft()
            return True
        if self._over:
            return False
        try:
            piece = asyncio.run_coroutine_threadsafe(self._next(), self._loop).result()
        except BaseException as error:
            raise _left() from error
        if self._stopped:
            raise _left()
        if piece is None:
            self._over = True
            self._held = memoryview(b"" if self._raw else _END)
            return not self._raw
        self._held = piece
        return True

    async def _next(self) -> memoryview | None:
        while (message := await anext(self._messages, None)) is not None:
            if self._raw and message.data_body:
                return memoryview(message.data_body)
            if message.data_header:
                return memoryview(encapsulated(message.data_header, message.data_body))
        # Of a client that is gone gRPC says first that no more comes, as of one that is through, and a moment later the rest.
        try:
            await self._answer()
        except Exception as error:
            raise _left() from error
        return None


def _left() -> QueryCanceled:
    return QueryCanceled("the client left before it had sent all rows")
