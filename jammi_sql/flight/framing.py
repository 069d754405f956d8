"""Batches as messages of Arrow Flight.

A ``FlightData`` holds one IPC message in two parts, its metadata and its body. It is put together by hand, which copies
the body once; protobuf's own classes would copy it three times.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any, Final

import pyarrow as pa

__all__ = ["MESSAGE_BYTES", "Framing", "encapsulated", "ipc_schema", "unframed"]

MESSAGE_BYTES: Final = 8 << 20
"""Bytes of rows in one message at most, one row of more excepted: clients take 16 MiB."""

_HEADER: Final = b"\x12"  # field 2, of bytes
_BODY: Final = b"\xc2\x3e"  # field 1000, of bytes
_HEADER_FIELD, _BODY_FIELD, _BYTES = 2, 1000, 2
_CONTINUATION: Final = b"\xff\xff\xff\xff"
_SMALL_ROWS: Final = 1  # a row cannot be split


def ipc_schema(schema: pa.Schema) -> bytes:
    """A schema as one encapsulated IPC message, as ``FlightInfo`` has it."""
    data: bytes = schema.serialize().to_pybytes()
    return data


def encapsulated(header: bytes | memoryview, body: bytes | memoryview) -> bytes:
    """The two parts of a message as they stand in an IPC stream."""
    padding = -len(header) % 8
    return b"".join((_CONTINUATION, (len(header) + padding).to_bytes(4, "little"), header, bytes(padding), body))


def unframed(data: bytes) -> tuple[memoryview, memoryview]:
    """Header and body of a serialized ``FlightData``, without a copy; fields that it may have beside them are passed over.

    ``ValueError`` for what is none.
    """
    view, at, header, body = memoryview(data), 0, memoryview(b""), memoryview(b"")
    while at < len(view):
        key, at = _number(view, at)
        if key & 7 != _BYTES:
            raise ValueError("no message of Flight")
        length, at = _number(view, at)
        if at + length > len(view):
            raise ValueError("a message of Flight that is cut short")
        field, at = view[at : at + length], at + length
        if key >> 3 == _HEADER_FIELD:
            header = field
        elif key >> 3 == _BODY_FIELD:
            body = field
    return header, body


def _number(view: memoryview, at: int) -> tuple[int, int]:
    """A varint and where it ends."""
    number = shift = 0
    while True:
        if at >= len(view) or shift > 63:
            raise ValueError("no message of Flight")
        byte = view[at]
        number |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return number, at


class Framing:
    """The messages of one stream."""

    def __init__(self, schema: pa.Schema) -> None:
        self._schema = schema.serialize()
        self._dictionaries = _DictionaryStream(schema) if _has_dictionaries(schema) else None

    @property
    def ipc_schema(self) -> bytes:
        """As the function of that name."""
        data: bytes = self._schema.to_pybytes()
        return data

    def head(self) -> bytes:
        """The first message, with the schema."""
        return b"".join(_parts(self._schema))

    def messages(self, batch: pa.RecordBatch) -> Iterator[bytes]:
        """The messages of a batch, in order."""
        for piece in _pieces(batch):
            if self._dictionaries is None:
                yield b"".join(_parts(piece.serialize()))
            else:
                yield from self._dictionaries.messages(piece)


class _DictionaryStream:
    """Batches with dictionaries, which are messages of their own: a stream's writer knows which were sent already."""

    def __init__(self, schema: pa.Schema) -> None:
        self._sink = _Sink()
        options = pa.ipc.IpcWriteOptions(emit_dictionary_deltas=False)
        self._writer = pa.ipc.new_stream(pa.PythonFile(self._sink, mode="w"), schema, options=options)

    def messages(self, batch: pa.RecordBatch) -> Iterator[bytes]:
        self._writer.write_batch(batch)
        reader = pa.ipc.MessageReader.open_stream(pa.py_buffer(self._sink.take()))
        for message in reader:
            if message.type != "schema":  # which the head was
                yield b"".join(_frame(message.metadata, message.body))


class _Sink(io.RawIOBase):
    """A file that is written to and taken from."""

    def __init__(self) -> None:
        super().__init__()
        self._written: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._written.append(bytes(data))
        return len(data)

    def take(self) -> bytes:
        written, self._written = self._written, []
        return b"".join(written)


def _parts(message: pa.Buffer) -> tuple[Any, ...]:
    """The parts of the ``FlightData`` of one encapsulated message."""
    view = memoryview(message)
    length = int.from_bytes(view[4:8], "little")
    return _frame(view[8 : 8 + length], view[8 + length :])


def _frame(header: Any, body: Any) -> tuple[Any, ...]:
    header, body = memoryview(header), memoryview(b"" if body is None else body)
    framed = (_HEADER, _varint(len(header)), header)
    return (*framed, _BODY, _varint(len(body)), body) if body.nbytes else framed


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _pieces(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    if batch.num_rows <= _SMALL_ROWS or batch.nbytes <= MESSAGE_BYTES:
        yield batch
        return
    middle = batch.num_rows // 2  # halves, since rows may differ a lot in size
    yield from _pieces(batch.slice(0, middle))
    yield from _pieces(batch.slice(middle))


def _has_dictionaries(schema: pa.Schema) -> bool:
    return any(_holds_dictionary(field.type) for field in schema)


def _holds_dictionary(data_type: pa.DataType) -> bool:
    if pa.types.is_dictionary(data_type):
        return True
    if isinstance(data_type, pa.BaseExtensionType):
        return _holds_dictionary(data_type.storage_type)
    return any(_holds_dictionary(data_type.field(place).type) for place in range(data_type.num_fields))
