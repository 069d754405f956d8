"""What the tests of topics share: one schema, and short ways to make and to read batches."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence

import pyarrow as pa

from jammi_sql import Engine
from jammi_sql.tenancy import TenantId
from jammi_sql.topics import DeliveredBatch, Offset, Predicate, Subscription, TopicDefinition

__all__ = [
    "SCHEMA",
    "TENANT_A",
    "TENANT_B",
    "batch_of",
    "definition",
    "ids",
    "log",
    "numbers",
    "offsets",
    "receive",
    "until",
]

LIMIT = 50.0  # seconds after which something that must happen counts as never, on a machine that is busy with much else

SCHEMA = pa.schema(
    [
        pa.field("id", pa.int64(), nullable=False),
        pa.field("kind", pa.utf8(), nullable=False),
        pa.field("value", pa.float64()),
    ]
)
TENANT_A = TenantId("01906c83-d4c8-7e10-9c4f-3b6f7c5a8e9a")
TENANT_B = TenantId("01906c84-aaaa-7e10-9c4f-bbbbcccc8e9a")


def definition(
    name: str = "events.changes",
    tenant: TenantId | None = None,
    schema: pa.Schema = SCHEMA,
    metadata: Mapping[str, str] | None = None,
) -> TopicDefinition:
    """A topic that is not registered yet."""
    return TopicDefinition(name, schema, tenant, metadata or {})


def batch_of(
    numbers: Sequence[int], kinds: str | Sequence[str] = "X", values: Sequence[float | None] | None = None
) -> pa.RecordBatch:
    """One row per number; a single kind stands for all rows, and values are the numbers unless given."""
    texts = [kinds] * len(numbers) if isinstance(kinds, str) else list(kinds)
    floats = [float(number) for number in numbers] if values is None else list(values)
    return pa.record_batch(
        [pa.array(numbers, pa.int64()), pa.array(texts, pa.utf8()), pa.array(floats, pa.float64())], schema=SCHEMA
    )


def receive(subscription: Subscription, count: int) -> list[DeliveredBatch]:
    """The next ``count`` deliveries; ``TimeoutError`` where one does not come."""
    return [subscription.next(timeout=LIMIT) for _ in range(count)]


def offsets(delivered: Iterable[DeliveredBatch]) -> list[int]:
    """Their offsets."""
    return [one.offset.value for one in delivered]


def numbers(batch: pa.RecordBatch, column: str = "id") -> list[int]:
    """A column of integers without nulls."""
    return [int(str(value)) for value in batch.column(column).to_pylist()]


def ids(delivered: Iterable[DeliveredBatch]) -> list[int]:
    """The column ``id`` of all their rows."""
    return [number for one in delivered for number in numbers(one.batch)]


def until(condition: Callable[[], object], what: str) -> None:
    """Wait for ``condition``; an ``AssertionError`` that says ``what`` did not happen."""
    deadline = time.monotonic() + LIMIT
    pause = threading.Event()
    while not condition():
        assert time.monotonic() < deadline, f"did not happen: {what}"
        pause.wait(0.002)


def log(engine: Engine, topic: TopicDefinition) -> list[int]:
    """The numbers in the log, whose offsets are contiguous."""
    replayed = engine.subscriber.replay_only(topic, Predicate.match_all(), Offset(0))
    assert offsets(replayed) == list(range(len(replayed)))
    return ids(replayed)
