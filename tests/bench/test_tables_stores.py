"""Companion tables on PostgreSQL, beside the same on SQLite and beside raw ADBC on that server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from statistics import median
from typing import Any

import adbc_driver_manager
import adbc_driver_postgresql
import numpy as np
import pyarrow as pa
import pytest

from jammi_sql import Connection
from tests.targets import StoreTarget

from .measure import Report, interleaved, median_ratio, percentile

pytestmark = pytest.mark.bench

ROWS = 1_000_000
DDL = "CREATE TABLE {} (id BIGINT PRIMARY KEY, kind VARCHAR, value DOUBLE)"
_KINDS = np.array(["ant", "bee", "cat", "dog", "eel"])


def rows_of(count: int) -> pa.Table:
    """Rows with an integer key, a text of five values and a double."""
    ids = np.arange(count)
    return pa.table({"id": ids, "kind": pa.array(_KINDS[ids % 5]), "value": ids * 0.5})


@pytest.fixture
def embedded(tmp_path: Any) -> Iterator[Connection]:
    with StoreTarget("sqlite", str(tmp_path / "store")).connect() as opened:
        yield opened


@pytest.fixture
def served(postgres_target: StoreTarget) -> Iterator[Connection]:
    with postgres_target.connect() as opened:
        yield opened


class Raw:
    """A connection of ADBC's own, with a table that is keyed as the store's are: by tenant and key, and by row."""

    def __init__(self, url: str) -> None:
        self._database = adbc_driver_postgresql.connect(url)
        self._connection = adbc_driver_manager.AdbcConnection(self._database)
        self._prepared: dict[str, adbc_driver_manager.AdbcStatement] = {}
        self.clear()

    def clear(self) -> None:
        """An empty table."""
        self.run("DROP TABLE IF EXISTS raw")
        self.run(
            'CREATE TABLE raw (_id BIGINT PRIMARY KEY, _tenant TEXT COLLATE "C" NOT NULL, id BIGINT, kind BYTEA, value FLOAT8)'
        )
        self.run("CREATE UNIQUE INDEX raw_key ON raw (_tenant, id)")

    def run(self, text: str) -> None:
        """A statement without rows."""
        with adbc_driver_manager.AdbcStatement(self._connection) as statement:
            statement.set_sql_query(text)
            statement.execute_update()

    def bound(self, text: str, values: pa.RecordBatch) -> adbc_driver_manager.AdbcStatement:
        """A statement that is kept prepared, with its parameters."""
        statement = self._prepared.get(text)
        if statement is None:
            statement = self._prepared[text] = adbc_driver_manager.AdbcStatement(self._connection)
            statement.set_options(**{"adbc.postgresql.use_copy": "false"})
            statement.set_sql_query(text)
            statement.prepare()
        statement.bind(values)
        return statement

    def ingest(self, rows: pa.Table) -> None:
        """By COPY, in a transaction."""
        ids = rows.column("id")
        kind = rows.column("kind").cast(pa.binary())
        whole = pa.table(
            {
                "_id": ids,
                "_tenant": pa.repeat(pa.scalar(""), len(ids)),
                "id": ids,
                "kind": kind,
                "value": rows.column("value"),
            }
        )
        with adbc_driver_manager.AdbcStatement(self._connection) as statement:
            statement.set_options(**{"adbc.ingest.target_table": "raw", "adbc.ingest.mode": "adbc.ingest.mode.append"})
            statement.bind_stream(whole.to_reader())
            statement.execute_update()

    def read(self) -> int:
        """The table by COPY; how many rows."""
        with adbc_driver_manager.AdbcStatement(self._connection) as statement:
            statement.set_sql_query("SELECT id, kind, value FROM raw")
            handle, _ = statement.execute_query()
            return int(pa.RecordBatchReader.from_stream(handle).read_all().num_rows)

    def close(self) -> None:
        """Release it."""
        for statement in self._prepared.values():
            statement.close()
        self._connection.close()
        self._database.close()


@pytest.fixture
def raw(postgres_database: str) -> Iterator[Raw]:
    opened = Raw(postgres_database)
    yield opened
    opened.close()


def _said(
    report: Report, what: str, ours: list[float], embedded: list[float], raw: list[float], unit: str = "ms"
) -> None:
    scale = 1000 if unit == "ms" else 1
    shown = " and ".join(f"{median(taken) * scale:.{2 if unit == 's' else 1}f}" for taken in (embedded, raw))
    report.add("tables on PostgreSQL", what, f"{median(ours) * scale:.{2 if unit == 's' else 1}f} {unit}")
    report.add("tables on PostgreSQL", f"{what}: on SQLite, and raw ADBC on PostgreSQL", f"{shown} {unit}")
    report.add("tables on PostgreSQL", f"{what}: PostgreSQL store : raw ADBC", f"{median_ratio(ours, raw):.2f}")


def test_loading_and_reading_a_million_rows(served: Connection, embedded: Connection, raw: Raw, report: Report) -> None:
    data = rows_of(ROWS)

    def load(connection: Connection) -> Callable[[], None]:
        def run() -> None:
            connection.execute("DROP TABLE IF EXISTS t")
            connection.execute(DDL.format("t"))
            assert connection.cursor().adbc_ingest("t", data, mode="append") == ROWS

        return run

    def load_raw() -> None:
        raw.clear()
        raw.ingest(data)

    _said(report, "1 M rows by adbc_ingest", *interleaved(load(served), load(embedded), load_raw, rounds=3), unit="s")

    def read(connection: Connection) -> Callable[[], None]:
        def run() -> None:
            connection.engine.services.cache.clear()
            assert connection.execute("SELECT id, kind, value FROM t").fetch_arrow_table().num_rows == ROWS

        return run

    def read_raw() -> None:
        assert raw.read() == ROWS

    _said(report, "reading 1 M rows", *interleaved(read(served), read(embedded), read_raw, rounds=3), unit="s")


def test_changing_and_finding_rows(served: Connection, embedded: Connection, raw: Raw, report: Report) -> None:
    data = rows_of(100_000)
    changes = [(float(number), number * 7) for number in range(10_000)]
    source = pa.table({"id": [key for _, key in changes], "value": [value for value, _ in changes]})
    for connection in (served, embedded):
        connection.execute(DDL.format("t"))
        connection.cursor().adbc_ingest("t", data, mode="append")
        connection.execute("CREATE TABLE s (id BIGINT PRIMARY KEY, value DOUBLE)")
        connection.cursor().adbc_ingest("s", source, mode="append")
    raw.ingest(data)

    def joined(connection: Connection) -> Callable[[], None]:
        def run() -> None:
            text = "UPDATE t SET value = s.value FROM s WHERE t.id = s.id"
            assert connection.execute(text).rowcount == 10_000

        return run

    def many(connection: Connection) -> Callable[[], object]:
        return lambda: connection.cursor().executemany("UPDATE t SET value = ? WHERE id = ?", changes)

    lists = pa.record_batch(
        [pa.ListArray.from_arrays([0, 10_000], column.combine_chunks()) for column in source.columns], names=["1", "2"]
    )
    in_raw = (
        "UPDATE raw SET value = g.value FROM unnest($1::bigint[], $2::float8[]) AS g (id, value)"
        " WHERE _tenant = '' AND raw.id = g.id"
    )

    def change_raw() -> None:
        raw.bound(in_raw, lists).execute_update()

    _said(report, "UPDATE of 10,000 rows by FROM", *interleaved(joined(served), joined(embedded), change_raw, rounds=5))
    _said(
        report, "UPDATE of 10,000 rows by executemany", *interleaved(many(served), many(embedded), change_raw, rounds=5)
    )
    keys = iter(range(1, 10**9))

    def find(connection: Connection) -> Callable[[], None]:
        def run() -> None:
            key = next(keys) % 90_000 + 10_000
            assert len(connection.execute("SELECT value FROM t WHERE id = ?", (key,)).fetchall()) == 1

        return run

    def find_raw() -> None:
        key = pa.record_batch([pa.array([next(keys) % 90_000])], names=["1"])
        handle, _ = raw.bound("SELECT value FROM raw WHERE _tenant = '' AND id = $1", key).execute_query()
        assert pa.RecordBatchReader.from_stream(handle).read_all().num_rows == 1

    def change_one(connection: Connection) -> Callable[[], None]:
        def run() -> None:
            assert connection.execute("UPDATE t SET value = ? WHERE id = ?", (1.0, next(keys) % 90_000)).rowcount == 1

        return run

    def change_one_raw() -> None:
        values = pa.record_batch([pa.array([1.0]), pa.array([next(keys) % 90_000])], names=["1", "2"])
        assert raw.bound("UPDATE raw SET value = $1 WHERE _tenant = '' AND id = $2", values).execute_update() == 1

    taken = interleaved(find(served), find(embedded), find_raw, rounds=300)
    _said(report, "key lookup, p50", *taken)
    report.add("tables on PostgreSQL", "key lookup, p99", f"{percentile(taken[0], 0.99) * 1000:.1f} ms")
    _said(
        report,
        "UPDATE of a row by its key",
        *interleaved(change_one(served), change_one(embedded), change_one_raw, rounds=200),
    )
