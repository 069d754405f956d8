"""Short statements in process, beside the same in DataFusion alone: processor time, which a busy machine changes least."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median

import pytest
from datafusion import SessionContext

from jammi_sql import connect

from .measure import Report

pytestmark = pytest.mark.bench

ROUNDS = 20
STATEMENTS = 50


def test_processor_time_of_short_statements(report: Report) -> None:
    plain = SessionContext()
    with connect(":memory:") as connection:
        connection.execute("CREATE TABLE t (id BIGINT PRIMARY KEY, v DOUBLE)")
        connection.execute("INSERT INTO t SELECT value, value * 0.5 FROM generate_series(1, 100)")
        connection.execute("CREATE TOPIC e (id BIGINT, v DOUBLE)")
        connection.execute("INSERT INTO e SELECT value, value * 0.5 FROM generate_series(1, 100)")
        cursor = connection.cursor()

        def here(text: str) -> Callable[[], object]:
            return lambda: cursor.execute(text).fetchall()

        contenders: dict[str, Callable[[], object]] = {
            "SELECT 1, DataFusion alone": lambda: plain.sql("SELECT 1").collect(),
            "SELECT 1": here("SELECT 1"),
            "SELECT random()": here("SELECT random()"),
            "count(*) of a table": here("SELECT count(*) FROM t"),
            "sum of a topic": here("SELECT sum(v) FROM e WHERE id > 5"),
            "a row by its key": here("SELECT v FROM t WHERE id = 7"),
        }
        used: dict[str, list[float]] = {name: [] for name in contenders}
        for _ in range(ROUNDS + 1):
            for name, run in contenders.items():
                begun = time.process_time()
                for _ in range(STATEMENTS):
                    run()
                used[name].append((time.process_time() - begun) / STATEMENTS)
    medians = {name: median(values[1:]) for name, values in used.items()}
    alone = medians["SELECT 1, DataFusion alone"]
    for name, value in medians.items():
        report.add("short", f"{name}, processor time", f"{value * 1000:.2f} ms; {value / alone:.1f} times the first")
    assert alone > 0
