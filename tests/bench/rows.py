"""The topic that the benchmarks use, and its rows."""

from __future__ import annotations

from pathlib import Path

import adbc_driver_manager
import adbc_driver_sqlite
import numpy as np
import pyarrow as pa

from jammi_sql import Engine
from jammi_sql.topics import TopicDefinition

__all__ = ["SCHEMA", "RawInserts", "batch_of", "fill", "mixed_batch", "new_topic"]

SCHEMA = pa.schema([("id", pa.int64()), ("category", pa.string()), ("value", pa.float64())])
_CATEGORIES = np.array([f"category {number}" for number in range(16)])


def batch_of(rows: int, first: int = 0) -> pa.RecordBatch:
    """``rows`` rows with ids from ``first`` on."""
    ids = np.arange(first, first + rows)
    return pa.record_batch([pa.array(ids), pa.array(_CATEGORIES[ids % 16]), pa.array(ids * 0.5)], schema=SCHEMA)


def mixed_batch(rows: int, first: int) -> pa.RecordBatch:
    """As ``batch_of``, with values and categories in no order, which do not press to nothing."""
    ids = np.arange(first, first + rows)
    mixed = (ids * 2_654_435_761) % 4_294_967_291
    values = mixed % 40_000 * 0.25  # whose sums are exact in any order
    return pa.record_batch([pa.array(ids), pa.array(_CATEGORIES[mixed % 16]), pa.array(values)], schema=SCHEMA)


def new_topic(engine: Engine, name: str) -> TopicDefinition:
    """An empty topic."""
    definition = TopicDefinition(name, SCHEMA)
    engine.topic_repo.register_topic(definition)
    return definition


def fill(engine: Engine, name: str, batches: int, rows: int) -> TopicDefinition:
    """A topic with so many batches of so many rows, published in one transaction."""
    topic = new_topic(engine, name)
    services = engine.services
    registered = services.catalog.resolve(services.store, topic)
    with services.store.begin() as transaction:
        engine.publisher.publish_all(
            transaction, registered, None, (batch_of(rows, index * rows) for index in range(batches))
        )
    return topic


class RawInserts:
    """What a publish is measured against: one ADBC INSERT of a blob per commit, with the store's pragmas."""

    def __init__(self, folder: Path) -> None:
        self._database = adbc_driver_sqlite.connect(str(folder / "raw.db"))
        self._connection = adbc_driver_manager.AdbcConnection(self._database)
        for text in (
            "PRAGMA journal_mode = WAL",
            "PRAGMA synchronous = FULL",
            "CREATE TABLE blobs (number INTEGER PRIMARY KEY, payload BLOB NOT NULL)",
        ):
            with adbc_driver_manager.AdbcStatement(self._connection) as statement:
                statement.set_sql_query(text)
                statement.execute_update()
        self._statement = adbc_driver_manager.AdbcStatement(self._connection)
        self._statement.set_sql_query("INSERT INTO blobs (payload) VALUES (?1)")
        self._statement.prepare()

    def insert(self, payload: bytes) -> None:
        """One committed row."""
        self._statement.bind(pa.record_batch([pa.array([payload])], names=["payload"]))
        self._statement.execute_update()

    def close(self) -> None:
        """Release it."""
        self._statement.close()
        self._connection.close()
        self._database.close()
