"""Messages on their way to the server."""

from __future__ import annotations

from collections.abc import Iterator
from queue import Empty, SimpleQueue
from typing import Any, Final

import pyarrow as pa

from ..arrow.batches import reading
from ..errors import DataError, InvalidParameter
from ..flight.framing import Framing
from ..flight.protocol import flight
from ..flight.protocol.headers import PUT, RAW

__all__ = ["Outgoing", "of_file", "of_rows"]

_AHEAD: Final = 4
_CHUNK: Final = 1 << 20
_CMD: Final = 2


class Outgoing:
    """What gRPC iterates over, in a thread of its own, while the caller's thread makes the messages.

    A user's reader may belong to the thread that made it, and raises where the user sees it.
    """

    def __init__(self) -> None:
        # Both queues, and no lock of Python's: Ctrl-C might leave one taken, see Caller.
        self._messages: SimpleQueue[bytes | None] = SimpleQueue()
        self._room: SimpleQueue[None] = SimpleQueue()
        for _ in range(_AHEAD):
            self._room.put(None)

    def put(self, message: bytes, timeout: float) -> bool:
        """Whether there was room for it within so many seconds."""
        try:
            self._room.get(timeout=timeout)
        except Empty:
            return False
        self._messages.put(message)
        return True

    def end(self) -> None:
        """There are no more."""
        self._messages.put(None)

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        message = self._messages.get()
        if message is None:
            raise StopIteration
        self._room.put(None)
        return message


def of_rows(request: Any, reader: pa.RecordBatchReader) -> Iterator[bytes]:
    """A request and the rows that it is about."""
    framing = Framing(reader.schema)
    yield _first(request) + framing.head()  # two messages of protobuf, one after the other, are their union
    with reading():
        for batch in reader:
            yield from framing.messages(batch)


def of_file(request: Any, stream: Any) -> Iterator[bytes]:
    """A request and the bytes of an open file; text is sent as UTF-8."""
    if not callable(getattr(stream, "read", None)):
        raise InvalidParameter(
            f"stdin is a {type(stream).__name__}, not a file", hint="give an open file, or io.BytesIO(...)"
        )
    yield _first(request, app_metadata=RAW)
    while chunk := _read(stream):
        yield flight.FlightData(data_body=chunk).SerializeToString()


def _first(request: Any, **fields: Any) -> bytes:
    descriptor = flight.FlightDescriptor(type=_CMD, cmd=PUT + request.SerializeToString())
    return bytes(flight.FlightData(flight_descriptor=descriptor, **fields).SerializeToString())


def _read(stream: Any) -> bytes:
    try:
        chunk = stream.read(_CHUNK)
    except Exception as error:
        raise DataError(f"stdin cannot be read: {error}", hint="the cause says what it raised") from error
    if isinstance(chunk, str):
        return chunk.encode()
    if isinstance(chunk, bytes) or chunk is None:
        return chunk or b""
    raise InvalidParameter(f"stdin gives {type(chunk).__name__}, not bytes or text", hint="open the file with 'rb'")
