"""What subscribers get."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa

from ..tenancy import TenantId
from .definition import TopicId
from .offset import Offset

__all__ = ["ConsumerOffsetSnapshot", "DeliveredBatch"]


@dataclass(frozen=True, slots=True)
class DeliveredBatch:
    """One batch of a topic as a subscriber sees it.

    ``batch`` has the topic's user columns and only the rows that match the predicate. ``produced_at`` is aware, UTC.
    ``tenant`` is the publisher's, ``None`` for a global row.
    """

    offset: Offset
    produced_at: datetime
    batch: pa.RecordBatch
    tenant: TenantId | None


@dataclass(frozen=True, slots=True)
class ConsumerOffsetSnapshot:
    """How far a live subscription has come. Sequences are engine offsets, -1 before the first delivery."""

    consumer_name: str
    topic_id: TopicId
    last_delivered_stream_sequence: int
    last_ack_stream_sequence: int
