"""The embedded store against killed processes, competing ones, full disks and damaged files."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from jammi_sql import faults
from jammi_sql.errors import DataCorrupted, DiskFull, FailedTransaction, LockNotAvailable, OperationalError
from jammi_sql.ports import NamedQuery
from jammi_sql.stores import SqliteStore

COUNT = NamedQuery("count", "SELECT count(*) AS n FROM item", pa.schema([("n", pa.int64())]))
VALUES = NamedQuery("values", "SELECT number FROM item ORDER BY number", pa.schema([("number", pa.int64())]))
INSERT = NamedQuery("insert", "INSERT INTO item (number, data) VALUES (?1, ?2)", None)
INTEGRITY = NamedQuery("check", "PRAGMA integrity_check", pa.schema([("integrity_check", pa.utf8())]))

CHILD = """
import sys
from jammi_sql.ports import NamedQuery
from jammi_sql.stores import SqliteStore
INSERT = NamedQuery("insert", "INSERT INTO item (number, data) VALUES (?1, x'')", None)
store = SqliteStore.open(sys.argv[1])
"""


def child(script: str, folder: Path, *, fault: str = "") -> subprocess.Popen[str]:
    environment = {**os.environ, faults.VARIABLE: fault}
    return subprocess.Popen(
        [sys.executable, "-c", CHILD + script, str(folder)], env=environment, stdout=subprocess.PIPE, text=True
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of a store with an empty table ``item``."""
    with SqliteStore.open(tmp_path / "store") as store, store.begin() as transaction:
        transaction.script("CREATE TABLE item (number INTEGER PRIMARY KEY, data BLOB NOT NULL)")
    return tmp_path / "store"


def stored(folder: Path) -> list[int]:
    """The numbers in the store, which is intact."""
    with SqliteStore.open(folder) as store:
        assert store.query(INTEGRITY).column(0).to_pylist() == ["ok"]
        return [int(str(number)) for number in store.query(VALUES).column(0).to_pylist()]


WRITE_PAIRS = """
for number in range(0, 20, 2):
    with store.begin() as transaction:
        transaction.execute(INSERT, (number,))
        transaction.execute(INSERT, (number + 1,))
    print(number, flush=True)
"""


@pytest.mark.parametrize(
    ("fault", "acknowledged", "kept"),
    [
        ("store.after_begin=kill@4", 3, 3),
        ("store.before_commit=kill@4", 3, 3),
        ("store.after_commit=kill@4", 3, 4),
    ],
)
def test_a_killed_writer_leaves_what_it_acknowledged_and_no_half_transaction(
    folder: Path, fault: str, acknowledged: int, kept: int
) -> None:
    with child(WRITE_PAIRS, folder, fault=fault) as process:
        output, _ = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    assert len(output.split()) == acknowledged
    assert stored(folder) == list(range(2 * kept))


def test_a_writer_killed_at_any_moment_leaves_what_it_acknowledged_and_no_half_transaction(folder: Path) -> None:
    endless = WRITE_PAIRS.replace("range(0, 20, 2)", "range(0, 10**9, 2)")
    with child(endless, folder) as process:
        assert process.stdout is not None
        lines = [int(process.stdout.readline()) for _ in range(50)]
        process.kill()
        lines += [int(line) for line in process.stdout.read().split("\n")[:-1]]
    numbers = stored(folder)
    assert numbers == list(range(len(numbers)))
    assert len(numbers) in (lines[-1] + 2, lines[-1] + 4)


def test_the_lock_of_a_killed_writer_is_free(folder: Path) -> None:
    with child("store.begin(); print('locked', flush=True); sys.stdin.read()", folder) as process:
        assert process.stdout is not None
        process.stdout.readline()
        with SqliteStore.open(folder, lock_timeout=0.02) as store:
            with pytest.raises(LockNotAvailable) as caught:
                store.begin()
            assert (caught.value.sqlstate, caught.value.hint is not None) == ("55P03", True)
            process.kill()
            process.wait()
            store.begin(timeout=30).commit()


def test_a_migration_that_is_killed_is_done_again_from_its_start(tmp_path: Path) -> None:
    with child("", tmp_path / "new", fault="store.migrate=kill@3") as process:
        process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    with SqliteStore.open(tmp_path / "new") as store:
        columns = pa.schema([("number", pa.int64())])
        assert store.query(NamedQuery("topics", "SELECT number FROM topic", columns)).num_rows == 0


def test_processes_that_open_a_new_folder_at_once_agree(tmp_path: Path) -> None:
    script = """
applied = NamedQuery("n", "SELECT count(*) AS n FROM migration", __import__("pyarrow").schema([("n", "int64")]))
print(store.query(applied).column(0)[0].as_py())
store.close()
"""
    children = [child(script, tmp_path / "new", fault="store.migrate=pause:0.01") for _ in range(4)]
    outputs = [process.communicate(timeout=60)[0] for process in children]
    assert [process.returncode for process in children] == [0] * 4
    assert len(set(outputs)) == 1
    assert int(outputs[0]) >= 1


def test_three_processes_that_write_at_once_lose_no_update(folder: Path) -> None:
    script = """
import pyarrow as pa
READ = NamedQuery("read", "SELECT coalesce(max(number), -1) AS n FROM item", pa.schema([("n", pa.int64())]))
for _ in range(100):
    with store.begin() as transaction:
        transaction.execute(INSERT, (transaction.query(READ).column(0)[0].as_py() + 1,))
store.close()
"""
    children = [child(script, folder) for _ in range(3)]
    for process in children:
        process.communicate(timeout=60)
        assert process.returncode == 0
    assert stored(folder) == list(range(300))


def test_opening_a_store_twice_in_a_process_keeps_the_lock_of_the_first(folder: Path) -> None:
    with SqliteStore.open(folder) as store, store.begin() as transaction:
        transaction.execute(INSERT, (1, b""))
        SqliteStore.open(folder).close()
        SqliteStore.open(folder, read_only=True).close()
        script = """
try:
    store.begin(timeout=0)
except Exception as error:
    print(type(error).__name__)
"""
        with child(script, folder) as process:
            assert process.communicate(timeout=60)[0] == "LockNotAvailable\n"
    assert stored(folder) == [1]


def test_an_error_before_the_commit_undoes_the_work_and_frees_the_lock(folder: Path) -> None:
    with SqliteStore.open(folder) as store:
        for point in ("store.after_begin", "store.before_commit"):
            with (
                faults.armed(point, "error"),
                pytest.raises(OperationalError, match=point),
                store.begin() as transaction,
            ):
                transaction.execute(INSERT, (1, b""))
        store.begin(timeout=0).commit()
        assert store.query(COUNT).column(0).to_pylist() == [0]


def test_a_full_store_says_so_stays_readable_and_takes_writes_again(folder: Path) -> None:
    with SqliteStore.open(folder, max_bytes=400_000) as store:
        with store.begin() as transaction:
            transaction.execute(INSERT, (1, bytes(100_000)))
        transaction = store.begin()
        transaction.execute(INSERT, (2, b"small"))
        with pytest.raises(DiskFull) as caught:
            transaction.execute(INSERT, (3, bytes(1_000_000)))
        assert (caught.value.sqlstate, caught.value.hint is not None) == ("53100", True)
        with pytest.raises(FailedTransaction):
            transaction.execute(INSERT, (4, b"small"))
        transaction.rollback()
        assert store.query(VALUES).column(0).to_pylist() == [1]
        with store.begin() as transaction:
            transaction.execute(INSERT, (5, b"small"))
        assert store.query(INTEGRITY).column(0).to_pylist() == ["ok"]
    with SqliteStore.open(folder) as store, store.begin() as transaction:
        transaction.execute(INSERT, (6, bytes(1_000_000)))
    assert stored(folder) == [1, 5, 6]


@pytest.mark.parametrize("fraction", [0.5, 0.7])  # the pages of other tables come before
def test_a_damaged_file_is_reported_as_damaged(folder: Path, fraction: float) -> None:
    with SqliteStore.open(folder) as store, store.begin() as transaction:
        for number in range(200):
            transaction.execute(INSERT, (number, bytes(1000)))
    path = folder / "jammi.db"
    content = bytearray(path.read_bytes())
    start = int(len(content) * fraction) // 4096 * 4096
    content[start : start + 4096] = b"\xaa" * 4096
    path.write_bytes(content)
    whole = NamedQuery("whole", "SELECT data FROM item", pa.schema([("data", pa.binary())]))
    with SqliteStore.open(folder) as store, pytest.raises(DataCorrupted) as caught:
        store.query(whole)
    assert caught.value.sqlstate == "XX001"


@pytest.mark.parametrize(
    ("change", "query"),
    [
        ("UPDATE item SET data = 'text'", NamedQuery("q", "SELECT data FROM item", pa.schema([("data", pa.binary())]))),
        ("UPDATE item SET data = 17", NamedQuery("q", "SELECT data FROM item", pa.schema([("data", pa.binary())]))),
        ("UPDATE item SET data = 1.5", NamedQuery("q", "SELECT data FROM item", pa.schema([("data", pa.int64())]))),
        (
            "UPDATE item SET data = cast(x'ff' AS TEXT)",
            NamedQuery("q", "SELECT data FROM item", pa.schema([("data", pa.utf8())])),
        ),
        (
            "UPDATE item SET data = 17 WHERE number = 1999",
            NamedQuery("q", "SELECT data FROM item ORDER BY number", pa.schema([("data", pa.binary())])),
        ),
    ],
    ids=["text for blob", "integer for blob", "real for integer", "no UTF-8", "after the rows that are looked at"],
)
def test_a_value_of_a_wrong_kind_is_an_error_and_not_a_wrong_row(folder: Path, change: str, query: NamedQuery) -> None:
    with SqliteStore.open(folder) as store:
        with store.begin() as transaction:
            for number in range(2000):
                transaction.execute(INSERT, (number, b"x"))
            transaction.script(change)
        with pytest.raises(DataCorrupted) as caught:
            store.query(query)
        assert caught.value.sqlstate == "XX001"


def test_a_writer_whose_rollback_fails_is_replaced(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with SqliteStore.open(folder) as store:
        transaction = store.begin()
        transaction.execute(INSERT, (1, b""))
        connection = transaction._connection
        command = connection.command
        refuse = _refuse(command)
        monkeypatch.setattr(type(connection), "command", lambda self, text: refuse(text))
        transaction.rollback()
        monkeypatch.undo()
        with store.begin() as transaction:
            transaction.execute(INSERT, (2, b""))
    assert stored(folder) == [2]


def _refuse(command: Callable[[str], None]) -> Callable[[str], None]:
    def run(text: str) -> None:
        if text == "ROLLBACK":
            raise OperationalError("disk I/O error")
        command(text)

    return run
