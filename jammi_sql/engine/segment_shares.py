"""What a tenant sees of segments."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ..ports import Reader
from ..tenancy import TenantId
from ..topics.catalog import CatalogTopic, tenant_text
from ..topics.segments.segment import Segment

if TYPE_CHECKING:
    from .services import Services

__all__ = ["SegmentShare", "segment_shares"]


class SegmentShare(NamedTuple):
    """A segment, the first offset in it that is kept, and of its rows and bytes those that a tenant may read."""

    topic: CatalogTopic
    segment: Segment
    first: int
    rows: int
    size: int


def segment_shares(services: Services, reader: Reader, tenant: TenantId | None) -> list[SegmentShare]:
    """Those of all topics that ``tenant`` sees, in their order. Bytes are shared out by rows."""
    visible = ("", tenant_text(tenant))
    topics = {topic.number: topic for topic in services.catalog.visible(reader, tenant)}
    shares = []
    for segment in services.segments.catalog.visible(reader, visible[1]):
        topic = topics.get(segment.topic)
        if topic is None:
            continue
        first = max(segment.first, topic.first_offset)
        rows = segment.rows_of(visible)
        if first > segment.first:  # a part of it was truncated
            batches = services.segments.files.batches(reader, segment)
            if batches is not None:
                rows = sum(count for _, count, _, owner in batches.between(first, segment.end) if owner in visible)
        size = segment.file_bytes * rows // segment.row_count
        shares.append(SegmentShare(topic, segment, first, rows, size))
    return shares
