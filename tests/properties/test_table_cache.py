"""The cache of tables: whoever writes, a scan shows one version, of one tenant, and the budget holds."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jammi_sql import Engine
from jammi_sql.tables.cache import TableCache
from tests.topic_support import TENANT_A, TENANT_B

THOROUGH = settings.get_current_profile_name() == "thorough"
ROWS = 20_000  # more than one batch

# Another process that raises every row by one.
WRITER = """
import sys
from jammi_sql import Engine
engine = Engine.open(sys.argv[1], lock_timeout=30)
session = engine.session()
for line in sys.stdin:
    session.execute("UPDATE t SET v = v + 1")
    print("done", flush=True)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with Engine.open(tmp_path / "store") as engine:
        session = engine.session()
        session.execute("CREATE TABLE t (k BIGINT, v BIGINT, w VARCHAR, c VARCHAR)")
        # What is read from this index alone comes in another order than the rows do.
        session.execute("CREATE INDEX by_c ON t (c)")
        numbers = f"generate_series(0, {ROWS - 1})"
        session.execute(f"INSERT INTO t SELECT value, 0, 'x', reverse(CAST(value AS VARCHAR)) FROM {numbers}")
        for tenant in (TENANT_A, TENANT_B):
            session.execute(f"SET tenant = '{tenant}'")
            session.execute(f"INSERT INTO t SELECT 1000000, -1, '{tenant}', '0000001' FROM generate_series(1, 10)")
    return tmp_path / "store"


SCANS = [
    "SELECT v FROM t",
    "SELECT k, v FROM t",
    "SELECT w, v FROM t WHERE k >= 0",
    "SELECT v FROM t WHERE v >= 0 OR v < 0",
    "SELECT c FROM t",
    "SELECT k FROM t",
    "SELECT c, k FROM t",
    "SELECT v, c, k FROM t WHERE c >= ''",
]


def seen(session: Any, scan: str, tenant: Any) -> int | None:
    """The value that all global rows have, ``None`` where the scan lacks it; after checking that it has all rows.

    The tenant's own too, and that what is in a row belongs together.
    """
    table = session.execute(scan).fetch_arrow_table()
    columns: dict[str, list[Any]] = table.to_pydict()
    assert table.num_rows == ROWS + (0 if tenant is None else 10), scan
    if "w" in columns:
        assert {text for text in columns["w"] if text != "x"} == ({str(tenant)} if tenant else set())
    for name in columns.keys() & {"k", "c"}:
        numbers = columns["k"] if name == "k" else [int(text[::-1]) for text in columns["c"]]
        assert set(numbers) == set(range(ROWS)) | (set() if tenant is None else {1_000_000}), scan
    if "k" in columns and "c" in columns:
        assert columns["c"] == [str(number)[::-1] for number in columns["k"]], scan
    if "v" not in columns:
        return None
    own = [value for value in columns["v"] if value < 0]
    assert len(own) == (0 if tenant is None else 10), scan
    rest = set(columns["v"]) - {-1}
    assert len(rest) == 1, (scan, rest)
    return int(rest.pop())


def test_repeated_scans_follow_every_writer(folder: Path) -> None:
    chance = random.Random(5)
    with (
        Engine.open(folder) as engine,
        Engine.open(folder) as another,
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process,
    ):
        assert process.stdin is not None
        assert process.stdout is not None
        same, other = engine.session(), another.session()
        readers = [(engine.session(tenant), tenant) for tenant in (None, TENANT_A, TENANT_B)]
        value = 0
        for turn in range(12):
            who = ("same", "other", "process", "transaction", "rolled back", "nobody")[turn % 6]
            if who in ("same", "other"):
                (same if who == "same" else other).execute("UPDATE t SET v = v + 1")
            elif who == "process":
                process.stdin.write("go\n")
                process.stdin.flush()
                assert process.stdout.readline() == "done\n"
            elif who == "transaction":
                same.execute("BEGIN")
                same.execute("UPDATE t SET v = v + 1")
                assert [seen(same, scan, None) for scan in SCANS[:2] * 2] == [value + 1] * 4
                assert seen(readers[0][0], SCANS[0], None) == value
                same.execute("COMMIT")
            elif who == "rolled back":
                same.execute("BEGIN")
                same.execute("UPDATE t SET v = v + 100")
                assert [seen(same, scan, None) for scan in SCANS[:2] * 2] == [value + 100] * 4
                same.execute("ROLLBACK")
            value += who in ("same", "other", "process", "transaction")
            for _ in range(2):
                for session, tenant in chance.sample(readers, 3):
                    for scan in chance.sample(SCANS, 4 if THOROUGH else 2):
                        assert seen(session, scan, tenant) in (value, None), (turn, who, scan)
        assert engine.services.cache._entries  # else this looked at nothing
        process.stdin.close()


@pytest.mark.parametrize("seconds", [2, pytest.param(60, marks=[pytest.mark.soak, pytest.mark.timeout(300)])])
def test_scans_beside_writers_show_one_version_and_none_older_than_the_last(folder: Path, seconds: float) -> None:
    stop = time.monotonic() + seconds
    committed = [0]
    lock = threading.Lock()
    with Engine.open(folder, lock_timeout=30) as engine, Engine.open(folder, lock_timeout=30) as another:

        def write(number: int) -> int:
            session, count = (engine, another)[number].session(), 0
            while time.monotonic() < stop:
                with lock:  # so that what is committed is known
                    session.execute("UPDATE t SET v = v + 1")
                    committed[0] += 1
                count += 1
                time.sleep(0.02)
            return count

        def read(number: int) -> int:
            tenant = (None, TENANT_A, TENANT_B)[number % 3]
            session, count = engine.session(tenant), 0
            while time.monotonic() < stop:
                before = committed[0]
                value = seen(session, SCANS[count % len(SCANS)], tenant)
                assert value is None or value >= before
                count += 1
            return count

        with ThreadPoolExecutor(5) as pool:
            done = list(pool.map(lambda number: write(number) if number < 2 else read(number), range(5)))
        assert min(done) > 0
        assert seen(engine.session(), SCANS[1], None) == committed[0]


@given(
    st.integers(0, 6000),
    st.lists(
        st.tuples(
            st.sampled_from(["put", "put", "get", "repeats"]),
            st.integers(1, 3),
            st.sampled_from(["", "A"]),
            st.integers(1, 4),
            st.sets(st.sampled_from("abc"), min_size=1),
        ),
        max_size=40,
    ),
)
def test_the_cache_keeps_its_budget_and_gives_what_was_put(budget: int, steps: list[Any]) -> None:
    cache = TableCache(budget)
    newest: dict[Any, int] = {}
    for number, (what, table, tenant, version, names) in enumerate(steps):
        key = (table, tenant)
        ordered = sorted(names)
        if what == "put":
            cache.put(
                key,
                version,
                {name: [pa.array([number] * 100, pa.int64()), pa.array([number] * 50, pa.int64())] for name in ordered},
            )
            newest[key] = max(newest.get(key, 0), version)
        elif what == "repeats":
            cache.repeats(key, version)
            newest[key] = max(newest.get(key, 0), version)
        else:
            found = cache.get(key, version, ordered)
            if found is not None:
                assert version == newest[key]
                assert [len(column) for column in found[0]] == [100] * len(ordered)
                for batch in found:
                    for name, column in zip(ordered, batch, strict=True):
                        assert set(column.to_pylist()) <= {
                            one
                            for one, step in enumerate(steps)
                            if step[0] == "put" and (step[1], step[2]) == key and step[3] == version and name in step[4]
                        }
        held = sum(
            array.get_total_buffer_size()
            for entry in cache._entries.values()
            for column in entry.columns.values()
            for array in column
        )
        assert held <= budget
        assert held == cache._size == sum(entry.size for entry in cache._entries.values())
