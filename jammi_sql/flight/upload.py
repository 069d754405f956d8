"""The batches that a client sends, read in a thread while they arrive."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Self

import pyarrow as pa

from ..errors import InvalidParameter, QueryCanceled
from .framing import encapsulated
from .message_file import MessageFile
from .protocol.headers import RAW

__all__ = ["RAW", "Upload"]

_END = b"\xff\xff\xff\xff\x00\x00\x00\x00"


class Upload(MessageFile):
    """A stream of ``FlightData``; its first message, which says what it is for, has come.

    ``reader`` gives the batches to a thread other than the event loop's. Each message is asked for when it is needed, so a
    client that sends faster than rows are written has to wait.
    """

    def __init__(self, messages: AsyncIterator[Any], first: Any) -> None:
        super().__init__()
        self.first = first
        self._messages = messages.__aiter__()
        self._loop = asyncio.get_running_loop()
        self._raw = first.app_metadata == RAW
        self._held = memoryview(encapsulated(first.data_header, first.data_body) if first.data_header else b"")
        self._over = False
        self._stopped = False

    @classmethod
    async def begin(cls, messages: AsyncIterator[Any]) -> Self:
        """The upload of a call; ``InvalidParameter`` where not even a first message came."""
        first = await anext(messages.__aiter__(), None)
        if first is None:
            raise InvalidParameter(
                "the call brought no message",
                hint="to ingest no rows, send one empty batch: drivers send nothing for none",
            )
        upload = cls(messages, first)
        if not first.data_header and not upload._raw:  # the descriptor alone: rows may follow
            await upload._next()
        return upload

    @property
    def has_rows(self) -> bool:
        """Whether batches follow, or at least a schema of some columns: a call without parameters may bring one of none."""
        return bool(self._held)

    def reader(self) -> pa.RecordBatchReader:
        """The batches, for a thread other than the event loop's; ``InvalidParameter`` for what is no Arrow data."""
        try:
            reader: pa.RecordBatchReader = pa.ipc.open_stream(pa.PythonFile(self, mode="r"))
        except pa.ArrowInvalid as error:
            raise InvalidParameter("the rows are no stream of Arrow data") from error
        return reader

    def stop(self) -> None:
        """Make the thread that reads give up: the client is gone, and what it sent is not all."""
        self._stopped = True

    # --- as a file of the thread's ---

    def _fill(self) -> bool:
        if self._over:
            return False
        try:
            more = asyncio.run_coroutine_threadsafe(self._next(), self._loop).result()
        except BaseException as error:
            raise QueryCanceled("the client left before it had sent all rows") from error
        if self._stopped:
            raise QueryCanceled("the client left before it had sent all rows")
        if not more:
            self._over = True
            self._held = memoryview(b"" if self._raw else _END)
            return not self._raw
        return True

    async def _next(self) -> bool:
        while (message := await anext(self._messages, None)) is not None:
            if self._raw and message.data_body:
                self._held = memoryview(message.data_body)
                return True
            if message.data_header:
                self._held = memoryview(encapsulated(message.data_header, message.data_body))
                return True
        return False
