"""What an engine measures. No label has a tenant, a value or the text of a statement."""

from __future__ import annotations

from typing import Final

from .port import Instrument

__all__ = [
    "DELIVERED_BATCHES",
    "DELIVERED_ROWS",
    "DELIVERY_SECONDS",
    "FAN_OUT_FAILURES",
    "INSTRUMENTS",
    "LAG",
    "PUBLISHED_BATCHES",
    "PUBLISHED_BYTES",
    "PUBLISHED_ROWS",
    "PUBLISH_SECONDS",
    "SEGMENTS",
    "SEGMENT_ROWS",
    "STATEMENTS",
    "STATEMENT_ERRORS",
    "STATEMENT_SECONDS",
    "STORE_RETRIES",
    "STORE_SECONDS",
    "SUBSCRIPTIONS",
]

_SECONDS: Final = (0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0, 30.0)
_TOPIC: Final = ("topic",)

PUBLISHED_BATCHES: Final = Instrument(
    "jammi.publish.batches", "counter", "{batch}", "Batches that were committed.", _TOPIC
)
PUBLISHED_ROWS: Final = Instrument("jammi.publish.rows", "counter", "{row}", "Rows that were committed.", _TOPIC)
PUBLISHED_BYTES: Final = Instrument(
    "jammi.publish.bytes", "counter", "By", "Arrow data that was committed, before it is encoded.", _TOPIC
)
PUBLISH_SECONDS: Final = Instrument(
    "jammi.publish.duration",
    "histogram",
    "s",
    "From the call of a publish outside of a transaction until it is on disk.",
    _TOPIC,
    _SECONDS,
)
DELIVERED_BATCHES: Final = Instrument(
    "jammi.deliver.batches", "counter", "{batch}", "Batches that subscriptions handed out.", _TOPIC
)
DELIVERED_ROWS: Final = Instrument(
    "jammi.deliver.rows", "counter", "{row}", "Rows that subscriptions handed out.", _TOPIC
)
DELIVERY_SECONDS: Final = Instrument(
    "jammi.deliver.duration",
    "histogram",
    "s",
    "From produced_at until a batch is handed out, of batches produced since the subscription began.",
    _TOPIC,
    _SECONDS,
)
LAG: Final = Instrument(
    "jammi.subscription.lag",
    "gauge",
    "{batch}",
    "Batches in the log that the slowest live subscription of a topic has not handed out.",
    _TOPIC,
)
SUBSCRIPTIONS: Final = Instrument(
    "jammi.subscriptions", "gauge", "{subscription}", "Live subscriptions of a topic.", _TOPIC
)
FAN_OUT_FAILURES: Final = Instrument(
    "jammi.fanout.failures",
    "counter",
    "{batch}",
    "Committed batches that the broker did not take; subscribers read them from the log.",
    ("topic", "broker"),
)
STORE_SECONDS: Final = Instrument(
    "jammi.store.duration",
    "histogram",
    "s",
    "How long the store takes: to begin (the wait for the write lock), to query, to execute, to commit.",
    ("store", "operation"),
    _SECONDS,
)
STORE_RETRIES: Final = Instrument(
    "jammi.store.retries",
    "counter",
    "{retry}",
    "What the store tried again, by what stood in the way.",
    ("store", "kind"),
)
STATEMENTS: Final = Instrument(
    "jammi.statements", "counter", "{statement}", "Statements that were begun, by kind.", ("statement",)
)
STATEMENT_SECONDS: Final = Instrument(
    "jammi.statement.duration",
    "histogram",
    "s",
    "How long a statement kept its caller waiting, its result included; of a live one, until it began.",
    ("statement",),
    _SECONDS,
)
STATEMENT_ERRORS: Final = Instrument(
    "jammi.statement.errors",
    "counter",
    "{error}",
    "Statements that failed, by kind and by the class of the SQLSTATE (its first two characters).",
    ("statement", "sqlstate_class"),
)
SEGMENTS: Final = Instrument("jammi.segment.written", "counter", "{segment}", "Segments that were written.", _TOPIC)
SEGMENT_ROWS: Final = Instrument("jammi.segment.rows", "counter", "{row}", "Rows moved into segments.", _TOPIC)

INSTRUMENTS: Final = (
    PUBLISHED_BATCHES,
    PUBLISHED_ROWS,
    PUBLISHED_BYTES,
    PUBLISH_SECONDS,
    DELIVERED_BATCHES,
    DELIVERED_ROWS,
    DELIVERY_SECONDS,
    LAG,
    SUBSCRIPTIONS,
    FAN_OUT_FAILURES,
    STORE_SECONDS,
    STORE_RETRIES,
    STATEMENTS,
    STATEMENT_SECONDS,
    STATEMENT_ERRORS,
    SEGMENTS,
    SEGMENT_ROWS,
)
