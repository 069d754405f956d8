"""What a tenant sees of segments."""

from __future__ import annotations

from collections.abc import Iterable
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


def segment_shares(
    services: Services, reader: Reader, tenant: TenantId | None, topics: Iterable[CatalogTopic]
) -> list[SegmentShare]:
    """Those of ``topics``, which ``tenant`` sees, in their order. Bytes are shared out by rows."""
    visible = ("", tenant_text(tenant))
    numbered = {topic.number: topic for topic in topics}
    shares = []
    for segment in services.segments.catalog.visible(reader, visible[1]):
        topic = numbered.get(segment.topic)
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
