"""How far a statement is, as its plan tells while it runs."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import jammi_sql
from jammi_sql import Connection
from jammi_sql.console.progress import told
from jammi_sql.results import Progress


@pytest.fixture
def connection() -> Iterator[Connection]:
    with jammi_sql.connect(":memory:") as connection:
        yield connection


def _seen(connection: Connection, text: str, enough: int) -> Progress:
    """Run a statement in a thread until its busiest step has put out ``enough`` rows, and cancel it."""
    failed: list[BaseException] = []

    def run() -> None:
        try:
            connection.execute(text).fetchall()
        except jammi_sql.Error as error:
            failed.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    end = time.monotonic() + 60
    while (progress := connection.progress()).most < enough:
        assert time.monotonic() < end
        assert thread.is_alive(), failed
        time.sleep(0.01)
    while thread.is_alive():
        connection.adbc_cancel()
        thread.join(0.1)
    return progress


def test_rows_are_counted_while_an_aggregate_has_given_none(connection: Connection) -> None:
    progress = _seen(connection, "SELECT count(*) FROM generate_series(1, 100000000000) AS t(x)", 100_000)
    assert progress.rows >= 100_000
    assert progress.rows == progress.most


def test_a_join_that_makes_more_rows_than_it_reads_tells_of_both(connection: Connection) -> None:
    query = "SELECT sum(a.value * b.value % 7) FROM generate_series(1, 20000) a, generate_series(1, 20000) b"
    progress = _seen(connection, query, 1_000_000)
    assert 20_000 <= progress.rows <= 40_000
    assert progress.most >= 1_000_000


def test_a_file_tells_of_its_bytes(connection: Connection, tmp_path: Path) -> None:
    pq.write_table(pa.table({"x": list(range(1_000))}), tmp_path / "x.parquet")
    with connection.execute(f"SELECT sum(x) FROM '{tmp_path / 'x.parquet'}'") as cursor:
        assert cursor.fetchone() == (499_500,)
        progress = connection.progress()
    assert progress.rows == 1_000
    assert 0 < progress.bytes < (tmp_path / "x.parquet").stat().st_size


def test_what_an_insert_reads_counts(connection: Connection) -> None:
    connection.execute("CREATE TABLE t (x BIGINT)")
    progress = _seen(connection, "INSERT INTO t SELECT x FROM generate_series(1, 1000000000) AS s(x)", 100_000)
    assert progress.rows >= 100_000


def test_nothing_runs(connection: Connection) -> None:
    assert connection.progress() == Progress()
    connection.execute("SELECT 1").close()
    assert connection.progress() == Progress()


@pytest.mark.parametrize(
    ("progress", "given", "line"),
    [
        (Progress(), 0, "running: 1.5 s; Ctrl-C cancels"),
        (Progress(2_000, 0, 2_000), 0, "running: 1.5 s, 2,000 rows read; Ctrl-C cancels"),
        (
            Progress(2_000, 1_500, 10**6),
            7,
            "running: 1.5 s, 2,000 rows (1.5 KiB) read, 1,000,000 made of them, 7 rows so far",
        ),
        (Progress(2_000, 400 << 20, 2_000), 2_000, "running: 1.5 s, 2,000 rows (400 MiB) read, 2,000 rows so far"),
    ],
)
def test_the_line_says_what_is_known(progress: Progress, given: int, line: str) -> None:
    assert told(1.5, progress, given).startswith(line)
