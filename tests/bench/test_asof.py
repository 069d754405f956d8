"""As-of joins beside DuckDB's."""

from __future__ import annotations

from pathlib import Path
from statistics import median

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jammi_sql import connect

from .measure import Report, interleaved, median_ratio

pytestmark = pytest.mark.bench

LEFT, RIGHT, KEYS, DAY = 10_000_000, 1_000_000, 1_000, 86_400_000_000


def write(path: Path, rows: int, key: str, seed: int) -> None:
    """Rows in the order of their times, as events come, with one of a thousand keys each."""
    random = np.random.default_rng(seed)
    keys = random.integers(0, KEYS, rows)
    columns = {
        "k": pa.array(keys.astype(np.int32)) if key == "INT" else pa.array(keys).cast(pa.string()),
        "t": pa.array(np.sort(random.integers(0, DAY, rows)), pa.timestamp("us")),
        "v": pa.array(random.integers(0, 1_000, rows)),
    }
    pq.write_table(pa.table(columns), path)


@pytest.mark.parametrize("key", ["INT", "VARCHAR"])
def test_ten_million_rows_meet_a_million_beside_duckdb(tmp_path: Path, report: Report, key: str) -> None:
    write(tmp_path / "l.parquet", LEFT, key, 1)
    write(tmp_path / "r.parquet", RIGHT, key, 2)
    query = f"""
        SELECT count(*), sum(l.v), sum(r.v) FROM '{tmp_path}/l.parquet' l
        ASOF JOIN '{tmp_path}/r.parquet' r ON l.k = r.k AND l.t >= r.t
    """
    with connect(":memory:") as connection, duckdb.connect() as duck:
        expected = duck.execute(query).fetchall()

        def ours() -> None:
            assert connection.execute(query).fetchall() == expected

        def theirs() -> None:
            assert duck.execute(query).fetchall() == expected

        mine, other = interleaved(ours, theirs)
    ratio = median_ratio(mine, other)
    report.add("as-of join", f"10 M rows with 1 M, {key} keys", f"{median(mine):.2f} s")
    report.add("as-of join", f"the same in DuckDB, {key} keys", f"{median(other):.2f} s")
    report.add("as-of join", f"Jammi SQL : DuckDB, {key} keys", f"{ratio:.2f}", "≤ 2", ratio <= 2)
