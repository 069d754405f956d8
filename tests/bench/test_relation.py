"""Topics as relations: beside Parquet, and what needs no decoding."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from statistics import median

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jammi_sql import Connection, Engine, connect

from .measure import Report, interleaved, median_ratio, seconds
from .rows import batch_of, fill

pytestmark = pytest.mark.bench

ROWS = 1_000_000
GROUPS = "SELECT category, count(*), sum(value) FROM {} GROUP BY category ORDER BY category"


def answers(connection: Connection, text: str, expected: list[tuple[object, ...]]) -> Callable[[], None]:
    """A contender that runs ``text`` and checks what it gives."""

    def run() -> None:
        assert connection.cursor().execute(text).fetchall() == expected

    return run


def test_group_by_beside_parquet_and_reads_without_decoding(tmp_path: Path, report: Report) -> None:
    pq.write_table(pa.Table.from_batches([batch_of(ROWS)]), tmp_path / "rows.parquet")
    with Engine.open(tmp_path / "store") as engine:
        fill(engine, "thousands", batches=ROWS // 1000, rows=1000)
        fill(engine, "tens", batches=ROWS // 10, rows=10)
        connection = engine.session()
        connection.execute(f"CREATE EXTERNAL TABLE parquet STORED AS PARQUET LOCATION '{tmp_path}/rows.parquet'")
        expected = connection.execute(GROUPS.format("parquet")).fetchall()
        assert sum(row[1] for row in expected) == ROWS
        parquet, thousands, tens, count, offset, full = interleaved(
            answers(connection, GROUPS.format("parquet"), expected),
            answers(connection, GROUPS.format("thousands"), expected),
            answers(connection, GROUPS.format("tens"), expected),
            answers(connection, "SELECT count(*) FROM thousands", [(ROWS,)]),
            answers(connection, "SELECT sum(value) FROM thousands WHERE _offset = 500", [(250_249_750.0,)]),
            answers(connection, "SELECT sum(value) FROM thousands", [(ROWS * (ROWS - 1) * 0.25,)]),
        )
    ratio = median_ratio(thousands, parquet)
    report.add("relation", "GROUP BY, Parquet, 1 M rows", f"{median(parquet) * 1000:.0f} ms")
    report.add("relation", "GROUP BY, 1,000-row batches", f"{median(thousands) * 1000:.0f} ms")
    report.add("relation", "1,000-row batches : Parquet", f"{ratio:.1f}", "≤ 3", ratio <= 3)
    report.add("relation", "10-row batches : Parquet", f"{median_ratio(tens, parquet):.1f}")
    report.add("relation", "count(*) : full decode", f"{median_ratio(count, full):.2f}")
    report.add("relation", "_offset = n : full decode", f"{median_ratio(offset, full):.2f}")


def test_opening_a_store_and_the_smallest_statement(tmp_path: Path, report: Report) -> None:
    with Engine.open(tmp_path) as engine:
        fill(engine, "t", batches=10, rows=10)

    def opened() -> None:
        with connect(tmp_path) as connection:
            assert connection.execute("SELECT count(*) FROM t").fetchone() == (100,)

    first = seconds(opened)
    with connect(tmp_path) as connection:
        again, one = interleaved(opened, answers(connection, "SELECT 1", [(1,)]), rounds=15)
    report.add("statement", "open, count(*), close: first", f"{first * 1000:.0f} ms")
    report.add("statement", "open, count(*), close: again", f"{median(again) * 1000:.0f} ms")
    report.add("statement", "SELECT 1", f"{median(one) * 1000:.2f} ms")
