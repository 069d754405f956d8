"""A batch as a message: what is in its payload and its headers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa

from ...arrow.ipc import Codec, checksum, encode_schema
from ...errors import Error
from ...tenancy import TenantId
from ...topics.definition import TopicId
from ...topics.delivered import DeliveredBatch
from ...topics.offset import Offset, datetime_of, microseconds_of

__all__ = ["Arrival", "Encoder", "decode", "offset_in"]

MESSAGE_ID = "Nats-Msg-Id"
OFFSET = "Jammi-Offset"
PRODUCED_AT = "Jammi-Produced-At"
TENANT = "Jammi-Tenant"
ORIGIN = "Jammi-Origin"
CHECKSUM = "Jammi-Checksum"

_ANY = pa.schema([])
"""A stream brings its own schema along."""
_END = b"\xff\xff\xff\xff\x00\x00\x00\x00"
"""What ends an Arrow IPC stream."""
_RESERVE = 1024
"""What the headers may take of the server's limit, which counts them with the payload; they take some 250 bytes."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """What a message tells: that ``offset`` is in the log, and which batch it is where it was brought along."""

    offset: int
    delivered: DeliveredBatch | None


class Encoder:
    """Makes messages of the batches of one topic; the parts that are always the same are made once."""

    def __init__(self, topic: TopicId, origin: str) -> None:
        self._topic = str(topic)
        self._origin = origin
        self._codec = Codec.of(_ANY)
        self._schema = b""

    def encode(self, delivered: DeliveredBatch, max_payload: int, size: int = 0) -> tuple[dict[str, str], bytes]:
        """Headers and payload. The payload is an Arrow IPC stream with its schema, which anybody can read.

        A batch over ``max_payload`` bytes, the server's limit of a message, is left out: the headers say where it is.
        ``size`` is what it is known to have at least, in bytes, which spares encoding it in vain.
        """
        offset = str(delivered.offset.value)
        headers = {
            MESSAGE_ID: f"{self._topic}:{offset}",
            OFFSET: offset,
            PRODUCED_AT: str(microseconds_of(delivered.produced_at)),
            ORIGIN: self._origin,
        }
        if delivered.tenant is not None:
            headers[TENANT] = str(delivered.tenant)
        batch = delivered.batch
        limit = max_payload - _RESERVE
        if size > limit:
            return headers, b""
        schema = batch.schema
        if not schema.equals(self._codec.schema):
            self._codec = Codec.of(schema)
            self._schema = encode_schema(schema)
        # The log's payload leaves the schema out; another process may know another version of the topic.
        data = self._codec.encode(batch).to_pybytes()
        payload = data if self._codec.streamed else b"".join((self._schema, data, _END))
        if len(payload) > limit:
            return headers, b""
        headers[CHECKSUM] = f"{checksum(payload):x}"
        return headers, payload


def offset_in(headers: Mapping[str, str] | None) -> int | None:
    """The offset that a message is about; ``None`` where it is no message of this package's."""
    text = (headers or {}).get(OFFSET, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


def decode(headers: Mapping[str, str], payload: bytes) -> Arrival | None:
    """What a message brings. ``None``: it is none of this package's.

    One whose batch is missing, damaged or unreadable still tells that the log has it.
    """
    value = offset_in(headers)
    if value is None:
        return None
    if not payload or headers.get(CHECKSUM) != f"{checksum(payload):x}":
        return Arrival(value, None)
    try:
        at = datetime_of(int(headers[PRODUCED_AT]))
        tenant = TenantId(headers[TENANT]) if TENANT in headers else None
        batch = Codec(_ANY, True, ()).decode(pa.py_buffer(payload))
    except (Error, KeyError, ValueError, OverflowError, StopIteration, pa.ArrowException, OSError):
        return Arrival(value, None)
    return Arrival(value, DeliveredBatch(Offset(value, at), at, batch, tenant))
