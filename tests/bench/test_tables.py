"""Companion tables beside DuckDB's own tables, the ``sqlite3`` module on a file of its own, and raw ADBC."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

import adbc_driver_manager
import adbc_driver_sqlite
import duckdb
import numpy as np
import pyarrow as pa
import pytest

from jammi_sql import Connection, connect

from .measure import Report, interleaved, median_ratio, percentile, seconds

pytestmark = pytest.mark.bench

ROWS = 1_000_000
DDL = "CREATE TABLE {} (id BIGINT PRIMARY KEY, kind VARCHAR, value DOUBLE)"
GROUPS = "SELECT kind, count(*), sum(value) FROM {} GROUP BY kind ORDER BY kind"
_KINDS = np.array(["ant", "bee", "cat", "dog", "eel"])


def rows_of(count: int, first: int = 0) -> pa.Table:
    """Rows with an integer key, a text of five values and a double."""
    ids = np.arange(first, first + count)
    return pa.table({"id": ids, "kind": pa.array(_KINDS[ids % 5]), "value": ids * 0.5})


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[Connection]:
    with connect(tmp_path / "store") as opened:
        yield opened


@pytest.fixture
def duck(tmp_path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(str(tmp_path / "duck.db")) as opened:
        opened.execute("SET threads = 2")
        yield opened


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    opened = sqlite3.connect(tmp_path / "other.db", isolation_level=None)
    opened.execute("PRAGMA journal_mode = WAL")
    opened.execute("PRAGMA synchronous = FULL")
    yield opened
    opened.close()


def test_loading_a_million_rows(
    connection: Connection, duck: duckdb.DuckDBPyConnection, sqlite: sqlite3.Connection, report: Report
) -> None:
    data = rows_of(ROWS)
    tuples = list(zip(*(column.to_pylist() for column in data.columns), strict=True))

    def ingest() -> None:
        connection.execute("DROP TABLE IF EXISTS loaded")
        connection.execute(DDL.format("loaded"))
        assert connection.cursor().adbc_ingest("loaded", data, mode="append") == ROWS

    def insert_select() -> None:
        connection.execute("DROP TABLE IF EXISTS copied")
        connection.execute(DDL.format("copied"))
        assert connection.execute("INSERT INTO copied SELECT * FROM loaded").rowcount == ROWS

    def in_duckdb() -> None:
        duck.execute("DROP TABLE IF EXISTS loaded")
        duck.execute(DDL.format("loaded"))
        duck.register("data", data)
        duck.execute("INSERT INTO loaded SELECT * FROM data")

    def in_sqlite() -> None:
        sqlite.execute("DROP TABLE IF EXISTS loaded")
        sqlite.execute(DDL.format("loaded"))
        sqlite.execute("BEGIN")
        sqlite.executemany("INSERT INTO loaded VALUES (?, ?, ?)", tuples)
        sqlite.execute("COMMIT")

    ours, copied, theirs, plain = interleaved(ingest, insert_select, in_duckdb, in_sqlite, rounds=3)
    for name, taken in (("adbc_ingest", ours), ("INSERT ... SELECT", copied)):
        rate = ROWS / median(taken)
        report.add("tables", f"1 M rows by {name}", f"{rate / 1e6:.2f} M rows/s", "≥ 0.3 M rows/s", rate >= 300_000)
    report.add("tables", "1 M rows, DuckDB", f"{ROWS / median(theirs) / 1e6:.2f} M rows/s")
    report.add("tables", "1 M rows, sqlite3 executemany", f"{ROWS / median(plain) / 1e6:.2f} M rows/s")


def test_ten_thousand_values_in_one_statement(
    connection: Connection, duck: duckdb.DuckDBPyConnection, sqlite: sqlite3.Connection, report: Report
) -> None:
    contenders: list[Callable[[], object]] = []
    first = iter(range(0, 10**9, 10_000))
    for other in (connection, duck, sqlite):
        other.execute(DDL.format("t"))

        def insert(other: Connection | duckdb.DuckDBPyConnection | sqlite3.Connection = other) -> None:
            start = next(first)
            values = ", ".join(
                f"({number}, '{_KINDS[number % 5]}', {number}.5)" for number in range(start, start + 10_000)
            )
            other.execute(f"INSERT INTO t VALUES {values}")

        contenders.append(insert)
    ours, theirs, plain = interleaved(*contenders)
    limit = median(ours)
    report.add("tables", "INSERT of 10,000 VALUES", f"{limit * 1000:.0f} ms", "< 300 ms", limit < 0.3)
    report.add(
        "tables", "the same, DuckDB and sqlite3", f"{median(theirs) * 1000:.0f} and {median(plain) * 1000:.0f} ms"
    )


def test_reading_a_million_rows(
    tmp_path: Path,
    connection: Connection,
    duck: duckdb.DuckDBPyConnection,
    sqlite: sqlite3.Connection,
    report: Report,
) -> None:
    data = rows_of(ROWS)
    connection.execute(DDL.format("t"))
    connection.cursor().adbc_ingest("t", data, mode="append")
    duck.execute(DDL.format("t"))
    duck.register("data", data)
    duck.execute("INSERT INTO t SELECT * FROM data")
    sqlite.execute(DDL.format("t"))
    tuples = zip(*(column.to_pylist() for column in data.columns), strict=True)
    sqlite.execute("BEGIN")
    sqlite.executemany("INSERT INTO t VALUES (?, ?, ?)", tuples)
    sqlite.execute("COMMIT")
    expected = duck.execute(GROUPS.format("t")).fetchall()

    def repeated() -> None:
        assert connection.execute(GROUPS.format("t")).fetchall() == expected

    def cold() -> None:
        connection.engine.services.cache.clear()
        repeated()

    def in_duckdb() -> None:
        assert duck.execute(GROUPS.format("t")).fetchall() == expected

    def in_sqlite() -> None:
        assert sqlite.execute(GROUPS.format("t")).fetchall() == expected

    raw = adbc_driver_sqlite.connect(str(tmp_path / "other.db"))
    reader = adbc_driver_manager.AdbcConnection(raw)

    def read_raw() -> None:
        with adbc_driver_manager.AdbcStatement(reader) as statement:
            statement.set_options(**{"adbc.sqlite.query.batch_rows": "8192"})
            statement.set_sql_query("SELECT kind, value FROM t")
            handle, _ = statement.execute_query()
            assert pa.RecordBatchReader.from_stream(handle).read_all().num_rows == ROWS

    sqlite.close()  # one library at a time on a file
    try:
        first, adbc = interleaved(cold, read_raw)
    finally:
        reader.close()
        raw.close()
    again, theirs = interleaved(repeated, in_duckdb, rounds=9)
    ratio = median_ratio(again, theirs)
    report.add("tables", "GROUP BY over 1 M rows, repeated", f"{median(again) * 1000:.1f} ms")
    report.add("tables", "repeated : DuckDB", f"{ratio:.2f}", "≤ 3", ratio <= 3)
    ratio = median_ratio(first, adbc)
    report.add("tables", "GROUP BY over 1 M rows, cold", f"{median(first) * 1000:.0f} ms")
    report.add("tables", "cold : what ADBC takes to read it", f"{ratio:.2f}", "≤ 1.5", ratio <= 1.5)


def test_one_row_by_its_key(connection: Connection, duck: duckdb.DuckDBPyConnection, report: Report) -> None:
    data = rows_of(100_000)
    connection.execute(DDL.format("t"))
    connection.cursor().adbc_ingest("t", data, mode="append")
    duck.execute(DDL.format("t"))
    duck.register("data", data)
    duck.execute("INSERT INTO t SELECT * FROM data")
    keys = iter(range(1, 10**9))

    def look_up(other: Connection | duckdb.DuckDBPyConnection) -> Callable[[], object]:
        def run() -> None:
            key = next(keys) % 100_000
            assert other.execute("SELECT value FROM t WHERE id = ?", (key,)).fetchall() == [(key * 0.5,)]

        return run

    ours, theirs = interleaved(look_up(connection), look_up(duck), rounds=300)
    half = percentile(ours, 0.5)
    text = f"{half * 1000:.2f}, {percentile(ours, 0.99) * 1000:.2f} ms"
    report.add("tables", "key lookup, p50 and p99", text, "p50 < 3 ms", half < 0.003)
    report.add("tables", "key lookup, DuckDB", f"{percentile(theirs, 0.5) * 1000:.2f} ms")


def test_changing_ten_thousand_rows_by_key(
    connection: Connection, duck: duckdb.DuckDBPyConnection, sqlite: sqlite3.Connection, report: Report
) -> None:
    for other in (connection, duck, sqlite):
        other.execute(DDL.format("t"))
    data = rows_of(100_000)
    connection.cursor().adbc_ingest("t", data, mode="append")
    duck.register("data", data)
    duck.execute("INSERT INTO t SELECT * FROM data")
    sqlite.executemany(
        "INSERT INTO t VALUES (?, ?, ?)", zip(*(column.to_pylist() for column in data.columns), strict=True)
    )
    changes = [(float(number), number * 7) for number in range(10_000)]
    source = pa.table({"id": [key for _, key in changes], "value": [value for value, _ in changes]})
    connection.execute("CREATE TABLE s (id BIGINT PRIMARY KEY, value DOUBLE)")
    connection.cursor().adbc_ingest("s", source, mode="append")
    text = "UPDATE t SET value = ? WHERE id = ?"

    def in_sqlite() -> None:
        sqlite.execute("BEGIN")
        sqlite.executemany(text, changes)
        sqlite.execute("COMMIT")

    many, joined, plain = interleaved(
        lambda: connection.cursor().executemany(text, changes),
        lambda: connection.execute("UPDATE t SET value = s.value FROM s WHERE t.id = s.id"),
        in_sqlite,
        rounds=3,
    )
    slower = max(median(many), median(joined))
    shown = f"{median(many) * 1000:.0f} and {median(joined) * 1000:.0f} ms"
    report.add("tables", "UPDATE of 10,000 rows, executemany and FROM", shown, "< 1 s", slower < 1)
    report.add("tables", "the same, sqlite3 executemany", f"{median(plain) * 1000:.0f} ms")


def test_one_transaction_over_a_table_and_a_topic(tmp_path: Path, connection: Connection, report: Report) -> None:
    connection.execute(DDL.format("t"))
    connection.cursor().adbc_ingest("t", rows_of(1000), mode="append")
    connection.execute("CREATE TOPIC events (id BIGINT NOT NULL, what VARCHAR NOT NULL)")
    raw = RawTransaction(tmp_path / "raw.db")

    def ours() -> None:
        connection.execute("BEGIN")
        connection.execute("UPDATE t SET value = value + 1 WHERE id = ?", (5,))
        connection.execute("INSERT INTO events VALUES (?, ?)", (5, "changed"))
        connection.execute("COMMIT")

    mine, theirs = interleaved(ours, raw.run, rounds=300)
    ratio = median_ratio(mine, theirs)
    raw.close()
    report.add("tables", "UPDATE, INSERT INTO topic, COMMIT", f"{median(mine) * 1000:.2f} ms")
    report.add("tables", "the same : raw ADBC", f"{ratio:.2f}", "≤ 2", ratio <= 2)
    assert connection.execute("SELECT count(*) FROM events").fetchone() == (301,)


class RawTransaction:
    """What a transaction is measured against: four prepared ADBC statements, with the store's pragmas."""

    def __init__(self, path: Path) -> None:
        self._database = adbc_driver_sqlite.connect(str(path))
        self._connection = adbc_driver_manager.AdbcConnection(self._database)
        for text in (
            "PRAGMA journal_mode = WAL",
            "PRAGMA synchronous = FULL",
            "CREATE TABLE t (id INTEGER PRIMARY KEY, kind TEXT, value REAL)",
            "WITH RECURSIVE n(x) AS (SELECT 0 UNION ALL SELECT x + 1 FROM n WHERE x < 999) "
            "INSERT INTO t SELECT x, 'a', x FROM n",
            "CREATE TABLE events (number INTEGER PRIMARY KEY, payload BLOB NOT NULL)",
        ):
            with adbc_driver_manager.AdbcStatement(self._connection) as statement:
                statement.set_sql_query(text)
                statement.execute_update()
        self._statements = [
            self._prepared(text)
            for text in (
                "BEGIN IMMEDIATE",
                "UPDATE t SET value = value + ?1 WHERE id = ?2",
                "INSERT INTO events (payload) VALUES (?1)",
                "COMMIT",
            )
        ]
        self._payload = b"x" * 320  # as large as the event's batch

    def _prepared(self, text: str) -> adbc_driver_manager.AdbcStatement:
        statement = adbc_driver_manager.AdbcStatement(self._connection)
        statement.set_sql_query(text)
        statement.prepare()
        return statement

    def run(self) -> None:
        """One transaction."""
        begin, update, insert, commit = self._statements
        begin.execute_update()
        update.bind(pa.record_batch([pa.array([1.0]), pa.array([5])], names=["1", "2"]))
        update.execute_update()
        insert.bind(pa.record_batch([pa.array([self._payload])], names=["1"]))
        insert.execute_update()
        commit.execute_update()

    def close(self) -> None:
        """Release it."""
        for statement in self._statements:
            statement.close()
        self._connection.close()
        self._database.close()


def test_opening_a_table_is_as_quick_as_before(tmp_path: Path, report: Report) -> None:
    with connect(tmp_path / "store") as connection:
        connection.execute(DDL.format("t"))
        connection.cursor().adbc_ingest("t", rows_of(10), mode="append")

    def opened() -> None:
        with connect(tmp_path / "store") as connection:
            assert connection.execute("SELECT count(*) FROM t").fetchone() == (10,)

    report.add("tables", "open, count(*) of a table, close", f"{min(seconds(opened) for _ in range(10)) * 1000:.0f} ms")
