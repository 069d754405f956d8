"""The consumers of other processes, as the server knows them."""

from __future__ import annotations

from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.api import ConsumerInfo
from nats.js.errors import NotFoundError

from ...errors import DriverError
from ...topics.definition import TopicId
from ...topics.delivered import ConsumerOffsetSnapshot
from .client import reason_of
from .message import offset_in
from .session import Session

__all__ = ["foreign_consumers"]

_PAGE = 256
"""How many the server lists at a time."""
_MOST = 4096


async def foreign_consumers(session: Session, topic: TopicId, origin: str) -> list[ConsumerOffsetSnapshot]:
    """One snapshot per consumer of the topic's stream but our own. ``DriverError`` when the server cannot be asked."""
    jetstream = session.jetstream
    if jetstream is None:
        raise DriverError("the NATS server cannot be reached", hint="the log shows what is committed meanwhile")
    stream = session.names.stream(topic)
    try:
        found: list[ConsumerInfo] = []
        while len(found) < _MOST:
            page = await jetstream.consumers_info(stream, len(found))
            found += page
            if len(page) < _PAGE:
                break
        offsets: dict[int, int] = {0: -1}
        return [
            ConsumerOffsetSnapshot(
                info.name,
                topic,
                await _offset(jetstream, stream, offsets, _delivered(info)),
                await _offset(jetstream, stream, offsets, _acknowledged(info)),
            )
            for info in found
            if info.name != origin
        ]
    except NotFoundError:
        return []
    except (NatsError, OSError, TimeoutError) as error:
        raise DriverError(f"the NATS server does not list consumers: {reason_of(error)}") from None


def _delivered(info: ConsumerInfo) -> int:
    """The place in the stream of what was delivered last, 0 for none."""
    last = info.delivered
    return last.stream_seq if last is not None and last.consumer_seq else 0


def _acknowledged(info: ConsumerInfo) -> int:
    """The same of what was acknowledged; a delivery without acknowledgements counts as one."""
    last = info.ack_floor
    if last is not None and last.consumer_seq:
        return last.stream_seq
    return _delivered(info) if info.config.ack_policy == "none" else 0


async def _offset(jetstream: JetStreamContext, stream: str, known: dict[int, int], sequence: int) -> int:
    """The engine's offset of the message at a place in the stream, -1 where it is gone."""
    if sequence not in known:
        try:
            message = await jetstream.get_msg(stream, sequence)
        except NotFoundError:
            known[sequence] = -1
        else:
            offset = offset_in(message.headers)
            known[sequence] = -1 if offset is None else offset
    return known[sequence]
