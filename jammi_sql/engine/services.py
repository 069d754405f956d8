"""What the sessions of one engine share."""

from __future__ import annotations

import time
from dataclasses import dataclass

from ..ports import Broker, Store
from ..tables.cache import TableCache
from ..tables.catalog import TableCatalog
from ..tables.rows import TableRows
from ..topics.catalog import TopicCatalog
from ..topics.log import Log
from ..topics.publisher import Publisher
from ..topics.subscriber import Subscriber
from ..topics.watch import HeadWatch
from .caching import Caches
from .functions import FunctionLibrary
from .segment_scan import SegmentScans
from .segmenting import Segments
from .texts import Texts

__all__ = ["Services", "SystemClock"]


class SystemClock:
    """The machine's wall clock."""

    def now_us(self) -> int:
        """Microseconds since 1970 in UTC."""
        return time.time_ns() // 1000


@dataclass(frozen=True, slots=True, eq=False)
class Services:
    """The parts of an engine."""

    store: Store
    catalog: TopicCatalog
    tables: TableCatalog
    rows: TableRows
    cache: TableCache
    log: Log
    broker: Broker
    watch: HeadWatch
    publisher: Publisher
    subscriber: Subscriber
    functions: FunctionLibrary
    segments: Segments
    scans: SegmentScans
    caches: Caches
    texts: Texts
