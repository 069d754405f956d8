"""Transactions over tables and a topic in processes that are killed: all or nothing, and what was acknowledged is there."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pytest

from jammi_sql import Engine, faults
from jammi_sql.ports import NamedQuery

pytestmark = pytest.mark.timeout(600)  # each case starts a process

ACCOUNTS = 6
INTEGRITY = NamedQuery("check", "PRAGMA integrity_check", pa.schema([("integrity_check", pa.utf8())]))

# Moves money in transactions, prints the number of each that was acknowledged.
CHILD = """
import random, sys, threading
from jammi_sql import Engine
from jammi_sql.errors import OperationalError
folder, first, threads, count = sys.argv[1], *map(int, sys.argv[2:])
engine = Engine.open(folder)
def move(session, number, chance):
    a, b = chance.sample(range(6), 2)
    session.execute("BEGIN")
    if chance.random() < 0.5:
        session.execute(f"UPDATE accounts SET balance = balance - 7 WHERE id = {a}")
    else:
        left = session.execute(f"SELECT balance FROM accounts WHERE id = {a}").fetchone()[0]
        session.execute(f"UPDATE accounts SET balance = {left - 7} WHERE id = {a}")
    session.execute(f"INSERT INTO moves VALUES ({number}, {a}, {b}, 7)")
    session.execute(f"INSERT INTO recent VALUES ({number}), (-{number + 1})")
    session.execute(f"DELETE FROM recent WHERE n = -{number + 1}")
    session.execute(f"MERGE INTO accounts USING (SELECT {b} AS id) AS s ON accounts.id = s.id "
                    "WHEN MATCHED THEN UPDATE SET balance = balance + 7")
    session.execute("SAVEPOINT p")
    session.execute(f"INSERT INTO moves VALUES ({-number}, 0, 0, 0)")
    session.execute("DELETE FROM accounts")
    session.execute("ROLLBACK TO p")
    session.execute("COMMIT")
def work(start):
    session, chance = engine.session(), random.Random(start)
    for number in range(start, start + count):
        while True:
            try:
                move(session, number, chance)
                break
            except OperationalError as error:
                if error.sqlstate not in ("40001", "55P03"):
                    raise
                session.execute("ROLLBACK")
        sys.stdout.write(f"{number}\\n")
        sys.stdout.flush()
workers = [threading.Thread(target=work, args=(first + 1_000_000 * n,)) for n in range(threads)]
for worker in workers: worker.start()
for worker in workers: worker.join()
engine.close()
"""


def child(folder: Path, first: int, threads: int, count: int, *, fault: str = "") -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, str(folder), str(first), str(threads), str(count)],
        env={**os.environ, faults.VARIABLE: fault},
        stdout=subprocess.PIPE,
        text=True,
    )


def new_store(folder: Path) -> Path:
    with Engine.open(folder) as engine:
        session = engine.session()
        session.execute("CREATE TABLE accounts (id BIGINT, balance BIGINT NOT NULL, PRIMARY KEY (id))")
        session.execute("CREATE TABLE recent (n BIGINT, PRIMARY KEY (n))")
        session.execute("CREATE TOPIC moves (n BIGINT, source BIGINT, target BIGINT, amount BIGINT)")
        session.execute(f"INSERT INTO accounts SELECT value, 100 FROM generate_series(0, {ACCOUNTS - 1})")
    return folder


def check(folder: Path, acknowledged: set[int]) -> set[int]:
    """The numbers of the transactions that the store has, each whole, those that were acknowledged among them."""
    with Engine.open(folder) as engine:
        assert engine.services.store.query(INTEGRITY).column(0).to_pylist() == ["ok"]
        session = engine.session()
        events = session.execute("SELECT _offset, n, source, target, amount FROM moves ORDER BY 1").fetchall()
        assert [event[0] for event in events] == list(range(len(events)))
        numbers = [event[1] for event in events]
        assert len(set(numbers)) == len(numbers)
        assert acknowledged <= set(numbers)
        balances = dict.fromkeys(range(ACCOUNTS), 100)
        for _, _, source, target, amount in events:
            balances[source] -= amount
            balances[target] += amount
        assert dict(map(tuple, session.execute("SELECT id, balance FROM accounts").fetchall())) == balances
        assert {row[0] for row in session.execute("SELECT n FROM recent").fetchall()} == set(numbers)
        session.execute("UPDATE accounts SET balance = balance")  # nobody holds the lock
        session.close()
    return set(numbers)


# The place in a run of transactions at which a process dies, and how many of them are kept.
KILLED_AT = [
    ("table.after_insert=kill@4", 3),
    ("table.after_update=kill@7", 3),
    ("table.after_update=kill@8", 3),
    ("table.after_delete=kill@4", 3),
    ("table.after_version=kill@17", 3),
    ("publish.after_insert=kill@8", 3),
    ("store.after_begin=kill@4", 3),
    ("store.before_commit=kill@4", 3),
    ("store.after_commit=kill@4", 4),
    ("publish.before_hand_over=kill@4", 4),
    ("publish.after_hand_over=kill@4", 4),
]


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, str, int]]:
    """What each killed process left: its store, its output and how it ended."""
    left = {}
    template = new_store(tmp_path_factory.mktemp("kills") / "template")

    def run(fault: str) -> None:
        folder = template.parent / fault.replace("=", "-")
        shutil.copytree(template, folder)
        process = child(folder, 0, 1, 6, fault=fault)
        output, _ = process.communicate(timeout=500)
        left[fault] = (folder, output, process.returncode)

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(run, [fault for fault, _ in KILLED_AT]))
    return left


@pytest.mark.parametrize(("fault", "kept"), KILLED_AT)
def test_a_transaction_that_is_killed_at_a_point_is_whole_or_absent(
    started: dict[str, tuple[Path, str, int]], fault: str, kept: int
) -> None:
    folder, output, code = started[fault]
    assert code == -signal.SIGKILL
    acknowledged = {int(line) for line in output.split("\n")[:-1]}
    assert len(acknowledged) in (kept, kept - 1)
    assert check(folder, acknowledged) == set(range(kept))


def test_every_point_of_the_table_path_is_killed_at() -> None:
    points = {fault.partition("=")[0] for fault, _ in KILLED_AT}
    passed = {name for name in faults.POINTS if not name.startswith(("compact.", "sweep.", "cache."))}
    assert passed - {"store.migrate"} == points


@pytest.mark.parametrize("rounds", [1, pytest.param(40, marks=[pytest.mark.soak, pytest.mark.timeout(3000)])])
def test_processes_that_are_killed_at_random_leave_whole_transactions(tmp_path: Path, rounds: int) -> None:
    folder = new_store(tmp_path / "store")
    acknowledged: set[int] = set()
    for round_number in range(rounds):
        processes = [child(folder, (round_number * 2 + number) * 10_000_000 + 1, 2, 500_000) for number in range(2)]
        lines: list[list[str]] = [[], []]
        with ThreadPoolExecutor(2) as pool:
            try:
                reading = [pool.submit(_collect, *pair) for pair in zip(processes, lines, strict=True)]
                _wait(lines, [4, 4])
                processes[round_number % 2].kill()
                survivor = 1 - round_number % 2
                goal = [0, 0]
                goal[survivor] = len(lines[survivor]) + 6
                _wait(lines, goal)
            finally:
                for process in processes:
                    process.kill()
            for one in reading:
                one.result()
        for process in processes:
            process.communicate()
        acknowledged |= {int(line) for each in lines for line in each if line.endswith("\n")}
        assert len(check(folder, acknowledged)) >= len(acknowledged)


def _collect(process: subprocess.Popen[str], lines: list[str]) -> None:
    assert process.stdout is not None
    lines.extend(process.stdout)


def _wait(lines: list[list[str]], goals: list[int]) -> None:
    """Until each process has printed so many lines; starting one takes seconds on a busy machine."""
    deadline = time.monotonic() + 100
    while any(len(each) < goal for each, goal in zip(lines, goals, strict=True)):
        assert time.monotonic() < deadline, f"the processes stopped after {list(map(len, lines))} transactions"
        time.sleep(0.01)
